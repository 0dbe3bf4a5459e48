package board_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/zones"
	"plexha/zones/board"
)

// reload makes the board of the next instance from the snapshot of this one.
func (s *scene) reload(cfg board.Config, sameProbe bool) *scene {
	next := &scene{s.T, board.New(cfg, time.Now())}
	next.Seed(s.Snapshot(), sameProbe, time.Now())
	return next
}

func TestReloadForgetsNothing(t *testing.T) {
	cfg := house(
		node("plex1", "10.0.0.1"), node("plex2", "docker2"), node("plex3", "nowhere"),
		proxy("192.168.1.1:443", "[fd12::1]:443"), uplink("wan", ""), uplink("lte", "192.0.2.1:443", "198.51.100.1"),
	)
	play(t, cfg, func(old *scene) {
		old.SetAddrs(zones.Subject{Name: "plex2"}, parseAddrs("10.0.0.2", "fd12::2"), time.Now())
		old.SetAddrs(zones.Subject{Kind: zones.KindUplink, Name: "wan"}, parseAddrs("203.0.113.1"), time.Now())
		old.published()
		old.answers("plex1", "1111")
		old.ok("plex2/4", proxy1+"/4", proxy1+"/6", "lte")
		old.failed("plex3")
		old.down("plex2/4", proxy1+"/6")
		old.failed("plex2/6", proxy1+"/4")
		old.FirstRoundDone(time.Now())
		before := old.published()
		old.wait(time.Hour)

		next := old.reload(cfg, true)
		diff := cmp.Diff(before, next.Snapshot(),
			cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
			cmpopts.IgnoreFields(zones.Snapshot{}, "Seq", "At", "Views"), cmpopts.EquateEmpty())
		if diff != "" {
			old.Errorf("the next board's snapshot (-old +next):\n%s", diff)
		}

		next.run()
		if got := next.failed(proxy1 + "/4"); got != zones.Down {
			old.Errorf("the proxy is %s after its second failure, want down", got)
		}
		if got := next.ok(proxy1 + "/6"); got != zones.Recovering {
			old.Errorf("the proxy's other address is %s after one success, want recovering", got)
		}
	})
}

func TestReloadWhileRecovering(t *testing.T) {
	play(t, house(nodes(1)), func(old *scene) {
		old.failed("plex1")
		old.ok("plex1")
		old.published()
		if got := old.reload(house(nodes(1)), true).ok("plex1"); got != zones.Up {
			old.Errorf("plex1 is %s after its second success, want up", got)
		}
	})
}

// Subjects are known again by zone, name, HOST:PORT and probe.
func TestWhatIsAskedInAnotherWayIsNew(t *testing.T) {
	edit := func(f func(*zones.Cluster)) board.Config {
		cfg := house(nodes(1), proxy("192.168.1.1:443"), uplink("lte", "192.0.2.1:443", "198.51.100.1"))
		f(cfg.Cluster)
		return cfg
	}
	for _, tc := range []struct {
		name      string
		cfg       board.Config
		sameProbe bool
		subject   string
		want      zones.State
		isNew     bool
	}{
		{"nothing changed", edit(func(*zones.Cluster) {}), true, "plex1", zones.Up, false},
		{"another weight", edit(func(c *zones.Cluster) { c.Nodes[0].Weight = 3 }), true, "plex1", zones.Up, false},
		{
			"told elsewhere",
			edit(func(c *zones.Cluster) { c.Nodes[0].At = parseAddrs("10.7.7.7") }), true, "plex1", zones.Up, false,
		},
		{"another name", edit(func(c *zones.Cluster) { c.Nodes[0].Name = "plex7" }), true, "plex7", zones.Unknown, true},
		{"another host", edit(func(c *zones.Cluster) { c.Nodes[0].Host = "10.0.0.7" }), true, "plex1", zones.Unknown, true},
		{"another port", edit(func(c *zones.Cluster) { c.Nodes[0].Port = 32401 }), true, "plex1", zones.Unknown, true},
		{"over TLS now", edit(func(c *zones.Cluster) { c.Nodes[0].HTTPS = true }), true, "plex1", zones.Unknown, true},
		{"another id", edit(func(c *zones.Cluster) { c.Nodes[0].ID = "1111" }), true, "plex1", zones.Unknown, true},
		{"another probe", edit(func(*zones.Cluster) {}), false, "plex1", zones.Unknown, true},
		{"another probe: the proxies' is the same", edit(func(*zones.Cluster) {}), false, proxy1, zones.Up, false},
		{
			"another proxy",
			edit(func(c *zones.Cluster) { proxy("192.168.1.1:444")(&board.Config{Cluster: c}) }), true,
			"192.168.1.1:444", zones.Unknown, true,
		},
		{"the same uplink", edit(func(*zones.Cluster) {}), true, "lte", zones.Up, false},
		{
			"an uplink's probe",
			edit(func(c *zones.Cluster) { c.Uplinks[0].Probe = "192.0.2.2:443" }), true, "lte", zones.Unknown, false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, edit(func(*zones.Cluster) {}), func(old *scene) {
				old.ok("plex1", proxy1, "lte")
				old.FirstRoundDone(time.Now())
				next := old.reload(tc.cfg, tc.sameProbe)
				_, h, _ := next.subject(tc.subject)
				if h.State != tc.want || h.New != tc.isNew {
					old.Errorf("%s is %s, new %v, want %s, new %v", tc.subject, h.State, h.New, tc.want, tc.isNew)
				}
			})
		})
	}
}

func TestOneThatIsNewStaysOutUntilItsFirstVerdict(t *testing.T) {
	play(t, house(nodes(1)), func(old *scene) {
		old.ok("plex1")
		old.FirstRoundDone(time.Now())
		next := old.reload(house(nodes(2)), true)
		next.run()
		isNew := func() bool { return next.published().Node("plex2").New }
		if !isNew() {
			old.Error("plex2 is not new")
		}
		next.report(board.Late, "plex2")
		if !isNew() {
			old.Error("plex2 is not new any more, though it has not answered")
		}
		again := next.reload(house(nodes(2)), true)
		if !again.Snapshot().Node("plex2").New {
			old.Error("plex2 is not new any more after another reload")
		}
		next.failed("plex2")
		if isNew() {
			old.Error("plex2 is new still after its first verdict")
		}
	})
}

// A reload before the first round has ended is a start like any other.
func TestReloadBeforeTheFirstRoundHasEnded(t *testing.T) {
	play(t, house(nodes(1)), func(old *scene) {
		next := old.reload(house(nodes(2)), true)
		snap := next.Snapshot()
		if snap.Ready || snap.Nodes[0].New || snap.Nodes[1].New {
			old.Errorf("ready %v, new %v and %v, want none", snap.Ready, snap.Nodes[0].New, snap.Nodes[1].New)
		}
	})
}

// cutOff is a house in an isolation that holds both of its nodes, and its proxy, in the answers.
func cutOff(t *testing.T, script func(*scene)) {
	t.Helper()
	watched(t, func(old *scene) {
		old.down("plex1", proxy1, "plex2", "lte")
		old.CanaryResult(false, time.Now())
		old.is("plex1 failing", "plex2 failing", proxy1+" failing", "lte down")
		script(old)
	})
}

// An isolation goes on after a reload: what it holds in the answers stays there until a canary answers, and
// is judged anew then.
func TestReloadWhileIsolated(t *testing.T) {
	cfg := house(nodes(2), proxy("192.168.1.1:443"), uplink("lte", "192.0.2.1:443", "198.51.100.1"), canary)
	cutOff(t, func(old *scene) {
		next := old.reload(cfg, true)
		next.run()
		if !next.Snapshot().Isolated || !next.askedCanary() {
			next.Error("the canary is not asked at once, or the isolation has ended")
		}
		next.down("plex1", "plex2", proxy1)
		next.is("plex1 failing", "plex2 failing", proxy1+" failing", "lte down")
		next.CanaryResult(false, time.Now())
		next.wait(2 * time.Second)
		if !next.askedCanary() {
			next.Error("the canary is not asked again after an interval")
		}
		next.ok("plex2")
		next.CanaryResult(true, time.Now())
		if next.Snapshot().Isolated {
			next.Error("isolated, though the canary answers")
		}
		if got := next.failed("plex1"); got != zones.Failing {
			next.Errorf("plex1 is %s after one fresh failure, want failing", got)
		}
		if got := next.failed("plex1"); got != zones.Down {
			next.Errorf("plex1 is %s after two fresh failures, want down", got)
		}
		next.is("plex2 up")
	})
}

// A node that is failing at the reload, and not asked again before the canary answers, needs fresh failures.
func TestTheCanaryAnswersRightAfterAReload(t *testing.T) {
	cfg := house(nodes(2), proxy("192.168.1.1:443"), uplink("lte", "192.0.2.1:443", "198.51.100.1"), canary)
	cutOff(t, func(old *scene) {
		old.ok("lte", "lte")
		old.failed("lte")
		old.published()
		next := old.reload(cfg, true)
		next.CanaryResult(true, time.Now())
		if got := next.failed("plex1"); got != zones.Failing {
			next.Errorf("plex1 is %s after one fresh failure, want failing", got)
		}
		if got := next.failed("lte"); got != zones.Down {
			next.Errorf("the uplink is %s after its second failure, want down: no isolation holds it", got)
		}
	})
}

func TestReloadWhileIsolatedDropsTheCanary(t *testing.T) {
	cutOff(t, func(old *scene) {
		next := old.reload(house(nodes(2), proxy("192.168.1.1:443")), true)
		next.run()
		if next.Snapshot().Isolated || next.askedCanary() {
			next.Error("isolated without a canary")
		}
		if got := next.failed("plex1"); got != zones.Down {
			next.Errorf("plex1 is %s after its next failure, want down", got)
		}
	})
}
