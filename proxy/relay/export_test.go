package relay

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"time"

	"plexha/zones"
)

// Begin does for a request what the handler plexha does before it calls the next one, and returns what it
// does afterwards.
func Begin(r *Relay, req *http.Request) (end func()) {
	t := r.begin(req, "", "192.0.2.1")
	return func() { t.end(req) }
}

// Waiting returns how many requests wait in line for the node.
func Waiting(r *Relay, name string) int {
	n := r.now().named(site(name))
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue)
}

// Watched returns how many requests wait for the node's headers.
func Watched(r *Relay, name string) (count int) {
	n := r.now().named(site(name))
	n.mu.Lock()
	defer n.mu.Unlock()
	for a := n.waiting; a != nil; a = a.next {
		count++
	}
	return count
}

// Paused returns how many requests wait for news.
func Paused(r *Relay) int { return int(r.waiting.Load()) }

// LargeBuffers returns how many large buffers are in use.
func LargeBuffers() int { return int(largeInUse.Load()) }

// NewTunnel returns what a websocket to a node becomes.
func NewTunnel(r *Relay, rwc io.ReadWriteCloser) io.ReadWriteCloser {
	return r.tunnel(&attempt{node: newNode("plex1", "", &zones.NodeHealth{}, nil), cancel: func(error) {}, body: rwc}).(io.ReadWriteCloser)
}

// LeftByReset returns the names of a trip's fields that are not as at the beginning after reset, and of those
// that it has not tried.
func LeftByReset() (names []string) {
	t := newTrip(&Relay{})
	t.site, t.client, t.policy, t.w, t.keys.Host = "plex1", "192.0.2.1", &Policy{}, httptest.NewRecorder(), "plex1"
	t.view, t.side, t.place.Node, t.node = &view{}, &side{}, "plex1", &node{}
	t.req, t.reads, t.tried, t.until = &http.Request{}, true, append(t.tried, t.node), time.Now()
	t.missed.node, t.first.node, t.failed = t.node, t.node, &failure{}
	t.parted, t.hints = true, &hints{}
	t.res, t.from, t.status = &http.Response{}, t.node, http.StatusOK
	untried := func() (zero []string) {
		for field, value := range reflect.ValueOf(t).Elem().Fields() {
			if value.IsZero() || field.Name == "tried" && value.Len() == 0 {
				zero = append(zero, field.Name)
			}
		}
		return zero
	}
	names = untried()
	t.reset()
	after := untried()
	for field := range reflect.TypeFor[trip]().Fields() {
		if !slices.Contains(after, field.Name) && field.Name != "relay" && field.Name != "late" && field.Name != "stub" {
			names = append(names, field.Name)
		}
	}
	return names
}
