//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"errors"
	"fmt"
	"io/fs"
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
	f, err := openLock(file + ".lock")
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

// openLock opens what is locked, and makes it if there is none. It follows no link: others than root may write to the
// folder, and would have root open what they like.
func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the operator's own state folder
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0) //nolint:gosec // likewise
	}
	if err != nil {
		return nil, err
	}
	if err := share(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// share lets those read and write a new file who may do that in its folder, strangers apart, who may read it at most:
// both programs and plexctl may be of different users.
func share(f *os.File) error {
	const most = 0o664
	info, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		owner := -1 // as it is: root alone may give files away
		if os.Geteuid() == 0 {
			owner = int(of.Uid)
		}
		_ = f.Chown(owner, int(of.Gid)) // a group that is not ours stays as it is
	}
	return f.Chmod(info.Mode().Perm() & most)
}
