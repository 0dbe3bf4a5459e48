package wanip_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// defaults are the sources of a block without a `detect` line.
var defaults = []string{"cloudflare dot", "opendns dot", "opendns udp", "google udp", "akamai udp", "ipify", "amazon", "router"}

// asking is a question that a source was asked.
type asking struct {
	after  time.Duration // since the house was built
	source string
	family zones.Family
	path   via.Path
}

// house has sources that say what answer says, and a board and a log that remember.
type house struct {
	opts wanip.Options

	mu     sync.Mutex
	began  time.Time
	answer func(source string, f zones.Family) (string, error)
	hosts  []netip.Addr
	asked  []asking
	told   []string // what the board was told
	log    []string
	seen   []wanip.Observation
	news   []time.Duration
	shown  int // how often the reports had something new

	events chan struct{} // from the kernel
	ahead  time.Duration // of the clock on the wall, while the machine was suspended
}

// newHouse has one uplink and the default sources, which all tell the known address, and no IPv6.
func newHouse(sources ...string) *house {
	h := &house{began: time.Now(), events: make(chan struct{})}
	h.tells(home)
	if sources == nil {
		sources = defaults
	}
	cfg := *documented
	cfg.Cluster = zones.Cluster{Origins: []string{"home.duckdns.org."}, Uplinks: []zones.Uplink{{Name: "wan", Auto: true}}}
	cfg.Uplinks = []corefile.UplinkDetect{{Name: "wan"}}
	h.opts = wanip.Options{
		Config: &cfg, Board: h, Observe: h.observe,
		Log:  wanip.Log{Info: h.say("info: "), Warning: h.say("warning: ")},
		News: func() { h.note(func() { h.news = append(h.news, time.Since(h.began)) }) },
		Told: func() { h.note(func() { h.shown++ }) },
	}.Steadily().HostingIPv6("").Following(h.events).Clocked(h.wall)
	for _, s := range sources {
		h.opts.Sources = append(h.opts.Sources, h.source(s))
	}
	return h
}

func (h *house) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *house) source(name string) wanip.Source {
	k := kinds[name]
	return wanip.Source{
		Name: name, Operator: k.Operator, Nature: k.Nature, Secure: k.Secure,
		Ask: func(_ context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, asking{time.Since(h.began), name, f, path})
			text, err := h.answer(name, f)
			if err != nil {
				return netip.Addr{}, err
			}
			return netip.MustParseAddr(text), nil
		},
	}
}

var errUnreachable = errors.New("network is unreachable")

// tells makes all sources tell one IPv4 address, except these; "" is none.
func (h *house) tells(address string, except ...map[string]string) {
	h.note(func() {
		h.answer = func(source string, f zones.Family) (string, error) {
			said := address
			for _, m := range except {
				if other, ok := m[source]; ok {
					said = other
				}
			}
			if f == zones.IPv6 || said == "" {
				return "", errUnreachable
			}
			return said, nil
		}
	})
}

func (h *house) answers(f func(source string, f zones.Family) (string, error)) {
	h.note(func() { h.answer = f })
}

func (h *house) say(level string) func(string) {
	return func(msg string) { h.note(func() { h.log = append(h.log, level+msg) }) }
}

func (h *house) observe(o wanip.Observation) { h.note(func() { h.seen = append(h.seen, o) }) }

func (h *house) wall() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Round(0).Add(h.ahead)
}

// SetAddrs implements [wanip.Board].
func (h *house) SetAddrs(s zones.Subject, addrs []netip.Addr, now time.Time) {
	h.note(func() { h.told = append(h.told, fmt.Sprintf("%v %s %v", now.Sub(h.began), s.Name, addrs)) })
}

// Snapshot implements [wanip.Board].
func (h *house) Snapshot() *zones.Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &zones.Snapshot{HostAddrs: h.hosts}
}

// take returns what a list holds, and empties it.
func take[T any](h *house, list *[]T) []T {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := *list
	*list = nil
	return got
}

// inHouse runs a detector for as long as during takes, in a bubble of fake time.
func inHouse(t *testing.T, build func(*house), during func(*house, *wanip.Detector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		if build != nil {
			build(h)
		}
		h.live(t, during)
	})
}

// live runs a detector in the house.
func (h *house) live(t *testing.T, during func(*house, *wanip.Detector)) {
	t.Helper()
	d := wanip.New(h.opts)
	if err := d.Recall(time.Now()); err != nil {
		h.say("recall: ")(err.Error())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	during(h, d)
	cancel()
	wg.Wait()
}

// pass lets fake time pass, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// rounds returns when IPv4 sources were asked, and how many of them.
func rounds(asked []asking) []string {
	var out []string
	count := map[time.Duration]int{}
	var order []time.Duration
	for _, q := range asked {
		if count[q.after] == 0 {
			order = append(order, q.after)
		}
		count[q.after]++
	}
	for _, at := range order {
		out = append(out, fmt.Sprintf("%v: %d", at, count[at]))
	}
	return out
}
