package share

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// blockSize is how much of a file is read at once.
const blockSize = 256 << 10

// errChanged is that a file is not as it was a moment ago.
var errChanged = errors.New("it changed while it was copied: is a server running?")

// copier copies trees: contents, hard links, symbolic links, extended attributes, owners, modes, times and holes.
//
// What it has written it reads again, and compares: the bytes of a small file, the hashes of a large one. The bytes
// pass through here for it, so it does not use copy_file_range; where the file system can share them, they are cloned
// instead, and are the same by that.
//
// Folders are copied side by side: what small files cost is calls of the kernel, which one core does no faster than cp.
// All of a folder is there before it gets its times, whoever has copied it.
type copier struct {
	*disk

	ctx     context.Context    //nolint:containedctx // of the one call that made the copier
	moved   func(Amount)       // is told of progress
	hands   chan struct{}      // holds one for each folder that is copied beside the others; nil: none is
	bufs    sync.Pool          // of *buffer
	noClone atomic.Bool        // the file system cannot share bytes
	resume  bool               // what is there already may be of a run that was cut short
	linked  sync.Mutex         // held while a file with several names is copied: it is whole before it gets another
	links   map[[2]uint64]Path // where files with several names have gone
	twins   map[Path]Path      // files that are hard links of others in place
	told    sync.Mutex         // held while somebody is told
	Lost    map[string]int64   // what could not be kept, and how often
}

// sideBySide is how many folders are copied at once, whatever the cores: some of them wait for a disk. An invented
// number; on two cores two do not gain all, and eight no more than four.
const sideBySide = 4

// buffer holds what is read of a file.
type buffer [blockSize]byte

func newCopier(ctx context.Context, d *disk, moved func(Amount)) *copier {
	c := &copier{disk: d, ctx: ctx, links: map[[2]uint64]Path{}, Lost: map[string]int64{}}
	c.moved = func(a Amount) {
		c.told.Lock()
		defer c.told.Unlock()
		moved(a)
	}
	c.bufs.New = func() any { return new(buffer) }
	return c
}

// lost counts what could not be kept.
func (c *copier) lost(what string) {
	c.told.Lock()
	defer c.told.Unlock()
	c.Lost[what]++
}

// spot is an entry that may be there or not.
type spot struct {
	at     Handle
	name   string
	folder Path // that is open as at
}

func (s spot) path() Path { return s.folder.Join(s.name) }

// spotAt returns the entry at a path, whose folder is open.
func spotAt(at Handle, p Path) spot {
	folder, name := p.Split()
	return spot{at, name, folder}
}

// entry copies whatever there is. A special file is not copied.
func (c *copier) entry(from, to spot) error {
	st, err := c.sys.Stat(from.at, from.name)
	if err != nil {
		return err
	}
	return c.entryAs(from, to, st)
}

// entryAs copies an entry of which it is known what it is.
func (c *copier) entryAs(from, to spot, st Stat) error {
	switch st.Type {
	case Folder:
		return c.folderOf(from, to, st)
	case File:
		return c.file(from, to, st)
	case Link:
		return c.link(from, to, st)
	default:
		return nil
	}
}

func (c *copier) folderOf(from, to spot, st Stat) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	h, err := c.sys.OpenFolder(from.at, from.name)
	if err != nil {
		return err
	}
	defer c.sys.Close(h)
	if err := c.sys.Mkdir(to.at, to.name, 0o700); err != nil && !(c.resume && exists(err)) {
		return err
	}
	toH, err := c.sys.OpenFolder(to.at, to.name)
	if err != nil {
		return err
	}
	defer c.sys.Close(toH)
	names, err := c.sys.Names(h)
	if err != nil {
		return err
	}
	slices.Sort(names)
	if c.resume {
		if err := c.clean(h, names, toH); err != nil {
			return err
		}
	}
	if err := c.entries(names, spot{h, "", from.path()}, spot{toH, "", to.path()}); err != nil {
		return err
	}
	if err := c.complete(h, names, toH); err != nil {
		return err
	}
	c.moved(Amount{Entries: 1})
	return c.dress(h, toH, st)
}

// clean removes from a copy that was cut short what its original does not hold by now, or holds as something else.
func (c *copier) clean(from Handle, names []string, to Handle) error {
	there, err := c.sys.Names(to)
	if err != nil {
		return err
	}
	for _, name := range there {
		if _, found := slices.BinarySearch(names, name); found {
			origin, err := c.sys.Stat(from, name)
			if err != nil {
				return within(name, err)
			}
			if st, err := c.sys.Stat(to, name); err != nil || st.Type == origin.Type {
				continue // who copies it comes upon an error as well
			}
		}
		if err := c.removeAll(to, name); err != nil {
			return within(name, err)
		}
	}
	return nil
}

// errElsewhere has a folder be given up whose copy has failed beside.
var errElsewhere = errors.New("given up")

// entries copies what a folder holds, and each folder in there beside the rest while a hand is free. It returns when all
// of it is done, or given up.
func (c *copier) entries(names []string, from, to spot) error {
	var beside sync.WaitGroup
	failed := make(chan error, 1) // of what is beside, the first one
	copied := func(name string, st Stat) error {
		err := c.entryAs(spot{from.at, name, from.folder}, spot{to.at, name, to.folder}, st)
		if err != nil {
			return within(name, err)
		}
		return nil
	}
	err := c.each(names, from, func(name string, st Stat) error {
		if len(failed) > 0 {
			return errElsewhere
		}
		if st.Type != Folder || !c.free() {
			return copied(name, st)
		}
		beside.Go(func() {
			defer func() { <-c.hands }()
			if err := copied(name, st); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		return nil
	})
	beside.Wait()
	select {
	case other := <-failed:
		if err == nil || errors.Is(err, errElsewhere) {
			return other
		}
		return err
	default:
		return err
	}
}

// each calls a function with each entry of a folder, until it returns an error.
func (c *copier) each(names []string, in spot, do func(name string, st Stat) error) error {
	for _, name := range names {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		st, err := c.sys.Stat(in.at, name)
		if err == nil {
			err = do(name, st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// free takes a hand, if one is free.
func (c *copier) free() bool {
	select {
	case c.hands <- struct{}{}:
		return true
	default:
		return false
	}
}

// complete returns an error unless a copy has as many names as its original: a file system may take two for the same.
func (c *copier) complete(from Handle, names []string, to Handle) error {
	there, err := c.sys.Names(to)
	if err != nil || len(there) == len(names) || len(there) == len(names)-c.specials(from, names) {
		return err
	}
	if len(there) > len(names) {
		return errChanged
	}
	return fmt.Errorf("of its %d names %d are in the copy: a file system that takes upper and lower case for the same cannot hold it",
		len(names), len(there))
}

// pathError is an error with the names that lead to it.
type pathError struct {
	path Path
	err  error
}

func (e *pathError) Error() string { return quote(string(e.path)) + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

// within says in which entry of a folder an error is.
func within(name string, err error) error {
	if p, ok := errors.AsType[*pathError](err); ok {
		return &pathError{Path(name).Join(string(p.path)), p.err}
	}
	return &pathError{Path(name), err}
}

func (c *copier) file(from, to spot, st Stat) error {
	if st.Links < 2 {
		return c.one(from, to, st)
	}
	c.linked.Lock()
	defer c.linked.Unlock()
	key := [2]uint64{st.Device, st.Node}
	if first, ok := c.first(from, key); ok {
		return c.again(first, to, st)
	}
	c.links[key] = to.path()
	return c.one(from, to, st)
}

// one copies a file under the first of its names.
func (c *copier) one(from, to spot, st Stat) error {
	src, err := c.sys.OpenFile(from.at, from.name)
	if err != nil {
		return err
	}
	defer c.sys.Close(src)
	if c.resume {
		if ok, err := c.whole(src, to, st); ok || err != nil {
			return err
		}
	}
	dst, err := c.sys.Create(to.at, to.name)
	if err != nil {
		return err
	}
	defer c.sys.Close(dst)
	if err := c.content(src, dst, st); err != nil {
		return err
	}
	c.moved(Amount{1, st.Size})
	return c.dress(src, dst, st)
}

// first returns where a file with several names was copied to under another one.
func (c *copier) first(from spot, key [2]uint64) (Path, bool) {
	if at, ok := c.twins[from.path()]; ok {
		return at, true
	}
	at, ok := c.links[key]
	return at, ok
}

// again gives a file one more name.
func (c *copier) again(first Path, to spot, st Stat) error {
	c.moved(Amount{1, st.Size})
	return c.inFolder(first, func(at Handle, name string) error {
		if one, err := c.sys.Stat(at, name); err != nil {
			return err
		} else if one.Size != st.Size || one.Mod != st.Mod {
			return fmt.Errorf("%s, which is one file with it: %w", c.show(first), errChanged)
		}
		err := c.sys.Hardlink(at, name, to.at, to.name)
		if !exists(err) || !c.resume {
			return err
		}
		there, err := c.sys.Stat(to.at, to.name)
		if err != nil {
			return err
		}
		if one, err := c.sys.Stat(at, name); err != nil || one.Node == there.Node {
			return err
		}
		if err := c.sys.Remove(to.at, to.name, File); err != nil {
			return err
		}
		return c.sys.Hardlink(at, name, to.at, to.name)
	})
}

// whole reports whether a file is there that an earlier run has copied to its end. Any other one is removed.
func (c *copier) whole(src Handle, to spot, st Stat) (bool, error) {
	there, err := c.sys.Stat(to.at, to.name)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if there.Type == File && there.Size == st.Size && there.Mod == st.Mod && (there.Links == 1 || st.Links > 1) {
		dst, err := c.sys.OpenFile(to.at, to.name)
		if err != nil {
			return false, err
		}
		defer c.sys.Close(dst)
		if same, err := c.equal(src, dst, st.Size); same || err != nil {
			c.moved(Amount{1, st.Size})
			return same, err
		}
	}
	return false, c.sys.Remove(to.at, to.name, there.Type)
}

func (c *copier) link(from, to spot, st Stat) error {
	target, err := c.sys.Readlink(from.at, from.name)
	if err != nil {
		return err
	}
	err = c.sys.Symlink(target, to.at, to.name)
	if exists(err) && c.resume {
		if err = c.sys.Remove(to.at, to.name, Link); err == nil {
			err = c.sys.Symlink(target, to.at, to.name)
		}
	}
	if err != nil {
		return err
	}
	c.moved(Amount{Entries: 1})
	if err := c.owner(st, func() error { return c.sys.Chown(to.at, to.name, st.UID, st.GID) }); err != nil {
		return err
	}
	attrs, err := c.sys.LinkAttrs(from.at, from.name)
	if err != nil {
		return err
	}
	if err := c.attrs(attrs, func(a Attr) error { return c.sys.SetLinkAttr(to.at, to.name, a) }); err != nil {
		return err
	}
	return c.sys.SetTimes(to.at, to.name, st.Access, st.Mod)
}

// dress gives a copy all that its original has but the content. The times come last: a copy that has them is whole.
//
// The owner comes first: a change of it takes file capabilities away, which are an attribute, and setuid.
func (c *copier) dress(from, to Handle, st Stat) error {
	if err := c.owner(st, func() error { return c.sys.ChownHandle(to, st.UID, st.GID) }); err != nil {
		return err
	}
	attrs, err := c.sys.Attrs(from)
	if err != nil {
		return err
	}
	if err := c.attrs(attrs, func(a Attr) error { return c.sys.SetAttr(to, a) }); err != nil {
		return err
	}
	if err := c.sys.Chmod(to, st.Mode); err != nil {
		return err
	}
	return c.sys.SetTimesHandle(to, st.Access, st.Mod)
}

// attrs gives a copy its extended attributes, those that it can have.
func (c *copier) attrs(attrs []Attr, set func(Attr) error) error {
	for _, a := range attrs {
		err := set(a)
		if errors.Is(err, ErrAttr) {
			c.lost("extended attributes that the shared folder's file system does not hold, or that only root may set")
			continue
		}
		if err != nil {
			return fmt.Errorf("setting the attribute %q: %w", a.Name, err)
		}
	}
	return nil
}

// owner gives a copy to its owner, which only root may.
func (c *copier) owner(st Stat, chown func() error) error {
	err := chown()
	if err != nil && !privileged() {
		c.lost(fmt.Sprintf("owner %d:%d, as only root gives files away", st.UID, st.GID))
		return nil
	}
	return err
}

// content copies a file's bytes, and reads them again.
func (c *copier) content(src, dst Handle, st Stat) error {
	if st.Size == 0 {
		return nil
	}
	if !c.noClone.Load() {
		err := c.sys.Clone(dst, src)
		if err == nil {
			return nil
		}
		if noRoom(err) {
			return err
		}
		c.noClone.Store(true)
	}
	if st.Size <= smallSize && !holes(st) {
		return c.small(src, dst, st)
	}
	read, err := c.runs(src, st, func(p []byte, off int64) error { return c.sys.WriteAt(dst, p, off) })
	if err != nil {
		return err
	}
	if holes(st) {
		if err := c.sys.Truncate(dst, st.Size); err != nil {
			return err
		}
	}
	written, err := c.runs(dst, st, func([]byte, int64) error { return nil })
	if err == nil && !bytes.Equal(read, written) {
		err = errKept
	}
	return err
}

// smallSize is up to which a file's bytes are compared themselves: two halves of the buffer hold them.
const smallSize = blockSize / 2

// errKept is that what was written is not what is read.
var errKept = errors.New("its copy has another content: the disk does not keep what is written")

// small copies a file whose bytes can be held.
func (c *copier) small(src, dst Handle, st Stat) error {
	buf := c.bufs.Get().(*buffer) //nolint:forcetypeassert // nothing else is in there
	defer c.bufs.Put(buf)
	content, again := buf[:st.Size], buf[smallSize:smallSize+st.Size]
	if err := c.fill(src, content); err != nil {
		return err
	}
	if err := c.sys.WriteAt(dst, content, 0); err != nil {
		return err
	}
	if err := c.fill(dst, again); err != nil {
		return err
	}
	if !bytes.Equal(content, again) {
		return errKept
	}
	return nil
}

// fill reads a file from its beginning.
func (c *copier) fill(h Handle, p []byte) error {
	for off := 0; off < len(p); {
		n, err := c.sys.ReadAt(h, p[off:], int64(off))
		if errors.Is(err, io.EOF) {
			return errChanged
		}
		if err != nil {
			return err
		}
		off += n
	}
	return nil
}

// holes reports whether a file has less on the disk than its size says.
func holes(st Stat) bool { return st.Blocks*512 < st.Size }

// runs calls a function with all data of a file, and returns the hash of what it was, holes apart.
func (c *copier) runs(h Handle, st Stat, do func(p []byte, off int64) error) ([]byte, error) {
	sum := sha256.New()
	each := func(p []byte, off int64) error {
		_, _ = sum.Write(p) // a hash takes everything
		return do(p, off)
	}
	if !holes(st) {
		err := c.read(h, 0, st.Size, each)
		return sum.Sum(nil), err
	}
	some := func(p []byte, off int64) error {
		if bytes.Count(p, []byte{0}) == len(p) { // a hole here may be zeros there, where blocks have another size
			return nil
		}
		return each(p, off)
	}
	for off := int64(0); off < st.Size; {
		start, end, err := c.sys.Data(h, off, st.Size)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if off = min(end, st.Size); start < off {
			err = c.read(h, start, off, some)
		}
		if err != nil {
			return nil, err
		}
	}
	return sum.Sum(nil), nil
}

// read calls a function with the bytes of a file.
func (c *copier) read(h Handle, off, end int64, do func(p []byte, off int64) error) error {
	buf := c.bufs.Get().(*buffer) //nolint:forcetypeassert // nothing else is in there
	defer c.bufs.Put(buf)
	for off < end {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		n, err := c.sys.ReadAt(h, buf[:min(int64(len(buf)), end-off)], off)
		if errors.Is(err, io.EOF) {
			return errChanged
		}
		if err == nil {
			err = do(buf[:n], off)
		}
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// equal reports whether two files of one size have the same content.
func (c *copier) equal(a, b Handle, size int64) (bool, error) {
	full := Stat{Size: size, Blocks: size/512 + 1} // read holes as what they are: zeros
	one, err := c.runs(a, full, func([]byte, int64) error { return nil })
	if err != nil {
		return false, err
	}
	other, err := c.runs(b, full, func([]byte, int64) error { return nil })
	return err == nil && bytes.Equal(one, other), err
}
