package share

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"path"
	"slices"
	"strings"
)

// Entry is a folder, file or link of a tree, as it was when it was read.
type Entry struct {
	Name     string
	Stat     Stat
	Target   string   // of a link
	Children []*Entry // of a folder, by name
	Place    Path     // of the top of a tree; below it, Parent says
	Parent   *Entry
}

// Path returns where the entry was when it was read.
func (e *Entry) Path() Path {
	if e.Parent == nil {
		return e.Place
	}
	return e.Parent.Path().Join(e.Name)
}

// key is what all names of a file have alike.
func (e *Entry) key() [2]uint64 { return [2]uint64{e.Stat.Device, e.Stat.Node} }

// child returns the entry of that name, or nil.
func (e *Entry) child(name string) *Entry {
	i, ok := slices.BinarySearchFunc(e.Children, name, func(c *Entry, name string) int { return cmp.Compare(c.Name, name) })
	if !ok {
		return nil
	}
	return e.Children[i]
}

// each calls a function with the entry and all that is below it, with names relative to it.
func (e *Entry) each(do func(*Entry)) {
	do(e)
	for _, c := range e.Children {
		c.each(do)
	}
}

// amount returns how much the entry is, with all that is below it.
func (e *Entry) amount() Amount {
	var a Amount
	e.each(func(c *Entry) {
		a.Entries++
		if c.Stat.Type == File {
			a.Bytes += c.Stat.Size
		}
	})
	return a
}

// Findings are what a look at trees has brought to light.
type Findings struct {
	Refused []string // why nothing can be done
	Notes   []string // what to know
}

// refuse adds a reason why nothing can be done.
func (f *Findings) refuse(format string, args ...any) {
	f.Refused = append(f.Refused, fmt.Sprintf(format, args...))
}

func (f *Findings) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

// private are names of what is a server's own. They are not below Media and Metadata, unless a folder is not what it
// is taken for.
var private = []string{
	"Preferences.xml", "plexmediaserver.pid", "com.plexapp.plugins.library.db", "com.plexapp.plugins.library.blobs.db",
	"Plug-in Support", "Plug-ins", "Crash Reports",
}

// atTop are names that say so right below the top. Further down a bundle may have them.
var atTop = []string{"Cache", "Caches", "Codecs", "Databases", "Drivers", "Logs", "Scanners", "Updates", "Library"}

// scanner reads trees.
type scanner struct {
	*disk
	*Findings

	sum hash.Hash // over all that was read
}

func newScanner(d *disk, f *Findings) *scanner { return &scanner{d, f, sha256.New()} }

// scan reads the tree whose top is there.
func (s *scanner) scan(ctx context.Context, place Path) (*Entry, error) {
	at, name, err := s.parent(place)
	if err != nil {
		return nil, err
	}
	defer s.sys.Close(at)
	top := &Entry{Name: name, Place: place}
	if err := s.read(ctx, at, top); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.show(place), err)
	}
	return top, nil
}

// read fills in an entry. What may not be read is a finding, so that all of it is told at once.
func (s *scanner) read(ctx context.Context, at Handle, e *Entry) error {
	var err error
	if e.Stat, err = s.sys.Stat(at, e.Name); err != nil {
		return err
	}
	if slices.Contains(private, e.Name) || e.Parent != nil && e.Parent.Parent == nil && slices.Contains(atTop, e.Name) {
		s.refuse("%s is a server's own, and is in a folder that should be shared", s.show(e.Path()))
	}
	s.count(e)
	switch e.Stat.Type {
	case Folder:
		return s.readFolder(ctx, at, e)
	case File:
		if e.Stat.Mode&allRead == allRead {
			return nil // a look at 100,000 files takes its time
		}
		if err := s.sys.Readable(at, e.Name); err != nil {
			s.refuse("%s cannot be read: %v", s.show(e.Path()), err)
		}
	case Link:
		if e.Target, err = s.sys.Readlink(at, e.Name); err == nil && leaves(e) {
			s.note("%s is a link that leads out of its tree, to %s: it stays as it is, and is not followed",
				s.show(e.Path()), quote(e.Target))
		}
	case Special:
		s.note("%s is neither a file, a folder nor a link", s.show(e.Path()))
	}
	return err
}

// allRead is the permission of everybody to read a file, its owner among them.
const allRead = 0o444

func (s *scanner) readFolder(ctx context.Context, at Handle, e *Entry) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h, err := s.sys.OpenFolder(at, e.Name)
	if err != nil {
		s.refuse("%s cannot be read: %v", s.show(e.Path()), err)
		return nil
	}
	defer s.sys.Close(h)
	if err := s.sys.Writable(h); err != nil {
		s.refuse("%s cannot be written: %v", s.show(e.Path()), err)
	}
	if p := e.Parent; p != nil && (p.Stat.Mount != e.Stat.Mount || p.Stat.Device != e.Stat.Device) {
		s.refuse("%s is on another file system than the folder that holds it: unmount it first", s.show(e.Path()))
		return nil
	}
	names, err := s.sys.Names(h)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		c := &Entry{Name: name, Parent: e}
		if err := s.read(ctx, h, c); err != nil {
			return err
		}
		e.Children = append(e.Children, c)
	}
	e.Children = slices.Clip(e.Children)
	return nil
}

// count adds an entry to the sum.
func (s *scanner) count(e *Entry) {
	var b [64]byte
	st := &e.Stat
	out := append(b[:0], byte(st.Type))
	size := st.Size
	if st.Type == Folder {
		size = 0 // it says nothing
	}
	for _, n := range []int64{st.Mod.Sec, st.Mod.Nano, size, int64(len(e.Name))} {
		out = binary.BigEndian.AppendUint64(out, uint64(n)) //nolint:gosec // any bits will do
	}
	out = binary.BigEndian.AppendUint64(out, st.Node)
	out = binary.BigEndian.AppendUint64(out, st.Device)
	_, _ = s.sum.Write(append(out, e.Name...)) // a hash takes everything
}

// leaves reports whether a link leads out of its tree, by its text alone.
func leaves(e *Entry) bool {
	depth := 0
	for p := e.Parent; p != nil && p.Parent != nil; p = p.Parent {
		depth++
	}
	if path.IsAbs(e.Target) {
		return true
	}
	for name := range strings.SplitSeq(e.Target, "/") {
		switch name {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
