package operate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/operate"
	"plexha/cmd/internal/socket"
	"plexha/plugin/status"
	"plexha/proxy/cluster"
	"plexha/proxy/playback"
	proxystatus "plexha/proxy/status"
	"plexha/zones/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eight is when all that is told has begun.
var eight = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// house is a home with a Corefile, and the programs that a test starts in it.
type house struct {
	tb    testing.TB
	dir   string
	state string
}

// newHouse returns one with two nodes and a proxy. Its folder's path is short enough for a socket.
func newHouse(tb testing.TB) *house {
	tb.Helper()
	tb.Setenv("NO_COLOR", "")
	dir, err := os.MkdirTemp("", "h") //nolint:usetesting // t.TempDir is named after the test
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{tb, dir, filepath.Join(dir, "state")}
	if err := os.Mkdir(h.state, 0o700); err != nil {
		tb.Fatal(err)
	}
	h.write(`home.test {
    plex {
        node  plex1 127.0.0.1:32401
        node  plex2 127.0.0.1:32402
        nodes found tasks.test
        proxy 127.0.0.3:8443
        uplink wan 203.0.113.7
        state STATE
    }
}
`)
	return h
}

func (h *house) corefile() string { return filepath.Join(h.dir, "Corefile") }

func (h *house) write(text string) {
	h.tb.Helper()
	text = strings.ReplaceAll(text, "STATE", h.state)
	if err := os.WriteFile(h.corefile(), []byte(text), 0o600); err != nil {
		h.tb.Fatal(err)
	}
}

// orders returns what the orders file says.
func (h *house) orders() string {
	text, err := os.ReadFile(filepath.Join(h.state, "home.test.orders"))
	if err != nil && !os.IsNotExist(err) {
		h.tb.Error(err)
	}
	return string(text)
}

// plexctl runs a command with the house's Corefile.
func (h *house) plexctl(words string, more ...string) (out string, err error) {
	h.tb.Helper()
	args := append(strings.Fields(words), more...)
	return plexctl(h.tb.Context(), append(args, "-conf", h.corefile())...)
}

func plexctl(ctx context.Context, args ...string) (string, error) {
	var out strings.Builder
	p := command.Program{Name: "plexctl", Commands: operate.Commands}
	err := p.Run(ctx, args, strings.NewReader(""), &out, io.Discard)
	return out.String(), err
}

// instance is a plexdns or a plexproxy that shows a document, and takes orders.
type instance struct {
	tb     testing.TB
	events []socket.Event
	deaf   bool // it takes orders, and shows none

	mu    sync.Mutex
	dns   *status.Document
	proxy *proxystatus.Document
	asked []string // the orders
}

// plexdns starts one in the house.
func (h *house) plexdns() *instance {
	return h.serve(socket.Plexdns, &instance{tb: h.tb, dns: plexdnsOf("home.test")})
}

// plexproxy starts one in the house.
func (h *house) plexproxy(plays ...playback.Playback) *instance {
	return h.serve(socket.Plexproxy, &instance{tb: h.tb, proxy: plexproxyOf("home.test", plays...)})
}

func (h *house) serve(program socket.Program, i *instance) *instance {
	h.tb.Helper()
	l, err := new(net.ListenConfig).Listen(h.tb.Context(), "unix", program.Path(h.state))
	if err != nil {
		h.tb.Fatal(err)
	}
	srv := &http.Server{Handler: i, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	h.tb.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return i
}

// killed leaves a program's socket as one that did not end in order does.
func (h *house) killed(program socket.Program) {
	h.tb.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: program.Path(h.state), Net: "unix"})
	if err != nil {
		h.tb.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		h.tb.Fatal(err)
	}
}

// ServeHTTP implements [http.Handler].
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /status.json":
		if i.dns != nil {
			i.answer(w, i.dns)
		} else {
			i.answer(w, i.proxy)
		}
	case "GET /events.json":
		i.answer(w, map[string]any{"version": 1, "events": i.events})
	case "POST /order":
		i.take(w, r)
	default:
		i.tb.Errorf("asked for %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	}
}

func (i *instance) answer(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.tb.Error(err)
	}
}

// take shows an order on a node or a proxy, and refuses one on nobody as the programs do.
func (i *instance) take(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i.asked = append(i.asked, strings.TrimSpace(fmt.Sprint(q.Get("zone"), " ", q.Get("name"), " ", q.Get("order"), " ", q.Get("why"))))
	order := q.Get("order")
	if order == "none" {
		order = ""
	}
	known := false
	show := func(name string, into *string) {
		if name == q.Get("name") {
			known = true
			if !i.deaf {
				*into = order
			}
		}
	}
	if i.dns != nil {
		c := &i.dns.Clusters[0]
		for n := range c.Nodes {
			show(string(c.Nodes[n].Name), &c.Nodes[n].Order)
		}
		show(c.Proxies[0].Name, &c.Proxies[0].Order)
		show(c.Uplinks[0].Name, &c.Uplinks[0].Order)
	} else {
		for n := range i.proxy.Clusters[0].Nodes {
			show(string(i.proxy.Clusters[0].Nodes[n].Name), &i.proxy.Clusters[0].Nodes[n].Order)
		}
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
		i.answer(w, map[string]string{"error": "nobody here is called " + q.Get("name")})
		return
	}
	i.answer(w, map[string][]string{"zones": {"home.test"}})
}

// sees has an instance show an order as if another one had written it.
func (i *instance) sees(order string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.proxy.Clusters[0].Nodes[0].Order = order
}

func plexdnsOf(zone string) *status.Document {
	up := status.Health{State: "up", Since: eight, Addresses: []status.Address{}}
	proxy := up
	proxy.Addresses = []status.Address{{Address: netip.MustParseAddr("127.0.0.3"), State: "up", Since: eight}}
	uplink := up
	uplink.Addresses = []status.Address{{Address: netip.MustParseAddr("203.0.113.7"), State: "up", Since: eight}}
	return &status.Document{Version: status.Version, Plexdns: "1.2.3", At: eight, Clusters: []status.Cluster{{
		Zone: zone, Ready: true, At: eight,
		Nodes: []status.Node{
			{Name: "plex1", Dial: "127.0.0.1:32401", Health: up},
			{Name: "plex2", Dial: "127.0.0.1:32402", Health: up},
		},
		Proxies: []status.Proxy{{Name: "127.0.0.3:8443", Health: proxy}},
		Uplinks: []status.Uplink{{Name: "wan", Led: true, Health: uplink}},
	}}}
}

func plexproxyOf(zone string, plays ...playback.Playback) *proxystatus.Document {
	return &proxystatus.Document{Version: proxystatus.Version, Plexproxy: "1.2.3", At: eight, Clusters: []cluster.Status{{
		Zone: zone, At: eight, Ready: "ready", Playing: plays, WatchingSince: eight.Add(-30 * time.Second),
		Nodes: []cluster.NodeStatus{{Name: "plex1", State: "up", Since: eight}, {Name: "plex2", State: "up", Since: eight}},
	}}}
}

// plays returns a playback at plex1.
func plays(state playback.State) playback.Playback {
	return playback.Playback{Node: "plex1", State: state, Since: eight, Last: eight}
}

// happened returns an event.
func happened(seq uint64, after time.Duration, level timeline.Level, text string) socket.Event {
	return socket.Event{Zone: "home.test", Event: timeline.Event{
		Seq: seq, At: eight.Add(after), Level: level, Kind: timeline.State, Subject: "node plex1", Text: text,
	}}
}

// local returns how a time is shown.
func local(t time.Time) string { return t.Local().Format(time.DateTime) }
