package duckdns_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/duckdns"
)

func TestStateFile(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		pass(time.Minute)
		h.change(func() { h.answer = refuses })
		h.has(at("wan", newAddr))
		pass(time.Minute)
		stop()
		got, err := os.ReadFile(o.StateFile)
		if err != nil {
			t.Fatal(err)
		}
		// The bubble's time begins with the year 2000.
		const want = `{
  "version": 1,
  "name": "home",
  "ipv4": {
    "published": "203.0.113.1",
    "uplink": "wan",
    "published_at": "2000-01-01T00:00:00Z",
    "changed": true,
    "verified": "2000-01-01T00:00:05Z",
    "by": 2,
    "of": 2,
    "tried": "2000-01-01T00:01:00Z",
    "tried_addr": "203.0.113.77",
    "refusals": 1,
    "refused_since": "2000-01-01T00:01:00Z",
    "failing_since": "2000-01-01T00:01:00Z",
    "told": true,
    "error": "DuckDNS refused the update",
    "retry": "2000-01-01T00:16:00Z"
  },
  "ipv6": {}
}
`
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("state file (-want +got):\n%s", diff)
		}
	})
}

func TestTheFirstVerificationIsWrittenAtOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		defer stop()
		pass(6 * time.Second)
		got, err := os.ReadFile(o.StateFile)
		if err != nil || !strings.Contains(string(got), `"verified": "2000-01-01T00:00:05Z"`) {
			t.Errorf("the state file is %s, %v", got, err)
		}
	})
}

func TestVerificationIsKeptWhenTheProcessEnds(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		o := h.options(t)
		_, stop := start(t, o)
		pass(time.Hour + 10*time.Second)
		stop()
		h.look = unreachable
		w, stop := start(t, o)
		defer stop()
		if got, want := w.Report().IPv4.Verified, h.began.Add(time.Hour+5*time.Second); !got.Equal(want) {
			t.Errorf("verified at %v, want %v", got, want)
		}
	})
}

// A small machine without a clock of its own starts somewhere in the past.
func TestAStateFileFromTheFuture(t *testing.T) {
	const future = `"2026-11-22T12:00:00Z"`
	for _, tc := range []struct{ name, ipv4, want string }{
		{"pushed", `"published": "203.0.113.1", "published_at": ` + future + `, "tried": ` + future, "1m0s 203.0.113.77"},
		{"failed", `"tried": ` + future + `, "tried_addr": "203.0.113.77", "retry": ` + future, "33m0s 203.0.113.77"},
		{"told to wait", `"tried": ` + future + `, "hold": ` + future, "1h0m0s 203.0.113.77"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house) {
				o := h.options(t)
				content := `{"version": 1, "name": "home", "ipv4": {` + tc.ipv4 + `}}`
				if err := os.WriteFile(o.StateFile, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				h.candidates = []duckdns.Candidate{at("wan", newAddr)}
				_, stop := start(t, o)
				defer stop()
				pass(23 * time.Hour)
				equal(t, "pushes", h.since(&h.pushes), tc.want)
			})
		})
	}
}

func TestAnIPv4AddressWithinIPv6IsOneOfIPv4(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.candidates = []duckdns.Candidate{at("wan", netip.AddrFrom16(wanAddr.As16()))}
		_, stop := start(t, h.options(t))
		defer stop()
		equal(t, "pushes", h.since(&h.pushes), "0s 203.0.113.1")
	})
}
