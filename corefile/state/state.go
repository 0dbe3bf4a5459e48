// Package state keeps what must outlive a process in the folder that the Corefile's `state` line names.
//
// The files are named by zone, such as home.duckdns.org.orders. Both programs and plexctl use the folder.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"plexha/corefile"
)

// ErrTaken is why a file that another process writes cannot be locked.
var ErrTaken = errors.New("another process writes it")

// Dir returns the folder, which it makes if there is none: that of the `state` line, or else the first of
// [corefile.DefaultStateDirs] that can be written. The error says why no folder can be.
func Dir(s corefile.State) (string, error) {
	dirs := corefile.DefaultStateDirs()
	if s.Dir != "" {
		dirs = []string{s.Dir}
	}
	var errs []error
	for _, dir := range dirs {
		err := writable(dir)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// File returns the name of a zone's file of one kind, such as "orders", in the folder.
func File(dir, zone, kind string) string {
	return filepath.Join(dir, strings.TrimSuffix(zone, ".")+"."+kind)
}

// Replace writes a file as a whole, for its owner alone: a crash leaves the old one.
func Replace(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// writable makes the folder if there is none, for the group as well whatever the umask: both programs and
// plexctl write there. It reports why the folder cannot be written.
func writable(dir string) error {
	const shared = 0o770
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(dir, shared), os.Chmod(dir, shared)); err != nil { //nolint:gosec // meant
			return err
		}
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("writing to %s: %w", dir, e.Err) // its name is a new one each time
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
