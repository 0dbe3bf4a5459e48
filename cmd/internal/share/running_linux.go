package share

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// locked reports whether somebody holds a lock on a file, as SQLite does for as long as a database in WAL mode is
// open. It is asked for a lock that any other one forbids, and none is taken.
func locked(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
	return err == nil && lock.Type != unix.F_UNLCK
}
