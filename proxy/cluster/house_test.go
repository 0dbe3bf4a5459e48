package cluster_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plexha/corefile"
	"plexha/proxy/cluster"
	"plexha/zones"
)

const (
	zone = "home.duckdns.org."
	// patience is how long a test waits for what must come.
	patience = 10 * time.Second
)

// node is a Plex server on loopback.
type node struct {
	addr     string // HOST:PORT
	status   atomic.Int32
	identity atomic.Value  // string
	stranger atomic.Int32  // the status of an answer to who has no token
	asked    atomic.Int32  // how often a stranger has asked
	heard    chan struct{} // gets a value each time
}

// id makes a machineIdentifier of one digit.
func id(digit string) string { return strings.Repeat(digit, 40) }

func newNode(digit string) *node {
	n := &node{heard: make(chan struct{}, 100)}
	n.status.Store(http.StatusOK)
	n.stranger.Store(http.StatusUnauthorized)
	n.identity.Store(id(digit))
	return n
}

func startNode(t *testing.T, digit string) *node {
	t.Helper()
	n := newNode(digit)
	srv := httptest.NewServer(n)
	t.Cleanup(srv.Close)
	n.addr = srv.Listener.Addr().String()
	return n
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/identity":
		w.WriteHeader(int(n.status.Load()))
		if n.status.Load() == http.StatusServiceUnavailable {
			fmt.Fprint(w, `<Response code="503" title="Maintenance" status="migrating"/>`)
			return
		}
		fmt.Fprintf(w, `<MediaContainer size="0" machineIdentifier=%q></MediaContainer>`, n.identity.Load())
	case "/library/sections":
		if r.URL.RawQuery != "" || r.Header.Get("X-Plex-Token") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		n.asked.Add(1)
		n.heard <- struct{}{}
		w.Header().Set("Location", "/open") // of a redirect
		w.WriteHeader(int(n.stranger.Load()))
	case "/open":
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// startSilent returns the address of a node that never answers.
func startSilent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// house is a cluster whose log is read.
type house struct {
	*cluster.Cluster
	t    *testing.T
	news <-chan struct{}

	wrote chan struct{} // one slot: the log has another line
	mu    sync.Mutex
	lines []string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, wrote: make(chan struct{}, 1)}
	h.Cluster = cluster.New(zone, cluster.Options{Version: "1.2.3", Log: h.log})
	var cancel func()
	h.news, cancel = h.Subscribe()
	t.Cleanup(cancel)
	t.Cleanup(h.Stop)
	return h
}

func (h *house) log(warn bool, msg string) {
	level := "info "
	if warn {
		level = "warn "
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, level+msg)
	select {
	case h.wrote <- struct{}{}:
	default:
	}
}

// says waits until each line is in the log, and checks that it is there once.
func (h *house) says(lines ...string) {
	h.t.Helper()
	late := time.After(patience)
	for _, line := range lines {
		for h.logged(line) == 0 {
			select {
			case <-h.wrote:
			case <-late:
				h.t.Fatalf("waiting for %q: the log is\n%s", line, h.all())
			}
		}
		if n := h.logged(line); n != 1 {
			h.t.Errorf("the log says %d times %q:\n%s", n, line, h.all())
		}
	}
}

// logged returns how many lines hold the text.
func (h *house) logged(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, l := range h.lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

func (h *house) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// parse reads a plex block of these lines, with fast probes unless a line says otherwise. None is given up because the
// machine is busy, but one that is late makes its node fail for a moment.
func parse(t *testing.T, lines ...string) *corefile.Config {
	t.Helper()
	fast := []string{"interval 100ms", "timeout 10s", "rise 1", "fall 1", "internal 192.168.1.0/24", "uplink wan 203.0.113.7"}
	fast = slices.DeleteFunc(fast, func(l string) bool {
		property, _, _ := strings.Cut(l, " ")
		return slices.ContainsFunc(lines, func(given string) bool { return strings.HasPrefix(given, property+" ") })
	})
	text := "home.duckdns.org {\nplex {\n" + strings.Join(append(lines, fast...), "\n") + "\n}\n}\n"
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return configs[0]
}

// load is a start or a reload with these lines.
func (h *house) load(lines ...string) *corefile.Config {
	h.t.Helper()
	cfg := parse(h.t, lines...)
	s, err := h.Prepare(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Adopt(s)
	return cfg
}

// await waits for a moment.
func (h *house) await(what string, is func(*cluster.Moment) bool) *cluster.Moment {
	h.t.Helper()
	late := time.After(patience)
	for {
		if m := h.Now(); m != nil && is(m) {
			return m
		}
		select {
		case <-h.news:
		case <-late:
			h.t.Fatalf("waiting for %s: the last moment is %+v, the log is\n%s", what, h.Now(), h.all())
		}
	}
}

// states waits until the nodes are in these states, in file order.
func (h *house) states(want ...zones.State) *cluster.Moment {
	h.t.Helper()
	return h.await(fmt.Sprint(want), func(m *cluster.Moment) bool {
		var got []zones.State
		for _, n := range m.Snapshot.Nodes {
			got = append(got, n.State)
		}
		return m.Snapshot.Ready && slices.Equal(got, want)
	})
}

// state is the line that names a folder of the test.
func state(dir string) string { return "state " + dir }

// noState is the line that names a folder which cannot be made.
func noState(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return state(filepath.Join(file, "plexha"))
}
