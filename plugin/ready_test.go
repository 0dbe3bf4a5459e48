package plugin_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// stuckBoard takes no verdicts until it is freed.
type stuckBoard struct {
	*board.Board
	freed chan struct{}
}

func (b stuckBoard) Report(board.Verdict) zones.State { <-b.freed; return zones.Up }

func TestReadyAfterTheFirstRound(t *testing.T) {
	h := coldHouse(t, t.TempDir(), nil, twoNodes...)
	if h.Ready() {
		t.Error("ready before the first round of probes has ended")
	}
	h.board.FirstRoundDone(began)
	h.show()
	if !h.Ready() {
		t.Error("not ready after the first round of probes")
	}
}

// TestNotReadyWhileAProbeLoopStalls: a loop that cannot go on must show, and the answers go on.
func TestNotReadyWhileAProbeLoopStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Nobody listens there, which takes no time to find out.
		h := newHouse(t, "node plex1 127.0.0.1:1", "node plex2 127.0.0.1:2", "probe tcp",
			"internal 192.168.1.0/24", "uplink wan 203.0.113.7")
		b := stuckBoard{h.board, make(chan struct{})}
		prober := h.ProbeFor(b)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = prober.Run(ctx) })
		time.Sleep(h.cfg.Interval)
		if !h.Ready() {
			t.Error("not ready although no loop can be said to be stalled yet")
		}
		time.Sleep(time.Minute)
		if h.Ready() {
			t.Error("ready although the loops have been stuck for a minute")
		}
		if got := h.ask(outside, "plex.home.duckdns.org. A"); got != "203.0.113.7" {
			t.Errorf("the answers are disturbed: got %s", got)
		}
		close(b.freed)
		time.Sleep(h.cfg.Interval)
		if !h.Ready() {
			t.Error("not ready although the loops go on")
		}
		h.Quit()
		cancel()
		running.Wait()
	})
}
