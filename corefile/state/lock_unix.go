//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes the right to write a file, until release is called or the process ends. It fails with [ErrTaken]
// while another process, or another caller in this one, has it.
//
// What is locked is FILE.lock, which stays: the file itself is another one after each [Replace].
func Lock(file string) (release func(), err error) {
	f, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own state folder
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor fits
	if err == nil {
		return func() { _ = f.Close() }, nil
	}
	_ = f.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrTaken
	}
	return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
}
