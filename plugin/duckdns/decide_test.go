package duckdns_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/duckdns"
)

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

	wanAddr  = netip.MustParseAddr("203.0.113.1")
	wan2Addr = netip.MustParseAddr("198.51.100.2")
	newAddr  = netip.MustParseAddr("203.0.113.77")
)

// ago is the time so long before noon.
func ago(d time.Duration) time.Time { return noon.Add(-d) }

// up is an uplink's address, confirmed, with the uplink up for so long.
func up(uplink string, a netip.Addr, d time.Duration) duckdns.Candidate {
	return duckdns.Candidate{Uplink: uplink, Addr: a, Up: true, Since: ago(d), Confirmed: true}
}

func down(c duckdns.Candidate) duckdns.Candidate {
	c.Up = false
	return c
}

func unconfirmed(c duckdns.Candidate) duckdns.Candidate {
	c.Confirmed = false
	return c
}

// published is a record that DuckDNS took so long ago.
func published(a netip.Addr, d time.Duration) duckdns.Record {
	return duckdns.Record{Published: a, PublishedAt: ago(d), Tried: ago(d), TriedAddr: a}
}

func TestDecide(t *testing.T) {
	wan, wan2 := up("wan", wanAddr, time.Hour), up("wan2", wan2Addr, time.Hour)
	changed := up("wan", newAddr, time.Hour)
	failing := published(wanAddr, time.Hour)
	failing.Tried, failing.TriedAddr, failing.Doubt = ago(2*time.Minute), newAddr, true
	failing.Failures, failing.Retry = 4, noon.Add(2*time.Minute)
	refused := failing
	refused.Doubt, refused.Refusals, refused.Retry = false, 1, noon.Add(13*time.Minute)
	held := failing
	held.Hold = noon.Add(7 * time.Minute)
	returned := published(wan2Addr, 2*time.Minute)
	returned.Returns, returned.Returned = 3, ago(10*time.Minute)
	repaired := published(wanAddr, 5*time.Minute)
	repaired.Repairs = 1
	type candidates = []duckdns.Candidate
	const steady = 5 * time.Minute
	for _, tc := range []struct {
		name string
		r    duckdns.Record
		e    duckdns.Evidence
		want string
	}{
		{"no address is known", duckdns.Record{}, duckdns.Evidence{}, "wake in 5m0s"},
		{"the first address", duckdns.Record{}, duckdns.Evidence{Candidates: candidates{wan}}, "push 203.0.113.1: first"},
		{"not confirmed", duckdns.Record{}, duckdns.Evidence{Candidates: candidates{unconfirmed(wan)}}, "wake in 5m0s"},
		{
			"the first one that is confirmed",
			duckdns.Record{},
			duckdns.Evidence{Candidates: candidates{unconfirmed(wan), wan2}},
			"push 198.51.100.2: first",
		},
		{
			"as published", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{wan, wan2}},
			"refresh of 203.0.113.1 in 23h0m0s, wake in 5m0s",
		},
		{
			"as published, verification off", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{wan}, NoVerify: true},
			"refresh of 203.0.113.1 in 23h0m0s, wake in 23h0m0s",
		},
		{
			"a change", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{changed}},
			"push 203.0.113.77: change",
		},
		{
			"a change right after a push", published(wanAddr, 20*time.Second),
			duckdns.Evidence{Candidates: candidates{changed}},
			"change of 203.0.113.77 in 40s, wake in 40s",
		},
		{
			"a change of the preferred uplink while another is up", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{up("wan", newAddr, 0), wan2}},
			"push 203.0.113.77: change",
		},
		{
			"a day after the push", published(wanAddr, 24*time.Hour),
			duckdns.Evidence{Candidates: candidates{wan}},
			"push 203.0.113.1: refresh",
		},
		{
			"a day after the push, not confirmed by anybody", published(wanAddr, 24*time.Hour),
			duckdns.Evidence{Candidates: candidates{unconfirmed(wan)}},
			"wake in 5m0s",
		},
		{
			"nobody is up", published(wanAddr, 25*time.Hour),
			duckdns.Evidence{Candidates: candidates{down(changed), down(wan2)}},
			"wake in 5m0s",
		},
		{
			"the preferred uplink goes down", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{down(wan), wan2}},
			"push 198.51.100.2: change",
		},
		{
			"the preferred uplink goes down right after a push", published(wanAddr, 15*time.Second),
			duckdns.Evidence{Candidates: candidates{down(wan), up("wan2", wan2Addr, 0)}},
			"change of 198.51.100.2 in 45s, wake in 45s",
		},
		{
			"the preferred uplink is up again for 20 s", published(wan2Addr, 90*time.Second),
			duckdns.Evidence{Candidates: candidates{up("wan", wanAddr, 20*time.Second), wan2}},
			"refresh of 198.51.100.2 in 23h58m30s, wake in 40s",
		},
		{
			"the preferred uplink is up again for 60 s", published(wan2Addr, 90*time.Second),
			duckdns.Evidence{Candidates: candidates{up("wan", wanAddr, time.Minute), wan2}},
			"push 203.0.113.1: return",
		},
		{
			"it is up again for 60 s, right after the push of the other", published(wan2Addr, 10*time.Second),
			duckdns.Evidence{Candidates: candidates{up("wan", wanAddr, time.Minute), wan2}},
			"return of 203.0.113.1 in 50s, wake in 50s",
		},
		{
			"it has come back three times within the hour", returned,
			duckdns.Evidence{Candidates: candidates{up("wan", wanAddr, time.Minute), wan2}},
			"refresh of 198.51.100.2 in 23h58m0s, wake in 3m0s",
		},
		{
			"it is up again for 5 s, and the other goes down", published(wan2Addr, 90*time.Second),
			duckdns.Evidence{Candidates: candidates{up("wan", wanAddr, 5*time.Second), down(wan2)}},
			"push 203.0.113.1: change",
		},
		{
			"after a restart the other one is confirmed first", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{unconfirmed(wan), wan2}},
			"wake in 5m0s",
		},
		{
			"a push has failed", failing,
			duckdns.Evidence{Candidates: candidates{changed}},
			"change of 203.0.113.77 in 2m0s, wake in 2m0s",
		},
		{
			"a push of another address has failed", failing,
			duckdns.Evidence{Candidates: candidates{up("wan", wan2Addr, 0)}},
			"push 198.51.100.2: change",
		},
		{
			"a push of another address has failed, and it is as published", failing,
			duckdns.Evidence{Candidates: candidates{wan}},
			"push 203.0.113.1: again",
		},
		{
			"another address was refused", refused,
			duckdns.Evidence{Candidates: candidates{up("wan", wan2Addr, 0)}},
			"change of 198.51.100.2 in 13m0s, wake in 5m0s",
		},
		{
			"DuckDNS has asked for patience", held,
			duckdns.Evidence{Candidates: candidates{up("wan", wan2Addr, 0)}},
			"change of 198.51.100.2 in 7m0s, wake in 5m0s",
		},
		{
			"a drift", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{wan}, Drifted: true},
			"push 203.0.113.1: drift",
		},
		{
			"a drift soon after the last", repaired,
			duckdns.Evidence{Candidates: candidates{wan}, Drifted: true},
			"drift of 203.0.113.1 in 10m0s, wake in 5m0s",
		},
		{
			"a drift while nobody is up", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{down(wan)}, Drifted: true},
			"wake in 5m0s",
		},
		{
			"there is no token",
			duckdns.Record{},
			duckdns.Evidence{Candidates: candidates{wan}, NoToken: true},
			"first of 203.0.113.1 in 30s, wake in 30s",
		},
		{
			"a look is due", published(wanAddr, time.Hour),
			duckdns.Evidence{Candidates: candidates{wan}, NextLook: noon},
			"refresh of 203.0.113.1 in 23h0m0s, look",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.e.NextLook.IsZero() {
				tc.e.NextLook = noon.Add(steady)
			}
			if got := duckdns.Decide(tc.r, tc.e, noon); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestWaitsAfterFailures(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want []string
	}{
		{
			"a DuckDNS that is out of order", errors.New("connection refused"),
			[]string{"30s", "1m0s", "2m0s", "4m0s", "8m0s", "16m0s", "30m0s", "30m0s"},
		},
		{
			"KO", fmt.Errorf("pushing: %w", duckdns.ErrRefused),
			[]string{"15m0s", "30m0s", "1h0m0s", "2h0m0s", "4h0m0s", "6h0m0s", "6h0m0s"},
		},
		{"an answer of somebody else", duckdns.ErrForeign, []string{"30s", "1m0s"}},
		{"an answer about another address", duckdns.ErrEcho, []string{"30s", "1m0s"}},
		{"another status", &duckdns.StatusError{Status: 502}, []string{"30s", "1m0s"}},
		{
			"429 with a Retry-After", &duckdns.StatusError{Status: 429, RetryAfter: 10 * time.Minute},
			[]string{"10m0s", "10m0s", "10m0s", "10m0s", "10m0s", "16m0s"},
		},
		{
			"a Retry-After beyond reason", &duckdns.StatusError{Status: 503, RetryAfter: 7 * 24 * time.Hour},
			[]string{"1h0m0s"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r duckdns.Record
			var got []string
			for range tc.want {
				r = duckdns.AfterFailure(r, wanAddr, tc.err, noon)
				wait := r.Retry
				if r.Hold.After(wait) {
					wait = r.Hold
				}
				got = append(got, wait.Sub(noon).String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailuresOfAnotherAddressDoNotCount(t *testing.T) {
	r := duckdns.AfterFailure(duckdns.Record{}, wanAddr, errors.New("no route to host"), noon)
	r = duckdns.AfterFailure(r, wanAddr, errors.New("no route to host"), noon)
	r = duckdns.AfterFailure(r, newAddr, errors.New("no route to host"), noon)
	if got := r.Retry.Sub(noon); got != 30*time.Second {
		t.Errorf("the next push waits %v, want 30s", got)
	}
}

func TestAFailureLeavesNoDoubtAboutTheSameAddress(t *testing.T) {
	r := published(wanAddr, 24*time.Hour)
	if duckdns.AfterFailure(r, wanAddr, duckdns.ErrForeign, noon).Doubt {
		t.Error("a refresh that failed leaves a doubt about the record")
	}
	if !duckdns.AfterFailure(r, newAddr, duckdns.ErrForeign, noon).Doubt {
		t.Error("a change that failed leaves no doubt about the record")
	}
	if duckdns.AfterFailure(r, newAddr, duckdns.ErrRefused, noon).Doubt {
		t.Error("a change that was refused leaves a doubt about the record")
	}
}

func TestJitterIsATenth(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := duckdns.Jitter(time.Minute)
		low, high = min(low, d), max(high, d)
	}
	if low < 54*time.Second || high > 66*time.Second {
		t.Errorf("a minute varies from %v to %v, want 54s to 66s at most", low, high)
	}
	if high-low < 6*time.Second {
		t.Errorf("a minute varies from %v to %v alone", low, high)
	}
}
