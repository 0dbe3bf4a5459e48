package status_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/proxy/cluster"
	"plexha/proxy/status"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// noon is when all is looked at.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return noon.Add(-d) }

// up is a node that has been up for an hour.
func up(name zones.NodeName) cluster.NodeStatus {
	return cluster.NodeStatus{Name: name, Dial: string(name) + ":32400", State: "up", Since: before(time.Hour), Asked: true}
}

// down is one that went down a minute ago.
func down(name zones.NodeName) cluster.NodeStatus {
	n := up(name)
	n.State, n.Since, n.Why, n.Asked = "down", before(time.Minute), "connection refused", false
	return n
}

// home is a cluster of some nodes.
func home(nodes ...cluster.NodeStatus) cluster.Status {
	s := cluster.Status{Zone: "home.duckdns.org", Version: "1.2.3", At: noon, Ready: "ready", Nodes: nodes, WatchingSince: before(time.Hour)}
	for i := range nodes {
		name := string(nodes[i].Name)
		s.Hosts = append(s.Hosts, cluster.HostStatus{Host: name + "." + s.Zone, To: []zones.NodeName{nodes[i].Name}, Why: "the node alone"})
	}
	return s
}

// source is a cluster of a test.
type source struct {
	zone  string
	names []string // that orders can be given to
	err   error    // of orders
	past  timeline.Timeline

	mu      sync.Mutex
	shown   cluster.Status
	ordered []board.OrderLine
	subs    []chan struct{}
}

func newSource(shown cluster.Status) *source {
	s := &source{zone: shown.Zone + ".", shown: shown}
	for i := range shown.Nodes {
		s.names = append(s.names, string(shown.Nodes[i].Name))
	}
	return s
}

func (s *source) Zone() string                 { return s.zone }
func (s *source) Timeline() *timeline.Timeline { return &s.past }
func (s *source) Names() []string              { return s.names }
func (s *source) Named(name string) bool       { return slices.Contains(s.names, name) }

func (s *source) Status(time.Time) cluster.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func (s *source) Order(o board.OrderLine) error {
	if s.err != nil {
		return s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ordered = append(s.ordered, o)
	return nil
}

func (s *source) News() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs = append(s.subs, ch)
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subs = slices.DeleteFunc(s.subs, func(other chan struct{}) bool { return other == ch })
	}
}

// becomes shows something else from now on.
func (s *source) becomes(shown cluster.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = shown
	for _, ch := range s.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// all are the sources of a listener.
func all(sources ...*source) func() []status.Source {
	return func() []status.Source {
		var out []status.Source
		for _, s := range sources {
			out = append(out, s)
		}
		return out
	}
}

// ask has somebody on this machine ask.
func ask(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	path, form, _ := strings.Cut(path, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
