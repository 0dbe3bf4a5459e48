package plugin

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/coredns/coredns/plugin/pkg/rcode"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"plexha/plugin/lane"
	"plexha/plugin/pack"
)

// tally counts what one worker of a lane answers for a block: in our counter, and in those of the prometheus plugin
// if that stands in the server block. It implements [lane.Tally].
type tally struct {
	server string
	writer string                    // see front
	ours   [][2][len(kindNames)]cell // by origin, view and kind

	given given

	named wireNames // the zones that the prometheus plugin tells apart
	zones []zoneTally
	only  []int // by origin, which of the zones all of its names are in; -1: there are some below it
	dirty []*cell
}

// zoneTally counts what the prometheus plugin does for one of its zones.
type zoneTally struct {
	name     string
	requests [2][len(types) + 1]cell // by family and type; the last is of all others
	do       cell
	rcodes   [2]cell // NOERROR and NXDOMAIN: nothing else is answered by a lane
}

// cell is a count that is not handed on yet.
type cell struct {
	n       int
	counter prometheus.Counter // nil: never counted before
}

// types are those that the prometheus plugin tells apart (metrics/vars/monitor.go), without those that a lane leaves.
var types = [...]uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSOA, dns.TypeNS, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeSVCB,
	dns.TypeCNAME, dns.TypePTR, dns.TypeDNSKEY,
}

// Tally implements [lane.Block].
func (p *Plex) Tally(addr string) lane.Tally {
	t := &tally{server: addr, writer: p.front.writer, ours: make([][2][len(kindNames)]cell, len(p.cfg.Cluster.Origins))}
	if p.front.metrics == nil {
		return t
	}
	names := p.front.metrics.ZoneNames()
	t.named = wireNamesOf(names)
	for _, name := range append(names, ".") { // the last is of no zone
		t.zones = append(t.zones, zoneTally{name: name})
	}
	for _, origin := range p.cfg.Cluster.Origins {
		t.only = append(t.only, onlyZone(names, origin))
	}
	return t
}

// onlyZone returns the number of the zone that all names of an origin are in, which may be the one behind the last, or
// -1 if they are in several.
func onlyZone(names []string, origin string) int {
	zone := plugin.Zones(names).Matches(origin)
	for _, name := range names {
		if name != origin && dns.IsSubDomain(origin, name) {
			return -1
		}
	}
	if i := slices.Index(names, zone); i >= 0 {
		return i
	}
	return len(names)
}

// columns are the cells that one kind of answer is counted in. For clients by IPv4 and IPv6 these differ.
type columns struct {
	ours     *cell
	zone     *zoneTally // nil: the prometheus plugin does not stand in the server block
	requests [2]*cell   // by family; nil: not counted before
	rcode    *cell
	n        int // the type's number
}

// of returns the columns for an answer with that code from the zone.
func (t *tally) of(z *zone, kind nameKind, q *pack.Question, code int) columns {
	c := columns{ours: &t.ours[z.number][z.view][kind]}
	if c.ours.counter == nil {
		c.ours.counter = answers.WithLabelValues(z.origin, z.view.String(), kind.String())
	}
	if t.zones == nil {
		return c
	}
	in := t.only[z.number]
	if in < 0 {
		in = t.named.find(q)
	}
	if in < 0 {
		in = len(t.named)
	}
	c.zone, c.n = &t.zones[in], typeNumber(q.Type)
	c.rcode = &c.zone.rcodes[min(code, 1)]
	if c.rcode.counter == nil {
		c.rcode.counter = vars.ResponseRcode.WithLabelValues(t.server, c.zone.name, "", rcode.ToString(code), t.writer)
	}
	return c
}

// count takes one answer in: as the prometheus plugin does (metrics/vars/report.go), but for its histograms.
func (t *tally) count(c *columns, q *pack.Question, addr netip.Addr) {
	t.add(c.ours)
	if c.zone == nil {
		return
	}
	t.add(c.rcode)
	family := 0
	if !addr.Is4() && !addr.Is4In6() {
		family = 1
	}
	if c.requests[family] == nil {
		c.requests[family] = t.requests(c.zone, family, c.n)
	}
	t.add(c.requests[family])
	if q.Do() {
		t.countDo(c.zone)
	}
}

// requests returns the cell for questions of a type by one family.
func (t *tally) requests(z *zoneTally, family, n int) *cell {
	c := &z.requests[family][n]
	if c.counter == nil {
		c.counter = vars.RequestCount.WithLabelValues(t.server, z.name, "", "udp", [...]string{"1", "2"}[family], typeWord(n))
	}
	return c
}

func (t *tally) countDo(z *zoneTally) {
	if z.do.counter == nil {
		z.do.counter = vars.RequestDo.WithLabelValues(t.server, z.name, "")
	}
	t.add(&z.do)
}

func (t *tally) add(c *cell) {
	if c.n == 0 {
		t.dirty = append(t.dirty, c)
	}
	c.n++
}

// Flush implements [lane.Tally].
func (t *tally) Flush() {
	for _, c := range t.dirty {
		c.counter.Add(float64(c.n))
		c.n = 0
	}
	t.dirty = t.dirty[:0]
}

func typeNumber(qtype uint16) int {
	for i, t := range types {
		if t == qtype {
			return i
		}
	}
	return len(types)
}

func typeWord(n int) string {
	if n == len(types) {
		return "other"
	}
	return dns.Type(types[n]).String()
}

// given remembers for one snapshot who asks often and sits where, and what was answered. One worker alone uses it.
type given struct {
	snapshot *compiled
	last     seated // who asked last
	clients  [64]seated
	answers  [hotSize]answered
	other    answered // the last of those that hold for several names
}

type seated struct {
	addr netip.Addr
	seat seat
}

// answered is an answer that was given to somebody in a seat.
type answered struct {
	*packed // nil: none
	seat    seat
	columns columns
}

// isFor reports whether it is the answer to a question by somebody in a seat.
func (a *answered) isFor(q *pack.Question, s seat) bool {
	return a.packed != nil && a.seat == s && a.packed.isFor(q)
}

// place returns where the answer to a question is, if it is here.
func (g *given) place(q *pack.Question) *answered { return &g.answers[spot(q)] }

// seatOf returns where the client at an address sits.
func (g *given) seatOf(c *compiled, addr netip.Addr) seat {
	switch {
	case g.snapshot != c:
		*g = given{snapshot: c}
	case g.last.addr == addr:
		return g.last.seat
	}
	b := addr.As16()
	sum := binary.BigEndian.Uint64(b[:8])*3 ^ binary.BigEndian.Uint64(b[8:])
	at := &g.clients[(sum^sum>>8^sum>>16)%uint64(len(g.clients))]
	if at.addr != addr {
		*at = seated{addr, c.seatOf(addr)}
	}
	g.last = *at
	return at.seat
}
