package zones_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
)

const (
	clients   = 10_000
	snapshots = 500 // random ones
)

// addresses are clients in one /16.
func addresses() []netip.Prefix {
	var out []netip.Prefix
	for i := range clients {
		out = append(out, zones.Network(netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)})))
	}
	return out
}

// networks4 are the /24 that a trusted resolver sends.
func networks4() []netip.Prefix {
	var out []netip.Prefix
	for i := range clients {
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	return out
}

// networks6 are clients in one /48, each in its own /64.
func networks6() []netip.Prefix {
	var out []netip.Prefix
	for i := range clients {
		addr := netip.AddrFrom16([16]byte{0xfd, 0x12, 0x34, 0x56, 0, 0, byte(i >> 8), byte(i), 15: 7})
		out = append(out, zones.Network(addr))
	}
	return out
}

func TestSpreadHoldsWeights(t *testing.T) {
	const percent = 2
	for of, networks := range map[string][]netip.Prefix{
		"addresses of one /16": addresses(), "IPv4 /24": networks4(), "IPv6 /64": networks6(),
	} {
		for _, weights := range [][]int{{1, 1}, {1, 1, 1}, {3, 1}, {1, 2, 5}, {1, 1, 1, 1, 1, 1, 1, 1}} {
			t.Run(fmt.Sprintf("%s/%v", of, weights), func(t *testing.T) {
				w := cluster(nodes(numbered(len(weights))...))
				var sum int
				for i, n := range weights {
					weight(string(w.Nodes[i].Name), n)(w)
					sum += n
				}
				got := map[zones.Variant]int{}
				for _, v := range picks(w, networks) {
					got[v]++
				}
				for i, n := range weights {
					name := w.Nodes[i].Name
					share := 100 * float64(got[zones.Variant(name)]) / clients
					want := 100 * float64(n) / float64(sum)
					if math.Abs(share-want) > percent {
						t.Errorf("%s has %.1f %% of the clients, want %.1f %%", name, share, want)
					}
				}
			})
		}
	}
}

func picks(w *world, networks []netip.Prefix) map[netip.Prefix]zones.Variant {
	sp := w.Spreader()
	out := map[netip.Prefix]zones.Variant{}
	for _, n := range networks {
		out[n] = sp.Pick(n)
	}
	return out
}

// With spread, when a node dies only its clients move. Read from the end, this says that only those move
// back when it returns: a choice has no memory.
func TestDeathMovesOnlyTheDeadNodesClients(t *testing.T) {
	for name, world := range map[string]func() *world{
		"four nodes":        func() *world { return cluster(nodes(numbered(4)...)) },
		"with weights":      func() *world { return cluster(nodes(numbered(4)...), weight("plex1", 3), weight("plex4", 7)) },
		"one odd weight":    func() *world { return cluster(nodes(numbered(3)...), weight("plex2", 2)) },
		"two nodes":         func() *world { return cluster(nodes(numbered(2)...)) },
		"behind dead proxy": func() *world { return cluster(nodes(numbered(3)...), proxies("p")).with("p", zones.Down) },
	} {
		t.Run(name, func(t *testing.T) {
			before := told(world(), addresses())
			after := told(world().with("plex2", zones.Down), addresses())
			moved := 0
			for client, was := range before {
				is := after[client]
				switch {
				case was == "plex2" && is == "plex2":
					t.Fatalf("%s is still led to the dead node", client)
				case was == "plex2":
					moved++
				case was != is:
					t.Fatalf("%s moved from %s to %s, though plex2 died", client, was, is)
				}
			}
			if moved == 0 {
				t.Error("the dead node had no clients")
			}
		})
	}
}

// told maps clients to what the main name leads them to.
func told(w *world, networks []netip.Prefix) map[string]string {
	sp := w.Spreader()
	byVariant := map[zones.Variant]string{}
	for _, v := range sp.Variants() {
		byVariant[v] = w.says(w.Records(zones.Internal, v), "plex")
	}
	out := map[string]string{}
	for _, n := range networks {
		out[n.String()] = byVariant[sp.Pick(n)]
	}
	return out
}

func TestNetworkOfAClient(t *testing.T) {
	for client, want := range map[string]string{
		"192.168.1.7":          "192.168.1.7/32",
		"::ffff:192.168.1.7":   "192.168.1.7/32",
		"fd12:3456::1:2:3:4":   "fd12:3456:0:0::/64",
		"fe80::1:2:3:4%eth0":   "fe80::/64",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := zones.Network(netip.MustParseAddr(client)); got != netip.MustParsePrefix(want) {
			t.Errorf("%s is in %s, want %s", client, got, want)
		}
	}
}

func TestClientsOfOneNetworkAreTogether(t *testing.T) {
	sp := cluster(nodes(numbered(8)...)).Spreader()
	for _, pair := range [][2]string{
		{"fd12::1/128", "fd12::/64"},
		{"fd12::1/128", "fd12::ffff:0:0:1/96"},
		{"2001:db8:0:7::/48", "2001:db8::/48"},
		{"192.168.1.7/24", "192.168.1.0/24"},
		{"192.168.1.7/32", "::ffff:192.168.1.7/128"},
	} {
		a, b := netip.MustParsePrefix(pair[0]), netip.MustParsePrefix(pair[1])
		if sp.Pick(a) != sp.Pick(b) {
			t.Errorf("%s gets %s, but %s gets %s", a, sp.Pick(a), b, sp.Pick(b))
		}
	}
}

func TestVariants(t *testing.T) {
	for _, tc := range []struct {
		name  string
		world *world
		want  []zones.Variant
	}{
		{"spread", bare(), []zones.Variant{"plex1", "plex2"}},
		{"one left", bare().with("plex1", zones.Down), []zones.Variant{""}},
		{"all", bare(answer(zones.Nodes, zones.All)), []zones.Variant{""}},
		{"first", bare(answer(zones.Nodes, zones.First)), []zones.Variant{""}},
		{"proxies all", house(), []zones.Variant{""}},
		{
			"nodes in the place of proxies",
			house().with("proxy1", zones.Down).with("proxy2", zones.Down),
			[]zones.Variant{"plex1", "plex2"},
		},
		{"last resort", bare().with("plex1", zones.Down).with("plex2", zones.Down), []zones.Variant{"plex1", "plex2"}},
		{
			"backups are none of them", cluster(nodes("plex1", "plex2", "spare"), backup("spare")),
			[]zones.Variant{"plex1", "plex2"},
		},
		{
			"alldown servfail",
			bare(allDown(zones.Servfail)).with("plex1", zones.Down).with("plex2", zones.Down),
			[]zones.Variant{""},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sp := tc.world.Spreader()
			if diff := cmp.Diff(tc.want, sp.Variants()); diff != "" {
				t.Errorf("variants (-want +got):\n%s", diff)
			}
			if got := sp.Pick(netip.MustParsePrefix("192.168.1.7/32")); !slices.Contains(tc.want, got) {
				t.Errorf("picked %q, which is none of %q", got, tc.want)
			}
		})
	}
}

// random builds a snapshot of any shape in any state.
func random(r *rand.Rand) *world {
	parts := []part{nodes(numbered(1 + r.IntN(5))...)}
	if r.IntN(2) == 0 {
		parts = append(parts, proxies([]string{"proxy1", "proxy2", "proxy3"}[:1+r.IntN(3)]...))
	}
	w := cluster(append(parts, uplinks("wan", "lte"), wildcard())...)
	w.cluster.Mode = zones.Mode(r.IntN(3))
	w.cluster.AllDown = zones.AllDown(r.IntN(3))
	if len(w.Proxies) == 0 || r.IntN(3) == 0 {
		w.cluster.Tier = zones.Nodes
	}
	for i := range w.Nodes {
		w.Nodes[i].Backup, w.Nodes[i].Weight = r.IntN(4) == 0, 1+r.IntN(3)
		if r.IntN(2) == 0 {
			name := string(w.Nodes[i].Name)
			w.addressed(name, map[string]zones.State{
				w.Nodes[i].Host: zones.Up, fmt.Sprintf("2001:db8::%d", i+1): zones.Up,
			})
		}
	}
	for _, h := range w.Subjects {
		h.State = zones.State(r.IntN(len(zones.States())))
		h.New = h.State == zones.Unknown && r.IntN(2) == 0
		h.Order = zones.Order(max(0, r.IntN(8)-4))
		for i := range h.Addrs {
			h.Addrs[i].State = zones.State(r.IntN(len(zones.States())))
		}
		if n := r.IntN(len(h.Addrs)); h.State.IsUp() {
			h.Addrs[n].State = h.State
		}
	}
	return w
}

// members returns whose addresses a name's records hold: nodes, then proxies.
func members(w *world, answers zones.Answers, label zones.Label, types ...zones.Type) (nodes, proxies []string) {
	for _, r := range answers.Records {
		if r.Label != label || !slices.Contains(types, r.Type) {
			continue
		}
		name, to := w.name(r.Addr), &proxies
		if w.Node(zones.NodeName(name)) != nil {
			to = &nodes
		}
		if !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	return nodes, proxies
}

func TestNoAnswerMixesNodesUnlessTold(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 11))
	for i := range snapshots {
		w := random(r)
		told := w.cluster.Tier == zones.Nodes && w.cluster.Mode == zones.All
		for _, v := range w.Spreader().Variants() {
			answers := w.Records(zones.Internal, v)
			for _, label := range answers.Managed {
				nodes, proxies := members(w, answers, label, zones.TypeA, zones.TypeAAAA)
				isNode := w.Node(zones.NodeName(label)) != nil
				switch {
				case len(nodes) > 0 && len(proxies) > 0:
					t.Fatalf("snapshot %d, variant %q: %s mixes nodes %q and proxies %q", i, v, label, nodes, proxies)
				case len(nodes) > 1 && (!told || isNode):
					t.Fatalf("snapshot %d, variant %q: %s mixes nodes %q", i, v, label, nodes)
				case isNode && len(nodes) == 1 && nodes[0] != string(label):
					t.Fatalf("snapshot %d, variant %q: %s leads to %s", i, v, label, nodes[0])
				}
			}
		}
	}
}

func TestAAndAAAANameTheSameNode(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 11))
	both := 0
	for i := range snapshots {
		w := random(r)
		if w.cluster.Tier == zones.Nodes && w.cluster.Mode == zones.All {
			continue
		}
		for _, v := range w.Spreader().Variants() {
			answers := w.Records(zones.Internal, v)
			a, _ := members(w, answers, "plex", zones.TypeA)
			aaaa, _ := members(w, answers, "plex", zones.TypeAAAA)
			if len(a) == 0 || len(aaaa) == 0 {
				continue
			}
			both++
			if !slices.Equal(a, aaaa) {
				t.Fatalf("snapshot %d, variant %q: A is %q, AAAA is %q", i, v, a, aaaa)
			}
		}
	}
	if both == 0 {
		t.Error("no snapshot had a node of both families")
	}
}

// Each variant leads to the member that it is named after.
func TestVariantLeadsToItsMember(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 26))
	for i := range snapshots {
		w := random(r)
		variants := w.Spreader().Variants()
		if len(variants) == 1 {
			continue
		}
		for _, v := range variants {
			nodes, proxies := members(w, w.Records(zones.Internal, v), "plex", zones.TypeA, zones.TypeAAAA)
			all := slices.Concat(nodes, proxies)
			if len(all) != 1 || string(v) != all[0] && w.proxyName(v) != all[0] {
				t.Fatalf("snapshot %d, variant %q leads to %q", i, v, all)
			}
		}
	}
}

// proxyName returns the test's name of the proxy that a variant names by ADDRESS:PORT.
func (w *world) proxyName(v zones.Variant) string {
	ap, err := netip.ParseAddrPort(string(v))
	if err != nil {
		return ""
	}
	return w.name(ap.Addr())
}
