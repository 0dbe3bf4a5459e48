package corefile

import "embed"

// Examples holds, in its folder examples, whole Corefiles to start from, and the zone files that they name.
//
//go:embed examples
var Examples embed.FS
