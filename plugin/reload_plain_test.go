package plugin_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"plexha/plugin/runtime"
)

// asked is a server that counts how often it is probed.
type asked struct {
	addr  string // HOST:PORT
	times atomic.Int64
}

func startAsked(t *testing.T) *asked {
	t.Helper()
	a := &asked{}
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { a.times.Add(1) }))
	t.Cleanup(srv.Close)
	a.addr = srv.Listener.Addr().String()
	return a
}

// plain is a server block without a plex block.
const plain = "example.org:0 {\n\tbind 127.0.0.1\n\twhoami\n}\n"

// TestFailedReloadFromPlainLeavesNothing: the instance that serves has no plex block, so that nothing of ours is
// there to hear that the new one, which has one, could not start.
func TestFailedReloadFromPlainLeavesNothing(t *testing.T) {
	node := startAsked(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	s := startServer(t, plain)
	goroutines := settled()
	corefile := plain + block("node plex1 "+node.addr, "probe http /")
	for range 3 {
		if err := s.restart(corefile + "example.net:" + port + " {\n\tbind 127.0.0.1\n\twhoami\n}\n"); err == nil {
			t.Fatal("the reload was taken over, though a port is in use")
		}
	}
	probed := node.times.Load()
	if got := settledAt(goroutines); got > goroutines {
		t.Errorf("goroutines: %d before the failed reloads, %d after: %s", goroutines, got, stacks())
	}
	if got := node.times.Load(); got > probed {
		t.Errorf("the node was probed %d times after the reloads had failed", got-probed)
	}
	if c := runtime.Latest("home.duckdns.org."); c != nil {
		t.Error("a cluster counts as running that never came to serve")
	}
	if got := s.text("example.org."); got != "[]" {
		t.Errorf("the old instance does not serve: got %s", got)
	}
}

// TestReloadFromPlainAndBack: what a reload brings lives until a reload takes it away.
func TestReloadFromPlainAndBack(t *testing.T) {
	node := startNode(t, "127.0.1.1")
	s := startServer(t, plain)
	goroutines := settled()
	if err := s.restart(block("node plex1 " + node.addr)); err != nil {
		t.Fatal(err)
	}
	s.eventually(main, "127.0.1.1")
	node.bad.Store(true)
	s.eventuallyStatus("plex1 down")
	if err := s.restart(plain); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(main); got != "REFUSED" {
		t.Errorf("after the block has gone: got %s", got)
	}
	if got := settledAt(goroutines + 2); got > goroutines+2 { // the node's end of a connection that is kept
		t.Errorf("goroutines: %d before the block came, %d after it has gone: %s", goroutines, got, stacks())
	}
}
