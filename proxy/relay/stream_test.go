package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"plexha/proxy/relay"
	"plexha/zones"
)

// echoes is a node that switches protocols and sends back what it gets.
func echoes(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		return
	}
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Node: "+
		w.Header().Get("X-Node")+"\r\n\r\n")
	_, _ = io.Copy(conn, brw)
	_, _ = io.WriteString(conn, "bye") // the other half is open still
}

// tunnel opens one, and returns both halves.
func (s *stage) tunnel() (*net.TCPConn, *bufio.Reader, *http.Response) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, "GET /:/websockets/notifications HTTP/1.1\r\nHost: plex.home.example\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn), in, res
}

func TestWebsocketLivesThroughReloads(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": echoes})
	conn, in, res := s.tunnel()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s", res.Status)
	}
	for i := range 3 {
		s.load()
		want := fmt.Sprintf("message %d\n", i)
		_, _ = io.WriteString(conn, want)
		if got, err := in.ReadString('\n'); err != nil || got != want {
			t.Fatalf("after %d reloads got %q, %v, want %q", i+1, got, err, want)
		}
	}
	if got := metric(t, `plexha_proxy_streams{kind="websocket",zone="home.example."}`); got != 1 {
		t.Errorf("%v websockets are counted, want 1", got)
	}
	_ = conn.CloseWrite()
	if got := readAll(t, in); got != "bye" {
		t.Errorf("after the client's end the node could say %q, want bye", got)
	}
	_ = conn.Close()
	until(t, "the websocket is over", func() bool {
		return metric(t, `plexha_proxy_streams{kind="websocket",zone="home.example."}`) == 0
	})
}

func TestWebsocketHandshakeIsLetGoWhenItsNodeGoesDown(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.Balance = "first" }, handlers{"plex1": hangs, "plex2": echoes})
	done := make(chan *http.Response, 1)
	go func() {
		_, _, res := s.tunnel()
		done <- res
	}()
	until(t, "plex1 is asked", func() bool { return watched(s, "plex1") == 1 })
	s.set("plex1", zones.Down)
	if res := <-done; res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Node") != "plex2" {
		t.Errorf("got %s from %q, want plex2's websocket", res.Status, res.Header.Get("X-Node"))
	}
}

// The stack of an open stream is a third of its memory, and reverse_proxy's frames would be half of that.
func TestOpenStreamHoldsNothingOfReverseProxy(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}})
	req, cancel := withCancel(s.request(http.MethodGet, "/library/parts/1/2/film.mkv", nil))
	defer cancel()
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len("begun"))); err != nil {
		t.Fatal(err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	copies := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if !strings.Contains(stack, "relay.(*trip).copyBody") {
			continue
		}
		copies++
		if strings.Contains(stack, "reverseproxy.(*Handler)") {
			t.Errorf("reverse_proxy waits for the end of the stream:\n%s", stack)
		}
	}
	if copies != 1 {
		t.Errorf("%d bodies are being copied, want 1", copies)
	}
}

func TestEventStreamIsCountedWhileItIsOpen(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}})
	res, err := s.client.Do(s.request(http.MethodGet, "/:/eventsource/notifications", nil))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream is open", func() bool {
		return metric(t, `plexha_proxy_streams{kind="events",zone="home.example."}`) == 1
	})
	_ = res.Body.Close()
	until(t, "the stream is over", func() bool {
		return metric(t, `plexha_proxy_streams{kind="events",zone="home.example."}`) == 0
	})
}

// metric returns a metric of the running configuration, as Prometheus writes its name; 0 if there is none.
func metric(t testing.TB, name string) float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if family.GetName()+"{"+strings.Join(labels, ",")+"}" == name {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// half is a node's side of a websocket that never ends by itself.
type half struct {
	io.ReadWriter
	finished, closed atomic.Bool
}

func (h *half) CloseWrite() error { h.finished.Store(true); return nil }
func (h *half) Close() error      { h.closed.Store(true); return nil }

func TestWebsocketOfAClientThatHasLeftEndsWhenTheNodeSaysNothing(t *testing.T) {
	c := newFakeCluster()
	r := relay.New(c)
	t.Cleanup(r.Close)
	synctest.Test(t, func(t *testing.T) {
		node := &half{}
		tunnel := relay.NewTunnel(r, node)
		if err := tunnel.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !node.finished.Load() || node.closed.Load() {
			t.Errorf("after 2 s the node knows that the client has left: %t, and is cut off: %t", node.finished.Load(), node.closed.Load())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !node.closed.Load() {
			t.Error("after 4 s the tunnel is open still")
		}
	})
}
