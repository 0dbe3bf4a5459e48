package wanip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"plexha/corefile/state"
	"plexha/zones"
)

// stateFile is what outlives the process: the last known addresses, by uplink. Version grows when its meaning
// changes.
type stateFile struct {
	Version int                    `json:"version"`
	Uplinks map[string]stateUplink `json:"uplinks"`
}

type stateUplink struct {
	IPv4 *stateAddr `json:"ipv4,omitempty"`
	IPv6 *stateAddr `json:"ipv6,omitempty"`
}

type stateAddr struct {
	Addr  netip.Addr `json:"address"`
	Since time.Time  `json:"since"`
}

const stateVersion = 1

// readState returns the last known addresses of an earlier process. A file that does not exist holds none.
func readState(file string) (map[string]stateUplink, error) {
	data, err := state.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last known external addresses: %w", err)
	}
	var f stateFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("reading the last known external addresses in %s: %w", file, err)
	}
	if f.Version != stateVersion {
		return nil, fmt.Errorf("reading the last known external addresses in %s: version %d is not known", file, f.Version)
	}
	return f.Uplinks, nil
}

// known returns what is known of a family; it is not confirmed in this process.
func (u stateUplink) known(f zones.Family) Known {
	a := u.IPv4
	if f == zones.IPv6 {
		a = u.IPv6
	}
	if a == nil {
		return Known{}
	}
	return Known{Addr: a.Addr.Unmap(), Since: a.Since}
}

// encodeState returns the file for these reports, or nil while nothing is known: what an earlier process has
// left is not overwritten with that.
func encodeState(reports []Report) ([]byte, error) {
	f := stateFile{Version: stateVersion, Uplinks: map[string]stateUplink{}}
	for _, r := range reports {
		if r.IPv4.Known.Addr.IsValid() || r.IPv6.Known.Addr.IsValid() {
			f.Uplinks[r.Uplink] = stateUplink{stateAddrOf(r.IPv4.Known), stateAddrOf(r.IPv6.Known)}
		}
	}
	if len(f.Uplinks) == 0 {
		return nil, nil
	}
	data, err := json.MarshalIndent(f, "", "  ")
	return append(data, '\n'), err
}

func stateAddrOf(k Known) *stateAddr {
	if !k.Addr.IsValid() {
		return nil
	}
	return &stateAddr{Addr: k.Addr, Since: k.Since.UTC()}
}

// saveState writes the known addresses down as they change, once nobody else does.
func (d *Detector) saveState(ctx context.Context) {
	release, err := d.opts.Own(ctx, d.opts.StateFile)
	if err != nil {
		return // the instance ended first
	}
	defer release()
	var last []byte
	for {
		last = d.writeState(last)
		select {
		case <-ctx.Done():
			d.writeState(last) // an address may have been found since
			return
		case <-d.save:
		}
	}
}

// writeState writes the file unless it is as it was, and returns its content.
func (d *Detector) writeState(last []byte) []byte {
	data, err := encodeState(d.Reports())
	if err == nil && bytes.Equal(data, last) {
		return last
	}
	if err == nil {
		err = state.Replace(d.opts.StateFile, data)
	}
	if err != nil {
		d.opts.Log.Warning(fmt.Sprintf("writing the last known external addresses: %v", err))
		return last
	}
	return data
}
