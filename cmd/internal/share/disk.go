package share

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// disk is the common parent of all folders, and the way from there to each path without following a link.
type disk struct {
	sys  System
	base Handle
	root string // the parent's absolute name
}

// openDisk opens the common parent.
func openDisk(sys System, root string) (*disk, error) {
	h, err := sys.OpenFolder(None, root)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", quote(root), err)
	}
	return &disk{sys, h, root}, nil
}

func (d *disk) close() { d.sys.Close(d.base) }

// show returns the absolute name as people read it.
func (d *disk) show(p Path) string { return quote(d.abs(p)) }

func (d *disk) abs(p Path) string { return filepath.Join(d.root, string(p)) }

// folder opens a folder, one element after the other. A link on the way is an error, whatever it leads to.
func (d *disk) folder(p Path) (Handle, error) {
	h, err := d.sys.OpenFolder(d.base, ".")
	if err != nil || p == "." {
		return h, err
	}
	walked := Path(".")
	for name := range strings.SplitSeq(string(p), "/") {
		if name == ".." || name == "" {
			d.sys.Close(h)
			return None, fmt.Errorf("%s leads out of %s", quote(string(p)), quote(d.root))
		}
		next, err := d.sys.OpenFolder(h, name)
		walked = walked.Join(name)
		if err != nil {
			err = d.notThrough(h, name, walked, err)
		}
		d.sys.Close(h)
		if err != nil {
			return None, err
		}
		h = next
	}
	return h, nil
}

// errLink is that there is a link where a folder must be.
var errLink = errors.New("is a link, which is not followed: name the folder itself")

// notThrough says why there is no way through an element of a path.
func (d *disk) notThrough(at Handle, name string, walked Path, err error) error {
	if st, e := d.sys.Stat(at, name); e == nil && st.Type == Link {
		target, _ := d.sys.Readlink(at, name) // without it, the sentence is shorter
		return fmt.Errorf("%s %w (it leads to %s)", d.show(walked), errLink, quote(target))
	}
	return fmt.Errorf("opening %s: %w", d.show(walked), err)
}

// parent opens the folder that holds the path's last element.
func (d *disk) parent(p Path) (Handle, string, error) {
	folder, name := p.Split()
	h, err := d.folder(folder)
	return h, name, err
}

// stat returns what is there. The error is that of [missing] if nothing is, nor a folder to hold it.
func (d *disk) stat(p Path) (Stat, error) {
	at, name, err := d.parent(p)
	if err != nil {
		return Stat{}, err
	}
	defer d.sys.Close(at)
	return d.sys.Stat(at, name)
}

// readlink returns where a link leads.
func (d *disk) readlink(p Path) (string, error) {
	at, name, err := d.parent(p)
	if err != nil {
		return "", err
	}
	defer d.sys.Close(at)
	return d.sys.Readlink(at, name)
}

// inFolder calls a function with the folder that holds the path, and the name in there.
func (d *disk) inFolder(p Path, do func(at Handle, name string) error) error {
	at, name, err := d.parent(p)
	if err != nil {
		return err
	}
	defer d.sys.Close(at)
	return do(at, name)
}

// rename moves an entry to where nothing is.
func (d *disk) rename(from, to Path) error {
	return d.inFolder(from, func(at Handle, name string) error {
		return d.inFolder(to, func(toAt Handle, toName string) error { return d.sys.Rename(at, name, toAt, toName) })
	})
}

// sync writes all of the file systems that hold these folders to disk.
func (d *disk) sync(folders ...Path) error {
	seen := map[uint64]bool{}
	for _, p := range folders {
		h, err := d.folder(p)
		if err != nil {
			return err
		}
		st, err := d.sys.StatHandle(h)
		if err == nil && !seen[st.Device] {
			err = d.sys.SyncDisk(h)
			seen[st.Device] = true
		}
		d.sys.Close(h)
		if err != nil {
			return fmt.Errorf("writing %s to disk: %w", d.show(p), err)
		}
	}
	return nil
}

// listed opens a folder and returns the names in it.
func (d *disk) listed(at Handle, name string) (Handle, []string, error) {
	h, err := d.sys.OpenFolder(at, name)
	if err != nil {
		return None, nil, err
	}
	names, err := d.sys.Names(h)
	if err != nil {
		d.sys.Close(h)
		return None, nil, err
	}
	return h, names, nil
}

// removeAll removes an entry with all that is below it.
func (d *disk) removeAll(at Handle, name string) error {
	st, err := d.sys.Stat(at, name)
	if err != nil {
		return err
	}
	if st.Type == Folder {
		h, names, err := d.listed(at, name)
		if err != nil {
			return err
		}
		defer d.sys.Close(h)
		for _, below := range names {
			if err := d.removeAll(h, below); err != nil {
				return err
			}
		}
	}
	return d.sys.Remove(at, name, st.Type)
}
