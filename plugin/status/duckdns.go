package status

import (
	"net/netip"
	"time"

	"plexha/plugin/duckdns"
)

// DuckDNS is how the record is kept.
type DuckDNS struct {
	Name    string    `json:"name"`              // home.duckdns.org
	At      time.Time `json:"at,omitzero"`       // what was asked for before is done
	Waiting bool      `json:"waiting,omitempty"` // an instance that is about to end still writes the record
	Verify  bool      `json:"verify"`            // DuckDNS's name servers are looked at
	Trouble string    `json:"trouble,omitempty"` // why there is no token to push with
	IPv4    *Record   `json:"ipv4,omitzero"`     // left out: it is left alone
	IPv6    *Record   `json:"ipv6,omitzero"`
}

// Record is the record of one family.
type Record struct {
	Wanted netip.Addr `json:"wanted,omitzero"` // what it should hold; left out: nothing better than it has
	Uplink string     `json:"uplink,omitempty"`

	Published   netip.Addr `json:"published,omitzero"` // the last address that DuckDNS took
	PublishedAt time.Time  `json:"published_at,omitzero"`
	Changed     bool       `json:"changed,omitempty"` // DuckDNS said UPDATED to it, and not NOCHANGE

	View        string       `json:"view,omitempty"` // what the last look has shown, in one word: see [duckdns.View]
	Looked      time.Time    `json:"looked,omitzero"`
	Verified    time.Time    `json:"verified,omitzero"`     // when the name servers last showed Published
	By          int          `json:"verified_by,omitempty"` // how many of them did then
	Of          int          `json:"verified_of,omitempty"`
	Servers     []NameServer `json:"servers,omitempty"`       // of the last look
	Other       []netip.Addr `json:"other,omitempty"`         // what all of them show instead of Published
	Since       time.Time    `json:"other_since,omitzero"`    // since when
	Intercepted string       `json:"intercepted,omitempty"`   // who else answers for them
	NextLook    time.Time    `json:"next_look,omitzero"`      // left out: there is nothing to look for
	NextPush    time.Time    `json:"next_push,omitzero"`      // left out: there is nothing to push
	Why         string       `json:"next_push_for,omitempty"` // what that is for

	Error        string    `json:"error,omitempty"` // of the last push; left out: it was good
	Tried        time.Time `json:"tried,omitzero"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	RefusedSince time.Time `json:"refused_since,omitzero"` // DuckDNS has said KO since then, and is asked seldom
}

// NameServer is what one of DuckDNS's name servers has shown.
type NameServer struct {
	Name    string         `json:"name"`
	Address netip.AddrPort `json:"address"`
	Shows   []netip.Addr   `json:"shows"`           // empty: no record
	Error   string         `json:"error,omitempty"` // why it shows nothing that counts
}

func duckDNS(r *duckdns.Report) *DuckDNS {
	return &DuckDNS{
		Name: r.Name, At: utc(r.At), Waiting: r.Waiting, Verify: r.Verify, Trouble: r.Token,
		IPv4: record(&r.IPv4), IPv6: record(&r.IPv6),
	}
}

func record(r *duckdns.FamilyReport) *Record {
	if r.Off {
		return nil
	}
	out := &Record{
		Wanted: r.Wanted, Uplink: r.Uplink,
		Published: r.Published, PublishedAt: utc(r.PublishedAt), Changed: r.Changed,
		View: string(r.View), Looked: utc(r.Looked), Verified: utc(r.Verified), By: r.By, Of: r.Of,
		Other: r.Other, Since: utc(r.Since), Intercepted: r.Intercepted,
		NextLook: utc(r.NextLook), NextPush: utc(r.NextPush), Why: string(r.Why),
		Error: r.Error, Tried: utc(r.Tried), FailingSince: utc(r.FailingSince), RefusedSince: utc(r.RefusedSince),
	}
	for _, s := range r.Shown {
		out.Servers = append(out.Servers, nameServer(s))
	}
	return out
}

func nameServer(s duckdns.Shown) NameServer {
	out := NameServer{Name: s.Server.Name, Address: s.Server.Addr, Shows: append([]netip.Addr{}, s.Addrs...)}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	return out
}
