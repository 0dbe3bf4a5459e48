package cluster_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"plexha/proxy/affinity"
)

// TestPlaybacksEndByTheirSilence, over reloads too, and whoever shows them is told.
func TestPlaybacksEndByTheirSilence(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // nobody listens there
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		lines := []string{"node plex1 " + ln.Addr().String(), "probe none", noState(t)}
		h.load(lines...)
		h.Playbacks().Begin(affinity.Sign{Act: affinity.Plays, Client: 1}, "plex1", time.Now()).End(time.Now())
		h.load(append(lines, "max_requests 7")...)
		synctest.Wait()
		if got := len(h.Status(time.Now()).Playing); got != 1 {
			t.Errorf("after the reload there are %d playbacks, want 1", got)
		}
		news, cancel := h.News()
		defer cancel()
		begun := time.Now()
		for len(h.Status(time.Now()).Playing) > 0 && time.Since(begun) < time.Hour {
			<-news
		}
		if took := time.Since(begun); took != 2*time.Minute {
			t.Errorf("its end is told after %v, want 2m", took)
		}
	})
}
