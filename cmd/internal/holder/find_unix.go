//go:build unix && !linux

package holder

// howTo shows the operator what we do not know.
const howTo = "sudo lsof -nP -i"
