package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// errLeft is that an undo has done what it could, which was not all.
var errLeft = errors.New("not all is where it was")

// undo takes the run back, from its last operation to its first. Each is looked at: what was not done needs nothing.
// Unless all is where it was, and that is not given up, the run is not called undone, and another undo tries again.
func (x *executor) undo(ctx context.Context, giveUp bool) error {
	err := x.beginUndo(giveUp)
	if noRoom(err) { // copies that have no name yet make some
		err = errors.Join(x.clear(), x.beginUndo(giveUp))
	}
	if err != nil {
		return err
	}
	for i := range x.run.Ops[x.run.Tried:] { // these are not to be waited for
		x.moved(x.run.Ops[x.run.Tried+i].Amount)
	}
	for i, o := range slices.Backward(x.run.Ops[:x.run.Tried]) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := x.takeBack(i, i < x.run.Done); err != nil {
			return fmt.Errorf("taking back %s: %w", o.text(x.show), err)
		}
		x.moved(o.Amount)
	}
	for _, o := range x.run.Ops { // those that were not reached yet say how folders were that others have changed
		if o.Do == SetTimes && o.Old != nil && o.From != "" {
			if err := x.setTimes(o.From, o.Old); err != nil && !missing(err) {
				return fmt.Errorf("setting the times of %s: %w", x.show(o.From), err)
			}
		}
	}
	if err := x.clear(); err != nil {
		return err
	}
	if err := x.sync(x.places()...); err != nil {
		return err
	}
	if len(x.Left) > 0 && !x.giveUp {
		return errLeft
	}
	if err := x.journal.add(record{Now: Undone}); err != nil {
		return err
	}
	x.run.State = Undone
	return nil
}

// beginUndo has the journal say that an undo was begun.
func (x *executor) beginUndo(giveUp bool) error {
	x.giveUp, x.holds, x.brought = giveUp, map[Path]bool{}, map[Path][]int{}
	for i, o := range x.run.Ops {
		if o.Do == MoveEntry || o.Do == CopyEntry {
			x.brought[o.To] = append(x.brought[o.To], i)
		}
	}
	if x.again = x.run.State == Undoing; x.again {
		return nil
	}
	if err := x.journal.add(record{Now: Undoing}); err != nil {
		return err
	}
	x.run.State = Undoing
	return nil
}

// tidy removes what applies have made for themselves, once all of them are undone: the journal, its folder, and the
// shared folder if it was made for them and is empty. That all is undone is on the disk by then; what is left if it ends
// in between is of no use, and the next undo removes it, but for an empty shared folder.
func (s *session) tidy(j *journal) {
	parent, name := filepath.Split(s.into)
	d, err := openDisk(s.sys, parent)
	if err != nil {
		s.say("note: %v\n", err)
		return
	}
	defer d.close()
	shared := Path(name)
	ours := []spot{{name: journalFile, folder: shared.Join(ownFolder)}, {name: ownFolder, folder: shared}}
	if slices.ContainsFunc(j.runs, func(run *Run) bool { return run.Made }) {
		ours = append(ours, spot{name: name, folder: "."})
	}
	for _, one := range ours {
		is := Folder
		if one.name == journalFile {
			is = File
		}
		err := d.inFolder(one.path(), func(at Handle, name string) error { return s.sys.Remove(at, name, is) })
		if err != nil && !missing(err) {
			s.say("note: %s stays: %v\n", d.show(one.path()), err)
			return
		}
	}
}

func (x *executor) note(format string, args ...any) {
	x.Notes = append(x.Notes, fmt.Sprintf(format, args...))
}

// left notes what is not where it was.
func (x *executor) left(format string, args ...any) {
	x.Left = append(x.Left, fmt.Sprintf(format, args...))
}

// takeBack undoes one operation. Unless it is certain to have been done, that it was not is nothing to tell.
func (x *executor) takeBack(i int, certain bool) error {
	o := &x.run.Ops[i]
	if o.Do == SetTimes {
		return nil // all of them follow
	}
	st, err := x.stat(o.To)
	there := err == nil
	if err != nil && !missing(err) {
		return err
	}
	switch o.Do {
	case MakeFolder:
		if there && st.Type == Folder && (o.Node == 0 || st.Node != o.Node) {
			return x.unmakeFolder(i, certain)
		}
	case MoveEntry:
		return x.moveBack(i, st, there, certain)
	case CopyEntry:
		if there && x.holds[o.To] {
			x.stays(o.To, "it holds what cannot be brought back")
		} else if there {
			return x.uncopy(o, certain)
		}
	case MakeLink:
		if there {
			return x.unmakeLink(o)
		}
	case DropLink, DropFolder:
		return x.putBack(o, st, there)
	}
	return nil
}

// putBack makes a link or an empty folder again.
func (x *executor) putBack(o *Op, st Stat, there bool) error {
	var err error
	switch {
	case o.Do == DropLink && (!there || st.Type == Link):
		err = x.makeLink(o, true)
	case o.Do == DropFolder && (!there || st.Type == Folder):
		err = x.makeFolder(o, true)
	}
	if missing(err) {
		x.left("%s cannot be brought back: its folder is gone", x.show(o.To))
		return nil
	}
	return err
}

// unmakeFolder removes a folder that was made. What is in it by now is kept: a mount point's content, which a server
// has written that ran without the mount, is moved aside.
func (x *executor) unmakeFolder(i int, certain bool) error {
	o := &x.run.Ops[i]
	err := x.inFolder(o.To, func(at Handle, name string) error { return x.sys.Remove(at, name, Folder) })
	if err == nil || !notEmpty(err) {
		return err
	}
	if !o.Point {
		x.note("%s stays: it is not empty", x.show(o.To))
		return nil
	}
	if (x.again || !certain) && x.isOriginal(i) {
		return nil
	}
	if x.madeRoom(i) == nil && !certain {
		x.note("%s stays: it is not empty, and may be a server's", x.show(o.To))
		return nil
	}
	aside := o.To + Path(".since-share-"+x.run.Stamp)
	x.note("%s is not empty: what was written there since is now %s", x.show(o.To), x.show(aside))
	return x.rename(o.To, aside)
}

// isOriginal reports whether what stands at a mount point is the original, which was not moved, or which an undo that was
// cut short has brought back. Its inode says so as well, but not on a file system that gives others as it likes.
func (x *executor) isOriginal(i int) bool {
	moved := x.madeRoom(i)
	if moved == nil || x.run.Ops[i].Node == 0 {
		return false
	}
	_, err := x.stat(moved.To)
	return missing(err)
}

// madeRoom returns the operation that moves away what stands where another one makes a folder, or nil if nothing did.
func (x *executor) madeRoom(i int) *Op {
	if i == 0 {
		return nil
	}
	if before := &x.run.Ops[i-1]; before.Do == MoveEntry && before.From == x.run.Ops[i].To {
		return before
	}
	return nil
}

// moveBack moves an entry back to where nothing is. One of another inode is moved as well: it was restored from a
// backup, a server has written it anew, or its file system gives inodes as it likes.
func (x *executor) moveBack(i int, st Stat, there, certain bool) error {
	o := &x.run.Ops[i]
	_, err := x.stat(o.From)
	if err != nil && !missing(err) {
		return err
	}
	free, same := err != nil, o.Node == 0 || st.Node == o.Node
	switch {
	case !there && certain && free && !x.isGone(i):
		x.left("%s cannot be brought back: there is no %s any more", x.show(o.From), x.show(o.To))
		x.hold(o.From)
		return nil
	case !there, !same && !free: // it was not moved, or is back
		return nil
	case x.holds[o.To]:
		x.stays(o.To, "it holds what cannot be brought back")
		return nil
	}
	grown, err := x.grown(o, st)
	if err != nil { // it is only told
		x.note("what %s holds cannot be counted: %v", x.show(o.From), err)
	}
	err = x.rename(o.To, o.From)
	if exists(err) || missing(err) {
		x.stays(o.To, x.show(o.From)+" is in use again, or its folder is gone")
		return nil
	}
	if err == nil && grown != "" {
		x.note("%s has %s: what servers have written there since is this node's alone now", x.show(o.From), grown)
	}
	if err == nil && !same {
		x.note("%s is not the one that was shared, but has its place: it was written anew", x.show(o.From))
	}
	return err
}

// grown says how much more or less a folder holds that was shared, and nothing if it is as much.
func (x *executor) grown(o *Op, st Stat) (string, error) {
	if _, name := o.To.Split(); st.Type != Folder || strings.HasSuffix(name, kept+x.run.Stamp) {
		return "", nil // what is kept is not shared
	}
	now, err := x.amount(o.To)
	if err != nil || now == o.Amount {
		return "", err
	}
	return fmt.Sprintf("%s, and had %s when it was shared", now, o.Amount), nil
}

// amount returns how much is there by now.
func (x *executor) amount(p Path) (a Amount, err error) {
	err = x.inFolder(p, func(at Handle, name string) error { return x.count(at, name, &a) })
	return a, err
}

func (x *executor) count(at Handle, name string, a *Amount) error {
	st, err := x.sys.Stat(at, name)
	if err != nil {
		return err
	}
	a.Entries++
	if st.Type == File {
		a.Bytes += st.Size
	}
	if st.Type != Folder {
		return nil
	}
	h, names, err := x.listed(at, name)
	if err != nil {
		return err
	}
	defer x.sys.Close(h)
	for _, below := range names {
		if err := x.count(h, below, a); err != nil {
			return within(below, err)
		}
	}
	return nil
}

// isGone reports whether nobody misses what an operation has moved: it was a copy; or an undo that was cut short has
// brought it back, and then the folder that it was in.
func (x *executor) isGone(i int) bool {
	last, top := -1, Path("")
	for at := x.run.Ops[i].From; at != "."; at, _ = at.Split() {
		for _, j := range x.brought[at] {
			if j < i && j > last {
				last, top = j, at
			}
		}
	}
	if last < 0 {
		return false
	}
	if x.run.Ops[last].Do == CopyEntry {
		return true
	}
	_, err := x.stat(top)
	return x.again && missing(err)
}

// stays notes what an undo leaves in the shared folder.
func (x *executor) stays(p Path, why string) {
	x.left("%s stays: %s", x.show(p), why)
	x.hold(p)
}

// hold has the folders stay that hold what cannot be brought back: they would take it to another node. It ends with the
// wish to have all of it back.
func (x *executor) hold(p Path) {
	for at := p; at != "." && !x.giveUp; at, _ = at.Split() {
		x.holds[at] = true
	}
}

func (x *executor) unmakeLink(o *Op) error {
	return x.inFolder(o.To, func(at Handle, name string) error {
		target, err := x.sys.Readlink(at, name)
		if err == nil && target == string(o.Target) {
			return x.sys.Remove(at, name, Link)
		}
		return nil // it is not ours
	})
}

// uncopy removes a copy, as far as it is equal to the original.
func (x *executor) uncopy(o *Op, certain bool) error {
	from, name, err := x.parent(o.From)
	if missing(err) {
		x.note("%s stays: its original is gone", x.show(o.To))
		return nil
	}
	if err != nil {
		return err
	}
	defer x.sys.Close(from)
	to, toName, err := x.parent(o.To)
	if err != nil {
		return err
	}
	defer x.sys.Close(to)
	stay, err := x.copier.drop(spot{from, name, ""}, spot{to, toName, ""})
	if err == nil && stay > 0 && certain {
		x.note("%s stays: %d of its entries are new or have changed since they were copied", x.show(o.To), stay)
	}
	return err
}

// drop removes what is equal to its original, and returns how many entries stay.
func (c *copier) drop(from, to spot) (stay int64, err error) {
	st, err := c.sys.Stat(to.at, to.name)
	if err != nil {
		return 0, err
	}
	if origin, err := c.sys.Stat(from.at, from.name); err == nil && isOne(origin, st) {
		return 1, nil // there is no copy: something is mounted over it
	}
	if st.Type != Folder {
		same, err := c.same(from, to)
		if errors.Is(err, fs.ErrPermission) { // nor can it be compared
			return 1, nil
		}
		if err != nil || !same {
			return 1, err
		}
		return 0, c.sys.Remove(to.at, to.name, st.Type)
	}
	fromH, err := c.sys.OpenFolder(from.at, from.name)
	if err != nil {
		return 1, nil // there is none any more, and nothing to compare with
	}
	defer c.sys.Close(fromH)
	toH, names, err := c.listed(to.at, to.name)
	if errors.Is(err, fs.ErrPermission) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	defer c.sys.Close(toH)
	for _, name := range names {
		n, err := c.drop(spot{fromH, name, ""}, spot{toH, name, ""})
		if err != nil {
			return stay, within(name, err)
		}
		stay += n
	}
	if stay > 0 {
		return stay, nil
	}
	return 0, c.sys.Remove(to.at, to.name, Folder)
}

// isOne reports whether two entries are the same one. Two names of one file are two.
func isOne(a, b Stat) bool {
	return a.Device == b.Device && a.Node == b.Node && (a.Type == Folder || a.Links < 2)
}

// same reports whether a copy, with all that is below it, has the content of its original.
func (c *copier) same(from, to spot) (bool, error) {
	a, err := c.sys.Stat(from.at, from.name)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b, err := c.sys.Stat(to.at, to.name)
	if err != nil || a.Type != b.Type {
		return false, err
	}
	switch a.Type {
	case Folder:
		return c.sameFolder(from, to)
	case Link:
		one, err := c.sys.Readlink(from.at, from.name)
		if err != nil {
			return false, err
		}
		other, err := c.sys.Readlink(to.at, to.name)
		return one == other, err
	case File:
		if a.Size != b.Size {
			return false, nil
		}
		return c.sameFile(from, to, a.Size)
	default:
		return false, nil
	}
}

func (c *copier) sameFile(from, to spot, size int64) (bool, error) {
	a, err := c.sys.OpenFile(from.at, from.name)
	if err != nil {
		return false, err
	}
	defer c.sys.Close(a)
	b, err := c.sys.OpenFile(to.at, to.name)
	if err != nil {
		return false, err
	}
	defer c.sys.Close(b)
	return c.equal(a, b, size)
}

func (c *copier) sameFolder(from, to spot) (bool, error) {
	fromH, err := c.sys.OpenFolder(from.at, from.name)
	if err != nil {
		return false, err
	}
	defer c.sys.Close(fromH)
	toH, names, err := c.listed(to.at, to.name)
	if err != nil {
		return false, err
	}
	defer c.sys.Close(toH)
	for _, name := range names {
		if same, err := c.same(spot{fromH, name, ""}, spot{toH, name, ""}); !same || err != nil {
			return same, err
		}
	}
	originals, err := c.sys.Names(fromH)
	return len(originals)-c.specials(fromH, originals) == len(names), err
}

// specials returns how many entries are not copied.
func (c *copier) specials(h Handle, names []string) (n int) {
	for _, name := range names {
		if st, err := c.sys.Stat(h, name); err == nil && st.Type == Special {
			n++
		}
	}
	return n
}
