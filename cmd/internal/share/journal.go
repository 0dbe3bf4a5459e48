package share

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"
)

// What a journal and copies that are not complete are in, within the shared folder.
const (
	ownFolder   = ".plexha-share"
	journalFile = "journal"
	stageFolder = "stage"
)

// Run is one apply, as the journal has it.
type Run struct {
	At     time.Time         `json:"at"`
	Stamp  string            `json:"stamp"`
	Mode   Mode              `json:"mode"`
	Digest string            `json:"digest"`
	Root   string            `json:"-"`
	RootB  []byte            `json:"root"` // the common parent; it may be no text
	Shared Path              `json:"shared"`
	Parts  []Part            `json:"parts"`
	Homes  map[string]Path   `json:"homes"`          // the nodes' Plex Media Server folders
	Config map[string][]byte `json:"configs"`        // what they were given as
	Made   bool              `json:"made,omitempty"` // the shared folder was made for it

	Conflicts []Conflict `json:"-"`

	Ops   []Op  `json:"-"`
	Done  int   `json:"-"` // how many operations are done, and on the disk
	Tried int   `json:"-"` // how many may have been done
	State State `json:"-"`

	goesOn bool // another program has begun it
}

// State is how far a run is.
type State string

// The states of a run.
const (
	Applying State = "applying"
	Applied  State = "applied"
	Undoing  State = "undoing"
	Undone   State = "undone"
)

// version is of the journal's first record. A journal without one that is known is not relied on.
const version = 1

// record is one line of the journal: a checksum, then this as JSON.
type record struct {
	Version int `json:"version,omitempty"` // begins the journal

	Run  *Run      `json:"run,omitempty"`  // begins one
	Lost *Conflict `json:"lost,omitempty"` // of its plan
	Op   *Op       `json:"op,omitempty"`
	Go   bool      `json:"go,omitempty"`  // all its operations stand above: it counts
	Try  int       `json:"try,omitempty"` // the operations before this one may be done from now on
	Did  int       `json:"did,omitempty"` // the operations before this one are done
	Now  State     `json:"now,omitempty"`
}

// journal is a file that is only added to.
type journal struct {
	sys  System
	h    Handle
	end  int64 // of what is written
	torn bool  // behind the end stands what was being written when the power went
	runs []*Run
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text), nil
}

func parseRecord(line []byte) (*record, bool) {
	sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !ok || !bytes.HasSuffix(line, []byte("\n")) || fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) != string(sum) {
		return nil, false
	}
	r := new(record)
	return r, json.Unmarshal(text, r) == nil
}

// add writes records behind the others, and has them on the disk when it returns.
func (j *journal) add(records ...record) error {
	var buf bytes.Buffer
	for i := range records {
		line, err := records[i].line()
		if err != nil {
			return err
		}
		buf.Write(line)
		if buf.Len() > 1<<20 || i == len(records)-1 {
			if err := j.sys.WriteAt(j.h, buf.Bytes(), j.end); err != nil {
				return fmt.Errorf("writing the journal: %w", err)
			}
			j.end += int64(buf.Len())
			buf.Reset()
		}
	}
	if err := j.sys.Sync(j.h); err != nil {
		return fmt.Errorf("writing the journal to disk: %w", err)
	}
	return nil
}

// begin writes a run and all its operations. It counts, and may be begun, once all of that is on the disk.
func (j *journal) begin(run *Run) error {
	if j.end == 0 {
		if err := j.add(record{Version: version}); err != nil {
			return err
		}
	}
	run.RootB = []byte(run.Root)
	records := []record{{Run: run}}
	for i := range run.Conflicts {
		records = append(records, record{Lost: &run.Conflicts[i]})
	}
	for i := range run.Ops {
		records = append(records, record{Op: &run.Ops[i]})
	}
	if err := j.add(records...); err != nil {
		return err
	}
	if err := j.add(record{Go: true}); err != nil {
		return err
	}
	run.State = Applying
	j.runs = append(j.runs, run)
	return nil
}

// errDamaged is that a journal cannot be relied on.
var errDamaged = errors.New("nothing is done, as what it says cannot be relied on")

// empty reports whether nothing was begun yet. The first record is on the disk before another is written: a file that
// is no longer is that of a power cut at the very beginning, and any other begins with it.
func (j *journal) empty() (bool, error) {
	first := record{Version: version}
	want, err := first.line()
	if err != nil {
		return false, err
	}
	there := make([]byte, len(want)+1)
	n, err := io.ReadFull(&handleReader{j.sys, j.h, 0}, there)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("reading the journal: %w", err)
	case bytes.HasPrefix(there[:n], want):
		return false, nil
	case n <= len(want):
		j.torn = n > 0
		return true, nil
	}
	if r, ok := parseRecord(there[:n]); ok && r.Version > version {
		return false, fmt.Errorf("the journal is of version %d, which this plexctl does not know", r.Version)
	}
	return false, fmt.Errorf("the journal is damaged from its beginning: %w", errDamaged)
}

// read reads all runs. What was being written when the power went, at the end, is dropped.
func (j *journal) read() error {
	if empty, err := j.empty(); empty || err != nil {
		return err
	}
	in := bufio.NewReaderSize(&handleReader{j.sys, j.h, 0}, 1<<16)
	var pending *Run
	var begun int64 // where the pending run begins
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the journal: %w", err)
		}
		r, ok := parseRecord(line)
		switch {
		case !ok:
			j.torn = true
		case j.torn && r.Run == nil && r.Op == nil && r.Lost == nil:
			return fmt.Errorf("the journal is damaged at byte %d: %w", j.end, errDamaged)
		case !j.torn:
			if r.Run != nil {
				begun = j.end
			}
			if pending, err = j.take(pending, r); err != nil {
				return err
			}
			j.end += int64(len(line))
		}
	}
	if pending != nil { // it never counted
		j.end, j.torn = begun, true
	}
	return nil
}

// take adds a record to what is known.
func (j *journal) take(pending *Run, r *record) (*Run, error) {
	switch {
	case r.Version != 0 && j.end == 0:
		return nil, nil
	case r.Run != nil:
		r.Run.Root = string(r.Run.RootB)
		return r.Run, nil
	case r.Lost != nil && pending != nil:
		pending.Conflicts = append(pending.Conflicts, *r.Lost)
		return pending, nil
	case r.Op != nil && pending != nil:
		pending.Ops = append(pending.Ops, *r.Op)
		return pending, nil
	case r.Go && pending != nil:
		if err := pending.check(); err != nil {
			return nil, err
		}
		pending.State, pending.goesOn = Applying, true
		j.runs = append(j.runs, pending)
		return nil, nil
	}
	run := j.current()
	if run == nil || pending != nil {
		return nil, fmt.Errorf("the journal is out of order at byte %d", j.end)
	}
	run.Tried, run.Done = max(run.Tried, r.Try), max(run.Done, r.Did)
	if r.Now != "" {
		run.State = r.Now
	}
	return nil, nil
}

// unused returns the time, or the next one whose stamp no run has: what they keep would have the same names.
func (j *journal) unused(now time.Time) time.Time {
	if j == nil {
		return now
	}
	has := func(run *Run) bool { return run.Stamp == now.UTC().Format(stampFormat) }
	for slices.ContainsFunc(j.runs, has) {
		now = now.Add(time.Second)
	}
	return now
}

// current returns the last run that is not undone, or nil. It is the one that records are about.
func (j *journal) current() *Run {
	for i := len(j.runs) - 1; i >= 0; i-- {
		if j.runs[i].State != Undone {
			return j.runs[i]
		}
	}
	return nil
}

// handleReader reads a file from its beginning.
type handleReader struct {
	sys System
	h   Handle
	off int64
}

// Read implements [io.Reader].
func (r *handleReader) Read(p []byte) (int, error) {
	n, err := r.sys.ReadAt(r.h, p, r.off)
	r.off += int64(n)
	return n, err
}
