//go:build !unix

package holder

// howTo shows the operator what we do not know.
const howTo = "netstat -abno"
