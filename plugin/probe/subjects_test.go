package probe_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

// places writes down which address of which subject had which verdict.
func places(b *fakeBoard) []string {
	var got []string
	for _, r := range b.all() {
		got = append(got, r.Subject.String()+" "+r.Addr.String()+" "+r.String())
	}
	return got
}

func byHost(nodes map[string][]string) *fakeNames { return &fakeNames{addrs: nodes} }

func isOver(p *probe.Prober) bool {
	select {
	case <-p.FirstRound():
		return true
	default:
		return false
	}
}

func TestFirstRound(t *testing.T) {
	// plex2 has two addresses, one of which does not answer.
	half := func(ctx context.Context, _ zones.Subject, at netip.AddrPort, _ bool) probe.Answer {
		if at.Addr().Is6() {
			return probe.Unanswered(ctx)
		}
		return probe.Good("")
	}
	names := byHost(map[string][]string{"docker2": {"192.168.1.11", "fd12::11"}})
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(plex1, node("plex2", "docker2", 32402))}.
			Asking(half).Linking(noLink).Naming(names)
	}, func(_ *fakeBoard, p *probe.Prober) {
		pass(timeout - time.Millisecond)
		if isOver(p) {
			t.Error("over before the last address had its verdict")
		}
		pass(2 * time.Millisecond)
		if !isOver(p) {
			t.Error("not over although each address had its verdict")
		}
	})
}

// deafNames never answer.
type deafNames struct{}

func (deafNames) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (deafNames) LookupSRV(ctx context.Context, _, _, _ string) (string, []*net.SRV, error) {
	<-ctx.Done()
	return "", nil, ctx.Err()
}

func TestFirstRoundWaitsTwoTimeoutsAtMost(t *testing.T) {
	cfg := config(node("plex1", "docker1", 32401))
	cfg.Timeout = 100 * time.Millisecond // a look-up gets 2 s
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Naming(deafNames{})
	}, func(_ *fakeBoard, p *probe.Prober) {
		pass(2*cfg.Timeout - time.Millisecond)
		if isOver(p) {
			t.Error("over too early")
		}
		pass(2 * time.Millisecond)
		if !isOver(p) {
			t.Error("not over after 2 x timeout")
		}
	})
}

func TestFirstRoundOfNothing(t *testing.T) {
	run(t, func(*fakeBoard) probe.Options { return probe.Options{Config: config()} },
		func(_ *fakeBoard, p *probe.Prober) {
			pass(time.Millisecond)
			if !isOver(p) {
				t.Error("not over although there is nothing to ask")
			}
		})
}

func TestEachAddressHasItsOwnVerdict(t *testing.T) {
	cfg := config(node("plex1", "docker1", 32401))
	cfg.Cluster.Proxies = []zones.Proxy{{Addrs: []netip.AddrPort{
		netip.MustParseAddrPort("192.168.1.2:443"), netip.MustParseAddrPort("[fd12::2]:443"),
	}}}
	v4only := func(_ context.Context, _ zones.Subject, at netip.AddrPort, _ bool) probe.Answer {
		if at.Addr().Is6() {
			return probe.Bad("no route to host")
		}
		return probe.Good("")
	}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Asking(v4only).Linking(noLink).Jittering(atOnce).
			Naming(byHost(map[string][]string{"docker1": {"fd12::10", "::ffff:192.168.1.10"}}))
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Millisecond)
		got := map[string]bool{}
		for _, line := range places(b) {
			got[line] = true
		}
		want := map[string]bool{
			"node plex1 192.168.1.10 0s ok":                             true,
			"node plex1 fd12::10 0s failed: no route to host":           true,
			"proxy 192.168.1.2:443 192.168.1.2 0s ok":                   true,
			"proxy 192.168.1.2:443 fd12::2 0s failed: no route to host": true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
	})
}

func TestHostNames(t *testing.T) {
	names := byHost(map[string][]string{"docker1": {"192.168.1.10"}})
	cfg := config(node("plex1", "docker1", 32401), node("plex2", "docker1", 32402))
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(29 * time.Second)
		if n := names.count("docker1"); n != 1 {
			t.Errorf("%d look-ups in 29 s of good health, want 1 for both nodes", n)
		}
		names.set("docker1", "192.168.1.20")
		pass(2 * time.Second)
		want := []string{
			"node plex1 at [192.168.1.10]", "node plex2 at [192.168.1.10]",
			"node plex1 at [192.168.1.20]", "node plex2 at [192.168.1.20]",
		}
		if diff := cmp.Diff(want, b.setAddrCalls()); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		pass(10 * time.Second)
		for _, r := range b.all() {
			if r.after > 31*time.Second && r.Addr.String() != "192.168.1.20" {
				t.Errorf("the old address is still asked: %v", r)
			}
		}
	})
}

func TestHostNameIsLookedUpWhenAProbeFails(t *testing.T) {
	names := byHost(map[string][]string{"docker1": {"192.168.1.10"}})
	run(t, func(*fakeBoard) probe.Options {
		cfg := config(node("plex1", "docker1", 32401))
		cfg.Interval = 300 * time.Millisecond
		return probe.Options{Config: cfg}.Asking(always(probe.Refused())).Linking(noLink).Naming(names)
	}, func(_ *fakeBoard, _ *probe.Prober) {
		pass(10*time.Second + time.Millisecond)
		if n := names.count("docker1"); n < 9 || n > 11 {
			t.Errorf("%d look-ups in 10 s of failing probes, want one a second", n)
		}
	})
}

func TestUnknownHostName(t *testing.T) {
	names := byHost(map[string][]string{})
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(node("plex1", "docker1", 32401))}.
			Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Millisecond)
		want := []string{"node plex1 invalid IP 0s failed: looking up docker1: no such host"}
		if diff := cmp.Diff(want, places(b)); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		names.set("docker1", "192.168.1.10")
		pass(3 * time.Second)
		if got := b.setAddrCalls(); len(got) != 1 {
			t.Errorf("addresses after the name is known: %v", got)
		}
	})
}

func TestLastGoodAddressesAreKept(t *testing.T) {
	names := byHost(map[string][]string{"docker1": {"192.168.1.10"}})
	var said collected[string]
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: config(node("plex1", "docker1", 32401)), Warn: said.add}.
			Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Second)
		names.set("docker1")
		pass(2 * time.Minute)
		for _, r := range b.all() {
			if r.Result != board.OK {
				t.Errorf("verdict %v", r)
			}
		}
		want := []string{"looking up docker1: no such host; staying with [192.168.1.10]"}
		if diff := cmp.Diff(want, said.all()); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	})
}

func TestProbeNone(t *testing.T) {
	cfg := config(plex1)
	cfg.Probe.Kind = corefile.ProbeNone
	run(t, func(*fakeBoard) probe.Options { return probe.Options{Config: cfg} },
		func(b *fakeBoard, _ *probe.Prober) {
			pass(time.Minute)
			if diff := cmp.Diff([]string{"node plex1 192.168.1.10 0s ok"}, places(b)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
}

func TestUplinks(t *testing.T) {
	cfg := config()
	cfg.Cluster.Uplinks = []zones.Uplink{
		{Name: "fibre", Probe: "1.1.1.1:443", Addrs: []netip.Addr{
			netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1"),
		}},
		{Name: "lte", Auto: true, Probe: "9.9.9.9:443"},
		{Name: "dsl", Auto: true},
	}
	cfg.Uplinks = []corefile.UplinkDetect{{Name: "fibre"}, {Name: "lte"}, {Name: "dsl"}}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Jittering(atOnce)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Millisecond)
		got := map[string]int{}
		for _, line := range places(b) {
			got[line]++
		}
		want := map[string]int{
			"uplink fibre 203.0.113.1 0s ok": 1, "uplink fibre 2001:db8::1 0s ok": 1, "uplink lte invalid IP 0s ok": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		// Detected in the meantime.
		b.SetAddrs(zones.Subject{Kind: zones.KindUplink, Name: "lte"}, []netip.Addr{netip.MustParseAddr("198.51.100.7")}, time.Now())
		pass(interval)
		if last := b.all(); last[len(last)-1].after != interval {
			t.Errorf("no second round: %v", places(b))
		}
		got = map[string]int{}
		for _, line := range places(b) {
			got[line]++
		}
		if got["uplink lte 198.51.100.7 2s ok"] != 1 {
			t.Errorf("the detected address has no verdict: %v", got)
		}
	})
}

func TestEndpoint(t *testing.T) {
	open, shut := serveRaw(t, drain), closedPort(t)
	names := byHost(map[string][]string{"two.example": {"127.0.0.2", "127.0.0.1"}})
	port := func(host string, at netip.AddrPort) string { return strings.Replace(at.String(), "127.0.0.1", host, 1) }
	for _, tc := range []struct{ name, at, want string }{
		{"an address that answers", open.String(), ""},
		{"an address that refuses", shut.String(), "connection refused"},
		{"a name with an address that answers", port("two.example", open), ""},
		{"a name that does not exist", port("one.example", open), "looking up one.example: no such host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := probe.EndpointAsker(tc.at, names)
			defer a.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if got := a.Ask(ctx, false).Why(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEndpointIsLookedUpAgainAfterAFailure(t *testing.T) {
	open := serveRaw(t, drain)
	names := byHost(map[string][]string{"probe.example": {"127.0.0.2"}}) // where nothing listens at that port
	a := probe.EndpointAsker(strings.Replace(open.String(), "127.0.0.1", "probe.example", 1), names)
	if got := a.Ask(t.Context(), false).Why(); got != "connection refused" {
		t.Errorf("the old address: %q", got)
	}
	names.set("probe.example", "127.0.0.1")
	for range 3 {
		if got := a.Ask(t.Context(), false).Why(); got != "" {
			t.Errorf("the new address: %q", got)
		}
	}
	if n := names.count("probe.example"); n != 2 {
		t.Errorf("%d look-ups, want 2: one at first, one after the failure", n)
	}
}

func TestCanary(t *testing.T) {
	for name, a := range map[string]probe.Answer{"answers": probe.Good(""), "is silent": probe.Bad("no answer")} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			cfg.Canary = "192.168.1.1:53"
			run(t, func(*fakeBoard) probe.Options { return probe.Options{Config: cfg}.Asking(always(a)) },
				func(b *fakeBoard, _ *probe.Prober) {
					for range 2 {
						b.ask <- struct{}{}
						if got, want := <-b.told, a.Why() == ""; got != want {
							t.Errorf("told %v, want %v", got, want)
						}
					}
				})
		})
	}
}

func TestFinder(t *testing.T) {
	names := byHost(map[string][]string{"tasks.plex": {"10.0.0.5", "10.0.0.4", "fd12::4"}})
	var said collected[string]
	cfg := config()
	cfg.Finders = []corefile.Finder{{Name: "plex", DNS: "tasks.plex", Max: 3}}
	linked := func(ctx context.Context, _ <-chan struct{}, _ chan<- probe.Wake) {
		t.Error("a found node has a link watch")
		<-ctx.Done()
	}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg, Warn: said.add}.Asking(always(probe.Good(""))).Linking(linked).Naming(names)
	}, func(b *fakeBoard, p *probe.Prober) {
		for _, found := range [][]string{
			{"10.0.0.5", "10.0.0.6"}, {"10.0.0.6", "10.0.0.5", "10.0.0.1", "10.0.0.2"}, nil, nil,
		} {
			pass(31 * time.Second)
			if !isOver(p) {
				t.Error("the first round goes on")
			}
			names.set("tasks.plex", found...)
		}
		var got []string
		for _, call := range b.setAddrCalls() {
			if call[0] == 'f' {
				got = append(got, call)
			}
		}
		want := []string{
			"found plex [plex1=10.0.0.4:32400 plex2=10.0.0.5:32400]",
			"found plex [plex1=10.0.0.6:32400 plex2=10.0.0.5:32400]",
			"found plex [plex1=10.0.0.6:32400 plex2=10.0.0.5:32400 plex3=10.0.0.1:32400]",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("found (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"nodes plex: looking up tasks.plex: no such host"}, said.all()); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
	})
}

func TestFinderKeepsNumbersOverAReload(t *testing.T) {
	names := byHost(map[string][]string{"tasks.plex": {"10.0.0.4", "10.0.0.5"}})
	cfg := config()
	cfg.Finders = []corefile.Finder{{Name: "plex", DNS: "tasks.plex"}}
	run(t, func(b *fakeBoard) probe.Options {
		b.nodes = []zones.Node{
			{Name: "plex1", Host: "10.0.0.9", Port: 32400}, // not of the line
			{Name: "plex3", Host: "10.0.0.4", Port: 32400, Group: "plex"},
		}
		return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Second)
		want := []string{
			"node plex3 at [10.0.0.4]", // asked before anything is looked up
			"found plex [plex1=10.0.0.5:32400 plex3=10.0.0.4:32400]",
		}
		got := slices.DeleteFunc(b.setAddrCalls(), func(call string) bool {
			return !strings.HasPrefix(call, "node plex3") && !strings.HasPrefix(call, "found")
		})
		if diff := cmp.Diff(want, got[:2]); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestFinderPrefersSRV(t *testing.T) {
	names := byHost(map[string][]string{
		"plex.lan": {"10.0.0.99"}, "a.plex.lan": {"10.0.0.1", "fd12::1"}, "b.plex.lan": {"fd12::2"},
	})
	names.srv = map[string][]*net.SRV{"plex.lan": {
		{Target: "a.plex.lan.", Port: 32401}, {Target: "b.plex.lan.", Port: 32402}, {Target: "gone.plex.lan.", Port: 1},
	}}
	cfg := config()
	cfg.Finders = []corefile.Finder{{Name: "plex", DNS: "plex.lan"}}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Millisecond)
		want := "found plex [plex1=10.0.0.1:32401 plex2=fd12::2:32402]"
		if got := b.setAddrCalls(); len(got) == 0 || got[0] != want {
			t.Errorf("got %v, want first %q", got, want)
		}
	})
}

// A DNS that is ill for a while takes no node away, nor does it make others of them.
func TestFinderKeepsWhatItFound(t *testing.T) {
	for name, ill := range map[string][]string{
		"SRV is not answered":      {"SRV"},
		"a target is not answered": {"b.plex.lan"},
		"nothing is answered":      {"SRV", "plex.lan", "a.plex.lan", "b.plex.lan"},
	} {
		t.Run(name, func(t *testing.T) {
			names := byHost(map[string][]string{
				"plex.lan": {"10.0.0.99"}, "a.plex.lan": {"10.0.0.1"}, "b.plex.lan": {"10.0.0.2"},
			})
			names.srv = map[string][]*net.SRV{"plex.lan": {
				{Target: "a.plex.lan.", Port: 32401}, {Target: "b.plex.lan.", Port: 32402},
			}}
			cfg := config()
			cfg.Finders = []corefile.Finder{{Name: "plex", DNS: "plex.lan"}}
			run(t, func(*fakeBoard) probe.Options {
				return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
			}, func(b *fakeBoard, _ *probe.Prober) {
				pass(time.Second)
				names.sicken(ill...)
				pass(2 * time.Minute)
				want := []string{
					"found plex [plex1=10.0.0.1:32401 plex2=10.0.0.2:32402]",
					"node plex1 at [10.0.0.1]", "node plex2 at [10.0.0.2]",
				}
				if diff := cmp.Diff(want, b.setAddrCalls()); diff != "" {
					t.Errorf("the board was told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestFinderWithoutSRVAnswers(t *testing.T) {
	names := byHost(map[string][]string{"tasks.plex": {"10.0.0.1"}})
	names.sicken("SRV")
	cfg := config()
	cfg.Finders = []corefile.Finder{{Name: "plex", DNS: "tasks.plex"}}
	run(t, func(*fakeBoard) probe.Options {
		return probe.Options{Config: cfg}.Asking(always(probe.Good(""))).Linking(noLink).Naming(names)
	}, func(b *fakeBoard, _ *probe.Prober) {
		pass(time.Millisecond)
		if got := b.setAddrCalls(); len(got) == 0 || got[0] != "found plex [plex1=10.0.0.1:32400]" {
			t.Errorf("the board was told %v", got)
		}
	})
}

func TestNumbers(t *testing.T) {
	at := func(addrs ...string) []netip.AddrPort {
		var places []netip.AddrPort
		for _, a := range addrs {
			places = append(places, netip.MustParseAddrPort(a+":1"))
		}
		return places
	}
	type numbers = map[int]netip.AddrPort
	a, b, c := at("10.0.0.1")[0], at("10.0.0.2")[0], at("10.0.0.3")[0]
	for _, tc := range []struct {
		name  string
		held  numbers
		found []netip.AddrPort
		most  int
		want  numbers
	}{
		{"the first ones", nil, []netip.AddrPort{a, b}, 0, numbers{1: a, 2: b}},
		{"a name stays with its address", numbers{1: b, 2: c}, []netip.AddrPort{a, b, c}, 0, numbers{1: b, 2: c, 3: a}},
		{"a new one takes the lowest free number", numbers{1: a, 2: b}, []netip.AddrPort{b, c}, 0, numbers{1: c, 2: b}},
		{"max leaves out the rest", nil, []netip.AddrPort{a, b, c}, 2, numbers{1: a, 2: b}},
		{"max keeps those that have a name", numbers{2: c}, []netip.AddrPort{a, b, c}, 2, numbers{1: a, 2: c}},
		{"all gone", numbers{1: a}, nil, 0, numbers{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := probe.Number(tc.held, tc.found, tc.most)
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("numbers (-want +got):\n%s", diff)
			}
		})
	}
}

const ownResolver = "the system's resolver is this server itself: give addresses, or put the names in the hosts file"

func TestResolverWarning(t *testing.T) {
	named := config(node("plex1", "docker1", 32401), node("plex2", "docker1", 32402), node("plex3", "192.168.1.3", 1))
	named.Canary = "gateway:53"
	for _, tc := range []struct {
		name, conf string
		cfg        *corefile.Config
		ours       string
		want       string
	}{
		{"only ourselves", "nameserver 127.0.0.1", named, "127.0.0.1:53", "looking up docker1, gateway: " + ownResolver},
		{"the wildcard is each local address", "nameserver 127.0.0.5", named, "[::]:53", "looking up docker1, gateway: " + ownResolver},
		{"no server means this host", "search lan", named, "0.0.0.0:53", "looking up docker1, gateway: " + ownResolver},
		{"another port", "nameserver 127.0.0.1", named, "127.0.0.1:5353", ""},
		{"another address", "nameserver 127.0.0.53", named, "127.0.0.1:53", ""},
		{"a wildcard of the other family", "nameserver ::1", named, "0.0.0.0:53", ""},
		{"somebody else is left", "nameserver 127.0.0.1\nnameserver 192.0.2.1 # isp", named, "0.0.0.0:53", ""},
		{"nothing is looked up", "nameserver 127.0.0.1", config(plex1), "127.0.0.1:53", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(file, []byte(tc.conf+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := probe.ResolverWarning(tc.cfg, file, []netip.AddrPort{netip.MustParseAddrPort(tc.ours)}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Whatever name servers this machine has: when they are all ours, nobody is asked.
func TestSystemResolverThatIsOurselves(t *testing.T) {
	ours := append(probe.ResolvConf("/etc/resolv.conf"), netip.MustParseAddrPort("[::1]:53"))
	names := probe.SystemNames(ours)
	if addrs, err := names.LookupNetIP(t.Context(), "ip", "docker1.invalid"); err == nil || err.Error() != ownResolver {
		t.Errorf("addresses: %v, %v", addrs, err)
	}
	if _, srvs, err := names.LookupSRV(t.Context(), "", "", "plex.invalid"); err == nil || err.Error() != ownResolver {
		t.Errorf("SRV: %v, %v", srvs, err)
	}
}

func TestLookUpsNeverComeToOurselves(t *testing.T) {
	ours := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}
	if conn, err := probe.DialServer(t.Context(), ours, "127.0.0.1:53"); err == nil || err.Error() != ownResolver {
		t.Errorf("our own listener: %v, %v", conn, err)
	}
	conn, err := probe.DialServer(t.Context(), ours, "127.0.0.1:5300")
	if err != nil {
		t.Fatalf("another server: %v", err)
	}
	conn.Close()
}
