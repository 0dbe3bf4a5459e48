package zones

import (
	"net/netip"
	"slices"
	"strings"
)

// Lead is what one name leads to in one view, and why. It is what the records say, in other words.
type Lead struct {
	Name     Label
	Variant  Variant      // with `spread`, whose clients; empty: all clients of the view are answered so
	Addrs    []netip.Addr // once each, in the order of the records; none: NODATA, unless Servfail
	To       []Subject    // whose addresses they are; none of what the Corefile or this host gives
	TTL      uint32       // seconds: of the records, or of their absence
	Servfail bool         // A and AAAA are an error
	Standing Standing
	Why      string // why there, in a few words that change only with what is chosen
}

// Standing says how far from what was meant a choice is.
type Standing uint8

// The standings, from good to bad.
const (
	AsMeant   Standing = iota // what the Corefile names is up
	StandIn                   // something else stands in for what is not up
	NothingUp                 // nothing that may stand there is up
)

var standingNames = [...]string{"as meant", "stand-in", "nothing up"}

// String returns "as meant", "stand-in" or "nothing up".
func (s Standing) String() string { return standingNames[s] }

// Leads returns what each name leads to: the apex, the main name, the nodes, the name servers, and "*" with
// `wildcard`. With `spread`, a name whose answer differs from client to client is there once for each variant.
func (s *Snapshot) Leads(view View) []Lead {
	var variants []Variant
	if view == Internal {
		variants = s.Spreader().Variants()
	}
	b := s.build(view, "", nil)
	var out []Lead
	for i, l := range b.leads {
		if !strings.HasPrefix(string(l.Name), string(Wildcard)+".") { // those answer as "*" does, see wildcards
			out = append(out, b.spread(l, &b.looks[i], variants)...)
		}
	}
	return out
}

// spread returns a name's lead, or that of each variant if they differ.
func (b *builder) spread(l Lead, o *outlook, variants []Variant) []Lead {
	if !o.now.spreads() {
		return []Lead{l}
	}
	var out []Lead
	for _, v := range variants {
		of := b.to(l.Name, o, v)
		of.Variant = v
		out = append(out, of)
	}
	if slices.ContainsFunc(out, out[0].differs) {
		return out
	}
	return []Lead{l}
}

// differs reports whether the clients of another variant are answered otherwise. All else is of all variants alike.
func (l Lead) differs(other Lead) bool {
	return l.TTL != other.TTL || !slices.Equal(l.Addrs, other.Addrs) || !slices.Equal(l.To, other.To)
}

// MainLead returns what the main name leads to in a view, for the first variant: its standing and why are those
// of all.
func (s *Snapshot) MainLead(view View) Lead {
	b := &builder{s: s, tiers: s.tiers(), view: view}
	main := b.mainName()
	b.addresses(Label(s.Cluster.Main), &main)
	return b.leads[0]
}

// chosen is the choice of members of the tier that is meant.
func chosen(up []member, mode Mode, by rung) choice {
	c := choice{members: up, mode: mode, why: by.words(up[0].kind, mode, true)}
	if by != asMeant {
		c.standing = StandIn
	}
	return c
}

// standIn is the choice of nodes in the place of proxies.
func standIn(up []member, mode Mode, by rung) choice {
	why := "no proxy is up: " + by.words(up[0].kind, mode, false)
	return choice{members: up, mode: mode, standing: StandIn, why: why}
}

// words tells which members of a kind are chosen. A tier that stands in for another needs not say again that
// it is up.
func (r rung) words(k Kind, mode Mode, sayUp bool) string {
	who, are := "a "+k.String(), " that is"
	switch mode {
	case All:
		who, are = "the "+plural[k], " that are"
	case First:
		who = "the first " + k.String()
	}
	if r == notAsked {
		return who + ", of which nothing is known yet"
	}
	if sayUp {
		are += " up"
	}
	return who + are + rungWords[r]
}

var (
	plural    = [...]string{KindNode: "nodes", KindProxy: "proxies", KindUplink: "uplinks"}
	rungWords = [...]string{asMeant: "", backups: ", among the backups", drained: ", among those being drained"}
)
