package zones

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Type is a DNS record type, with the number that it has on the wire.
type Type uint16

// The types of records that we make, the SOA apart.
const (
	TypeA    Type = 1
	TypeNS   Type = 2
	TypeTXT  Type = 16
	TypeAAAA Type = 28
)

// Label is a name relative to an origin, lower-case and without a final dot. The apex is "@".
type Label string

// Labels with a meaning of their own.
const (
	Apex     Label = "@"
	Wildcard Label = "*"
	// StatusPrefix stands before a managed name to ask how its nodes are.
	StatusPrefix Label = "_status"
)

// Under returns l.parent, and l itself below the apex.
func (l Label) Under(parent Label) Label {
	if parent == Apex {
		return l
	}
	return l + "." + parent
}

// Record is one resource record of ours.
type Record struct {
	Label  Label
	Type   Type
	TTL    uint32     // seconds
	Addr   netip.Addr // of A and AAAA
	Target Label      // of NS
	Text   string     // of TXT, at most 255 bytes
}

// Answers is what one view of the zone holds for one variant, the same below every origin.
type Answers struct {
	Records    []Record // in a fixed order: the same facts give the same list
	Failing    []Label  // names whose A and AAAA are SERVFAIL
	Managed    []Label  // all names of ours in this view: without a record of a type they are NODATA
	LastResort bool     // nothing is up: the main name leads to what is configured all the same
}

// Split is what one view holds, with what differs from variant to variant apart.
type Split struct {
	Answers // of all variants alike

	// Variants holds the other records, in the order of [Spreader.Variants]. It is nil where there is one variant.
	Variants [][]Record
}

// Split returns what the view holds for all of its clients.
func (s *Snapshot) Split(view View) Split {
	var variants []Variant
	if view == Internal {
		variants = s.Spreader().variants
	}
	b := s.build(view, "", variants)
	b.status()
	return Split{b.out, b.own}
}

// Records returns what the view holds for the clients of the variant (see [Snapshot.Spreader]).
func (s *Snapshot) Records(view View, variant Variant) Answers {
	b := s.build(view, variant, nil)
	b.status()
	return b.out
}

// build collects all but the `_status` names. What differs between variants, if there are any, is kept apart.
func (s *Snapshot) build(view View, variant Variant, variants []Variant) *builder {
	b := &builder{s: s, tiers: s.tiers(), view: view, variant: variant, variants: variants}
	if len(variants) > 0 {
		b.own = make([][]Record, len(variants))
	}
	main := b.mainName()
	b.out.LastResort = main.now.lastResort
	b.addresses(Apex, &main)
	b.addresses(Label(s.Cluster.Main), &main)
	b.nodes(&main)
	b.nameServers()
	if s.Cluster.Wildcard {
		b.wildcards(&main)
	}
	return b
}

// builder collects one view's answers.
type builder struct {
	s       *Snapshot
	tiers   tiers
	view    View
	variant Variant
	out     Answers
	leads   []Lead    // of the names that have addresses, or might
	looks   []outlook // of each lead, what it was chosen from; empty without members

	variants []Variant  // those whose answers are kept apart
	own      [][]Record // of each of them
	ownLeads []Lead     // of each of them, where the name that was added last leads
	ownLook  *outlook   // what that was chosen from; nil: no name was
}

// mainName returns what the main name leads to in the view.
func (b *builder) mainName() outlook {
	if b.view == External {
		return look(b.tiers.outside)
	}
	return look(b.tiers.main)
}

// nodes adds the nodes' names: inside they lead to the proxies, else to the node itself, outside to where
// all names lead.
func (b *builder) nodes(main *outlook) {
	proxies := look(b.tiers.routed)
	for i := range b.s.Nodes {
		n := &b.s.Nodes[i]
		switch {
		case b.view == External:
			b.addresses(Label(n.Name), main)
		case proxies.stands():
			b.addresses(Label(n.Name), &proxies)
		default:
			o := proxies.or(b.s.itself(n))
			b.addresses(Label(n.Name), &o)
		}
	}
}

// wildcards adds what any other name answers: below the apex, and below each name of ours, since a wildcard
// does not reach below a name that exists (RFC 4592, 3.3.1).
func (b *builder) wildcards(main *outlook) {
	for _, parent := range slices.Clone(b.out.Managed) {
		b.addresses(Wildcard.Under(parent), main)
	}
}

func (b *builder) ttl(inDoubt bool) uint32 {
	c := b.s.Cluster
	if inDoubt {
		return Seconds(min(c.MinTTL, c.TTL))
	}
	return Seconds(c.TTL)
}

// Seconds returns a TTL as records have it. It rounds up: one above zero never becomes zero.
func Seconds(d time.Duration) uint32 { return uint32((d + time.Second - 1) / time.Second) }

// addresses adds a name that leads to members.
func (b *builder) addresses(name Label, o *outlook) {
	if len(b.variants) > 0 && o.spreads() {
		b.apart(name, o)
		return
	}
	b.lead(b.to(name, o, b.variant))
	b.looks[len(b.looks)-1] = *o
}

// apart adds a name that may lead each variant elsewhere. Most such names lead where the one before does.
func (b *builder) apart(name Label, o *outlook) {
	if b.ownLook != o {
		b.ownLook, b.ownLeads = o, b.ownLeads[:0]
		for _, v := range b.variants {
			b.ownLeads = append(b.ownLeads, b.to(name, o, v))
		}
	}
	b.out.Managed = append(b.out.Managed, name)
	for i, l := range b.ownLeads {
		b.own[i] = appendAddresses(b.own[i], name, l)
	}
}

// to returns where a name that leads to members leads the clients of a variant.
func (b *builder) to(name Label, o *outlook, v Variant) Lead {
	l := Lead{Name: name, Servfail: o.now.servfail, Standing: o.now.standing, Why: o.now.why}
	for _, m := range o.now.told(v) {
		l.To = append(l.To, m.subject())
		l.Addrs = append(l.Addrs, m.addrs...)
	}
	return b.timed(l, b.ttl(o.inDoubt(v)))
}

// timed returns a lead with the TTL of its addresses, or with that of their absence. It has each address once.
func (b *builder) timed(l Lead, ttl uint32) Lead {
	l.Addrs = unique(l.Addrs)
	switch {
	case l.Servfail: // which has no records at all
	case len(l.Addrs) == 0:
		l.TTL = Seconds(b.s.Cluster.Negative)
	default:
		l.TTL = ttl
	}
	return l
}

// lead adds a name with its A and AAAA records.
func (b *builder) lead(l Lead) {
	b.out.Managed = append(b.out.Managed, l.Name)
	if l.Servfail {
		b.out.Failing = append(b.out.Failing, l.Name)
	}
	b.out.Records = appendAddresses(b.out.Records, l.Name, l)
	b.leads, b.looks = append(b.leads, l), append(b.looks, outlook{})
}

// appendAddresses appends the records of a name that leads somewhere.
func appendAddresses(to []Record, name Label, l Lead) []Record {
	for _, a := range l.Addrs {
		t := TypeAAAA
		if a.Is4() {
			t = TypeA
		}
		to = append(to, Record{Label: name, Type: t, TTL: l.TTL, Addr: a})
	}
	return to
}

// unique returns the addresses once each, in the order given.
func unique(addrs []netip.Addr) []netip.Addr {
	out := addrs[:0:0]
	for i, a := range addrs {
		if !slices.Contains(addrs[:i], a) {
			out = append(out, a)
		}
	}
	return out
}

func (b *builder) nameServers() {
	for _, ns := range b.s.Cluster.NS {
		name := Label(ns.Name)
		b.out.Records = append(b.out.Records,
			Record{Label: Apex, Type: TypeNS, TTL: b.ttl(false), Target: name})
		switch {
		case len(ns.Addrs) > 0:
			b.lead(b.timed(Lead{Name: name, Addrs: b.visible(ns.Addrs), Why: "given by its ns line"}, b.ttl(false)))
		case b.view == External:
			o := look(b.tiers.outside)
			b.addresses(name, &o)
		default:
			b.lead(b.timed(b.thisHost(name), b.ttl(false)))
		}
	}
}

// visible leaves a name server's internal addresses out of the external view while it has others.
func (b *builder) visible(addrs []netip.Addr) []netip.Addr {
	if b.view == Internal {
		return addrs
	}
	outside := slices.DeleteFunc(slices.Clone(addrs), b.s.Views.inInternal)
	if len(outside) == 0 {
		return addrs
	}
	return outside
}

// thisHost is where a name server's name leads inside that has no address of its own.
func (b *builder) thisHost(name Label) Lead {
	l := Lead{Name: name, Addrs: b.hostAddrs(), Why: "this host, by its addresses in the house"}
	if len(l.Addrs) == 0 {
		l.Standing, l.Why = NothingUp, "this host has no address in the internal prefixes"
	}
	return l
}

// hostAddrs returns this host's addresses that lie in an internal prefix.
func (b *builder) hostAddrs() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(b.s.HostAddrs), func(a netip.Addr) bool {
		return a.IsLinkLocalUnicast() || !b.s.Views.inInternal(a)
	})
}

// status adds the `_status` names: every node below the apex and the main name, one below its own. Outside
// they are ours as well, and say nothing.
func (b *builder) status() {
	texts := make([]string, len(b.s.Nodes))
	for i := range b.s.Nodes {
		texts[i] = statusText(&b.s.Nodes[i])
	}
	for _, parent := range []Label{Apex, Label(b.s.Cluster.Main)} {
		b.statusOf(parent, b.s.Nodes, texts)
	}
	for i := range b.s.Nodes {
		b.statusOf(Label(b.s.Nodes[i].Name), b.s.Nodes[i:i+1], texts[i:i+1])
	}
}

func (b *builder) statusOf(parent Label, nodes []NodeHealth, texts []string) {
	name := StatusPrefix.Under(parent)
	b.out.Managed = append(b.out.Managed, name)
	if b.view == External {
		return
	}
	ttl := b.ttl(slices.ContainsFunc(nodes, func(n NodeHealth) bool { return n.State.InDoubt() }))
	for _, text := range texts {
		b.out.Records = append(b.out.Records, Record{Label: name, Type: TypeTXT, TTL: ttl, Text: text})
	}
}

// statusText gives a node's state and since when: a time and never an age, so that it changes only when
// the state does.
func statusText(n *NodeHealth) string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%s %s", n.Name, n.State)
	if !n.Since.IsZero() {
		fmt.Fprintf(&sb, " since %s", n.Since.UTC().Format(time.RFC3339))
	}
	if n.Order != NoOrder {
		fmt.Fprintf(&sb, ", order %s", n.Order)
	}
	if !n.OrderUntil.IsZero() {
		fmt.Fprintf(&sb, " until %s", n.OrderUntil.UTC().Format(time.RFC3339))
	}
	return sb.String()
}
