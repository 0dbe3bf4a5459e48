package duckdns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"plexha/corefile/state"
	"plexha/zones"
)

// stateVersion is that of the state file. A file of another one is not read.
const stateVersion = 1

// stateFile is what outlives the process. There is no token in it.
type stateFile struct {
	Version int    `json:"version"`
	Name    string `json:"name"` // the domain; the records of another one say nothing about it
	API     string `json:"api,omitempty"`
	IPv4    record `json:"ipv4"`
	IPv6    record `json:"ipv6"`
}

// load takes over what the state file holds. One that cannot be read costs one needless push.
func (w *Worker) load() error {
	if w.o.StateFile == "" {
		return nil
	}
	data, err := state.Read(w.o.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what DuckDNS was told: %w", err)
	}
	var s stateFile
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("reading what DuckDNS was told: %s: %w", w.o.StateFile, err)
	}
	if s.Version != stateVersion {
		return fmt.Errorf("reading what DuckDNS was told: %s is of version %d, want %d", w.o.StateFile, s.Version, stateVersion)
	}
	if s.Name != w.o.Config.Name || s.API != w.o.Config.API {
		return nil // the operator has changed it
	}
	now := time.Now()
	for _, k := range w.keepers {
		k.record = s.of(k.family).resumed(now)
	}
	return nil
}

func (s stateFile) of(f zones.Family) record {
	if f == zones.IPv6 {
		return s.IPv6
	}
	return s.IPv4
}

// resumed returns a record of an earlier process as a new one takes it over. A KO is tried once more, since who
// starts plexdns again, or has it read the Corefile again, may just have mended what it was about.
func (r record) resumed(now time.Time) record {
	if r.Refusals > 0 {
		r.Retry = time.Time{}
	}
	return r.onTime(now)
}

// save writes down what DuckDNS was told.
func (w *Worker) save() {
	w.unsaved = false
	if w.o.StateFile == "" {
		return
	}
	s := stateFile{Version: stateVersion, Name: w.o.Config.Name, API: w.o.Config.API}
	for _, k := range w.keepers {
		if k.family == zones.IPv6 {
			s.IPv6 = k.record
		} else {
			s.IPv4 = k.record
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = state.Replace(w.o.StateFile, append(data, '\n'))
	}
	if err != nil {
		w.log.say("state", warning, fmt.Sprintf("writing down what DuckDNS was told: %v", err))
	}
}
