package board_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/zones"
	"plexha/zones/board"
)

func TestNewBoardKnowsOnlyWhatTheFileSays(t *testing.T) {
	cfg := house(
		node("plex1", "10.0.0.1"), node("plex2", "docker2"), proxy("192.168.1.1:443", "[fd12::1]:443"),
		uplink("wan", "", "203.0.113.1"), uplink("lte", "192.0.2.1:443", "198.51.100.1"), uplink("auto", ""),
	)
	play(t, cfg, func(s *scene) {
		snap := s.Snapshot()
		if snap.Ready || snap.Isolated || snap.Seq != 1 || snap.Cluster != cfg.Cluster {
			s.Errorf("ready %v, isolated %v, snapshot %d", snap.Ready, snap.Isolated, snap.Seq)
		}
		s.is("plex1/4 unknown", "plex2 unknown", "192.168.1.1:443/4 unknown", "192.168.1.1:443/6 unknown")
		s.is("wan up", "wan/4 up", "lte unknown", "auto unknown")
		s.FirstRoundDone(time.Now())
		if !s.Snapshot().Ready {
			s.Error("the first round has ended, but the snapshot is not ready")
		}
		seq := s.Snapshot().Seq
		s.FirstRoundDone(time.Now())
		if got := s.Snapshot().Seq; got != seq {
			s.Errorf("snapshot %d after the first round has ended again, want %d still", got, seq)
		}
	})
}

func TestUpsThatComeTogetherMakeOneSnapshot(t *testing.T) {
	play(t, house(nodes(5)), func(s *scene) {
		before := s.Snapshot().Seq
		s.ok("plex1", "plex2")
		s.wait(coalesce - time.Millisecond)
		s.ok("plex3", "plex4", "plex5")
		if got := s.Snapshot().Seq; got != before {
			s.Errorf("snapshot %d within the coalescing time, want %d still", got, before)
		}
		s.wait(time.Millisecond)
		s.is("plex1 up", "plex3 up", "plex5 up")
		s.wait(time.Minute)
		if got := s.Snapshot().Seq; got != before+1 {
			s.Errorf("snapshot %d in the end, want %d", got, before+1)
		}
	})
}

func TestDownIsPublishedBeforeReportReturns(t *testing.T) {
	for name, report := range map[string]func(*scene){
		"down":     func(s *scene) { s.down("plex1") },
		"gone":     func(s *scene) { s.report(board.Gone, "plex1") },
		"starting": func(s *scene) { s.report(board.Starting, "plex1", "plex1") },
		"one address of two": func(s *scene) {
			s.SetAddrs(zones.Subject{Name: "plex1"}, parseAddrs("10.0.0.1", "fd12::11"), time.Now())
			s.ok("plex1/6")
			s.down("plex1/4")
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, house(nodes(2)), func(s *scene) {
				s.ok("plex1")
				s.published()
				s.ok("plex2") // waits for others, and goes out with the down
				report(s)
				if h := s.Snapshot().Nodes[0].Health; h.Addrs[0].State.IsUp() {
					s.Errorf("plex1 is %s at %s still", h.Addrs[0].State, h.Addrs[0].Addr)
				}
				s.is("plex2 up")
				seq := s.Snapshot().Seq
				if got := s.published().Seq; got != seq {
					s.Errorf("snapshot %d after the coalescing time, want %d still", got, seq)
				}
			})
		})
	}
}

func TestSteadyStatePublishesNothing(t *testing.T) {
	play(t, house(nodes(1), uplink("wan", "", "203.0.113.1")), func(s *scene) {
		s.answers("plex1", "1111")
		seq := s.published().Seq
		for range 100 {
			s.wait(2 * time.Second)
			s.answers("plex1", "1111")
		}
		s.down("plex1")
		s.wait(time.Second)
		s.failed("plex1")
		if got, want := s.published().Seq, seq+1; got != want { // failing was still waiting when down came
			s.Errorf("snapshot %d, want %d", got, want)
		}
	})
}

func TestSteadyReportAllocatesNothing(t *testing.T) {
	b := board.New(house(nodes(8)), time.Now())
	v := board.Verdict{
		Subject: zones.Subject{Name: "plex8"}, Addr: netip.MustParseAddr("10.0.0.8"), Identity: "8888", At: time.Now(),
	}
	b.Report(v)
	if got := testing.AllocsPerRun(100, func() { b.Report(v) }); got != 0 {
		t.Errorf("%v allocations for a good verdict on a node that is up, want none", got)
	}
}

func TestSubscribersHearOfTheNewest(t *testing.T) {
	heard := func(news <-chan struct{}) bool {
		select {
		case <-news:
			return true
		default:
			return false
		}
	}
	play(t, house(nodes(2)), func(s *scene) {
		first, cancelFirst := s.Subscribe()
		second, cancelSecond := s.Subscribe()
		if !heard(first) || !heard(second) {
			s.Error("a new subscriber has not been told of the snapshot that there is")
		}
		if heard(first) {
			s.Error("told twice of one snapshot")
		}
		s.ok("plex1", "plex2")
		s.published()
		s.down("plex1")
		s.down("plex2")
		if !heard(first) || heard(first) {
			s.Error("a slow subscriber is not told once")
		}
		cancelFirst()
		heard(second)
		s.ok("plex1", "plex1")
		s.published()
		if heard(first) {
			s.Error("told after the end of the subscription")
		}
		if !heard(second) {
			s.Error("not told any more, though another's subscription has ended")
		}
		cancelSecond()
		cancelSecond()
	})
}

func TestEvents(t *testing.T) {
	play(t, house(nodes(1), uplink("wan", ""), canary), func(s *scene) {
		plex1, wan := zones.Subject{Name: "plex1"}, zones.Subject{Kind: zones.KindUplink, Name: "wan"}
		at := time.Now()
		s.ok("plex1")
		s.failed("plex1")
		s.failed("plex1")
		s.CanaryResult(false, at)
		s.CanaryResult(true, at)
		s.SetAddrs(wan, parseAddrs("203.0.113.1"), at)
		const why = "probe says failed"
		want := []board.Event{
			{Seq: 1, At: at, Subject: plex1, From: zones.Unknown, To: zones.Up},
			{Seq: 2, At: at, Subject: plex1, From: zones.Up, To: zones.Failing, Why: why},
			{Seq: 3, At: at, Isolated: true, Why: "the canary does not answer either"},
			{Seq: 4, At: at, Why: "the canary answers again"},
			{Seq: 5, At: at, Subject: wan, From: zones.Unknown, To: zones.Up},
		}
		if diff := cmp.Diff(want, s.Events(0)); diff != "" {
			s.Errorf("events (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[3:], s.Events(3)); diff != "" {
			s.Errorf("events after the third (-want +got):\n%s", diff)
		}
		for _, after := range []uint64{5, 99, 1<<64 - 1} {
			if got := s.Events(after); len(got) != 0 {
				s.Errorf("events after %d: %v, want none", after, got)
			}
		}
	})
}

func TestTheLast500EventsAreKept(t *testing.T) {
	play(t, house(nodes(1)), func(s *scene) {
		s.ok("plex1")
		for range 600 {
			s.report(board.Late, "plex1")
			s.ok("plex1")
			if got := len(s.Events(0)); got > 500 {
				s.Fatalf("%d events, want at most 500", got)
			}
		}
		events := s.Events(0)
		if len(events) != 500 {
			s.Fatalf("%d events, want 500", len(events))
		}
		for i, e := range events[1:] {
			if e.Seq != events[i].Seq+1 {
				s.Fatalf("event %d after event %d", e.Seq, events[i].Seq)
			}
		}
		if last := events[len(events)-1].Seq; len(s.Events(last-10)) != 10 {
			s.Errorf("%d events after the tenth from the end", len(s.Events(last-10)))
		}
	})
}

func TestSetAddrs(t *testing.T) {
	plex1, wan := zones.Subject{Name: "plex1"}, zones.Subject{Kind: zones.KindUplink, Name: "wan"}
	for _, tc := range []struct {
		name   string
		script func(*scene)
		want   []string
	}{
		{"a new address is unknown", func(s *scene) {}, []string{"plex1 up", "plex1/4 up", "plex1/6 unknown"}},
		{"none: the last good ones", func(s *scene) { s.SetAddrs(plex1, nil, time.Now()) }, []string{"plex1/4 up"}},
		{"one leaves", func(s *scene) { s.SetAddrs(plex1, parseAddrs("10.0.0.1"), time.Now()) }, []string{"plex1/4 up"}},
		{
			"all others",
			func(s *scene) { s.SetAddrs(plex1, parseAddrs("10.0.0.9"), time.Now()) },
			[]string{"plex1/4 unknown", "plex1 unknown"},
		},
		{"nobody's", func(s *scene) { s.SetAddrs(zones.Subject{Name: "plex9"}, parseAddrs("10.0.0.9"), time.Now()) }, nil},
		{
			"an uplink's",
			func(s *scene) { s.SetAddrs(wan, parseAddrs("203.0.113.1"), time.Now()) },
			[]string{"wan up", "wan/4 up"},
		},
		{"an uplink's that changes", func(s *scene) {
			s.SetAddrs(wan, parseAddrs("203.0.113.1"), time.Now())
			s.SetAddrs(wan, parseAddrs("203.0.113.2"), time.Now())
		}, []string{"wan up", "wan/4 up"}},
		{"a probed uplink's", func(s *scene) {
			s.SetAddrs(zones.Subject{Kind: zones.KindUplink, Name: "lte"}, parseAddrs("198.51.100.1"), time.Now())
		}, []string{"lte unknown"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, house(node("plex1", "docker1"), uplink("wan", ""), uplink("lte", "192.0.2.1:443")), func(s *scene) {
				s.SetAddrs(plex1, parseAddrs("fd12::11", "10.0.0.1", "::ffff:10.0.0.1"), time.Now())
				s.published()
				s.ok("plex1/4")
				tc.script(s)
				s.published()
				s.is(tc.want...)
			})
		})
	}
}

func TestAddressesStandInOneOrder(t *testing.T) {
	play(t, house(node("plex1", "docker1")), func(s *scene) {
		plex1 := zones.Subject{Name: "plex1"}
		s.SetAddrs(plex1, parseAddrs("fd12::12", "10.0.0.12", "fd12::11", "10.0.0.11", "10.0.0.12"), time.Now())
		var got []netip.Addr
		snap := s.published()
		for _, a := range snap.Nodes[0].Health.Addrs {
			got = append(got, a.Addr)
		}
		want := parseAddrs("10.0.0.11", "10.0.0.12", "fd12::11", "fd12::12")
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			s.Errorf("addresses (-want +got):\n%s", diff)
		}
		s.SetAddrs(plex1, parseAddrs("10.0.0.12", "10.0.0.11", "fd12::12", "fd12::11"), time.Now())
		if got := s.published().Seq; got != snap.Seq {
			s.Errorf("snapshot %d for the same addresses in another order, want %d still", got, snap.Seq)
		}
	})
}

// An address that clients are told and that is gone is published as a down is.
func TestAnAddressThatLeavesIsPublishedAtOnce(t *testing.T) {
	play(t, house(node("plex1", "docker1")), func(s *scene) {
		plex1 := zones.Subject{Name: "plex1"}
		s.SetAddrs(plex1, parseAddrs("10.0.0.1"), time.Now())
		s.published()
		s.ok("plex1")
		s.published()
		s.SetAddrs(plex1, parseAddrs("10.0.0.2"), time.Now())
		if got := s.Snapshot().Nodes[0].Health.Addrs[0].Addr; got != parseAddrs("10.0.0.2")[0] {
			s.Errorf("clients are told %s, want 10.0.0.2", got)
		}
		events := s.Events(0)
		if last := events[len(events)-1]; last.From != zones.Up || last.To != zones.Unknown {
			s.Errorf("the last event is %s to %s, want up to unknown", last.From, last.To)
		}
	})
}

func TestAnAddressThatComesWaitsForOthers(t *testing.T) {
	play(t, house(node("plex1", "docker1")), func(s *scene) {
		plex1 := zones.Subject{Name: "plex1"}
		s.SetAddrs(plex1, parseAddrs("10.0.0.1"), time.Now())
		s.published()
		s.ok("plex1")
		seq := s.published().Seq
		s.SetAddrs(plex1, parseAddrs("10.0.0.1", "10.0.0.2"), time.Now())
		if got := s.Snapshot().Seq; got != seq {
			s.Errorf("snapshot %d at once, want %d still", got, seq)
		}
		if got := s.published().Seq; got != seq+1 {
			s.Errorf("snapshot %d, want %d", got, seq+1)
		}
	})
}

func TestSetLocal(t *testing.T) {
	cfg := house(nodes(1))
	cfg.Cluster.Prefixes.Onlink = true
	play(t, cfg, func(s *scene) {
		client := netip.MustParseAddr("2001:db8:7::1")
		if got := s.Snapshot().Views.Of(client); got != zones.External {
			s.Errorf("before: %s, want external", got)
		}
		hosts, onlink := parseAddrs("192.168.1.53"), []netip.Prefix{netip.MustParsePrefix("2001:db8:7::/64")}
		s.SetLocal(hosts, onlink, time.Now())
		snap := s.Snapshot()
		if got := snap.Views.Of(client); got != zones.Internal {
			s.Errorf("on-link: %s, want internal", got)
		}
		if diff := cmp.Diff(hosts, snap.HostAddrs, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			s.Errorf("this host's addresses (-want +got):\n%s", diff)
		}
		s.SetLocal(hosts, onlink, time.Now())
		if got := s.published().Seq; got != snap.Seq {
			s.Errorf("snapshot %d for nothing new, want %d still", got, snap.Seq)
		}
		s.SetLocal(hosts, nil, time.Now())
		if got := s.Snapshot().Views.Of(client); got != zones.External {
			s.Errorf("afterwards: %s, want external", got)
		}
	})
}

// A snapshot never changes once it is out.
func TestSnapshotsAreImmutable(t *testing.T) {
	play(t, house(nodes(2), proxy("192.168.1.1:443")), func(s *scene) {
		s.ok("plex1", "plex2")
		snap := s.published()
		say := func() (out []zones.Health) {
			for _, h := range snap.Subjects {
				out = append(out, *h)
			}
			return out
		}
		before := say()
		s.down("plex1")
		s.order("plex2 down")
		s.SetAddrs(zones.Subject{Name: "plex2"}, parseAddrs("10.0.0.7"), time.Now())
		s.published()
		if diff := cmp.Diff(before, say(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			s.Errorf("an old snapshot has changed:\n%s", diff)
		}
	})
}

// For the race detector, and for what must hold in every snapshot.
func TestEverythingAtOnce(t *testing.T) {
	cfg := house(nodes(4), proxy("192.168.1.1:443"), canary, groups("found"))
	play(t, cfg, func(s *scene) {
		const rounds = 100
		var wg sync.WaitGroup
		at := time.Now()
		results := []board.Result{board.OK, board.Late, board.Failed, board.Gone, board.Starting}
		for i := range 4 {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
			wg.Go(func() {
				for n := range rounds {
					s.Report(board.Verdict{Subject: cfg.Cluster.Nodes[i].Subject(), Addr: addr, Result: results[(n+i)%5], At: at})
				}
			})
		}
		wg.Go(func() {
			for n := range rounds {
				s.CanaryResult(n%2 == 0, at)
				s.SetFound("found", []zones.Node{{Name: "found1", Host: "10.1.0.1", Port: uint16(32400 + n%2)}}, at)
				s.SetOrders([]board.OrderLine{{Name: "plex1", Order: zones.Order(n % 4)}}, at)
			}
		})
		wg.Go(func() {
			news, cancel := s.Subscribe()
			defer cancel()
			var last uint64
			for range rounds {
				select {
				case <-news:
				default:
				}
				snap := s.Snapshot()
				if snap.Seq < last {
					s.Errorf("snapshot %d after %d", snap.Seq, last)
				}
				last = snap.Seq
				snap.Records(zones.Internal, "")
				s.Events(0)
			}
		})
		wg.Wait()
	})
}
