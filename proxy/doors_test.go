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
// By itself net/http hangs up on them.
func TestReloadWaitsForFirstRequests(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "tls off", node))
	var early []net.Conn
	for range 20 {
		conn, err := h.dial(plainAddr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET /early HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		early = append(early, conn)
	}
	client := h.client(plainAddr)

	next := h.block(home, "tls off", node)
	next.Cluster.Origins = append(next.Cluster.Origins, "next.test.")
	var reload sync.WaitGroup
	reload.Go(func() {
		if err := h.server.Apply([]*corefile.Config{next}); err != nil {
			t.Error(err)
		}
	})
	defer reload.Wait()
	h.becomesReady(client, "http://plex1.next.test/") // so the new configuration has begun
	for _, conn := range early {
		if _, err := fmt.Fprintf(conn, "Host: plex1.%s\r\n\r\n", home); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a request that began before the reload: %v", err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
			t.Errorf("a request that began before the reload: %s", res.Status)
		}
	}
}
