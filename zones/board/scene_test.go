package board_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"plexha/zones"
	"plexha/zones/board"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// coalesce is how long the board waits for changes that come together.
const coalesce = 20 * time.Millisecond

// part is a piece of a cluster, or a setting of its board.
type part func(*board.Config)

// house is a board's config with the Corefile's defaults.
func house(parts ...part) board.Config {
	cfg := board.Config{
		Cluster: &zones.Cluster{Origins: []string{"home.duckdns.org."}, Main: "plex", Prefixes: zones.Prefixes{Private: true}},
		Rise:    2, Fall: 2, Interval: 2 * time.Second, Timeout: time.Second,
	}
	for _, p := range parts {
		p(&cfg)
	}
	return cfg
}

// node adds one line: `node NAME HOST [id ID]` at port 32400.
func node(name, host string, id ...string) part {
	return func(cfg *board.Config) {
		n := zones.Node{Name: zones.NodeName(name), Host: host, Port: 32400, Weight: 1, ID: strings.Join(id, "")}
		cfg.Cluster.Nodes = append(cfg.Cluster.Nodes, n)
	}
}

// nodes adds plex1 at 10.0.0.1, plex2 at 10.0.0.2, and so on.
func nodes(n int) part {
	return func(cfg *board.Config) {
		for i := range n {
			node(fmt.Sprintf("plex%d", i+1), fmt.Sprintf("10.0.0.%d", i+1))(cfg)
		}
	}
}

func proxy(addrs ...string) part {
	return func(cfg *board.Config) {
		var p zones.Proxy
		for _, a := range addrs {
			p.Addrs = append(p.Addrs, netip.MustParseAddrPort(a))
		}
		cfg.Cluster.Proxies = append(cfg.Cluster.Proxies, p)
	}
}

func uplink(name, probe string, addrs ...string) part {
	return func(cfg *board.Config) {
		u := zones.Uplink{Name: name, Probe: probe, Addrs: parseAddrs(addrs...), Auto: len(addrs) == 0}
		cfg.Cluster.Uplinks = append(cfg.Cluster.Uplinks, u)
	}
}

func thresholds(rise, fall int) part {
	return func(cfg *board.Config) { cfg.Rise, cfg.Fall = rise, fall }
}

func canary(cfg *board.Config) { cfg.Canary = true }

func groups(names ...string) part {
	return func(cfg *board.Config) { cfg.Groups = names }
}

// scene is a board at work in a bubble of time.
type scene struct {
	*testing.T
	*board.Board
}

// play makes a board, keeps it running, and plays a script on it.
func play(t *testing.T, cfg board.Config, script func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		s := &scene{t, board.New(cfg, time.Now())}
		s.run()
		script(s)
	})
}

// run keeps the board running until the test ends.
func (s *scene) run() {
	go func() {
		if err := s.Board.Run(s.Context()); !errors.Is(err, context.Canceled) {
			s.Errorf("Run: %v, want %v", err, context.Canceled)
		}
	}()
	synctest.Wait()
}

// wait lets time pass.
func (s *scene) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// published waits until what has changed is published, and returns the snapshot.
func (s *scene) published() *zones.Snapshot {
	s.wait(coalesce)
	return s.Snapshot()
}

// subject finds a subject by its name. A name with /4 or /6 behind is its address of that family.
func (s *scene) subject(name string) (zones.Subject, *zones.Health, netip.Addr) {
	s.Helper()
	name, family, _ := strings.Cut(name, "/")
	for id, h := range s.Snapshot().Subjects {
		if id.Name != name {
			continue
		}
		for _, a := range h.Addrs {
			if family == "" || a.Addr.Is4() == (family == "4") {
				return id, h, a.Addr
			}
		}
		return id, h, netip.Addr{}
	}
	s.Fatalf("there is no %s on the board", name)
	panic("unreachable")
}

// report reports one result of each of the subjects, in this order, and returns the last one's state.
func (s *scene) report(r board.Result, names ...string) zones.State {
	s.Helper()
	var state zones.State
	for _, name := range names {
		id, _, addr := s.subject(name)
		v := board.Verdict{Subject: id, Addr: addr, Result: r, At: time.Now()}
		if r != board.OK {
			v.Why = "probe says " + r.String()
		}
		state = s.Report(v)
	}
	return state
}

func (s *scene) ok(names ...string) zones.State { s.Helper(); return s.report(board.OK, names...) }

func (s *scene) failed(names ...string) zones.State {
	s.Helper()
	return s.report(board.Failed, names...)
}

// down takes subjects down by verdicts, fall of them each.
func (s *scene) down(names ...string) {
	s.Helper()
	for _, name := range names {
		s.failed(name, name)
	}
}

// answers reports that a node answers with an identity.
func (s *scene) answers(name, identity string) zones.State {
	s.Helper()
	id, _, addr := s.subject(name)
	return s.Report(board.Verdict{Subject: id, Addr: addr, Result: board.OK, Identity: identity, At: time.Now()})
}

// is checks the states in the snapshot: "plex1 up" is a subject's, "plex1/6 down" that of one address.
func (s *scene) is(lines ...string) {
	s.Helper()
	for _, line := range lines {
		name, want, _ := strings.Cut(line, " ")
		_, h, addr := s.subject(name)
		state := h.State
		if strings.Contains(name, "/") {
			for _, a := range h.Addrs {
				if a.Addr == addr {
					state = a.State
				}
			}
		}
		if state.String() != want {
			s.Errorf("%s is %s, want %s", name, state, want)
		}
	}
}

// askedCanary reports whether the canary is to be asked, and takes that note.
func (s *scene) askedCanary() bool {
	select {
	case <-s.Canary():
		return true
	default:
		return false
	}
}

// order sets orders as an orders file has them.
func (s *scene) order(lines ...string) (unknown []string) {
	s.Helper()
	orders, err := board.ParseOrders(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		s.Fatal(err)
	}
	return s.SetOrders(orders, time.Now())
}

func parseAddrs(words ...string) []netip.Addr {
	var out []netip.Addr
	for _, word := range words {
		out = append(out, netip.MustParseAddr(word))
	}
	return out
}
