package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"plexha/corefile/state"
	"plexha/zones"
)

// Serials holds the SOA serials of one zone, one for each view. It is shared by the instances that serve the
// zone one after the other, so that a reload which changes no record raises no serial.
type Serials struct {
	mu    sync.Mutex
	views map[string]serial
	dirty bool
}

// serial is what one view was last published with.
type serial struct {
	Serial  uint32 `json:"serial"`
	Records uint64 `json:"records"` // a hash of the records, TTLs apart
}

// serialsFile is the file's form. Version grows when its meaning changes.
type serialsFile struct {
	Version int               `json:"version"`
	Views   map[string]serial `json:"views"`
}

const serialsVersion = 1

var serials = map[string]*Serials{} // by zone; guarded by mu

// SerialsOf returns the serials of a zone. The first call in the process reads them from file; one that is
// missing is no error, and one that cannot be read is told of and counts as missing.
func SerialsOf(zone, file string) (*Serials, error) {
	mu.Lock()
	defer mu.Unlock()
	if s := serials[zone]; s != nil {
		return s, nil
	}
	s := &Serials{views: map[string]serial{}}
	serials[zone] = s
	if file == "" {
		return s, nil
	}
	err := s.read(file)
	return s, err
}

func (s *Serials) read(file string) error {
	data, err := state.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the serials: %w", err)
	}
	var f serialsFile
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("reading the serials in %s: %w", file, err)
	}
	if f.Version != serialsVersion {
		return fmt.Errorf("reading the serials in %s: version %d is not known", file, f.Version)
	}
	if f.Views != nil {
		s.views = f.Views
	}
	return nil
}

// For returns the serial of a view whose records have this hash, raised if the hash is not the last one:
// to the Unix time, or to the next number where the serial is already ahead of that (RFC 1982).
func (s *Serials) For(view zones.View, records uint64, now time.Time) (n uint32, raised bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.views[view.String()]
	if ok && last.Records == records {
		return last.Serial, false
	}
	n = uint32(now.Unix()) //nolint:gosec // serials are modulo 2^32
	if ok && !Newer(n, last.Serial) {
		n = last.Serial + 1
	}
	s.views[view.String()] = serial{Serial: n, Records: records}
	s.dirty = true
	return n, true
}

// Newer reports whether serial a comes after b (RFC 1982, 3.2).
func Newer(a, b uint32) bool { return a != b && int32(a-b) > 0 } //nolint:gosec // the wrap is meant

// Save writes the serials to file if they have changed since the last call. The file is replaced as a
// whole, so that a crash leaves the old one.
func (s *Serials) Save(file string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return nil
	}
	data, err := json.MarshalIndent(serialsFile{Version: serialsVersion, Views: s.views}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the serials: %w", err)
	}
	if err := state.Replace(file, append(data, '\n')); err != nil {
		return fmt.Errorf("writing the serials: %w", err)
	}
	s.dirty = false
	return nil
}
