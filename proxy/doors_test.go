package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"plexha/corefile"
)

// TestReloadWaitsForFirstRequests: connections whose first request is on its way when a reload comes are answered.
// By itself net/http hangs up on them, always. The old configuration goes on for 250 ms, in which a busy machine may
// not come to send the rest of the requests: one reload that answers them all shows it.
func TestReloadWaitsForFirstRequests(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", node))
	var err error
	for n := range 5 {
		if err = h.reloadsAmidRequests(fmt.Sprintf("next%d.test", n), node); err == nil {
			return
		}
	}
	t.Errorf("a request that began before the reload: %v", err)
}

// reloadsAmidRequests begins some requests, reloads, and goes on with them when another origin is served.
func (h *house) reloadsAmidRequests(origin string, node *fakeNode) error {
	h.t.Helper()
	var early []net.Conn
	defer func() {
		for _, conn := range early {
			_ = conn.Close()
		}
	}()
	for range 20 {
		conn, err := h.dial(plainAddr)
		if err != nil {
			h.t.Fatal(err)
		}
		early = append(early, conn)
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET /early HTTP/1.1\r\n"); err != nil {
			h.t.Fatal(err)
		}
	}
	client := h.client(plainAddr)

	next := h.block(home, "tls off", node)
	next.Cluster.Origins = append(next.Cluster.Origins, origin+".")
	var reload sync.WaitGroup
	reload.Go(func() {
		if err := h.server.Apply([]*corefile.Config{next}); err != nil {
			h.t.Error(err)
		}
	})
	defer reload.Wait()
	h.becomesReady(client, "http://plex1."+origin+"/") // so the new configuration has begun
	time.Sleep(50 * time.Millisecond)                  // by then net/http would have hung up
	for _, conn := range early {
		if err := finish(conn); err != nil {
			return err
		}
	}
	return nil
}

// finish sends the rest of a request, and takes the answer.
func finish(conn net.Conn) error {
	if _, err := fmt.Fprintf(conn, "Host: plex1.%s\r\n\r\n", home); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it is answered %s", res.Status)
	}
	return nil
}
