package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"go.uber.org/goleak"

	"plexha/corefile"
	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/proxy/playback"
	"plexha/proxy/relay"
	"plexha/zones"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Caddy's own, which end a while after their configuration.
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy.(*metricsUpstreamsHealthyUpdater).init.func1"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp.(*App).stop.func4"),
		goleak.IgnoreAnyFunction("net/http.(*Server).Shutdown"),
	)
}

const zone = "home.example."

// fakeCluster is a cluster whose moments are made by hand.
type fakeCluster struct {
	moment atomic.Pointer[cluster.Moment]
	pins   *affinity.Table
	plays  *playback.Table
	news   chan struct{}
}

func newFakeCluster() *fakeCluster {
	return &fakeCluster{pins: affinity.NewTable(1000), plays: playback.NewTable(1000), news: make(chan struct{}, 1)}
}

func (c *fakeCluster) Zone() string                         { return zone }
func (c *fakeCluster) Now() *cluster.Moment                 { return c.moment.Load() }
func (c *fakeCluster) Subscribe() (<-chan struct{}, func()) { return c.news, func() {} }
func (c *fakeCluster) Pins() *affinity.Table                { return c.pins }
func (c *fakeCluster) Playbacks() *playback.Table           { return c.plays }

func (c *fakeCluster) publish(m *cluster.Moment) {
	c.moment.Store(m)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// house is what a moment is made of.
type house struct {
	cfg   corefile.Config
	nodes []zones.NodeHealth
	open  map[zones.NodeName]bool
	outer []netip.Prefix // external prefixes
	asked bool           // the first round has ended

	routes func(*stage) caddyhttp.RouteList // nil: of the main name and the nodes' own
}

func newHouse() *house {
	return &house{
		// Long enough that nothing but what a test is about can happen.
		cfg:   corefile.Config{RetryFor: time.Hour, RetryEvery: time.Hour, Balance: "uri_hash"},
		asked: true,
	}
}

// node adds a node that listens at addr and is up.
func (h *house) node(name, addr string) *zones.NodeHealth {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	h.nodes = append(h.nodes, zones.NodeHealth{
		Node: zones.Node{Name: zones.NodeName(name), Host: host, Port: uint16(number), Weight: 1, ID: "id-" + name},
		Health: zones.Health{
			State: zones.Up, Since: time.Now(),
			Addrs: []zones.AddrHealth{{Addr: netip.MustParseAddr(host), State: zones.Up}},
		},
	})
	return &h.nodes[len(h.nodes)-1]
}

func (h *house) moment() *cluster.Moment {
	var plain []zones.Node
	nodes := make([]zones.NodeHealth, len(h.nodes))
	for i, n := range h.nodes {
		plain = append(plain, n.Node)
		nodes[i] = n
	}
	cfg := h.cfg
	cfg.Cluster = zones.Cluster{Origins: []string{zone}, Nodes: plain}
	snap := &zones.Snapshot{
		Cluster: &cfg.Cluster, At: time.Now(), Ready: h.asked, Nodes: nodes,
		Views: zones.Prefixes{Private: true, External: h.outer}.Compile(nil),
	}
	return &cluster.Moment{Config: &cfg, Snapshot: snap, Nodes: affinity.NodesOf(snap), Open: h.open}
}

// stage is a running Caddy before nodes of a house.
type stage struct {
	t       testing.TB
	house   *house
	cluster *fakeCluster
	relay   *relay.Relay
	file    interface{ Fd() uintptr }
	addr    string
	client  *http.Client
	names   map[string]*fakeNode
}

// newStage serves the main name by default, and "plexN.home.example" as the nodes' own.
func newStage(t testing.TB, prepare func(*house), handlers map[string]http.HandlerFunc) *stage {
	t.Helper()
	s := &stage{t: t, house: newHouse(), cluster: newFakeCluster(), names: map[string]*fakeNode{}}
	for i := range len(handlers) {
		name := fmt.Sprintf("plex%d", i+1)
		s.names[name] = newFakeNode(t, name, handlers[name])
		s.house.node(name, s.names[name].addr())
	}
	if prepare != nil {
		prepare(s.house)
	}
	s.cluster.publish(s.house.moment())
	s.relay = relay.New(s.cluster)
	t.Cleanup(s.relay.Close)
	s.run()
	s.listen()
	s.load()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func (s *stage) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.relay.Run(ctx) })
	s.t.Cleanup(func() { cancel(); wg.Wait() })
}

func (s *stage) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		s.t.Fatal(err)
	}
	_ = ln.Close()
	s.file = file
	s.t.Cleanup(func() { _ = file.Close() })
}

// load gives Caddy a configuration, anew each time. For a while after another one it may be the old one that
// takes a new connection, only to close it.
func (s *stage) load() {
	s.t.Helper()
	if s.house.routes != nil {
		s.loadRoutes(s.house.routes(s))
		return
	}
	s.loadRoutes(s.sites())
}

// sites returns the routes of the nodes' own names, and of the main name, which is any other.
func (s *stage) sites() caddyhttp.RouteList {
	balance := s.house.cfg.Balance
	var routes caddyhttp.RouteList
	for name := range s.names {
		routes = append(routes, caddyhttp.Route{
			MatcherSetsRaw: caddyhttp.RawMatcherSets{{"host": caddyconfig.JSON([]string{name + ".home.example"}, nil)}},
			HandlersRaw:    relay.Handlers(relay.Site{Zone: zone, Node: zones.NodeName(name), Balance: balance}),
			Terminal:       true,
		})
	}
	return append(routes, caddyhttp.Route{HandlersRaw: relay.Handlers(relay.Site{Zone: zone, Balance: balance})})
}

func (s *stage) loadRoutes(routes caddyhttp.RouteList) {
	s.t.Helper()
	app := caddyhttp.App{Servers: map[string]*caddyhttp.Server{"main": {
		Listen:    []string{fmt.Sprintf("fd/%d", s.file.Fd())},
		Protocols: []string{"h1"},
		AutoHTTPS: &caddyhttp.AutoHTTPSConfig{Disabled: true},
		// A film may be paused for longer than Caddy's default of a minute.
		ReadIdleTimeout: -1, WriteIdleTimeout: -1,
		Routes: routes,
	}}}
	if err := caddy.Load(caddyConfig(app, s.t.TempDir()), true); err != nil {
		s.t.Fatal(err)
	}
}

func caddyConfig(app caddyhttp.App, storage string) []byte {
	no := false
	cfg := caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &no}},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {
			BaseLog: caddy.BaseLog{Level: "PANIC", WriterRaw: json.RawMessage(`{"output":"discard"}`)},
		}}},
		StorageRaw: caddyconfig.JSONModuleObject(map[string]string{"root": storage}, "module", "file_system", nil),
		AppsRaw: caddy.ModuleMap{
			"http": caddyconfig.JSON(app, nil),
			"tls":  json.RawMessage(`{"disable_storage_clean":true}`),
		},
	}
	out, err := json.Marshal(cfg)
	if err != nil {
		panic(err)
	}
	return out
}

// set changes the state of a node.
func (s *stage) set(name string, state zones.State) {
	s.change(func(h *house) {
		for i := range h.nodes {
			if h.nodes[i].Name == zones.NodeName(name) {
				h.nodes[i].State, h.nodes[i].Since = state, time.Now()
			}
		}
	})
}

// change makes the next moment.
func (s *stage) change(f func(*house)) {
	f(s.house)
	s.cluster.publish(s.house.moment())
}

// answer is what a client got.
type answer struct {
	Status int
	Node   string // who gave it; empty: we
	Body   string
	Header http.Header
}

func (a answer) String() string { return fmt.Sprintf("%d from %q: %q", a.Status, a.Node, a.Body) }

// request returns a request to the main name, or to a node's own if the target begins with one.
func (s *stage) request(method, target string, body io.Reader) *http.Request {
	s.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		s.t.Fatal(err)
	}
	host := u.Host
	if host == "" {
		host = "plex.home.example"
	}
	u.Scheme, u.Host = "http", s.addr
	req, err := http.NewRequestWithContext(s.t.Context(), method, u.String(), body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = host
	return req
}

func (s *stage) do(req *http.Request) (answer, error) {
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{Status: res.StatusCode, Node: res.Header.Get("X-Node"), Body: string(body), Header: res.Header}, err
}

// get asks and expects an answer.
func (s *stage) get(target string, headers ...string) answer {
	s.t.Helper()
	return s.must(s.request(http.MethodGet, target, nil), headers...)
}

func (s *stage) must(req *http.Request, headers ...string) answer {
	s.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	a, err := s.do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// later asks in the background.
func (s *stage) later(req *http.Request) <-chan answer {
	out := make(chan answer, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		a, err := s.do(req)
		if err != nil {
			a.Body = err.Error()
		}
		out <- a
	})
	s.t.Cleanup(wg.Wait)
	return out
}

// until waits for something that another goroutine is about to do.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond) // nothing tells when a request has come to wait
	}
}

// fakeNode is a node that says who it is, and remembers what it was asked.
type fakeNode struct {
	*httptest.Server
	name  string
	open  atomic.Int32 // connections
	mu    sync.Mutex
	asked []string // method and path
}

func newFakeNode(t testing.TB, name string, serve http.HandlerFunc) *fakeNode {
	n := &fakeNode{name: name}
	n.Server = httptest.NewUnstartedServer(n.handler(serve))
	n.Config.ErrorLog = quiet
	n.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			n.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			n.open.Add(-1)
		}
	}
	n.Server.Start()
	t.Cleanup(n.stop)
	return n
}

func (n *fakeNode) handler(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.asked = append(n.asked, r.Method+" "+r.URL.Path)
		n.mu.Unlock()
		w.Header().Set("X-Node", n.name)
		serve(w, r)
	})
}

// stop ends the node as a crash does: nothing listens, and no connection stays.
func (n *fakeNode) stop() {
	n.CloseClientConnections()
	n.Close()
}

func (n *fakeNode) addr() string { return n.Listener.Addr().String() }

func (n *fakeNode) requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.asked...)
}

// says answers with 200 and a text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// status answers with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// breaks reads the request and breaks the connection.
func breaks(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// hangs reads the request and never answers, until its connection ends.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}
