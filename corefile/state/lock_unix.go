//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Lock takes the right to write a file, until release is called or the process ends. It fails with [ErrTaken]
// while another process, or another caller in this one, has it.
//
// What is locked is FILE.lock, which stays: the file itself is another one after each [Replace]. Whoever may
// write to the folder may lock it.
func Lock(file string) (release func(), err error) {
	f, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own state folder
	if err != nil {
		return nil, err
	}
	_ = share(f.Name())                                               // another user's, who has done it, or not
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

// share lets those read and write a file who may do that in its folder, strangers apart, who may read it at most:
// both programs and plexctl may be of different users.
func share(file string) error {
	const most = 0o664
	info, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		owner := -1 // as it is: root alone may give files away
		if os.Geteuid() == 0 {
			owner = int(of.Uid)
		}
		_ = os.Lchown(file, owner, int(of.Gid)) // a group that is not ours stays as it is
	}
	return os.Chmod(file, info.Mode().Perm()&most)
}
