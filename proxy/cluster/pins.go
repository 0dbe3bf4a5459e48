package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"plexha/corefile/state"
	"plexha/proxy/affinity"
)

// saveEvery is how often the pins are written down. It bounds what a crash forgets; who is forgotten is placed
// by hash, and so mostly where it was.
const saveEvery = 30 * time.Second

// pinsFile keeps the pins over restarts, in a file that one process alone writes.
type pinsFile struct {
	table *affinity.Table
	log   func(warn bool, msg string)

	mu      sync.Mutex
	loaded  bool
	name    string // empty: no folder is writable
	release func() // gives up the right to write it; nil: we do not have it
	saved   uint64 // the table's uses when it was last read or written
	said    string // the last trouble, which is told once
}

// load takes over what an earlier process has learned, the first time that it is called. What is in the file of
// another process is welcome as well.
func (f *pinsFile) load(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded {
		return
	}
	f.loaded = true
	if err := f.read(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log(true, fmt.Sprintf("reading %s: %v: starting without", name, err))
	}
	f.saved = f.table.Uses()
}

func (f *pinsFile) read(name string) error {
	if name == "" {
		return nil
	}
	file, err := os.Open(name) //nolint:gosec // the operator's own state folder
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	return f.table.Load(file)
}

// use says where the pins are kept from now on.
func (f *pinsFile) use(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == f.name {
		return
	}
	if f.name != "" {
		f.letGo()
		f.saved = 0 // the other file may hold anything
	}
	f.name, f.said = name, ""
	f.tell(f.own())
}

// keep writes the pins down now and then, until ctx ends.
func (f *pinsFile) keep(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.save()
		}
	}
}

// close writes the pins down for the last time.
func (f *pinsFile) close() {
	f.save()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.letGo()
	f.name = ""
}

// save writes the pins down if there is anything new.
func (f *pinsFile) save() {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.own()
	if uses := f.table.Uses(); err == nil && f.name != "" && uses != f.saved {
		if err = f.write(); err == nil {
			f.saved = uses
		}
	}
	f.tell(err)
}

func (f *pinsFile) write() error {
	var data bytes.Buffer
	if err := f.table.Save(&data); err != nil {
		return err
	}
	return state.Replace(f.name, data.Bytes())
}

// own takes the right to write the file, if we do not have it. Who has it may have ended since the last time.
func (f *pinsFile) own() error {
	if f.name == "" || f.release != nil {
		return nil
	}
	release, err := state.Lock(f.name)
	if err != nil {
		return err
	}
	f.release = release
	return nil
}

func (f *pinsFile) letGo() {
	if f.release != nil {
		f.release()
		f.release = nil
	}
}

// tell tells of an error when it comes, and of its end.
func (f *pinsFile) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == f.said:
	case text == "":
		f.log(false, fmt.Sprintf("writing the pins to %s: nothing is wrong any more", f.name))
	default:
		f.log(true, fmt.Sprintf("writing the pins to %s: %s: they are kept in memory alone", f.name, text))
	}
	f.said = text
}
