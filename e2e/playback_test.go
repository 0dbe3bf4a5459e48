package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"plexha/e2e/standin"
)

// share is how many clients each node has.
type share map[string]int

// check fails the test unless no node has less than half nor more than twice its fair share.
func (s share) check(tb testing.TB, nodes, clients int) {
	tb.Helper()
	for i := range nodes {
		name := fmt.Sprintf("plex%d", 1+i)
		if n := s[name] * nodes; 2*n < clients || n > 2*clients {
			tb.Errorf("%s has %d of %d clients", name, s[name], clients)
		}
	}
}

// TestPlaybacksAreWhole is what the proxy is for: many clients of each kind play at once through one name, and each
// playback stays on one node from its first request to its last.
func TestPlaybacksAreWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nodes int
		tls   bool
	}{{2, false}, {3, false}, {3, true}, {5, false}} {
		name := fmt.Sprintf("%d nodes by HTTP1", c.nodes)
		if c.tls {
			name = fmt.Sprintf("%d nodes by HTTP2", c.nodes)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, c.nodes, func(o *standin.PlexOptions) { o.Quiet = true })
			p := h.newProxy(t)
			want := "HTTP/1.1"
			if p.tls = c.tls; p.tls {
				p.front.useTLS()
				want = "HTTP/2.0"
			}
			p.start()
			if a := p.front.get("/identity"); a.proto != want || a.status != http.StatusOK {
				t.Fatalf("by %s: %s, want %s", a.proto, a, want)
			}
			for _, kind := range standin.Kinds() {
				t.Run(string(kind), func(t *testing.T) {
					shares := share{}
					for _, r := range p.front.play(patient(t), h.viewers(kind, viewers)) {
						shares[h.whole(t, r)]++
					}
					shares.check(t, c.nodes, viewers)
					t.Logf("%d playbacks: %v", viewers, shares)
				})
			}
		})
	}
}
