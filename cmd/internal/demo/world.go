package demo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// The names that are asked.
const (
	zoneName   = "home.duckdns.org."
	mainName   = "plex." + zoneName
	statusName = "_status." + mainName
)

// World is what the story is played in.
type World struct {
	// Ask asks plexdns one question, or DuckDNS if that is whom the client asks.
	Ask func(context.Context, Question) (Answer, error)
	// Visit asks plexproxy over HTTPS.
	Visit func(context.Context, Visit) (Page, error)
	// Play has a device play films through plexproxy, one after the other.
	Play func(Device) Film
	// Known returns what plexproxy knows of a node.
	Known func(context.Context, Member) (Known, error)
	// Headline returns what the status page of a program says above all else.
	Headline func(context.Context, Reporter) (string, error)
	// Order tells plexdns how to take a node, as plexctl does: Drain or Undrain.
	Order func(context.Context, Member, Order) error
	// Health returns how plexdns sees plex1, plex2 and the proxy, in this order.
	Health func(context.Context) ([]Health, error)
	// Follow tells what has happened, and what happens, until ctx ends or plexdns says no more.
	Follow func(ctx context.Context, tell func(Event)) error
	// Kill ends a node or the proxy without a warning. It returns when the signal is sent.
	Kill func(Member) error
	// Revive starts again one that was killed. It returns when that one listens.
	Revive func(context.Context, Member) error
	// Alive reports whether it runs.
	Alive func(Member) bool
	// Move gives the home the external address of a member, Wan or WanNew, and has plexdns look at once, as a
	// router's script might.
	Move func(context.Context, Member) error
}

// Member is something that answers lead to.
type Member string

// The members of the demo's home.
const (
	Plex1  Member = "plex1"
	Plex2  Member = "plex2"
	Proxy  Member = "proxy"
	Wan    Member = "wan" // the uplink
	WanNew Member = "new" // the uplink with its other address
)

var members = []Member{Plex1, Plex2, Proxy, Wan, WanNew}

// Addr returns its address. Each has one of its own, so that answers tell them apart.
func (m Member) Addr() netip.Addr {
	switch m {
	case Plex1:
		return netip.AddrFrom4([4]byte{127, 0, 1, 1})
	case Plex2:
		return netip.AddrFrom4([4]byte{127, 0, 2, 1})
	case Proxy:
		return netip.AddrFrom4([4]byte{127, 0, 3, 1})
	case WanNew:
		return netip.AddrFrom4([4]byte{203, 0, 113, 8})
	default:
		return netip.AddrFrom4([4]byte{203, 0, 113, 7})
	}
}

// wans are the external addresses that the home may have: TEST-NET-3, RFC 5737.
var wans = netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, 0}), 24)

// named adds the member's name to an address.
func named(data string) string {
	for _, m := range members {
		if m.Addr().String() == data {
			return fmt.Sprintf("%s (%s)", data, m)
		}
	}
	return data
}

// Order is what the operator says of a node.
type Order string

// The orders, as plexdns takes them.
const (
	Drain   Order = "drain"
	Undrain Order = "none"
)

// Known is what plexproxy knows of a node.
type Known struct {
	Name      Member
	State     string
	Order     Order // empty: none
	Playbacks int
}

// String returns it on one line.
func (k Known) String() string {
	return fmt.Sprintf("%s, order %q, %d playbacks", k.State, k.Order, k.Playbacks)
}

// Health is how plexdns sees a node or the proxy.
type Health struct {
	State string
	Since time.Time
	Why   string
	Order string // empty: none
}

// String returns it on one line.
func (h Health) String() string {
	words := h.State
	if !h.Since.IsZero() {
		words += " since " + h.Since.UTC().Format(clock)
	}
	if h.Order != "" {
		words += ", ordered: " + h.Order
	}
	if h.Why != "" {
		words += ": " + h.Why
	}
	return words
}

// clock is how times of the last hour are written, in UTC as everywhere.
const clock = "15:04:05Z"

// Event is one thing that has happened.
type Event struct {
	At   time.Time
	Text string
}

// Client is who asks: plexdns, or the name server of DuckDNS.
type Client string

// The clients.
const (
	Inside  Client = "inside"
	Outside Client = "outside"
	AtDuck  Client = "DuckDNS" // anybody who asks DuckDNS
)

// Addr returns the address that it asks from.
func (c Client) Addr() netip.Addr {
	if c == Inside {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrFrom4([4]byte{127, 9, 9, 9})
}

// Question is one DNS question.
type Question struct {
	From Client
	Name string // fully qualified
	Type uint16
}

// String returns it as the story shows it.
func (q Question) String() string {
	return fmt.Sprintf("%-7s  %s %s", q.From, bare(q.Name), dns.TypeToString[q.Type])
}

// Answer is what came back.
type Answer struct {
	Rcode int
	Data  []string // addresses in order, or texts as they came
}

// String returns it on one line.
func (a Answer) String() string {
	switch {
	case a.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[a.Rcode]
	case len(a.Data) == 0:
		return "no data (NODATA, not NXDOMAIN)"
	}
	var words []string
	for _, d := range a.Data {
		words = append(words, named(d))
	}
	return strings.Join(words, ", ")
}

// only reports whether it is the one address of m and nothing else.
func (a Answer) only(m Member) bool {
	return a.Rcode == dns.RcodeSuccess && len(a.Data) == 1 && a.Data[0] == m.Addr().String()
}

// want is what an answer should be.
type want struct {
	words string
	holds func(Answer) bool
}

// leadsTo wants the address of one of these, alone.
func leadsTo(ms ...Member) want {
	return want{
		words: oneOf(ms),
		holds: func(a Answer) bool { return slices.ContainsFunc(ms, a.only) },
	}
}

// oneOf names these members.
func oneOf(ms []Member) string {
	var words []string
	for _, m := range ms {
		words = append(words, string(m))
	}
	return strings.Join(words, " or ")
}

// tells wants one text for each beginning, in order.
func tells(beginnings ...string) want {
	return want{
		words: strings.Join(beginnings, ", "),
		holds: func(a Answer) bool { return slices.EqualFunc(a.Data, beginnings, strings.HasPrefix) },
	}
}
