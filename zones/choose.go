package zones

import (
	"net/netip"
	"slices"
)

// member is a subject as an answer sees it: a node, a proxy or an uplink with the addresses that clients
// may be told.
type member struct {
	name   string
	weight int
	backup bool
	health *Health
	addrs  []netip.Addr // told while it is chosen; never empty
}

// guess says how a state in doubt is read when asking what an answer may become.
type guess uint8

const (
	asIs     guess = iota
	hopeful        // what recovers is up
	doubtful       // what fails is down
)

// up reports whether m counts as up, its order considered, drain apart.
func (m *member) up(g guess) bool {
	switch m.health.Order {
	case OrderUp:
		return true
	case OrderDown:
		return false
	}
	switch s := m.health.State; s {
	case Recovering:
		return g == hopeful
	case Failing:
		return g != doubtful
	default:
		return s.IsUp()
	}
}

func (m *member) drained() bool { return m.health.Order == OrderDrain }

// unknown reports whether m may count as up because nothing is known of it: never when it came with a
// reload, since those beside it have been asked.
func (m *member) unknown() bool {
	h := m.health
	return h.State == Unknown && !h.New && h.Order == NoOrder
}

// inDoubt reports whether one of the addresses that m is told by may change its state soon.
func (m *member) inDoubt() bool {
	return m.health.State.InDoubt() ||
		slices.ContainsFunc(m.health.Addrs, func(a AddrHealth) bool { return a.State.InDoubt() })
}

// pick returns the members of a tier that count as up: those without order first, the backups when there
// is none, then what is being drained, then what nothing is known of.
func pick(tier []member, g guess) []member {
	rules := []func(*member) bool{
		func(m *member) bool { return m.up(g) && !m.drained() && !m.backup },
		func(m *member) bool { return m.up(g) && !m.drained() },
		func(m *member) bool { return m.up(g) && !m.backup },
		func(m *member) bool { return m.up(g) },
		func(m *member) bool { return m.unknown() && !m.backup },
		func(m *member) bool { return m.unknown() },
	}
	return firstNonEmpty(tier, rules)
}

// pickAnyway returns the members of a tier as if all of them were up: those ordered out of service are
// left out while others remain, backups while there are primaries.
func pickAnyway(tier []member) []member {
	rules := []func(*member) bool{
		func(m *member) bool { return m.health.Order <= OrderUp && !m.backup },
		func(m *member) bool { return m.health.Order <= OrderUp },
		func(m *member) bool { return m.drained() },
		func(*member) bool { return true },
	}
	return firstNonEmpty(tier, rules)
}

func firstNonEmpty(tier []member, rules []func(*member) bool) []member {
	for _, rule := range rules {
		var out []member
		for i := range tier {
			if rule(&tier[i]) {
				out = append(out, tier[i])
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// choice is what a name leads to: some members and how many of them one answer holds, or none.
type choice struct {
	members    []member
	mode       Mode
	servfail   bool // nothing to tell, and that is an error
	lastResort bool
}

// told returns the members that an answer of the variant holds.
func (c choice) told(v Variant) []member {
	switch {
	case c.mode == All || len(c.members) == 0:
		return c.members
	case c.mode == Spread && v != "":
		for i := range c.members {
			if c.members[i].name == string(v) {
				return c.members[i : i+1]
			}
		}
	}
	return c.members[:1]
}

// holds reports whether c has a member of that name.
func (c choice) holds(name string) bool {
	return slices.ContainsFunc(c.members, func(m member) bool { return m.name == name })
}

func (c choice) names() []string {
	var out []string
	for _, m := range c.members {
		out = append(out, m.name)
	}
	return out
}

// question is one choice that an answer rests on, asked anew under each guess.
type question func(guess) choice

// inDoubt reports whether the variant's answer to q may change soon: because one that it holds is in doubt,
// or because it would be another if what recovers were up, or what fails were down.
func (q question) inDoubt(v Variant) bool {
	now := q(asIs)
	told := now.told(v)
	if slices.ContainsFunc(told, func(m member) bool { return m.inDoubt() }) {
		return true
	}
	hope, doubt := q(hopeful), q(doubtful)
	if now.mode != Spread || hope.mode != Spread {
		return !sameMembers(told, hope.told(v)) || !sameMembers(told, doubt.told(v))
	}
	// A spread client stays where it is while its node stays and no node joins.
	joins := slices.ContainsFunc(hope.names(), func(n string) bool { return !now.holds(n) })
	leaves := slices.ContainsFunc(told, func(m member) bool { return !doubt.holds(m.name) })
	return joins || leaves
}

func sameMembers(a, b []member) bool {
	return slices.EqualFunc(a, b, func(x, y member) bool { return x.name == y.name })
}

// main chooses what the main name leads to inside.
func (s *Snapshot) main(g guess) choice {
	c := s.Cluster
	nodes := s.nodeMembers()
	if c.Tier == Nodes {
		if up := pick(nodes, g); len(up) > 0 {
			return choice{members: up, mode: c.Mode}
		}
		return s.nothingUp(nodes, c.Mode)
	}
	proxies := s.proxyMembers()
	if up := pick(proxies, g); len(up) > 0 {
		return choice{members: up, mode: c.Mode}
	}
	if up := pick(nodes, g); len(up) > 0 {
		return choice{members: up, mode: s.fallbackMode()}
	}
	return s.nothingUp(proxies, c.Mode)
}

// fallbackMode is how nodes are told in the place of proxies: never two at once, since a client may change
// between the addresses of one answer, and two nodes are two servers.
func (s *Snapshot) fallbackMode() Mode {
	if s.Cluster.Mode == First {
		return First
	}
	return Spread
}

func (s *Snapshot) nothingUp(tier []member, mode Mode) choice {
	switch s.Cluster.AllDown {
	case Servfail:
		return choice{servfail: true}
	case Empty:
		return choice{}
	default:
		return choice{members: pickAnyway(tier), mode: mode, lastResort: true}
	}
}

// node chooses what a node's name leads to inside: the proxies, which route by host, else the node itself.
func (s *Snapshot) node(n *NodeHealth, g guess) choice {
	if up := pick(s.proxyMembers(), g); len(up) > 0 {
		mode := All
		if s.Cluster.Tier == Proxies {
			mode = s.Cluster.Mode
		}
		return choice{members: up, mode: mode}
	}
	if m, ok := s.nodeMember(n); ok {
		return choice{members: []member{m}}
	}
	return choice{}
}

// uplinks chooses what every name leads to outside.
func (s *Snapshot) uplinks(g guess) choice {
	var known []member
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		if addrs := healthy(u.Health.Addrs); len(addrs) > 0 {
			known = append(known, member{name: u.Name, health: &u.Health, addrs: addrs})
		}
	}
	if len(known) == 0 {
		return choice{servfail: true}
	}
	if up := pick(known, g); len(up) > 0 {
		return choice{members: up}
	}
	return choice{members: pickAnyway(known)}
}

func (s *Snapshot) proxyMembers() []member {
	var out []member
	for i := range s.Proxies {
		p := &s.Proxies[i]
		if addrs := healthy(p.Health.Addrs); len(addrs) > 0 {
			out = append(out, member{name: p.Subject().Name, weight: 1, health: &p.Health, addrs: addrs})
		}
	}
	return out
}

func (s *Snapshot) nodeMembers() []member {
	var out []member
	for i := range s.Nodes {
		if m, ok := s.nodeMember(&s.Nodes[i]); ok {
			out = append(out, m)
		}
	}
	return out
}

// nodeMember returns the node with the addresses that clients can reach, if it has any.
func (s *Snapshot) nodeMember(n *NodeHealth) (member, bool) {
	addrs := n.At
	if len(addrs) == 0 {
		addrs = healthy(n.Health.Addrs)
	}
	var told []netip.Addr
	for _, a := range addrs {
		if s.tellable(a) {
			told = append(told, a)
		}
	}
	m := member{name: string(n.Name), weight: n.Weight, backup: n.Backup, health: &n.Health, addrs: told}
	return m, len(told) > 0
}

// tellable reports whether clients elsewhere can reach a node at addr.
func (s *Snapshot) tellable(addr netip.Addr) bool {
	switch {
	case addr.IsUnspecified(), addr.IsLinkLocalUnicast(), addr.IsMulticast():
		return false
	case addr.IsLoopback():
		return s.Cluster.OnlyLoopback()
	default:
		return true
	}
}

// healthy returns the addresses that count as up, or all of them if none does: then the subject is told
// for another reason than its health.
func healthy(all []AddrHealth) []netip.Addr {
	var up, any []netip.Addr
	for _, a := range all {
		any = append(any, a.Addr)
		if a.State.IsUp() {
			up = append(up, a.Addr)
		}
	}
	if len(up) > 0 {
		return up
	}
	return any
}
