package demo_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/cmd/internal/demo"
)

func TestPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var out strings.Builder
		if err := demo.Play(t.Context(), f.world(), &out); err != nil {
			t.Fatal(err)
		}
		want := []string{"kill proxy", "kill plex1", "kill plex2", "revive plex1", "revive plex2", "revive proxy", "move wan, new"}
		if diff := cmp.Diff(want, f.events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		checkGolden(t, out.String(), `
1. All are up: inside gets the proxy, outside the external address.

   inside   plex.home.duckdns.org A     127.0.3.1 (proxy)
   outside  plex.home.duckdns.org A     203.0.113.7 (wan)
   DuckDNS  plex.home.duckdns.org A     203.0.113.7 (wan)

2. The proxy is killed (SIGKILL): inside gets a node.

   inside   plex.home.duckdns.org A     127.0.1.1 (plex1), after 20 ms
   outside  plex.home.duckdns.org A     203.0.113.7 (wan)

3. That node, plex1, is killed: inside gets the other one.

   inside   plex.home.duckdns.org A     127.0.2.1 (plex2), after 20 ms
   outside  plex.home.duckdns.org A     203.0.113.7 (wan)

4. What is known of the nodes, and since when.

   inside   _status.plex.home.duckdns.org TXT
            plex1 down since 2026-11-22T20:00:00Z
            plex2 up since 2026-11-22T20:00:00Z

5. The last one, plex2, is killed: inside gets the proxy as a last resort.

   inside   plex.home.duckdns.org A     127.0.3.1 (proxy), after 20 ms
   outside  plex.home.duckdns.org A     203.0.113.7 (wan)

6. All are revived: inside gets its node again, and then the proxy.

   inside   plex.home.duckdns.org A     127.0.1.1 (plex1), after 2000 ms
   inside   plex.home.duckdns.org A     127.0.3.1 (proxy), after 2000 ms
   outside  plex.home.duckdns.org A     203.0.113.7 (wan)

7. A type that is not there (no IPv6 in this home) does not deny the name.

   inside   plex.home.duckdns.org AAAA  no data (NODATA, not NXDOMAIN)

8. The external address changes: once echoes agree for 5 s, DuckDNS is told.

   outside  plex.home.duckdns.org A     203.0.113.8 (wan, new), after 5000 ms
   DuckDNS  plex.home.duckdns.org A     203.0.113.8 (wan, new), after 5050 ms

Every step held.
`)
	})
}

func checkGolden(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if len(line) > 81 {
			t.Errorf("%d columns, want at most 80: %s", len(line)-1, line)
		}
	}
}

// The node that dies is the one that the client was led to, whichever that is.
func TestPlayKillsTheNodeInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.node = demo.Plex2
		if err := demo.Play(t.Context(), f.world(), io.Discard); err != nil {
			t.Fatal(err)
		}
		if got, want := f.events[:3], []string{"kill proxy", "kill plex2", "kill plex1"}; !cmp.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestPlayFindsWhatIsWrong(t *testing.T) {
	insideA := demo.Question{From: demo.Inside, Name: "plex.home.duckdns.org.", Type: dns.TypeA}
	always := func(wrong demo.Answer, q demo.Question) func(demo.Question, demo.Answer) (demo.Answer, error) {
		return func(asked demo.Question, right demo.Answer) (demo.Answer, error) {
			if asked == q {
				return wrong, nil
			}
			return right, nil
		}
	}
	const named = "plex.home.duckdns.org "
	for _, tc := range []struct {
		name  string
		edit  func(demo.Question, demo.Answer) (demo.Answer, error)
		error string
	}{
		{
			"the dead proxy goes on being answered",
			always(address(demo.Proxy), insideA),
			"playing step 2: asking inside for " + named +
				"A: no right answer within 20s: got 127.0.3.1 (proxy), want plex1 or plex2",
		},
		{
			"outside follows inside",
			func(q demo.Question, right demo.Answer) (demo.Answer, error) {
				if q.From == demo.Outside {
					return address(demo.Proxy), nil
				}
				return right, nil
			},
			"playing step 1: asking outside for " + named + "A: no right answer within 20s: got 127.0.3.1 (proxy), want wan",
		},
		{
			"one answer leads to both nodes",
			func(q demo.Question, right demo.Answer) (demo.Answer, error) {
				if q == insideA && !cmp.Equal(right, address(demo.Proxy)) {
					return address(demo.Plex1, demo.Plex2), nil
				}
				return right, nil
			},
			"playing step 2: asking inside for " + named +
				"A: no right answer within 20s: got 127.0.1.1 (plex1), 127.0.2.1 (plex2), want plex1 or plex2",
		},
		{
			"the status is wrong",
			always(data("plex1 up since now", "plex2 up since now"), demo.Question{
				From: demo.Inside, Name: "_status." + insideA.Name, Type: dns.TypeTXT,
			}),
			"playing step 4: asking inside for _status." + named + "TXT: no right answer within 20s: " +
				"got plex1 up since now, plex2 up since now, want plex1 down since , plex2 up since ",
		},
		{
			"a missing type denies the name",
			always(demo.Answer{Rcode: dns.RcodeNameError}, demo.Question{
				From: demo.Inside, Name: insideA.Name, Type: dns.TypeAAAA,
			}),
			"playing step 7: asking inside for " + named + "AAAA: no right answer within 20s: got NXDOMAIN, want no data",
		},
		{
			"outside keeps the old address",
			func(q demo.Question, right demo.Answer) (demo.Answer, error) {
				if q.From == demo.Outside {
					return address(demo.Wan), nil
				}
				return right, nil
			},
			"playing step 8: asking outside for " + named + "A: no right answer within 20s: got 203.0.113.7 (wan), want wan, new",
		},
		{
			"DuckDNS is not told",
			func(q demo.Question, right demo.Answer) (demo.Answer, error) {
				if q.From == demo.AtDuck {
					return address(demo.Wan), nil
				}
				return right, nil
			},
			"playing step 8: asking DuckDNS for " + named + "A: no right answer within 20s: got 203.0.113.7 (wan), want wan, new",
		},
		{
			"no answer",
			func(demo.Question, demo.Answer) (demo.Answer, error) { return demo.Answer{}, errors.New("timed out") },
			"playing step 1: asking inside for " + named + "A: no right answer within 20s: timed out",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.edit = tc.edit
				err := demo.Play(t.Context(), f.world(), io.Discard)
				if err == nil || err.Error() != tc.error {
					t.Errorf("error %v\nwant  %s", err, tc.error)
				}
			})
		})
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		f := newFake()
		f.edit = func(demo.Question, demo.Answer) (demo.Answer, error) {
			cancel(cause)
			return demo.Answer{}, ctx.Err()
		}
		if err := demo.Play(ctx, f.world(), io.Discard); !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	})
}

func TestPlayStopsWhereItCannotKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.killErr = errors.New("killing proxy: not permitted")
		if err := demo.Play(t.Context(), f.world(), io.Discard); !errors.Is(err, f.killErr) {
			t.Errorf("error %v, want %v", err, f.killErr)
		}
	})
}

func TestPlayStopsWherePlexdnsCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.moveErr = errors.New("no plexdns runs with that state folder")
		if err := demo.Play(t.Context(), f.world(), io.Discard); !errors.Is(err, f.moveErr) {
			t.Errorf("error %v, want %v", err, f.moveErr)
		}
	})
}

// brokenWriter takes nothing.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestPlayNeedsListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := demo.Play(t.Context(), newFake().world(), brokenWriter{})
		if !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("error %v, want %v", err, io.ErrClosedPipe)
		}
	})
}
