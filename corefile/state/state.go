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
	var why error // in one line, for the log
	for _, dir := range dirs {
		err := writable(dir)
		switch {
		case err == nil:
			return dir, nil
		case why == nil:
			why = err
		default:
			why = fmt.Errorf("%w; %w", why, err)
		}
	}
	return "", why
}

// File returns the name of a zone's file of one kind, such as "orders", in the folder.
func File(dir, zone, kind string) string {
	return filepath.Join(dir, strings.TrimSuffix(zone, ".")+"."+kind)
}

// mostBytes bounds what is read of a file. The largest holds a few lines for each uplink.
const mostBytes = 1 << 20

// Read returns what a file holds. Others than we may write to the folder: what is no file, such as a pipe, would keep
// us waiting for ever, and a huge one is none of ours.
func Read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", file)
	case info.Size() > mostBytes:
		return nil, fmt.Errorf("%s has %d bytes: want %d at most", file, info.Size(), mostBytes)
	}
	return os.ReadFile(file) //nolint:gosec // the operator's own state folder
}

// Replace writes a file as a whole, for its owner alone: a crash leaves the old one.
func Replace(file string, data []byte) error {
	return replace(file, data, func(*os.File) error { return nil })
}

// replace is [Replace] by way of another file, which is prepared before it takes the file's place.
func replace(file string, data []byte, prepare func(*os.File) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	_, err = tmp.Write(data)
	if err == nil {
		err = errors.Join(prepare(tmp), tmp.Sync())
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
		if err := os.MkdirAll(dir, shared); err != nil {
			return err
		}
		if err := os.Chmod(dir, shared); err != nil { //nolint:gosec // meant
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
