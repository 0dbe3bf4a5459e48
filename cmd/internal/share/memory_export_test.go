//go:build linux

package share

import "io"

// Shrink takes out of memory what only the start of the program has read.
var Shrink = shrink

// Untouched returns the mappings that Shrink takes out of memory.
func Untouched(smaps io.Reader, file string) (all [][2]uintptr) {
	for _, m := range untouched(smaps, file) {
		all = append(all, [2]uintptr{m.from, m.to})
	}
	return all
}
