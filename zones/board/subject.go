package board

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// subject is what the board knows of one node, proxy or uplink.
type subject struct {
	id     zones.Subject
	node   zones.Node   // of a node
	proxy  zones.Proxy  // of a proxy
	uplink zones.Uplink // of an uplink

	identity string // of a node: the machineIdentifier that it last answered with as itself
	moved    bool   // it had another identity before
	fresh    bool   // came with a reload, no verdict yet
	addrs    []*address
	whole    address // stands in while no address is known

	state zones.State // of all addresses together
	since time.Time
	why   string
}

// newNode returns a node of which nothing is known but the address that it may be given by.
func newNode(n zones.Node, now time.Time) *subject {
	s := &subject{id: n.Subject(), node: n}
	if a, err := netip.ParseAddr(n.Host); err == nil {
		s.setAddrs([]netip.Addr{a}, now)
	}
	return s
}

// foundBy reports whether s is a node that the `nodes` line of that name has found.
func (s *subject) foundBy(group string) bool {
	return s.id.Kind == zones.KindNode && s.node.Group == group
}

// address is what the board knows of one address of a subject.
type address struct {
	addr  netip.Addr
	state zones.State
	since time.Time
	why   string
	oks   int // good verdicts in a row
	fails int // failed verdicts in a row
	// wentDown: it was up before the state it is in, so that an isolation may take that back.
	wentDown bool
}

// set moves the address to a state.
func (a *address) set(to zones.State, why string, now time.Time) {
	if a.state != to {
		a.since = now
		a.wentDown = a.state.IsUp() && !to.IsUp()
	}
	a.state, a.why = to, why
}

// setAddrs takes over a list of addresses, IPv4 first, and reports whether it differs from the last. The
// subject's own state is left to refresh.
func (s *subject) setAddrs(addrs []netip.Addr, now time.Time) bool {
	var next []*address
	for _, a := range sortedAddrs(addrs) {
		i := slices.IndexFunc(s.addrs, func(old *address) bool { return old.addr == a })
		if i >= 0 {
			next = append(next, s.addrs[i])
			continue
		}
		fresh := &address{addr: a}
		if s.id.Kind == zones.KindUplink && s.uplink.Probe == "" {
			fresh.set(zones.Up, "", now)
		}
		next = append(next, fresh)
	}
	if slices.Equal(next, s.addrs) {
		return false
	}
	s.addrs = next
	return true
}

// sortedAddrs returns the addresses once each, IPv4 before IPv6, lower ones first: look-ups give them in
// any order, and answers must not change with it.
func sortedAddrs(addrs []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.Unmap())
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// at returns the entry of one address, or of the subject as a whole for the zero Addr while none is known.
// It is nil for an address that the subject no longer has.
func (s *subject) at(addr netip.Addr) *address {
	for _, a := range s.addrs {
		if a.addr == addr.Unmap() {
			return a
		}
	}
	if !addr.IsValid() && len(s.addrs) == 0 {
		return &s.whole
	}
	return nil
}

// all returns the subject's addresses, and what stands in for them while none is known.
func (s *subject) all() []*address {
	if len(s.addrs) == 0 {
		return []*address{&s.whole}
	}
	return s.addrs
}

// rank orders states by how well a subject is that has an address in it.
var rank = [...]int{
	zones.Down: 0, zones.Impostor: 1, zones.Starting: 2, zones.Unknown: 3,
	zones.Recovering: 4, zones.Failing: 5, zones.Up: 6,
}

// refresh computes the subject's state from its addresses: it is as well as its best one.
func (s *subject) refresh(now time.Time) {
	best := &s.whole
	for i, a := range s.addrs {
		if i == 0 || rank[a.state] > rank[best.state] {
			best = a
		}
	}
	if best.state != s.state {
		s.since = now
	}
	s.state, s.why = best.state, best.why
}

// owns reports whether an identity is that node's: by its line, or since it answers with it and is not known
// to be another now.
func (s *subject) owns(identity string) bool {
	if s.node.ID != "" {
		return strings.EqualFold(s.node.ID, identity)
	}
	return s.identity == identity && s.state != zones.Impostor
}

// sameNode reports whether two nodes are asked in the same way, so that what is known of one holds for the
// other.
func sameNode(a, b zones.Node) bool {
	return a.Name == b.Name && a.Host == b.Host && a.Port == b.Port &&
		a.HTTPS == b.HTTPS && a.Verify == b.Verify && a.ID == b.ID
}

// health returns what a snapshot shows of the subject under an order.
func (s *subject) health(o OrderLine) zones.Health {
	h := zones.Health{
		State: s.state, Since: s.since, Why: s.why, New: s.fresh,
		Order: o.Order, OrderUntil: o.Until, OrderWhy: o.Why,
		Addrs: make([]zones.AddrHealth, 0, len(s.addrs)),
	}
	for _, a := range s.addrs {
		h.Addrs = append(h.Addrs, zones.AddrHealth{Addr: a.addr, State: a.state, Since: a.since, Why: a.why})
	}
	return h
}

// seed takes over what a snapshot of an earlier board shows.
func (s *subject) seed(h zones.Health, identity string, now time.Time) {
	s.identity, s.fresh = identity, h.New
	if len(s.addrs) == 0 {
		s.setAddrs(addrsOf(h), now)
	}
	for _, old := range h.Addrs {
		if a := s.at(old.Addr); a != nil {
			*a = address{addr: a.addr, state: old.State, since: old.Since, why: old.Why}
			a.oks, a.fails = counts(old.State)
		}
	}
	if len(h.Addrs) == 0 {
		s.whole = address{state: h.State, since: h.Since, why: h.Why}
	}
	s.refresh(now)
	if s.state == h.State {
		s.since = h.Since
	}
}

// counts returns the verdicts in a row that a state in doubt stands for at least.
func counts(state zones.State) (oks, fails int) {
	switch state {
	case zones.Recovering:
		return 1, 0
	case zones.Failing:
		return 0, 1
	default:
		return 0, 0
	}
}
