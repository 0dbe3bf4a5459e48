package zones

import (
	"net/netip"
	"slices"
)

// member is a subject as an answer sees it: a node, a proxy or an uplink with the addresses that clients
// may be told.
type member struct {
	kind   Kind
	name   string
	weight int
	backup bool
	health *Health
	addrs  []netip.Addr // told while it is chosen; never empty
	// inDoubt: its state, or that of an address that it is told by, may change soon.
	inDoubt bool
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

func (m *member) subject() Subject { return Subject{m.kind, m.name} }

// rung says by which rule the members of a tier count as up, the best one first.
type rung uint8

const (
	asMeant  rung = iota // up, and meant to be used
	backups              // nothing else is up
	drained              // what else is up is being drained
	notAsked             // nothing is known of any of them
)

// pick returns the members of a tier that count as up: those without order first, the backups when there
// is none, then what is being drained, then what nothing is known of.
func pick(tier []member, g guess) ([]member, rung) {
	rules := []func(*member) bool{
		func(m *member) bool { return m.up(g) && !m.drained() && !m.backup },
		func(m *member) bool { return m.up(g) && !m.drained() },
		func(m *member) bool { return m.up(g) && !m.backup },
		func(m *member) bool { return m.up(g) },
		func(m *member) bool { return m.unknown() && !m.backup },
		func(m *member) bool { return m.unknown() },
	}
	rungs := [...]rung{asMeant, backups, drained, drained, notAsked, notAsked}
	for i, rule := range rules {
		if out := those(tier, rule); len(out) > 0 {
			return out, rungs[i]
		}
	}
	return nil, asMeant
}

// pickAnyway returns the members of a tier as if all of them were up: those ordered down are left out while
// others remain, those that came with a reload while others have been asked, and backups while there are
// primaries. One that is being drained is told like the others: drain gives way to those that are up, and
// none is.
func pickAnyway(tier []member) []member {
	dead := func(m *member) bool { return m.health.Order == OrderDown }
	rules := []func(*member) bool{
		func(m *member) bool { return !dead(m) && !m.health.New && !m.backup },
		func(m *member) bool { return !dead(m) && !m.health.New },
		func(m *member) bool { return !dead(m) && !m.backup },
		func(m *member) bool { return !dead(m) },
		func(*member) bool { return true },
	}
	for _, rule := range rules {
		if out := those(tier, rule); len(out) > 0 {
			return out
		}
	}
	return nil
}

// those returns the members of a tier that a rule is true of.
func those(tier []member, rule func(*member) bool) []member {
	var out []member
	for i := range tier {
		if rule(&tier[i]) {
			out = append(out, tier[i])
		}
	}
	return out
}

// choice is what a name leads to: some members and how many of them one answer holds, or none.
type choice struct {
	members    []member
	mode       Mode
	servfail   bool // nothing to tell, and that is an error
	lastResort bool
	standing   Standing
	why        string // as in [Lead]
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

// outlook is one choice as it is, and as it becomes when what recovers is up, or when what fails is down.
type outlook struct{ now, hope, doubt choice }

// look asks for one choice under each guess.
func look(question func(guess) choice) outlook {
	return outlook{now: question(asIs), hope: question(hopeful), doubt: question(doubtful)}
}

// or returns the outlook in which another choice takes the place of o's where o has nobody.
func (o outlook) or(other choice) outlook {
	for _, c := range []*choice{&o.now, &o.hope, &o.doubt} {
		if len(c.members) == 0 {
			*c = other
		}
	}
	return o
}

// stands reports whether no other choice may take the place of o's.
func (o *outlook) stands() bool {
	return len(o.now.members) > 0 && len(o.hope.members) > 0 && len(o.doubt.members) > 0
}

// spreads reports whether the answers of two variants may differ, be it in their TTL.
func (o *outlook) spreads() bool { return o.now.spreads() || o.hope.spreads() || o.doubt.spreads() }

// inDoubt reports whether the variant's answer may change soon: because one that it holds is in doubt, or
// because it would be another if what recovers were up, or what fails were down.
func (o *outlook) inDoubt(v Variant) bool {
	told := o.now.told(v)
	if slices.ContainsFunc(told, func(m member) bool { return m.inDoubt }) {
		return true
	}
	return o.now.differs(o.hope, v) || o.now.differs(o.doubt, v)
}

// spreads reports whether the answers of two variants differ.
func (c *choice) spreads() bool { return c.mode == Spread && len(c.members) > 1 }

// differs reports whether the variant's answer is another one with other in the place of c. With spread a
// client stays where it is while its node stays and no node joins.
func (c choice) differs(other choice, v Variant) bool {
	told := c.told(v)
	if c.mode != Spread {
		return !slices.EqualFunc(told, other.told(v), func(x, y member) bool { return x.name == y.name })
	}
	return !other.hasAll(told) || !c.hasAll(other.members)
}

// hasAll reports whether c has all of these members. Both have them in the order of their tier.
func (c choice) hasAll(members []member) bool {
	own := c.members
	for i := range members {
		for len(own) > 0 && own[0].name != members[i].name {
			own = own[1:]
		}
		if len(own) == 0 {
			return false
		}
	}
	return true
}

// tiers holds the members of a snapshot that have an address to tell.
type tiers struct {
	cluster                 *Cluster
	proxies, nodes, uplinks []member
}

func (s *Snapshot) tiers() tiers {
	t := tiers{cluster: s.Cluster}
	for i := range s.Proxies {
		p := &s.Proxies[i]
		t.proxies = appendMember(t.proxies, member{kind: KindProxy, name: p.Subject().Name, weight: 1, health: &p.Health})
	}
	for i := range s.Nodes {
		if m, ok := s.nodeMember(&s.Nodes[i]); ok {
			t.nodes = append(t.nodes, m)
		}
	}
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		t.uplinks = appendMember(t.uplinks, member{kind: KindUplink, name: u.Name, health: &u.Health})
	}
	return t
}

// appendMember adds m, told by its healthy addresses, to a tier if it has an address at all.
func appendMember(tier []member, m member) []member {
	if m.addrs = healthy(m.health.Addrs); len(m.addrs) == 0 {
		return tier
	}
	m.inDoubt = m.health.inDoubt()
	return append(tier, m)
}

// main chooses what the main name leads to inside.
func (t tiers) main(g guess) choice {
	c := t.cluster
	if c.Tier == Nodes {
		if up, by := pick(t.nodes, g); len(up) > 0 {
			return chosen(up, c.Mode, by)
		}
		return t.nothingUp(t.nodes)
	}
	if up, by := pick(t.proxies, g); len(up) > 0 {
		return chosen(up, c.Mode, by)
	}
	if up, by := pick(t.nodes, g); len(up) > 0 {
		return standIn(up, t.fallbackMode(), by)
	}
	return t.nothingUp(t.proxies)
}

// fallbackMode is how nodes are told in the place of proxies: never two at once, since a client may change
// between the addresses of one answer, and two nodes are two servers.
func (t tiers) fallbackMode() Mode {
	if t.cluster.Mode == First {
		return First
	}
	return Spread
}

// nothingUp chooses what the main name leads to when neither its tier nor one that may stand in for it has
// anything up. The last resort is the tier that `answer` names, which is the proxies if there are any and
// nothing else is said: with `answer nodes` it is the nodes, even if there are proxies, so that what clients
// get when we know nothing is what they get on a good day.
func (t tiers) nothingUp(tier []member) choice {
	switch t.cluster.AllDown {
	case Servfail:
		return choice{servfail: true, standing: NothingUp, why: "nothing is up: an error, as alldown says"}
	case Empty:
		return choice{standing: NothingUp, why: "nothing is up: no address, as alldown says"}
	}
	c := choice{members: pickAnyway(tier), mode: t.cluster.Mode, lastResort: true, standing: NothingUp}
	switch {
	case len(c.members) > 0:
		c.why = "nothing is up: as if all were"
	case t.cluster.Tier == Nodes:
		c.why = "no node has an address that clients can reach"
	default:
		c.why = "no proxy has an address"
	}
	return c
}

// routed chooses the proxies that a node's name leads to inside, since they route by host. It has nobody
// while none is up.
func (t tiers) routed(g guess) choice {
	mode := All
	if t.cluster.Tier == Proxies {
		mode = t.cluster.Mode
	}
	up, by := pick(t.proxies, g)
	if len(up) == 0 {
		return choice{}
	}
	return chosen(up, mode, by)
}

// outside chooses the uplinks that every name leads to outside.
func (t tiers) outside(g guess) choice {
	if len(t.uplinks) == 0 {
		return choice{servfail: true, standing: NothingUp, why: "no address of an uplink is known"}
	}
	if up, by := pick(t.uplinks, g); len(up) > 0 {
		return chosen(up, All, by)
	}
	return choice{members: pickAnyway(t.uplinks), standing: NothingUp, why: "no uplink is up: as if all were"}
}

// itself is the choice of a node's own address, whatever its state, or of nobody if clients cannot reach it
// at any.
func (s *Snapshot) itself(n *NodeHealth) choice {
	var c choice
	c.why = "the node itself, whatever its state"
	if len(s.Proxies) > 0 {
		c.standing, c.why = StandIn, "no proxy is up: the node itself, whatever its state"
	}
	m, ok := s.nodeMember(n)
	if !ok {
		c.standing, c.why = NothingUp, "clients can reach no address of the node"
		return c
	}
	c.members = []member{m}
	return c
}

// nodeMember returns the node with the addresses that clients can reach, if it has any.
func (s *Snapshot) nodeMember(n *NodeHealth) (member, bool) {
	m := member{kind: KindNode, name: string(n.Name), weight: n.Weight, backup: n.Backup, health: &n.Health}
	if len(n.At) > 0 {
		m.addrs, m.inDoubt = slices.Clone(n.At), n.State.InDoubt()
	} else {
		m.addrs, m.inDoubt = healthy(n.Health.Addrs), n.Health.inDoubt()
	}
	m.addrs = slices.DeleteFunc(m.addrs, func(a netip.Addr) bool { return !s.tellable(a) })
	return m, len(m.addrs) > 0
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

// inDoubt reports whether the subject, or one of its addresses, may change its state soon.
func (h *Health) inDoubt() bool {
	return h.State.InDoubt() || slices.ContainsFunc(h.Addrs, func(a AddrHealth) bool { return a.State.InDoubt() })
}

// healthy returns the addresses that count as up, or all of them if none does: then the subject is told
// for another reason than its health.
func healthy(all []AddrHealth) []netip.Addr {
	someUp := slices.ContainsFunc(all, func(a AddrHealth) bool { return a.State.IsUp() })
	var out []netip.Addr
	for _, a := range all {
		if a.State.IsUp() || !someUp {
			out = append(out, a.Addr)
		}
	}
	return out
}
