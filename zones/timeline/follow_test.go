package timeline_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// house is a board of two nodes, a proxy and an uplink whose address is detected, and who follows it.
type house struct {
	t     *testing.T
	board *board.Board
	now   time.Time
	timeline.Follower
	seen uint64 // of the timeline
}

// newHouse returns a house in which all are up, and that has been told.
func newHouse(t *testing.T) *house {
	t.Helper()
	c := &zones.Cluster{
		Origins: []string{"home.duckdns.org."}, Main: "plex", Prefixes: zones.Prefixes{Private: true}, Tier: zones.Proxies,
		Nodes: []zones.Node{
			{Name: "plex1", Host: "192.168.1.11", Weight: 1}, {Name: "plex2", Host: "192.168.1.12", Weight: 1},
		},
		Proxies: []zones.Proxy{{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:443")}}},
		Uplinks: []zones.Uplink{{Name: "wan", Auto: true}},
	}
	b := board.New(board.Config{Cluster: c, Rise: 2, Fall: 2, Interval: time.Second, Timeout: time.Second}, began)
	h := &house{t: t, board: b, now: began}
	h.Follower = timeline.Follower{Timeline: &timeline.Timeline{}, Answers: true}
	h.tells() // nobody was asked yet, and so nothing is known
	h.found("203.0.113.7")
	for s, health := range b.Snapshot().Subjects {
		for _, a := range health.Addrs {
			b.Report(board.Verdict{Subject: s, Addr: a.Addr, Result: board.OK, At: began})
		}
	}
	b.FirstRoundDone(began)
	h.tells(
		"info address: uplink wan has the external address 203.0.113.7",
		"info state: node plex1 is up", "info state: node plex2 is up", "info state: proxy 192.168.1.2:443 is up",
		"info state: uplink wan is up",
	)
	return h
}

// tells has the follower told of all that is new, and checks what it adds.
func (h *house) tells(want ...string) {
	h.t.Helper()
	h.Tell(h.board.Events(h.Seen()), h.board.Snapshot())
	var got []string
	for _, e := range h.Timeline.Since(h.seen) {
		h.seen = e.Seq
		got = append(got, string(e.Level)+" "+string(e.Kind)+": "+e.Text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func (h *house) kill(s zones.Subject) {
	for range 2 {
		for _, a := range h.health(s).Addrs {
			h.board.Report(board.Verdict{Subject: s, Addr: a.Addr, Result: board.Failed, Why: "no answer", At: h.now})
		}
	}
}

func (h *house) health(s zones.Subject) *zones.Health {
	for other, health := range h.board.Snapshot().Subjects {
		if other == s {
			return health
		}
	}
	h.t.Fatalf("no subject %v", s)
	return nil
}

func (h *house) found(addrs ...string) {
	var all []netip.Addr
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	h.board.SetAddrs(zones.Subject{Kind: zones.KindUplink, Name: "wan"}, all, h.now)
}

// order replaces all orders.
func (h *house) order(lines ...string) {
	h.t.Helper()
	orders, err := board.ParseOrders(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		h.t.Fatal(err)
	}
	h.board.SetOrders(orders, h.now)
}

var (
	plex1 = zones.Subject{Name: "plex1"}
	plex2 = zones.Subject{Name: "plex2"}
	proxy = zones.Subject{Kind: zones.KindProxy, Name: "192.168.1.2:443"}
)

func TestFollowTheAnswers(t *testing.T) {
	h := newHouse(t)
	h.kill(plex1)
	h.tells("doubt state: node plex1 is failing: no answer", "warning state: node plex1 is down: no answer")
	h.kill(proxy)
	h.tells(
		"doubt state: proxy 192.168.1.2:443 is failing: no answer", "warning state: proxy 192.168.1.2:443 is down: no answer",
		"warning answers: answers inside: no proxy is up: a node that is",
	)
	h.kill(plex2)
	h.tells(
		"doubt state: node plex2 is failing: no answer", "warning state: node plex2 is down: no answer",
		"error answers: answers inside: nothing is up: as if all were",
	)
	h.order("192.168.1.2 up")
	h.tells("info order: order on proxy 192.168.1.2:443: up", "info answers: answers inside: the proxies that are up")
	h.tells() // once is enough
}

func TestFollowWithoutAnswers(t *testing.T) {
	h := newHouse(t)
	h.Answers = false
	h.order("192.168.1.2 down")
	h.tells("info order: order on proxy 192.168.1.2:443: down")
}

func TestFollowTheExternalAddress(t *testing.T) {
	h := newHouse(t)
	h.found("203.0.113.9")
	h.tells("info address: uplink wan has the external address 203.0.113.9, no longer 203.0.113.7")
	h.found("203.0.113.9", "2001:db8::9")
	h.order("nobody up") // so that the board shows it at once
	h.tells("info address: uplink wan has the external address 2001:db8::9")
	h.found("203.0.113.9")
	h.tells("info address: uplink wan no longer has the external address 2001:db8::9")
}

func TestFollowTheOrders(t *testing.T) {
	h := newHouse(t)
	h.Answers = false // they are of no interest here
	h.order("plex1 drain # new disk")
	h.tells("info order: order on node plex1: drain: new disk")
	h.order("plex1 drain # new disk", "wan down")
	h.tells("info order: order on uplink wan: down")
	h.order("wan down")
	h.tells("info order: the order on node plex1 has been withdrawn")
}

// TestBegin: what an instance takes over with a reload is not told again.
func TestBegin(t *testing.T) {
	h := newHouse(t)
	h.kill(proxy)
	h.order("plex1 drain")
	before := h.board.Snapshot()
	next := board.New(board.Config{Cluster: before.Cluster, Rise: 2, Fall: 2}, h.now)
	next.Seed(before, true, h.now)
	h.board = next
	h.order("plex1 drain")
	h.Timeline, h.seen = &timeline.Timeline{}, 0
	h.Follower = timeline.Follower{Timeline: h.Timeline, Answers: true}
	h.Begin(before)
	h.tells()
	h.order()
	h.tells("info order: the order on node plex1 has been withdrawn")
}

// TestFirstRoundThatFindsNothing: what is not as it is meant is told from the begin.
func TestFirstRoundThatFindsNothing(t *testing.T) {
	h := newHouse(t)
	h.board = board.New(board.Config{Cluster: h.board.Snapshot().Cluster, Rise: 2, Fall: 2}, h.now)
	h.Timeline, h.seen = &timeline.Timeline{}, 0
	h.Follower = timeline.Follower{Timeline: h.Timeline, Answers: true}
	h.board.FirstRoundDone(h.now)
	h.tells(
		"warning answers: answers inside: the proxies, of which nothing is known yet",
		"error answers: answers outside: no address of an uplink is known",
	)
}
