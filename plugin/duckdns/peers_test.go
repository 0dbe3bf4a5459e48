package duckdns_test

import (
	"testing"
	"time"

	"plexha/plugin/duckdns"
	"plexha/zones"
)

// Two plexdns keep one record. The other one has found a new address, and our sources are silent.
func TestAPeerThatKnowsMore(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		pass(time.Hour)
		h.change(func() { h.candidates[0].Seen = time.Now() })
		h.since(&h.pushes)
		h.since(&h.lines)
		h.change(func() { h.held[zones.IPv4] = newAddr })
		pass(30 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes))
		equal(t, "lines", h.since(&h.lines),
			"warning home.duckdns.org: A should be 203.0.113.1, but all name servers of DuckDNS show 203.0.113.77; it is set again."+
				" Does another program set it? But not before a source tells that 203.0.113.1 is still our address: none has since 2000-01-01T01:00:00Z")
		h.change(func() { h.candidates[0].Seen = time.Now() })
		pass(6 * time.Minute)
		if got := h.since(&h.pushes); len(got) != 1 {
			t.Errorf("when a source tells it again: %q, want one push", got)
		}
	})
}

// Without verification nobody sees what another one has put there.
func TestWhatNobodyConfirmsIsNotRefreshed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.candidates[0].Seen = h.began
		o := h.options(t)
		o.Config.NoVerify = true
		_, stop := start(t, o)
		defer stop()
		pass(time.Second)
		h.since(&h.pushes)
		h.change(func() { h.candidates[0].Seen = h.began.Add(-time.Minute) })
		pass(100 * time.Hour)
		equal(t, "pushes", h.since(&h.pushes))
		h.change(func() { h.candidates[0].Seen = time.Now() })
		pass(time.Hour)
		if got := h.since(&h.pushes); len(got) != 1 {
			t.Errorf("when a source tells it again: %q, want one push", got)
		}
	})
}

// Two plexdns that will not agree, each of which finds its own address, push a few times a day.
func TestPeersThatDoNotAgree(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		_, stop := start(t, h.options(t))
		defer stop()
		o := h.options(t)
		o.Candidates = func() []duckdns.Candidate { return []duckdns.Candidate{at("wan2", wan2Addr)} }
		_, stop2 := start(t, o)
		defer stop2()
		for day := range 7 {
			pass(24 * time.Hour)
			if n := len(h.since(&h.pushes)); n > 20 {
				t.Errorf("day %d: %d pushes of both, want 20 at most", day+1, n)
			}
		}
	})
}
