package status_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// freePort has the kernel choose.
var freePort = netip.MustParseAddrPort("127.0.0.1:0")

// cluster is a source of a test, which counts its triggers.
type cluster struct {
	zone     string
	snapshot *zones.Snapshot
	external []wanip.Report
	duckdns  *duckdns.Report
	answers  []status.Answer
	timeline timeline.Timeline
	stalled  []zones.Subject
	findings []lint.Finding
	refusal  error // of orders

	detected, pushed atomic.Int64

	mu   sync.Mutex
	told []board.OrderLine // the orders
	subs map[chan struct{}]bool
}

func (c *cluster) Zone() string                 { return c.zone }
func (c *cluster) External() []wanip.Report     { return c.external }
func (c *cluster) DuckDNS() *duckdns.Report     { return c.duckdns }
func (c *cluster) Answers() []status.Answer     { return c.answers }
func (c *cluster) Timeline() *timeline.Timeline { return &c.timeline }
func (c *cluster) Stalled() []zones.Subject     { return c.stalled }
func (c *cluster) Findings() []lint.Finding     { return c.findings }
func (c *cluster) Detect()                      { c.detected.Add(1) }
func (c *cluster) Push()                        { c.pushed.Add(1) }

func (c *cluster) Snapshot() *zones.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshot
}

func (c *cluster) Order(o board.OrderLine) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusal == nil {
		c.told = append(c.told, o)
	}
	return c.refusal
}

func (c *cluster) Subscribe() (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs == nil {
		c.subs = map[chan struct{}]bool{}
	}
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	c.subs[ch] = true
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subs, ch)
	}
}

// change shows another snapshot, and tells of it.
func (c *cluster) change(snap *zones.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshot = snap
	for ch := range c.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// home is a cluster with an uplink that is detected, and with DuckDNS.
func home(zone string) *cluster {
	c := &zones.Cluster{Origins: []string{zone}}
	wan := zones.UplinkHealth{Uplink: zones.Uplink{Name: "wan", Auto: true}}
	return &cluster{
		zone:     zone,
		snapshot: &zones.Snapshot{Cluster: c, Uplinks: []zones.UplinkHealth{wan}},
		external: []wanip.Report{{Uplink: "wan"}},
		duckdns:  &duckdns.Report{},
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

// open shows a cluster until the test ends, or leave is called. What is warned of is a mistake, unless warn is given.
func open(t *testing.T, s *status.Servers, src status.Source, o status.Options) (leave func()) {
	t.Helper()
	if o.Info == nil {
		o.Info = func(string) {}
	}
	if o.Warn == nil {
		o.Warn = func(msg string) { t.Error(msg) }
	}
	o.Version = "1.2.3"
	leave, err := s.Open(o, src)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return leave
}

// request is one that somebody makes.
type request struct {
	method, host, path string
	from               string // ADDRESS:PORT
	header             map[string]string
}

// do hands a request to a handler, as a server does.
func (q request) do(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), q.method, "http://"+q.host+q.path, http.NoBody)
	r.RemoteAddr = q.from
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ask asks at a network's address for a path, and returns the status and the body.
func ask(t *testing.T, network, addr, method, path string) (int, string) {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	c := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	host := addr
	if network == "unix" {
		host = filepath.Base(addr)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
