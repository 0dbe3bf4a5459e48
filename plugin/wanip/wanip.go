// Package wanip finds the external addresses of the uplinks.
//
// It asks several sources which address our packets come from, and believes none of them alone. The address that
// is known stays while anybody tells it, and while nobody tells any. Another one takes its place when two
// operators tell it, one of them over a transport that nobody on the way can falsify, in two rounds, and more of
// them than any other. Addresses that lead nowhere from outside are refused, with the reason.
//
// A [Detector] asks one source a minute while all is well. [Survey] asks all of them once, for a person to see.
package wanip

import (
	"context"
	"net/netip"
	"time"

	"plexha/plugin/via"
	"plexha/zones"
	"plexha/zones/board"
)

// Nature says what a source's word is worth.
type Nature uint8

// The natures of sources.
const (
	Echo   Nature = iota // a server elsewhere tells where a packet of ours came from
	Host                 // this host knows: an interface that holds the address
	Router               // the router tells what it has outside; that may be another one's inside
	Word                 // the operator's own command or file
)

// Source is one that can be asked for an external address.
type Source struct {
	Name     string // as the Corefile has it, such as "opendns dot" or "https https://api.ipify.org"
	Operator string // who runs it: two sources of one operator are one voice
	Nature   Nature
	Secure   bool // nobody on the way can change the answer: TLS, or it does not leave this host
	// Interface is the only one that it can speak for; empty: whichever it is asked through.
	Interface string
	// Ask returns the address of one family that packets by that path come from. [ErrNothing]: it has none of
	// that family to tell, which is no fault. The address is not judged yet.
	Ask func(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error)
}

// Finding is what one source said in one round.
type Finding struct {
	Source   string // its Name
	Operator string
	Nature   Nature
	Secure   bool
	Addr     netip.Addr // what it said; the zero Addr: nothing
	Refused  string     // why Addr cannot be the external address; empty: it can
	Err      error      // why it said nothing; nil with Addr
	Took     time.Duration
}

// Known is what is known of one family of one uplink.
type Known struct {
	Addr      netip.Addr // the zero Addr: never found
	Since     time.Time  // when it became this one
	Confirmed time.Time  // when somebody last said so; zero: not in this process, it is from the state file
	By        []string   // the sources that said so last
}

// Report is the newest there is to say about one uplink. It is immutable.
type Report struct {
	Uplink    string
	At        time.Time
	IPv4      FamilyReport
	IPv6      FamilyReport
	Published []netip.Addr // what the board was told: IPv6 only where it leads to a proxy
	NoIPv6    string       // why an IPv6 address that is known is not published; empty: it is, or none is known
}

// FamilyReport is what the last round of one family has shown.
type FamilyReport struct {
	Known    Known
	Findings []Finding // of the last round that asked all of them, in the order of the sources
	Agree    bool      // nobody contradicts
	Trouble  string    // what the operator should know, in words: CGNAT, disagreement, interception; empty: nothing
	Told     []string  // what of that the log was told, for the next instance not to tell it again: opaque
}

// Board is told the addresses of uplinks; *board.Board is one.
type Board interface {
	SetAddrs(s zones.Subject, addrs []netip.Addr, now time.Time)
	Snapshot() *zones.Snapshot
}

var _ Board = (*board.Board)(nil)
