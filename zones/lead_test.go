package zones_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/zones"
)

// agree fails if the leads of a world are not what its records say.
func agree(t *testing.T, w *world) {
	t.Helper()
	for _, view := range []zones.View{zones.Internal, zones.External} {
		variants := []zones.Variant{""}
		if view == zones.Internal {
			variants = w.Spreader().Variants()
		}
		leads := w.Leads(view)
		for _, v := range variants {
			answers := w.Records(view, v)
			want := withoutDeepWildcards(byRecords(answers, zones.Seconds(w.cluster.Negative)))
			got := map[zones.Label]answered{}
			for _, l := range leads {
				if l.Variant == "" || l.Variant == v {
					got[l.Name] = answered{l.Addrs, l.TTL, l.Servfail}
				}
			}
			if diff := cmp.Diff(want, got, compareAddrs, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, variant %q (-records +leads):\n%s", view, v, diff)
			}
		}
		for _, l := range leads {
			if l.Why == "" {
				t.Errorf("%s: %s leads somewhere for no reason", view, l.Name)
			}
			for _, a := range l.Addrs {
				if len(l.To) > 0 && !slices.ContainsFunc(l.To, func(s zones.Subject) bool { return w.isAt(s, a) }) {
					t.Errorf("%s: %s leads to %s, which none of %v has", view, l.Name, a, l.To)
				}
			}
		}
	}
}

// answered is what a resolver sees of a name.
type answered struct {
	Addrs    []netip.Addr
	TTL      uint32
	Servfail bool
}

// byRecords returns what the names that can have addresses are answered.
func byRecords(answers zones.Answers, negative uint32) map[zones.Label]answered {
	out := map[zones.Label]answered{}
	for _, name := range answers.Managed {
		if !strings.HasPrefix(string(name), string(zones.StatusPrefix)) {
			out[name] = answered{TTL: negative}
		}
	}
	for _, name := range answers.Failing {
		out[name] = answered{Servfail: true}
	}
	for _, r := range answers.Records {
		if r.Type == zones.TypeA || r.Type == zones.TypeAAAA {
			out[r.Label] = answered{Addrs: append(out[r.Label].Addrs, r.Addr), TTL: r.TTL}
		}
	}
	return out
}

// withoutDeepWildcards leaves out those that answer as "*" does.
func withoutDeepWildcards(all map[zones.Label]answered) map[zones.Label]answered {
	out := map[zones.Label]answered{}
	for name, a := range all {
		if !strings.HasPrefix(string(name), "*.") {
			out[name] = a
		}
	}
	return out
}

// isAt reports whether clients may be told the address for the subject.
func (w *world) isAt(s zones.Subject, a netip.Addr) bool {
	if n := w.Node(zones.NodeName(s.Name)); s.Kind == zones.KindNode && slices.Contains(n.At, a) {
		return true
	}
	for other, h := range w.Subjects {
		if other == s {
			return slices.ContainsFunc(h.Addrs, func(known zones.AddrHealth) bool { return known.Addr == a })
		}
	}
	return false
}

func TestLeadsAgreeWithRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 6))
	for i := range snapshots {
		w := random(r)
		agree(t, w)
		if t.Failed() {
			t.Fatalf("in random snapshot %d", i)
		}
	}
}

// The leads of a small zone, in the order of the zone.
func TestLeads(t *testing.T) {
	spread := func() *world {
		return cluster(nodes("plex1", "plex2"), uplinks("wan"), wildcard(), nameServers(zones.NameServer{Name: "ns1"}))
	}
	for _, tc := range []struct {
		name  string
		world *world
		view  zones.View
		want  []string
	}{
		{"inside, one node per client", spread(), zones.Internal, []string{
			"@ for plex1: node plex1",
			"@ for plex2: node plex2",
			"plex for plex1: node plex1",
			"plex for plex2: node plex2",
			"plex1: node plex1",
			"plex2: node plex2",
			"ns1: nobody",
			"* for plex1: node plex1",
			"* for plex2: node plex2",
		}},
		{"inside, and one node is left", spread().with("plex2", zones.Down), zones.Internal, []string{
			"@: node plex1", "plex: node plex1", "plex1: node plex1", "plex2: node plex2", "ns1: nobody", "*: node plex1",
		}},
		{"outside", spread(), zones.External, []string{
			"@: uplink wan", "plex: uplink wan", "plex1: uplink wan", "plex2: uplink wan", "ns1: uplink wan", "*: uplink wan",
		}},
		{"outside, and no address is known", spread().without("wan"), zones.External, []string{
			"@: servfail", "plex: servfail", "plex1: servfail", "plex2: servfail", "ns1: servfail", "*: servfail",
		}},
		{"two proxies", cluster(nodes("plex1"), proxies("proxy1", "proxy2")), zones.Internal, []string{
			"@: proxy 192.168.1.1:443 proxy 192.168.1.2:443",
			"plex: proxy 192.168.1.1:443 proxy 192.168.1.2:443",
			"plex1: proxy 192.168.1.1:443 proxy 192.168.1.2:443",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, l := range tc.world.Leads(tc.view) {
				got = append(got, leadText(l))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("leads (-want +got):\n%s", diff)
			}
		})
	}
}

func leadText(l zones.Lead) string {
	name, to := string(l.Name), "nobody"
	if l.Variant != "" {
		name += " for " + string(l.Variant)
	}
	switch {
	case l.Servfail:
		to = "servfail"
	case len(l.To) > 0:
		to = strings.Trim(fmt.Sprint(l.To), "[]")
	}
	return name + ": " + to
}

// Why a name leads where it does, and how far that is from what was meant.
func TestWhy(t *testing.T) {
	proxiesFirst := answer(zones.Proxies, zones.First)
	nodesAll, nodesFirst := answer(zones.Nodes, zones.All), answer(zones.Nodes, zones.First)
	dead := func(w *world, names ...string) *world {
		for _, name := range names {
			w.with(name, zones.Down)
		}
		return w
	}
	noProxy := func() *world { return dead(house(), "proxy1", "proxy2") }
	outside := func() *world { return cluster(nodes("plex1"), uplinks("wan", "lte")) }
	for _, tc := range []struct {
		world    *world
		view     zones.View
		name     zones.Label
		standing zones.Standing
		want     string
	}{
		{house(), zones.Internal, "plex", zones.AsMeant, "the proxies that are up"},
		{house().with("proxy1", zones.Down), zones.Internal, "plex", zones.AsMeant, "the proxies that are up"},
		{
			cluster(nodes("plex1"), proxies("proxy1", "proxy2"), proxiesFirst),
			zones.Internal, "plex", zones.AsMeant, "the first proxy that is up",
		},
		{bare(), zones.Internal, "plex", zones.AsMeant, "a node that is up"},
		{bare(nodesAll), zones.Internal, "@", zones.AsMeant, "the nodes that are up"},
		{bare(nodesFirst), zones.Internal, "plex", zones.AsMeant, "the first node that is up"},
		{
			dead(bare(backup("plex2"), nodesAll), "plex1"),
			zones.Internal, "plex", zones.StandIn, "the nodes that are up, among the backups",
		},
		{
			dead(bare(), "plex1").ordered("plex2", zones.OrderDrain),
			zones.Internal, "plex", zones.StandIn, "a node that is up, among those being drained",
		},
		{
			dead(bare(), "plex1").with("plex2", zones.Unknown),
			zones.Internal, "plex", zones.StandIn, "a node, of which nothing is known yet",
		},
		{noProxy(), zones.Internal, "plex", zones.StandIn, "no proxy is up: a node that is"},
		{
			dead(cluster(nodes("plex1"), proxies("proxy1"), proxiesFirst), "proxy1"),
			zones.Internal, "plex", zones.StandIn, "no proxy is up: the first node that is",
		},
		{
			noProxy().ordered("plex1", zones.OrderDrain).ordered("plex2", zones.OrderDrain),
			zones.Internal, "plex", zones.StandIn, "no proxy is up: a node that is, among those being drained",
		},
		{dead(noProxy(), "plex1", "plex2"), zones.Internal, "plex", zones.NothingUp, "nothing is up: as if all were"},
		{
			dead(bare(allDown(zones.Servfail)), "plex1", "plex2"),
			zones.Internal, "plex", zones.NothingUp, "nothing is up: an error, as alldown says",
		},
		{
			dead(bare(allDown(zones.Empty)), "plex1", "plex2"),
			zones.Internal, "plex", zones.NothingUp, "nothing is up: no address, as alldown says",
		},
		{
			bare().without("plex1").without("plex2"),
			zones.Internal, "plex", zones.NothingUp, "no node has an address that clients can reach",
		},
		{house(), zones.Internal, "plex1", zones.AsMeant, "the proxies that are up"},
		{noProxy(), zones.Internal, "plex1", zones.StandIn, "no proxy is up: the node itself, whatever its state"},
		{bare(), zones.Internal, "plex1", zones.AsMeant, "the node itself, whatever its state"},
		{bare().without("plex1"), zones.Internal, "plex1", zones.NothingUp, "clients can reach no address of the node"},
		{outside(), zones.External, "plex1", zones.AsMeant, "the uplinks that are up"},
		{dead(outside(), "wan", "lte"), zones.External, "plex", zones.NothingUp, "no uplink is up: as if all were"},
		{
			outside().without("wan").without("lte"),
			zones.External, "plex", zones.NothingUp, "no address of an uplink is known",
		},
		{
			bare(nameServers(zones.NameServer{Name: "ns1", Addrs: parseAddrs("198.51.100.5")})),
			zones.External, "ns1", zones.AsMeant, "given by its ns line",
		},
		{
			bare(nameServers(zones.NameServer{Name: "ns1"})),
			zones.Internal, "ns1", zones.NothingUp, "this host has no address in the internal prefixes",
		},
	} {
		t.Run(fmt.Sprint(tc.view, " ", tc.name, ": ", tc.want), func(t *testing.T) {
			leads := tc.world.Leads(tc.view)
			i := slices.IndexFunc(leads, func(l zones.Lead) bool { return l.Name == tc.name })
			if got := leads[i]; got.Why != tc.want || got.Standing != tc.standing {
				t.Errorf("got %q, %s, want %q, %s", got.Why, got.Standing, tc.want, tc.standing)
			}
			agree(t, tc.world)
			if tc.name != "plex" {
				return
			}
			if got := tc.world.MainLead(tc.view); got.Why != tc.want || got.Standing != tc.standing {
				t.Errorf("the main name's alone: got %q, %s", got.Why, got.Standing)
			}
		})
	}
}

func TestNameServerThatIsThisHost(t *testing.T) {
	w := bare(nameServers(zones.NameServer{Name: "ns1"}))
	w.HostAddrs = parseAddrs("192.168.1.53")
	leads := w.Leads(zones.Internal)
	if got, want := leads[len(leads)-1].Why, "this host, by its addresses in the house"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkLeads(b *testing.B) {
	for _, n := range []int{2, 32} {
		for name, w := range map[string]*world{
			"spread":  cluster(nodes(numbered(n)...), uplinks("wan")),
			"proxies": cluster(nodes(numbered(n)...), proxies("proxy1", "proxy2"), uplinks("wan")),
		} {
			b.Run(fmt.Sprintf("%s/nodes=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					w.Leads(zones.Internal)
				}
			})
		}
	}
}
