package share

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	"plexha/cmd/internal/command"
)

// stampFormat is that of the names of what is kept.
const stampFormat = "20060102T150405Z"

func (o *options) plan(ctx context.Context, s *session) error {
	j, err := s.openJournal(true)
	if err != nil && !missing(err) {
		return err
	}
	if j != nil {
		defer j.close()
	}
	p, err := s.prepared(ctx, time.Now(), j)
	if p != nil {
		defer p.close()
	}
	if err != nil {
		return err
	}
	return s.show(p)
}

// prepared makes the plan and looks whether the servers run, so that all that speaks against it is told at once.
func (s *session) prepared(ctx context.Context, now time.Time, j *journal) (*prepared, error) {
	p, err := s.prepare(ctx, now.UTC().Format(stampFormat))
	if err != nil {
		return p, err
	}
	if err := s.checkStopped(ctx, servers(p.nodes, j)); err != nil {
		return p, err
	}
	return p, s.refusal()
}

func (o *options) apply(ctx context.Context, s *session) error {
	j, err := s.openJournal(false)
	if err != nil && !missing(err) {
		return err
	}
	if j != nil {
		defer j.close()
		if run := j.current(); run != nil && run.State != Applied {
			return s.resume(ctx, j, run)
		}
	}
	return s.begin(ctx, j)
}

// begin makes a plan and does it. The journal is nil if there is none yet.
func (s *session) begin(ctx context.Context, j *journal) error {
	now := j.unused(time.Now())
	p, err := s.prepared(ctx, now, j)
	if p != nil {
		defer p.close()
	}
	switch {
	case err != nil:
		return err
	case s.digest != "" && s.digest != p.digest:
		return fmt.Errorf("the plan is %s by now, and not %s: look at it again with plexctl share plan", p.digest, s.digest)
	case len(p.plan.Ops) == 0:
		return s.show(p)
	}
	run := p.run(now)
	if j == nil {
		if j, run.Made, err = s.makeJournal(p); err != nil {
			return err
		}
		defer j.close()
		if len(j.runs) > 0 { // it was begun after the look at the trees, which are others by now
			return errOvertaken
		}
	}
	if err := j.begin(run); err != nil {
		return err
	}
	s.findings(p)
	p.forget()
	if err = s.execute(ctx, j, run, p.disk); (errors.Is(err, errAcross) || errors.Is(err, errAside)) && s.digest == "" {
		return s.copyInstead(ctx, j, run, p.disk, err)
	}
	return err
}

// copyInstead takes back a run of which something could not be renamed, which a file system may not say before: quotas of
// projects and keys are each a reason. Then all of it is planned anew, with copies. Both are in the journal.
func (s *session) copyInstead(ctx context.Context, j *journal, run *Run, d *disk, why error) error {
	s.say("%v\nso all is taken back\n", why)
	if err := newExecutor(ctx, d, j, run, func(Amount) {}).undo(ctx, false); err != nil {
		return fmt.Errorf("%w\nundo again to go on", err)
	}
	err := errLayers
	if !s.layered && !s.copies {
		s.say("and copied instead\n")
		s.copies, s.Findings = true, Findings{}
		err = s.begin(ctx, j)
	}
	if j.current() == nil {
		s.tidy(j)
	}
	return err
}

// errLayers is that neither a rename into the shared folder nor one that keeps an original can be done.
var errLayers = errors.New("nothing is shared: a file system of layers (overlayfs) renames no folder of a lower one: " +
	"name the folder on the disk itself")

// forget frees the trees: what is to be done is in the plan, and a large library may take hours.
func (p *prepared) forget() {
	p.task, p.plan = nil, nil
	debug.SetGCPercent(100)
	debug.FreeOSMemory()
}

// errOvertaken is that another program has had the lock between the plan, or the look at the journal, and now.
var errOvertaken = errors.New("nothing was done: another plexctl share came first: see plexctl share status, then try again")

// run returns what the journal has to know of a plan.
func (p *prepared) run(now time.Time) *Run {
	run := &Run{
		At: now.UTC().Truncate(time.Second), Stamp: p.task.Stamp, Mode: p.task.Mode, Digest: p.digest, Root: p.root,
		Shared: p.task.Shared, Parts: p.task.Parts, Homes: map[string]Path{}, Config: map[string][]byte{},
		Ops: p.plan.Ops, Conflicts: p.plan.Conflicts,
	}
	for i, h := range p.task.Homes {
		run.Homes[h.Node], run.Config[h.Node] = h.Path, []byte(p.nodes[i].config)
	}
	return run
}

// resume goes on with a run that was cut short.
func (s *session) resume(ctx context.Context, j *journal, run *Run) error {
	if run.State == Undoing {
		return errors.New("an undo was cut short: end it with plexctl share undo")
	}
	if s.digest != "" && s.digest != run.Digest {
		return fmt.Errorf("the plan %s is half done, and not %s: apply without -plan, or undo", run.Digest, s.digest)
	}
	for _, n := range s.nodes {
		if _, ok := run.Homes[n.name]; !ok {
			return fmt.Errorf("an apply of %s is half done, without %s: end it with plexctl share apply -into %s, or undo it",
				run.At.Local().Format(time.DateTime), n.name, quote(s.into))
		}
	}
	d, err := s.reopen(ctx, j, run)
	if err != nil {
		return err
	}
	defer d.close()
	s.say("an apply of %s goes on, as it was begun: %d of %d operations are done\n",
		run.At.Local().Format(time.DateTime), run.Done, len(run.Ops))
	return s.execute(ctx, j, run, d)
}

// reopen opens the folders of a run that the journal has, if no server runs there.
func (s *session) reopen(ctx context.Context, j *journal, run *Run) (*disk, error) {
	if now := filepath.Join(run.Root, string(run.Shared)); now != s.into {
		return nil, fmt.Errorf("the journal in %s is about %s: bring the folder back there", quote(s.into), quote(now))
	}
	if err := s.checkStopped(ctx, servers(nil, j)); err != nil {
		return nil, err
	}
	if err := s.refusal(); err != nil {
		return nil, err
	}
	d, err := openDisk(s.sys, run.Root)
	if err != nil {
		return nil, err
	}
	if err := mounted(d, run); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// mounted returns an error if something is mounted over a node's folder: what is below is what has to be looked at.
func mounted(d *disk, run *Run) error {
	for _, home := range run.Homes {
		under, err := d.stat(home)
		if missing(err) {
			continue // what is to be done there says so
		}
		if err != nil {
			return err
		}
		for _, part := range run.Parts {
			at := home.Join(string(part))
			if st, err := d.stat(at); err == nil && st.Type == Folder && st.Mount != under.Mount {
				return fmt.Errorf("something is mounted at %s: unmount it first", d.show(at))
			}
		}
	}
	return nil
}

// execute does what is left of a run, and tells.
func (s *session) execute(ctx context.Context, j *journal, run *Run, d *disk) error {
	meter := newMeter(s.errw, total(run))
	x := newExecutor(ctx, d, j, run, meter.moved)
	x.most = cmp.Or(s.batchOps, x.most)
	x.copier.hands = make(chan struct{}, cmp.Or(s.beside, sideBySide)-1)
	err := x.apply(ctx)
	meter.end()
	if err != nil {
		if errors.Is(err, errAcross) {
			return err
		}
		return fmt.Errorf("%w\nwhat is done is in the journal: apply again to go on, or undo", err)
	}
	return s.done(x)
}

func total(run *Run) (a Amount) {
	for _, o := range run.Ops {
		a.add(o.Amount)
	}
	return a
}

func (o *options) undo(ctx context.Context, s *session) error {
	j, err := s.openJournal(false)
	if missing(err) {
		return fmt.Errorf("nothing was shared in %s", quote(s.into))
	}
	if err != nil {
		return err
	}
	defer j.close()
	run := j.current()
	switch {
	case len(j.runs) == 0:
		s.tidy(j)
		return fmt.Errorf("nothing was shared in %s", quote(s.into))
	case run == nil:
		s.tidy(j)
		s.say("all is undone\n")
		return s.err
	}
	d, err := s.reopen(ctx, j, run)
	if err != nil {
		return err
	}
	defer d.close()
	meter := newMeter(s.errw, total(run))
	x := newExecutor(ctx, d, j, run, meter.moved)
	err = x.undo(ctx, s.giveUp)
	meter.end()
	if err != nil && !errors.Is(err, errLeft) {
		return fmt.Errorf("%w\nundo again to go on", err)
	}
	if j.current() == nil {
		s.tidy(j)
	}
	return s.undone(x)
}

// openJournal opens and reads the journal, and keeps other runs away. To read alone, it need not be writable.
func (s *session) openJournal(read bool) (*journal, error) {
	into, err := filepath.Abs(s.into)
	if err != nil {
		return nil, command.Usagef("-into %s: %w", s.into, err)
	}
	s.into = into
	shared, err := s.sys.OpenFolder(None, into)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", quote(into), err)
	}
	defer s.sys.Close(shared)
	own, err := s.sys.OpenFolder(shared, ownFolder)
	if err != nil {
		return nil, fmt.Errorf("opening %s, as the user who shared can: %w", quote(filepath.Join(into, ownFolder)), err)
	}
	defer s.sys.Close(own)
	if err := s.trusted(own, ownFolder); err != nil {
		return nil, err
	}
	j := &journal{sys: s.sys}
	if read {
		j.h, err = s.sys.OpenFile(own, journalFile)
	} else {
		j.h, err = s.sys.OpenAppend(own, journalFile)
	}
	if err != nil {
		return nil, err
	}
	err = s.trusted(j.h, filepath.Join(ownFolder, journalFile))
	if err == nil && !read {
		err = j.lock()
	}
	if err == nil {
		err = j.there()
	}
	if err == nil {
		err = j.read()
	}
	if err == nil && !read && j.torn {
		err = j.sys.Truncate(j.h, j.end)
	}
	if err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

// makeJournal makes the shared folder, if it is missing, and the journal in it, and has both on the disk.
func (s *session) makeJournal(p *prepared) (j *journal, made bool, err error) {
	like := p.task.Homes[0].Stat
	mkdir := func(path Path, mode uint32) error {
		return p.inFolder(path, func(at Handle, name string) error {
			err := s.sys.Mkdir(at, name, mode)
			if exists(err) {
				return nil
			}
			made = made || err == nil && path == p.task.Shared
			if err == nil && privileged() && mode != ownMode {
				err = s.sys.Chown(at, name, like.UID, like.GID)
			}
			if err == nil {
				err = s.sys.Sync(at)
			}
			return err
		})
	}
	if err := mkdir(p.task.Shared, like.Mode); err != nil {
		return nil, made, fmt.Errorf("making the shared folder: %w", err)
	}
	own := p.task.Shared.Join(ownFolder)
	if err := mkdir(own, ownMode); err != nil {
		return nil, made, fmt.Errorf("making the journal's folder: %w", err)
	}
	if j, err = s.openJournal(false); err != nil {
		return nil, made, fmt.Errorf("making the journal: %w", err)
	}
	h, err := p.folder(own)
	if err == nil {
		err = s.sys.Sync(h)
		s.sys.Close(h)
	}
	if err != nil {
		j.close()
		return nil, made, fmt.Errorf("making the journal: %w", err)
	}
	return j, made, nil
}

// ownMode is that of the journal's folder: what it holds is nobody else's affair.
const ownMode = 0o700

// lock keeps other runs away, for as long as the journal is open.
func (j *journal) lock() error { return j.sys.Lock(j.h) }

// there returns an error if the journal was removed before it was locked, by an undo that has ended.
func (j *journal) there() error {
	st, err := j.sys.StatHandle(j.h)
	if err == nil && st.Links == 0 {
		err = errOvertaken
	}
	return err
}

func (j *journal) close() { j.sys.Close(j.h) }
