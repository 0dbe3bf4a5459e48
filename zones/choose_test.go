package zones_test

import (
	"testing"

	"plexha/zones"
)

// asked is one row: who is there and how they are, and what a name then leads to.
type asked struct {
	name  string
	world *world
	label string // empty: the main name
	want  string
}

func checkInside(t *testing.T, rows []asked) {
	t.Helper()
	check(t, rows, (*world).inside)
}

func checkOutside(t *testing.T, rows []asked) {
	t.Helper()
	check(t, rows, (*world).outside)
}

func check(t *testing.T, rows []asked, ask func(*world, string) string) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			label := row.label
			if label == "" {
				label = row.world.cluster.Main
			}
			if got := ask(row.world, label); got != row.want {
				t.Errorf("%s = %q, want %q", label, got, row.want)
			}
			agree(t, row.world)
		})
	}
}

func house() *world { return cluster(nodes("plex1", "plex2"), proxies("proxy1", "proxy2")) }

// bare is a house without proxies.
func bare(parts ...part) *world { return cluster(append([]part{nodes("plex1", "plex2")}, parts...)...) }

func TestMainNameLeadsToHealthyProxiesElseToANode(t *testing.T) {
	checkInside(t, []asked{
		{name: "all proxies by default", world: house(), want: "proxy1 proxy2"},
		{name: "not one that is down", world: house().with("proxy1", zones.Down), want: "proxy2"},
		{name: "one that fails is up still", world: house().with("proxy1", zones.Failing), want: "proxy1 proxy2"},
		{name: "one that recovers is not yet", world: house().with("proxy1", zones.Recovering), want: "proxy2"},
		{
			name:  "no proxy: one healthy node per client",
			world: house().with("proxy1", zones.Down).with("proxy2", zones.Down),
			want:  "plex1 | plex2",
		},
		{
			name:  "no proxy and one node: that one",
			world: house().with("proxy1", zones.Down).with("proxy2", zones.Down).with("plex1", zones.Down),
			want:  "plex2",
		},
		{
			name: "no proxy with first: the first node",
			world: cluster(nodes("plex1", "plex2"), proxies("proxy1"), answer(zones.Proxies, zones.First)).
				with("proxy1", zones.Down),
			want: "plex1",
		},
		{
			name: "nothing up: the proxies as if all were up",
			world: house().with("proxy1", zones.Down).with("proxy2", zones.Down).
				with("plex1", zones.Down).with("plex2", zones.Down),
			want: "proxy1 proxy2",
		},
		{name: "the apex likewise", world: house().with("proxy2", zones.Down), label: "@", want: "proxy1"},
	})
}

func TestAnswerLine(t *testing.T) {
	down := func(w *world) *world { return w.with("plex1", zones.Down).with("proxy1", zones.Down) }
	with := func(tier zones.Tier, mode zones.Mode) *world {
		return cluster(nodes("plex1", "plex2", "plex3"), proxies("proxy1", "proxy2", "proxy3"), answer(tier, mode))
	}
	checkInside(t, []asked{
		{name: "proxies all", world: with(zones.Proxies, zones.All), want: "proxy1 proxy2 proxy3"},
		{name: "proxies first", world: with(zones.Proxies, zones.First), want: "proxy1"},
		{name: "proxies spread", world: with(zones.Proxies, zones.Spread), want: "proxy1 | proxy2 | proxy3"},
		{name: "nodes all", world: with(zones.Nodes, zones.All), want: "plex1 plex2 plex3"},
		{name: "nodes first", world: with(zones.Nodes, zones.First), want: "plex1"},
		{name: "nodes spread", world: with(zones.Nodes, zones.Spread), want: "plex1 | plex2 | plex3"},
		{name: "proxies all, first down", world: down(with(zones.Proxies, zones.All)), want: "proxy2 proxy3"},
		{name: "proxies first, first down", world: down(with(zones.Proxies, zones.First)), want: "proxy2"},
		{name: "proxies spread, first down", world: down(with(zones.Proxies, zones.Spread)), want: "proxy2 | proxy3"},
		{name: "nodes all, first down", world: down(with(zones.Nodes, zones.All)), want: "plex2 plex3"},
		{name: "nodes first, first down", world: down(with(zones.Nodes, zones.First)), want: "plex2"},
		{name: "nodes spread, first down", world: down(with(zones.Nodes, zones.Spread)), want: "plex2 | plex3"},
	})
}

func TestNodeNameLeadsToProxiesElseToItself(t *testing.T) {
	noProxy := func() *world { return house().with("proxy1", zones.Down).with("proxy2", zones.Down) }
	checkInside(t, []asked{
		{name: "the proxies route by host", world: house(), label: "plex2", want: "proxy1 proxy2"},
		{name: "also if that node is down", world: house().with("plex2", zones.Down), label: "plex2", want: "proxy1 proxy2"},
		{name: "no proxy up: itself", world: noProxy(), label: "plex2", want: "plex2"},
		{name: "whatever its state", world: noProxy().with("plex2", zones.Impostor), label: "plex2", want: "plex2"},
		{name: "and its order", world: noProxy().ordered("plex2", zones.OrderDown), label: "plex2", want: "plex2"},
		{name: "even if it was never asked", world: noProxy().unasked("plex2"), label: "plex2", want: "plex2"},
		{name: "no address known", world: noProxy().without("plex2"), label: "plex2", want: "nodata"},
		{name: "no proxy at all", world: bare(), label: "plex1", want: "plex1"},
		{
			name:  "with first, the proxy that the main name has",
			world: cluster(nodes("plex1"), proxies("proxy1", "proxy2"), answer(zones.Proxies, zones.First)),
			label: "plex1", want: "proxy1",
		},
		{
			name:  "with spread, each client's proxy",
			world: cluster(nodes("plex1"), proxies("proxy1", "proxy2"), answer(zones.Proxies, zones.Spread)),
			label: "plex1", want: "proxy1 | proxy2",
		},
		{
			name:  "with answer nodes, all proxies",
			world: cluster(nodes("plex1", "plex2"), proxies("proxy1", "proxy2"), answer(zones.Nodes, zones.First)),
			label: "plex2", want: "proxy1 proxy2",
		},
	})
}

func TestBackupIsUsedOnlyWhenNoOtherIsUp(t *testing.T) {
	world := func() *world {
		return cluster(nodes("plex1", "plex2", "spare"), backup("spare"), answer(zones.Nodes, zones.All))
	}
	checkInside(t, []asked{
		{name: "others up", world: world(), want: "plex1 plex2"},
		{name: "one other up", world: world().with("plex1", zones.Down), want: "plex2"},
		{name: "no other up", world: world().with("plex1", zones.Down).with("plex2", zones.Down), want: "spare"},
		{
			name:  "as the last resort neither",
			world: world().with("plex1", zones.Down).with("plex2", zones.Down).with("spare", zones.Down),
			want:  "plex1 plex2",
		},
		{
			name: "as the last resort neither, with others being drained",
			world: world().with("plex1", zones.Down).with("plex2", zones.Down).with("spare", zones.Down).
				ordered("plex1", zones.OrderDrain).ordered("plex2", zones.OrderDrain),
			want: "plex1 plex2",
		},
		{
			name:  "before one that is being drained",
			world: world().with("plex1", zones.Down).ordered("plex2", zones.OrderDrain),
			want:  "spare",
		},
		{
			name: "all being drained: the others",
			world: world().ordered("plex1", zones.OrderDrain).ordered("plex2", zones.OrderDrain).
				ordered("spare", zones.OrderDrain),
			want: "plex1 plex2",
		},
		{
			name:  "nothing known of any: the others",
			world: world().with("plex1", zones.Unknown).with("plex2", zones.Unknown).with("spare", zones.Unknown),
			want:  "plex1 plex2",
		},
		{
			name:  "as the last resort before others that are new",
			world: world().unasked("plex1").unasked("plex2").with("spare", zones.Down),
			want:  "spare",
		},
		{
			name:  "as the last resort, all new: the others",
			world: world().unasked("plex1").unasked("plex2").unasked("spare"),
			want:  "plex1 plex2",
		},
		{
			name:  "before others of which nothing is known",
			world: world().with("plex1", zones.Unknown).with("plex2", zones.Unknown),
			want:  "spare",
		},
	})
}

func TestAllDown(t *testing.T) {
	dead := func(parts ...part) *world {
		return bare(append(parts, proxies("proxy1"), wildcard())...).
			with("proxy1", zones.Down).with("plex1", zones.Down).with("plex2", zones.Starting)
	}
	checkInside(t, []asked{
		{name: "last_resort: the proxies", world: dead(), want: "proxy1"},
		{name: "last_resort with answer nodes: the nodes", world: func() *world {
			w := dead()
			answer(zones.Nodes, zones.Spread)(w)
			return w
		}(), want: "plex1 | plex2"},
		{name: "servfail", world: dead(allDown(zones.Servfail)), want: "servfail"},
		{name: "servfail: the apex too", world: dead(allDown(zones.Servfail)), label: "@", want: "servfail"},
		{name: "servfail: any other name too", world: dead(allDown(zones.Servfail)), label: "*", want: "servfail"},
		{name: "servfail: not the nodes' names", world: dead(allDown(zones.Servfail)), label: "plex1", want: "plex1"},
		{name: "empty", world: dead(allDown(zones.Empty)), want: "nodata"},
		{name: "empty: the apex too", world: dead(allDown(zones.Empty)), label: "@", want: "nodata"},
	})
	for name, tc := range map[string]struct {
		world *world
		want  bool
	}{
		"up":          {bare(), false},
		"nothing up":  {dead(), true},
		"servfail":    {dead(allDown(zones.Servfail)), false},
		"not asked":   {bare().with("plex1", zones.Unknown).with("plex2", zones.Unknown), false},
		"drained all": {bare().ordered("plex1", zones.OrderDrain).ordered("plex2", zones.OrderDrain), false},
	} {
		t.Run("says so/"+name, func(t *testing.T) {
			if got := tc.world.Records(zones.Internal, "").LastResort; got != tc.want {
				t.Errorf("LastResort = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestUnknownCountsAsUpOnlyIfNothingInItsTierIs(t *testing.T) {
	checkInside(t, []asked{
		{name: "another is up", world: bare().with("plex1", zones.Unknown), want: "plex2"},
		{name: "another fails", world: bare().with("plex1", zones.Unknown).with("plex2", zones.Failing), want: "plex2"},
		{name: "another is down", world: bare().with("plex1", zones.Unknown).with("plex2", zones.Down), want: "plex1"},
		{
			name:  "all unknown",
			world: bare().with("plex1", zones.Unknown).with("plex2", zones.Unknown), want: "plex1 | plex2",
		},
		{
			name:  "an unknown proxy comes before a node that is up",
			world: house().with("proxy1", zones.Unknown).with("proxy2", zones.Down), want: "proxy1",
		},
		{
			name:  "a node's name likewise",
			world: house().with("proxy1", zones.Unknown).with("proxy2", zones.Down), label: "plex1", want: "proxy1",
		},
		{name: "new in a reload: out", world: bare().unasked("plex1"), want: "plex2"},
		{
			name:  "new in a reload: out even if the others are down",
			world: bare().unasked("plex1").with("plex2", zones.Down), want: "plex2",
		},
		{name: "all new in a reload", world: bare().unasked("plex1").unasked("plex2"), want: "plex1 | plex2"},
		{
			name:  "a new one before one ordered down",
			world: bare().unasked("plex1").with("plex2", zones.Down).ordered("plex2", zones.OrderDown), want: "plex1",
		},
		{
			name:  "a new proxy does not hide the nodes",
			world: cluster(nodes("plex1"), proxies("proxy1")).unasked("proxy1"), want: "plex1",
		},
	})
}

func TestOrders(t *testing.T) {
	dead := func() *world { return bare().with("plex1", zones.Down).with("plex2", zones.Down) }
	checkInside(t, []asked{
		{
			name:  "up: as if up",
			world: bare().with("plex1", zones.Down).ordered("plex1", zones.OrderUp), want: "plex1 | plex2",
		},
		{
			name:  "up: also when never asked",
			world: bare().unasked("plex1").ordered("plex1", zones.OrderUp), want: "plex1 | plex2",
		},
		{name: "down: as if dead", world: bare().ordered("plex1", zones.OrderDown), want: "plex2"},
		{name: "drain: as if down while another is up", world: bare().ordered("plex1", zones.OrderDrain), want: "plex2"},
		{
			name:  "drain: while another fails",
			world: bare().ordered("plex1", zones.OrderDrain).with("plex2", zones.Failing), want: "plex2",
		},
		{
			name:  "drain: no other is up",
			world: bare().ordered("plex1", zones.OrderDrain).with("plex2", zones.Down), want: "plex1",
		},
		{
			name:  "drain: all of them",
			world: bare().ordered("plex1", zones.OrderDrain).ordered("plex2", zones.OrderDrain), want: "plex1 | plex2",
		},
		{
			name:  "drain of one that is down",
			world: bare().with("plex1", zones.Down).ordered("plex1", zones.OrderDrain), want: "plex2",
		},
		{
			name:  "drain of the only proxy: it stays",
			world: cluster(nodes("plex1"), proxies("proxy1")).ordered("proxy1", zones.OrderDrain), want: "proxy1",
		},
		{
			name:  "down on the only proxy: a node",
			world: cluster(nodes("plex1"), proxies("proxy1")).ordered("proxy1", zones.OrderDown), want: "plex1",
		},
		{name: "last resort without one ordered down", world: dead().ordered("plex1", zones.OrderDown), want: "plex2"},
		{
			name:  "last resort with one being drained: no other is up",
			world: dead().ordered("plex1", zones.OrderDrain), want: "plex1 | plex2",
		},
		{
			name:  "last resort: drained before ordered down",
			world: dead().ordered("plex1", zones.OrderDown).ordered("plex2", zones.OrderDrain), want: "plex2",
		},
		{
			name:  "last resort: drained before one that is new",
			world: dead().ordered("plex1", zones.OrderDrain).unasked("plex2"), want: "plex1",
		},
		{
			name:  "last resort: drained before one that is new and ordered down",
			world: dead().ordered("plex1", zones.OrderDown).unasked("plex2").ordered("plex2", zones.OrderDrain), want: "plex2",
		},
		{
			name:  "last resort: all ordered down",
			world: dead().ordered("plex1", zones.OrderDown).ordered("plex2", zones.OrderDown), want: "plex1 | plex2",
		},
	})
}

func TestTheChoiceComesBeforeTheFamily(t *testing.T) {
	two := func(mode zones.Mode) *world {
		return bare(answer(zones.Nodes, mode)).addressed("plex2", map[string]zones.State{
			"10.0.0.2": zones.Up, "2001:db8::2": zones.Up,
		})
	}
	checkInside(t, []asked{
		{name: "all: every address", world: two(zones.All), want: "plex1 plex2 plex2/6"},
		{name: "first: AAAA of the first alone, though another has one", world: two(zones.First), want: "plex1"},
		{name: "spread: each client's A and AAAA are one node's", world: two(zones.Spread), want: "plex1 | plex2 plex2/6"},
	})
}

func TestHealthIsKeptPerAddress(t *testing.T) {
	plex1 := func(state zones.State, addrs map[string]zones.State) *world {
		w := cluster(nodes("plex1")).addressed("plex1", addrs)
		w.subject("plex1").State = state
		return w
	}
	const v4, v6 = "10.0.0.1", "2001:db8::1"
	checkInside(t, []asked{
		{name: "both up", world: plex1(zones.Up, map[string]zones.State{v4: zones.Up, v6: zones.Up}), want: "plex1 plex1/6"},
		{name: "IPv4 down", world: plex1(zones.Up, map[string]zones.State{v4: zones.Down, v6: zones.Up}), want: "plex1/6"},
		{name: "IPv6 down", world: plex1(zones.Up, map[string]zones.State{v4: zones.Up, v6: zones.Down}), want: "plex1"},
		{
			name:  "IPv6 fails",
			world: plex1(zones.Up, map[string]zones.State{v4: zones.Up, v6: zones.Failing}), want: "plex1 plex1/6",
		},
		{name: "IPv6 new", world: plex1(zones.Up, map[string]zones.State{v4: zones.Up, v6: zones.Unknown}), want: "plex1"},
		{
			name:  "both down, the last resort",
			world: plex1(zones.Down, map[string]zones.State{v4: zones.Down, v6: zones.Down}), want: "plex1 plex1/6",
		},
	})
}

func TestNodeIsToldOnlyWhereClientsReachIt(t *testing.T) {
	node := func(addr string, parts ...part) *world {
		return cluster(append([]part{nodes("plex1")}, parts...)...).addressed("plex1", map[string]zones.State{addr: zones.Up})
	}
	checkInside(t, []asked{
		{name: "private", world: node("192.168.1.11"), want: "plex1"},
		{name: "loopback", world: node("127.0.0.1"), want: "nodata"},
		{name: "loopback, IPv6", world: node("::1"), want: "nodata"},
		{name: "loopback below its own name", world: node("127.0.0.1"), label: "plex1", want: "nodata"},
		{
			name:  "loopback where all internal prefixes are loopback",
			world: node("127.0.1.1", internal("127.0.0.0/8", "::1/128")), want: "plex1",
		},
		{
			name:  "loopback where one is not",
			world: node("127.0.1.1", internal("127.0.0.0/8", "192.168.1.0/24")), want: "nodata",
		},
		{name: "link-local", world: node("169.254.7.7"), want: "nodata"},
		{name: "link-local, IPv6", world: node("fe80::7%eth0"), want: "nodata"},
		{name: "unspecified", world: node("0.0.0.0"), want: "nodata"},
		{name: "at says where", world: node("127.0.0.1", at("plex1", "192.168.1.77", "fd12::77")), want: "plex1 plex1/6"},
		{name: "at before HOST", world: node("10.9.9.9", at("plex1", "192.168.1.77")), label: "plex1", want: "plex1"},
		{name: "at a place that clients cannot reach", world: node("10.9.9.9", at("plex1", "127.0.0.1")), want: "nodata"},
		{
			name:  "another node is told instead",
			world: bare().addressed("plex1", map[string]zones.State{"127.0.0.1": zones.Up}), want: "plex2",
		},
		{
			name: "a proxy's address is the operator's word",
			world: cluster(nodes("plex1"), proxies("proxy1")).
				addressed("proxy1", map[string]zones.State{"127.0.0.1": zones.Up}),
			want: "proxy1",
		},
	})
}

func TestAtIsWhatClientsAreTold(t *testing.T) {
	w := cluster(nodes("plex1"), at("plex1", "192.168.1.77"))
	delete(w.names, w.Nodes[0].At[0])
	if got, want := w.inside("plex"), "192.168.1.77"; got != want {
		t.Errorf("plex = %q, want %q", got, want)
	}
}

func TestOutside(t *testing.T) {
	two := func() *world {
		return cluster(nodes("plex1", "plex2"), proxies("proxy1"), uplinks("wan", "lte"), wildcard())
	}
	checkOutside(t, []asked{
		{name: "all healthy uplinks", world: two(), want: "wan lte"},
		{name: "at the apex", world: two(), label: "@", want: "wan lte"},
		{name: "at a node's name", world: two(), label: "plex2", want: "wan lte"},
		{name: "at any other name with wildcard", world: two(), label: "*", want: "wan lte"},
		{
			name:  "whatever the nodes and proxies do",
			world: two().with("plex1", zones.Down).with("proxy1", zones.Down), want: "wan lte",
		},
		{name: "not one that is down", world: two().with("wan", zones.Down), want: "lte"},
		{name: "nor one ordered down", world: two().ordered("wan", zones.OrderDown), want: "lte"},
		{name: "all down: as if all were up", world: two().with("wan", zones.Down).with("lte", zones.Down), want: "wan lte"},
		{name: "all down, one not known", world: two().with("wan", zones.Down).without("lte"), want: "wan"},
		{name: "no address known", world: two().without("wan").without("lte"), want: "servfail"},
		{name: "no address known, at the apex", world: two().without("wan").without("lte"), label: "@", want: "servfail"},
		{name: "no address known, at a node", world: two().without("wan").without("lte"), label: "plex1", want: "servfail"},
		{
			name:  "one family known: the other is nodata",
			world: two().without("lte").addressed("wan", map[string]zones.State{"2001:db8::7": zones.Up}), want: "wan/6",
		},
		{
			name: "health per address",
			world: two().without("lte").addressed("wan", map[string]zones.State{
				"203.0.113.1": zones.Down, "2001:db8::7": zones.Up,
			}),
			want: "wan/6",
		},
		{
			name:  "without wildcard no other name",
			world: cluster(nodes("plex1"), uplinks("wan")), label: "*", want: "nxdomain",
		},
	})
}
