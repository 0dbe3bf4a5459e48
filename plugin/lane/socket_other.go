//go:build !linux

package lane

// Supported says whether the platform has lanes.
const Supported = false

// systems is what the system itself does: nothing, so no lane is opened.
var systems kernel

// path is how a packet came and goes back.
type path struct{}

// limitReads has no reads to limit.
func limitReads(string) {}
