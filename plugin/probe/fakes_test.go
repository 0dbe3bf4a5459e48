package probe_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

func TestMain(m *testing.M) {
	if os.Getenv(standInEnv) != "" {
		standIn()
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	interval = 2 * time.Second
	timeout  = time.Second
)

// report is one verdict as a fakeBoard got it.
type report struct {
	after time.Duration // since the board was made
	board.Verdict
	state zones.State // that it led to
}

func (r report) String() string {
	s := fmt.Sprintf("%v %s", r.after, r.Result)
	if r.Why != "" {
		s += ": " + r.Why
	}
	return s
}

// fakeBoard judges with rise 2 and fall 2, and writes down what it is told.
type fakeBoard struct {
	mu      sync.Mutex
	began   time.Time
	reports []report
	calls   []string // of SetAddrs and SetFound
	states  map[string]zones.State
	fails   map[string]int
	oks     map[string]int
	uplinks map[string][]netip.Addr
	nodes   []zones.Node // inherited from an earlier instance
	ask     chan struct{}
	told    chan bool // the canary's results
	changed chan struct{}
}

func newFakeBoard() *fakeBoard {
	return &fakeBoard{
		began: time.Now(), states: map[string]zones.State{}, fails: map[string]int{}, oks: map[string]int{},
		uplinks: map[string][]netip.Addr{},
		ask:     make(chan struct{}, 1), told: make(chan bool, 10), changed: make(chan struct{}, 1),
	}
}

func (b *fakeBoard) Report(v board.Verdict) zones.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := v.Subject.String() + v.Addr.String()
	state := b.judge(key, v.Result)
	b.states[key] = state
	b.reports = append(b.reports, report{v.At.Sub(b.began), v, state})
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return state
}

func (b *fakeBoard) judge(key string, r board.Result) zones.State {
	state := b.states[key]
	switch r {
	case board.OK:
		b.fails[key] = 0
		b.oks[key]++
		if state == zones.Unknown || state.IsUp() || b.oks[key] >= 2 {
			return zones.Up
		}
		return zones.Recovering
	case board.Late:
		if state == zones.Up {
			return zones.Failing
		}
		return state
	default:
		b.oks[key] = 0
		b.fails[key]++
		if state.IsUp() && b.fails[key] < 2 && r != board.Gone {
			return zones.Failing
		}
		return zones.Down
	}
}

func (b *fakeBoard) SetAddrs(s zones.Subject, addrs []netip.Addr, _ time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, fmt.Sprintf("%s at %v", s, addrs))
	if s.Kind == zones.KindUplink {
		b.uplinks[s.Name] = addrs
	}
}

func (b *fakeBoard) SetFound(group string, nodes []zones.Node, _ time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, n := range nodes {
		found = append(found, fmt.Sprintf("%s=%s:%d", n.Name, n.Host, n.Port))
	}
	b.calls = append(b.calls, fmt.Sprintf("found %s %v", group, found))
}

func (b *fakeBoard) Snapshot() *zones.Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	snap := &zones.Snapshot{}
	for _, n := range b.nodes {
		snap.Nodes = append(snap.Nodes, zones.NodeHealth{Node: n})
	}
	for name, addrs := range b.uplinks {
		u := zones.UplinkHealth{Uplink: zones.Uplink{Name: name}}
		for _, a := range addrs {
			u.Health.Addrs = append(u.Health.Addrs, zones.AddrHealth{Addr: a})
		}
		snap.Uplinks = append(snap.Uplinks, u)
	}
	return snap
}

func (b *fakeBoard) Canary() <-chan struct{}           { return b.ask }
func (b *fakeBoard) CanaryResult(ok bool, _ time.Time) { b.told <- ok }

// after returns the verdicts since a time after the board was made, as text.
func (b *fakeBoard) after(since time.Duration) []string {
	var got []string
	for _, r := range b.all() {
		if r.after >= since {
			got = append(got, r.String())
		}
	}
	return got
}

func (b *fakeBoard) all() []report {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]report(nil), b.reports...)
}

func (b *fakeBoard) setAddrCalls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.calls...)
}

// downAfter returns when the first verdict made something down.
func (b *fakeBoard) downAfter() (time.Duration, bool) {
	for _, r := range b.all() {
		if r.state == zones.Down {
			return r.after, true
		}
	}
	return 0, false
}

// await returns the first verdict with that result, in real time.
func (b *fakeBoard) await(tb testing.TB, want board.Result, most time.Duration) report {
	tb.Helper()
	end := time.After(most)
	for {
		for _, r := range b.all() {
			if r.Result == want {
				return r
			}
		}
		select {
		case <-b.changed:
		case <-end:
			tb.Fatalf("no verdict %v within %v; got %v", want, most, b.after(0))
		}
	}
}

// fakeNames is a DNS that says what its fields say.
type fakeNames struct {
	mu    sync.Mutex
	addrs map[string][]string // of a name; missing: no such host
	srv   map[string][]*net.SRV
	ill   map[string]bool // these names, and with "SRV" those records, are not answered for
	asked map[string]int
}

func (n *fakeNames) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	n.asked[name]++
	if n.ill[name] {
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	var addrs []netip.Addr
	for _, a := range n.addrs[name] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return addrs, nil
}

func (n *fakeNames) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ill["SRV"] {
		return "", nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	if n.srv[name] == nil {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, n.srv[name], nil
}

func (n *fakeNames) set(name string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs[name] = addrs
}

func (n *fakeNames) sicken(what ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ill = map[string]bool{}
	for _, w := range what {
		n.ill[w] = true
	}
}

func (n *fakeNames) count(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name]
}

// config is a block with the defaults and the given nodes.
func config(nodes ...zones.Node) *corefile.Config {
	return &corefile.Config{
		Cluster:  zones.Cluster{Origins: []string{"home.duckdns.org."}, Main: "plex", Nodes: nodes},
		Interval: interval, Timeout: timeout, Rise: 2, Fall: 2,
	}
}

func node(name, host string, port uint16) zones.Node {
	return zones.Node{Name: zones.NodeName(name), Host: host, Port: port, Weight: 1}
}

// noLink is a link watch that never has anything to tell.
func noLink(ctx context.Context, _ <-chan struct{}, _ chan<- probe.Wake) { <-ctx.Done() }

// atOnce leaves the cadence as if chance had wanted no jitter at all.
func atOnce(most time.Duration) time.Duration { return most }

// run runs a prober for as long as during takes, in a bubble of fake time.
func run(t *testing.T, opts func(*fakeBoard) probe.Options, during func(*fakeBoard, *probe.Prober)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBoard()
		o := opts(b)
		o.Board = b
		p := probe.New(o)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		during(b, p)
		cancel()
		wg.Wait()
	})
}

// pass lets fake time pass. It is for bubbles only.
func pass(d time.Duration) { <-time.After(d) }

// collected is what many goroutines have said.
type collected[T any] struct {
	mu    sync.Mutex
	items []T
}

func (c *collected[T]) add(item T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, item)
}

func (c *collected[T]) all() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]T(nil), c.items...)
}
