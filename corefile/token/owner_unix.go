//go:build unix

package token

import (
	"io/fs"
	"os"
	"syscall"
)

// hasOwner reports whether a file's mode says who may read it.
func hasOwner(fs.FileInfo) bool { return true }

// isOurs reports whether the file belongs to the user that we run as.
func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
