package relay_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"plexha/proxy/affinity"
	"plexha/proxy/relay"
)

// newPolicy returns the policy of a cluster of so many nodes, beside the pool that stock Caddy would have.
func newPolicy(tb testing.TB, count int, prepare func(*house)) (*relay.Policy, *fakeCluster, *relay.Relay, reverseproxy.UpstreamPool) {
	tb.Helper()
	h, c := newHouse(), newFakeCluster()
	for i := range count {
		h.node(fmt.Sprintf("plex%d", i+1), fmt.Sprintf("192.168.1.%d:32400", 10+i))
	}
	if prepare != nil {
		prepare(h)
	}
	m := h.moment()
	c.publish(m)
	r := relay.New(c)
	tb.Cleanup(r.Close)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	p := &relay.Policy{Zone: zone}
	if err := p.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	var pool reverseproxy.UpstreamPool
	for _, n := range m.Nodes.All {
		pool = append(pool, &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: n.Dial})
	}
	return p, c, r, pool
}

// begun returns a request that has passed the handler plexha.
func begun(tb testing.TB, r *relay.Relay, target string) *http.Request {
	tb.Helper()
	req := httptest.NewRequestWithContext(
		context.WithValue(context.Background(), caddyhttp.VarsCtxKey, map[string]any{}), http.MethodGet, target, nil)
	relay.Begin(r, req)
	return req
}

// targets returns request targets such as browsers and other strangers send.
func targets(count int) []string {
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprintf("/web/static/%d.png?version=%d&x=%%2Flibrary%%2F%d", i, i%7, i*i)
	}
	return out
}

func TestUnboundRequestsGoWhereCaddysURIHashSendsThem(t *testing.T) {
	for count := 2; count <= 5; count++ {
		t.Run(fmt.Sprintf("%d nodes", count), func(t *testing.T) {
			p, _, r, pool := newPolicy(t, count, nil)
			req := begun(t, r, "/")
			seen := map[string]int{}
			for _, target := range targets(20_000) {
				req.RequestURI = target
				got := p.Select(nil, req, nil).Dial
				if want := (reverseproxy.URIHashSelection{}).Select(pool, req, nil).Dial; got != want {
					t.Fatalf("%s went to %s, Caddy sends it to %s", target, got, want)
				}
				seen[got]++
			}
			if len(seen) != count {
				t.Errorf("only %v were chosen", seen)
			}
		})
	}
}

func TestWeightsGiveEachNodeItsShare(t *testing.T) {
	p, _, r, _ := newPolicy(t, 3, func(h *house) { h.nodes[0].Weight = 2 })
	req := begun(t, r, "/")
	got := map[string]int{}
	for _, target := range targets(20_000) {
		req.RequestURI = target
		got[p.Select(nil, req, nil).Dial]++
	}
	for dial, want := range map[string]int{"192.168.1.10:32400": 10_000, "192.168.1.11:32400": 5_000, "192.168.1.12:32400": 5_000} {
		if share := got[dial]; share < want*95/100 || share > want*105/100 {
			t.Errorf("%s got %d of 20000 requests, want about %d", dial, share, want)
		}
	}
}

func TestPolicyAlwaysGivesAnUpstream(t *testing.T) {
	p, _, r, _ := newPolicy(t, 0, nil)
	if p.Select(nil, begun(t, r, "/"), nil) == nil {
		t.Error("got no upstream, which Caddy answers with 503 at once")
	}
}

func TestUnknownZoneIsAnErrorOfProvision(t *testing.T) {
	p := &relay.Policy{Zone: "elsewhere.example."}
	if err := p.Provision(caddy.Context{}); err == nil {
		t.Error("got no error")
	}
}

func BenchmarkSelect(b *testing.B) {
	const known = 100_000
	_, c, _, pool := newPolicy(b, 3, nil)
	c.pins = affinity.NewTable(known)
	p, r := repolicy(b, c)
	now := time.Now()
	for i := range known {
		k := affinity.Parse(playing(b, i))
		nodes := c.Now().Nodes
		place := c.pins.Place(k, nodes, false, now)
		c.pins.Answered(k, place, place.Node, 200, nodes, now)
	}
	b.Logf("the table holds %+v", c.pins.Sizes())
	b.Run("caddy uri_hash", func(b *testing.B) {
		req := begun(b, r, "/library/metadata/1?X-Plex-Client-Identifier=x")
		b.ReportAllocs()
		for b.Loop() {
			(reverseproxy.URIHashSelection{}).Select(pool, req, nil)
		}
	})
	for _, c := range []struct{ name, target string }{
		{"unbound", "/web/static/1.png?version=4"},
		{"client", "/library/metadata/1?X-Plex-Client-Identifier=client-4711&X-Plex-Token=token-4711"},
		{"session", "/video/:/transcode/universal/session/session-4711/0/7.m4s"},
	} {
		b.Run(c.name, func(b *testing.B) {
			req := begun(b, r, c.target)
			b.ReportAllocs()
			for b.Loop() {
				p.Select(nil, req, nil)
			}
		})
	}
}

// repolicy returns a policy for the cluster as it has become.
func repolicy(tb testing.TB, c *fakeCluster) (*relay.Policy, *relay.Relay) {
	r := relay.New(c)
	tb.Cleanup(r.Close)
	p := &relay.Policy{Zone: zone}
	if err := p.Provision(caddy.Context{Context: context.Background()}); err != nil {
		tb.Fatal(err)
	}
	return p, r
}

// playing returns the request by which a client begins a session.
func playing(tb testing.TB, i int) *http.Request {
	tb.Helper()
	return httptest.NewRequestWithContext(tb.Context(), http.MethodGet, fmt.Sprintf(
		"/video/:/transcode/universal/decision?session=session-%d&X-Plex-Client-Identifier=client-%d&X-Plex-Token=token-%d", i, i, i), nil)
}
