package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// What a batch holds at most. The disk is written to once for each batch before its copies get their names, and once
// more before the journal says that it is done: one fsync per file would cost many times the copying. A larger batch
// means more to look at again after a crash.
const (
	batchOps   = 2048
	batchBytes = 1 << 30
)

// exists reports whether an error is that there is such an entry already.
func exists(err error) bool { return errors.Is(err, fs.ErrExist) }

// executor does the operations of a run, or takes them back.
type executor struct {
	*disk

	journal *journal
	run     *Run
	copier  *copier
	most    int // operations of a batch
	moved   func(Amount)
	coming  map[Path]Path  // where is now what a batch will give these names
	resumed bool           // operations may have been done that the journal does not call done
	again   bool           // an undo was cut short before
	giveUp  bool           // an undo goes on over what it cannot bring back
	brought map[Path][]int // the operations that bring something there
	holds   map[Path]bool  // the folders of what it cannot bring back
	Notes   []string
	Left    []string // what an undo could not bring back
}

func newExecutor(ctx context.Context, d *disk, j *journal, run *Run, moved func(Amount)) *executor {
	return &executor{disk: d, journal: j, run: run, copier: newCopier(ctx, d, moved), most: batchOps, moved: moved}
}

// stage returns where the copy that an operation makes is put together.
func (x *executor) stage(i int) Path {
	return x.run.Shared.Join(ownFolder, stageFolder, strconv.Itoa(i))
}

// apply does what is left of the run.
func (x *executor) apply(ctx context.Context) error {
	x.resumed = x.run.Tried > x.run.Done
	for i := range x.run.Done { // what earlier batches have brought, so that the rate is that of the rest
		x.moved(x.run.Ops[i].Amount)
	}
	for x.run.Done < len(x.run.Ops) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := x.batch(x.run.Done, x.batchEnd(x.run.Done)); err != nil {
			return err
		}
	}
	if err := x.journal.add(record{Now: Applied}); err != nil {
		return err
	}
	x.run.State = Applied
	return x.clear()
}

// batchEnd returns where the batch ends that begins with an operation. One that was begun is ended as it was. An
// original is moved in another batch than its copies get their names: they may be on two file systems, of which a
// power cut may leave the later one ahead, and what a copy is compared with stays where it was. Nor does a batch move
// away what it has brought: what stands at a path says then whether the operation is done that brings something there.
func (x *executor) batchEnd(begin int) int {
	if x.run.Tried > begin {
		return x.run.Tried
	}
	var bytes int64
	end, brought := begin, map[Path]bool{}
	for end < len(x.run.Ops) && end-begin < x.most && (bytes < batchBytes || end == begin) {
		o := &x.run.Ops[end]
		if o.Do == CopyEntry {
			bytes += o.Bytes
		}
		if o.Do == MoveEntry && (brought[o.From] || copiesFrom(x.run.Ops[begin:end], o.From)) {
			break
		}
		brought[o.To] = true
		end++
	}
	return end
}

// copiesFrom reports whether one of the operations copies a folder or something in it.
func copiesFrom(ops []Op, folder Path) bool {
	return slices.ContainsFunc(ops, func(o Op) bool { return o.Do == CopyEntry && o.From.Within(folder) })
}

// batch does some operations. The journal knows before it begins, and after all of it is on the disk.
func (x *executor) batch(begin, end int) error {
	if x.run.Tried < end {
		if err := x.journal.add(record{Try: end}); err != nil {
			return err
		}
		x.run.Tried = end
	}
	if err := x.stageAll(begin, end); err != nil {
		return err
	}
	for i := begin; i < end; i++ {
		if err := x.do(i); err != nil {
			return x.explain(&x.run.Ops[i], err)
		}
	}
	if err := x.sync(x.places()...); err != nil {
		return err
	}
	if err := x.journal.add(record{Did: end}); err != nil {
		return err
	}
	x.run.Done, x.resumed = end, false
	return nil
}

// places are the folders whose file systems change, as far as they are there.
func (x *executor) places() []Path {
	places := []Path{x.run.Shared}
	for _, home := range x.run.Homes {
		if _, err := x.stat(home); !missing(err) {
			places = append(places, home)
		}
	}
	return places
}

// explain says at which operation an error came.
func (x *executor) explain(o *Op, err error) error {
	err = fmt.Errorf("%s: %w", o.text(x.show), err)
	if elsewhere(err) && o.Do == MoveEntry && strings.HasSuffix(string(o.To), kept+x.run.Stamp) {
		return fmt.Errorf("%w: %w", err, errAside)
	}
	if elsewhere(err) && o.Do == MoveEntry && o.To.Within(x.run.Shared) && !o.From.Within(x.run.Shared) {
		return fmt.Errorf("%w: %w", err, errAcross)
	}
	if noRoom(err) {
		return fmt.Errorf("%w: make room and apply again, which goes on from here, or undo", err)
	}
	return err
}

// errAcross is that a file system does not rename what a plan has it rename into the shared folder.
var errAcross = errors.New("what is renamed must be in one mount, and of one quota: undo, then plan and apply with -copy")

// errAside is that a file system does not rename an original that is to be kept.
var errAside = errors.New("its file system does not rename what is to be kept there: undo, and name the folder on the disk itself")

// stageAll makes the copies of a batch, aside, and has them on the disk.
func (x *executor) stageAll(begin, end int) error {
	staged := false
	x.coming = map[Path]Path{}
	for i := begin; i < end; i++ {
		o := &x.run.Ops[i]
		if o.Do == MoveEntry {
			x.willMove(o)
		}
		if o.Do != CopyEntry {
			continue
		}
		if err := x.makeStage(); err != nil {
			return err
		}
		if err := x.copy(i, o); err != nil {
			return x.explain(o, err)
		}
		staged = true
	}
	if !staged {
		return nil
	}
	return x.sync(x.run.Shared)
}

// willMove notes where what a batch moves is until then, unless it is moved.
func (x *executor) willMove(o *Op) {
	if x.resumed {
		if done, _ := x.isMoved(o); done { // what speaks against it comes up when it is moved
			return
		}
	}
	x.coming[o.To] = x.placeOf(o.From)
}

// makeStage makes the folder for copies that are not complete.
func (x *executor) makeStage() error {
	if x.copier.resume = x.resumed; x.copier.twins == nil {
		x.copier.twins = map[Path]Path{}
	}
	return x.inFolder(x.run.Shared.Join(ownFolder, stageFolder), func(at Handle, name string) error {
		err := x.sys.Mkdir(at, name, 0o700)
		if exists(err) {
			return nil
		}
		return err
	})
}

// copy makes the copy of one operation, aside, unless it is in its place.
func (x *executor) copy(i int, o *Op) error {
	clear(x.copier.links) // files of another operation are twins
	for _, t := range o.Twins {
		x.copier.twins[t.File] = x.placeOf(t.Of)
	}
	return x.inFolder(o.From, func(from Handle, _ string) error {
		source := spotAt(from, o.From)
		if st, err := x.sys.Stat(from, source.name); err != nil {
			return err
		} else if st.Type != o.Is {
			return errReplaced
		}
		done, err := x.inPlace(o, source)
		if done || err != nil {
			return err
		}
		x.coming[o.To] = x.stage(i)
		return x.inFolder(x.stage(i), func(to Handle, _ string) error {
			return x.copier.entry(source, spotAt(to, x.stage(i)))
		})
	})
}

// placeOf returns where it is now, while copies are made, what will have a name by then: under another one, still
// aside, or there.
func (x *executor) placeOf(to Path) Path {
	for at := to; at != "."; at, _ = at.Split() {
		if now, ok := x.coming[at]; ok {
			return now + to[len(at):]
		}
	}
	return to
}

// errAppeared is that something is where nothing was when the plan was made.
var errAppeared = errors.New("something is there that was not when the plan was made")

// inPlace reports whether a copy has its name already, from a run that was cut short.
func (x *executor) inPlace(o *Op, from spot) (bool, error) {
	at, name, err := x.parent(o.To)
	if missing(err) {
		return false, nil // a folder that this batch makes
	}
	if err != nil {
		return false, err
	}
	defer x.sys.Close(at)
	if _, err := x.sys.Stat(at, name); missing(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if x.before(o) {
		return false, nil // what is there has to go first, as this batch has it
	}
	same, err := x.copier.same(from, spotAt(at, o.To))
	if err == nil && (!same || !x.resumed) {
		err = errAppeared
	}
	return same, err
}

// before reports whether what stands where a copy will be is moved away by an operation that is not done yet.
func (x *executor) before(o *Op) bool {
	for i := x.run.Done; i < x.run.Tried; i++ {
		if m := &x.run.Ops[i]; m.Do == MoveEntry && m.From == o.To {
			_, err := x.stat(m.To)
			return missing(err)
		}
	}
	return false
}

// do does one operation, unless it is done.
func (x *executor) do(i int) error {
	o := &x.run.Ops[i]
	switch o.Do {
	case MakeFolder:
		return x.makeFolder(o, x.resumed)
	case MoveEntry:
		x.moved(o.Amount)
		return x.move(o)
	case CopyEntry:
		return x.name(i, o)
	case MakeLink:
		return x.makeLink(o, x.resumed)
	case DropLink:
		return x.dropLink(o)
	case DropFolder:
		return x.dropFolder(o)
	case SetTimes:
		return x.setTimes(o.To, o.New)
	default:
		return fmt.Errorf("the journal knows an operation %q, which this plexctl does not", o.Do)
	}
}

// makeFolder makes a folder. One that may be there already is that one, unless it is the one that stood there before.
func (x *executor) makeFolder(o *Op, maybe bool) error {
	return x.inFolder(o.To, func(at Handle, name string) error {
		err := x.sys.Mkdir(at, name, 0o700)
		if exists(err) && maybe {
			if st, e := x.sys.Stat(at, name); e != nil || st.Type != Folder || st.Node == o.Node {
				return errors.Join(err, e)
			}
			err = x.stillEmpty(o, at, name)
		}
		if err != nil {
			return err
		}
		h, err := x.sys.OpenFolder(at, name)
		if err != nil {
			return err
		}
		defer x.sys.Close(h)
		st := Stat{UID: o.UID, GID: o.GID}
		if err := x.copier.owner(st, func() error { return x.sys.ChownHandle(h, o.UID, o.GID) }); err != nil {
			return err
		}
		return x.sys.Chmod(h, o.Mode)
	})
}

// stillEmpty returns an error if a server has used a mount point since it was made, or has made it itself.
func (x *executor) stillEmpty(o *Op, at Handle, name string) error {
	if !o.Point {
		return nil
	}
	h, names, err := x.listed(at, name)
	if err != nil {
		return err
	}
	x.sys.Close(h)
	if len(names) > 0 {
		return errAppeared
	}
	return nil
}

func (x *executor) move(o *Op) error {
	if x.resumed {
		if done, err := x.isMoved(o); done || err != nil {
			return err
		}
	}
	st, err := x.stat(o.From)
	other := o.Node != 0 && st.Node != o.Node && !x.run.goesOn // by then its file system may be mounted anew
	if err == nil && (st.Type != o.Is || other) {
		err = errReplaced
	}
	if err != nil {
		return err
	}
	return x.rename(o.From, o.To)
}

// errReplaced is that an entry was replaced since the plan was made, maybe by a link that leads to what is nobody's
// affair.
var errReplaced = errors.New("it is not what the plan was made of: it was replaced since")

// isMoved reports whether what should be moved is where it should be. What has another inode is that, too, if nothing is
// where it was: some file systems give inodes as they like.
func (x *executor) isMoved(o *Op) (bool, error) {
	st, err := x.stat(o.To)
	if missing(err) {
		return false, nil
	}
	if err == nil && o.Node != 0 && st.Node != o.Node {
		if _, e := x.stat(o.From); !missing(e) {
			err = errors.Join(errAppeared, e)
		}
	}
	return err == nil, err
}

// name gives a copy that is complete its name.
func (x *executor) name(i int, o *Op) error {
	err := x.rename(x.stage(i), o.To)
	if missing(err) && x.resumed {
		_, err = x.stat(o.To) // it has been compared by now
	}
	return err
}

// makeLink makes a symbolic link. One that may be there already has to lead to the same.
func (x *executor) makeLink(o *Op, maybe bool) error {
	return x.inFolder(o.To, func(at Handle, name string) error {
		err := x.sys.Symlink(string(o.Target), at, name)
		if exists(err) && maybe {
			if target, e := x.sys.Readlink(at, name); e != nil || target != string(o.Target) {
				return err
			}
			err = nil
		}
		if err != nil {
			return err
		}
		st := Stat{UID: o.UID, GID: o.GID}
		return x.copier.owner(st, func() error { return x.sys.Chown(at, name, o.UID, o.GID) })
	})
}

func (x *executor) dropLink(o *Op) error {
	return x.inFolder(o.To, func(at Handle, name string) error {
		target, err := x.sys.Readlink(at, name)
		switch {
		case err == nil && target == string(o.Target):
			return x.sys.Remove(at, name, Link)
		case x.resumed: // it is gone, and what comes instead of it may be there
			return nil
		default:
			return errors.Join(errAppeared, err)
		}
	})
}

func (x *executor) dropFolder(o *Op) error {
	return x.inFolder(o.To, func(at Handle, name string) error {
		st, err := x.sys.Stat(at, name)
		if x.resumed && (missing(err) || err == nil && st.Type == Link) {
			return nil // it is gone, and what comes instead of it may be there
		}
		if err != nil {
			return err
		}
		return x.sys.Remove(at, name, Folder)
	})
}

func (x *executor) setTimes(p Path, s *Stamps) error {
	if p == "" || s == nil {
		return nil
	}
	return x.inFolder(p, func(at Handle, name string) error { return x.sys.SetTimes(at, name, s.Access, s.Mod) })
}

// clear removes what copies that were not complete have left.
func (x *executor) clear() error {
	err := x.inFolder(x.run.Shared.Join(ownFolder, stageFolder), x.removeAll)
	if missing(err) {
		return nil
	}
	return err
}
