package relay_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"plexha/zones"
)

func TestNodeThatSpeaksTLS(t *testing.T) {
	var name string
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Node", "secure")
	}))
	node.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name = hello.ServerName
		return nil, nil //nolint:nilnil // means: go on with the one there is
	}}
	node.Config.ErrorLog = quiet
	node.StartTLS()
	t.Cleanup(node.Close)

	s := newStage(t, func(h *house) {
		secure := h.node("secure", node.Listener.Addr().String())
		secure.HTTPS, secure.Host = true, "plex.example"
	}, nil)
	if got := s.get("/"); got.Node != "secure" || name != "plex.example" {
		t.Errorf("got %v, and %q was asked for, want plex.example", got, name)
	}

	s.change(func(h *house) { h.nodes[0].Verify, h.cfg.RetryFor = true, time.Millisecond })
	if got := s.get("/"); got.Status != http.StatusBadGateway {
		t.Errorf("got %v from a node whose certificate nobody has signed, want 502", got)
	}
}

func TestAddressThatIsUpIsDialledFirst(t *testing.T) {
	var down net.Listener // takes connections, and answers nothing
	s := newStage(t, func(h *house) {
		var err error
		if down, err = net.Listen("tcp", net.JoinHostPort("127.1.2.3", strconv.Itoa(int(h.nodes[0].Port)))); err != nil {
			t.Fatal(err)
		}
		h.nodes[0].Addrs = []zones.AddrHealth{
			{Addr: netip.MustParseAddr("127.1.2.3"), State: zones.Down},
			{Addr: netip.MustParseAddr("127.0.0.1"), State: zones.Up},
		}
		h.nodes[0].Host = "plex.example" // which nobody can look up
	}, handlers{"plex1": says("one")})
	t.Cleanup(func() { _ = down.Close() })
	s.client.Timeout = 10 * time.Second
	if got := s.get("/"); got.Node != "plex1" {
		t.Errorf("got %v, want plex1's answer", got)
	}
}

func TestOtherAddressIsTriedWhenTheFirstRefuses(t *testing.T) {
	s := newStage(t, func(h *house) {
		h.nodes[0].Addrs = []zones.AddrHealth{
			{Addr: netip.MustParseAddr("127.1.2.3"), State: zones.Up},
			{Addr: netip.MustParseAddr("127.0.0.1"), State: zones.Up},
		}
	}, handlers{"plex1": says("one")})
	if got := s.get("/"); got.Node != "plex1" {
		t.Errorf("got %v, want plex1's answer", got)
	}
}

func TestConnectionsAreKeptOverMomentsAndReloads(t *testing.T) {
	var conns []string
	s := newStage(t, nil, handlers{"plex1": func(_ http.ResponseWriter, r *http.Request) { conns = append(conns, r.RemoteAddr) }})
	s.get("/")
	s.change(func(h *house) { h.cfg.MaxRequests = 5 })
	s.get("/")
	if len(conns) != 2 || conns[0] != conns[1] {
		t.Errorf("the node was asked on %q, want one connection for both", conns)
	}
}

func TestIdleConnectionsEndWhenTheNodeGoesDown(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one")})
	s.get("/")
	if got := s.names["plex1"].open.Load(); got != 1 {
		t.Fatalf("%d connections are open, want 1", got)
	}
	s.set("plex1", zones.Down)
	until(t, "the connection ends", func() bool { return s.names["plex1"].open.Load() == 0 })
}

func TestNodesThatComeAndGoLeaveNoMetrics(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	s.unboundTo("plex2")
	const bytes = `plexha_proxy_bytes_total{direction="to_client",node="plex2",zone="home.example."}`
	if metric(t, bytes) == 0 {
		t.Fatal("nothing is counted")
	}
	s.change(func(h *house) { h.nodes = h.nodes[:1] })
	if got := metric(t, bytes); got != 0 {
		t.Errorf("%v bytes are counted of a node that is gone", got)
	}
}

func TestMetricsSayHowTheNodesAre(t *testing.T) {
	s := newStage(t, func(h *house) { h.open = map[zones.NodeName]bool{"plex2": true} },
		handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Starting)
	for name, want := range map[string]float64{
		`plexha_proxy_node_up{node="plex1",zone="home.example."}`:                     0,
		`plexha_proxy_node_up{node="plex2",zone="home.example."}`:                     1,
		`plexha_proxy_node_open{node="plex1",zone="home.example."}`:                   0,
		`plexha_proxy_node_open{node="plex2",zone="home.example."}`:                   1,
		`plexha_proxy_node_state{node="plex1",state="starting",zone="home.example."}`: 1,
		`plexha_proxy_node_state{node="plex1",state="up",zone="home.example."}`:       0,
	} {
		if got := metric(t, name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestRequestsAreCountedByNodeClassAndStatus(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": status(http.StatusTeapot)})
	s.get("/")
	s.get("/identity")
	s.must(s.request(http.MethodPost, "/", strings.NewReader("12345")))
	for name, want := range map[string]float64{
		`plexha_proxy_requests_total{class="root",node="plex1",status="4xx",zone="home.example."}`:  2,
		`plexha_proxy_requests_total{class="write",node="plex1",status="4xx",zone="home.example."}`: 1,
		`plexha_proxy_bytes_total{direction="from_client",node="plex1",zone="home.example."}`:       5,
	} {
		until(t, name, func() bool { return metric(t, name) == want })
	}
}

func TestIdleConnectionsEndWhenTheNodeHasAnotherAddress(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one")})
	s.get("/")
	s.change(func(h *house) {
		h.nodes[0].Addrs = []zones.AddrHealth{{Addr: netip.MustParseAddr("127.1.2.3"), State: zones.Up}}
	})
	until(t, "the connection ends", func() bool { return s.names["plex1"].open.Load() == 0 })
}

func TestNodeThatIsAskedForElsewhere(t *testing.T) {
	portOf := func(s *stage, name string) uint16 {
		return netip.MustParseAddrPort(s.names[name].addr()).Port()
	}
	alone := func(h *house) { h.nodes = h.nodes[:1] }
	t.Run("goes on with its counts", func(t *testing.T) {
		s := newStage(t, alone, handlers{"plex1": says("one"), "plex2": says("two")})
		const bytes = `plexha_proxy_bytes_total{direction="to_client",node="plex1",zone="home.example."}`
		s.get("/")
		s.change(func(h *house) { h.nodes[0].Port = portOf(s, "plex2") })
		s.get("/")
		if got := metric(t, bytes); got != 6 {
			t.Errorf("%v bytes are counted, want those from both places, 6", got)
		}
	})
	t.Run("is not waited for at the old place", func(t *testing.T) {
		s := newStage(t, alone, handlers{"plex1": hangs, "plex2": says("two")})
		waiting := s.later(s.request(http.MethodGet, "/web/1", nil))
		until(t, "the node has the request", func() bool { return watched(s, "plex1") == 1 })
		s.change(func(h *house) { h.nodes[0].Port = portOf(s, "plex2") })
		if got := <-waiting; got.Node != "plex2" {
			t.Errorf("got %v, want the answer from the new place", got)
		}
		until(t, "the old connection ends", func() bool { return s.names["plex1"].open.Load() == 0 })
	})
	t.Run("by TLS from now on", func(t *testing.T) {
		s := newStage(t, func(h *house) { h.cfg.Balance = "first" }, handlers{"plex1": says("one"), "plex2": says("two")})
		s.get("/somewhere")
		s.change(func(h *house) { h.nodes[0].HTTPS = true }) // which plex1 does not speak
		got := s.must(s.request(http.MethodPost, "/somewhere", strings.NewReader("x")))
		if got.Node != "plex2" {
			t.Errorf("got %v, want plex2's answer: a failed handshake has brought nothing to plex1", got)
		}
	})
}

func TestDrainedNodeGetsNothingThatAnotherCanTake(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.Balance = "first" }, handlers{"plex1": says("one"), "plex2": says("two")})
	s.change(func(h *house) { h.nodes[0].Order = zones.OrderDrain })
	if got := s.get("/web/1"); got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}
