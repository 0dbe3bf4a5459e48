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
		want := []string{
			"play tv", "drain plex1", "stop tv", "none plex1", "play tv", "play tablet", "kill plex1", "stop tv", "stop tablet",
			"revive plex1", "kill proxy", "revive proxy", "move new",
		}
		if diff := cmp.Diff(want, f.events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		checkGolden(t, out.String(), `
1. All are up: inside gets the proxy, outside the external address.

   inside   plex.home.duckdns.org A         127.0.3.1 (proxy)
   outside  plex.home.duckdns.org A         203.0.113.7 (wan)
   DuckDNS  plex.home.duckdns.org A         203.0.113.7 (wan)

2. The proxy speaks HTTPS under all names, with an authority of its own.

   tv       https://plex.home.duckdns.org   200 from plex1
   inside   https://plex1.home.duckdns.org  200 from plex1
   inside   https://plex2.home.duckdns.org  200 from plex2

3. Each device stays with its node, request after request.

   tv       20 requests                     plex1
   tablet   20 requests                     plex2

4. A film plays on the tv. Its node is drained, as by plexctl drain plex1.

   tv       plays                           from plex1
   proxy    follows the order               after 1 ms
   others   10 new devices                  plex2
   tv       plays on                        from plex1
   tv       stops                           none is left on plex1, after 1 ms

5. The order is taken back, as by plexctl undrain plex1.

   proxy    follows the order               after 1 ms
   others   10 new devices                  plex1 and plex2

6. Films play from both. plex1 is killed (SIGKILL): the others go on.

   inside   _status.plex.home.duckdns.org TXT, after 20 ms
            plex1 down since 2026-11-22T20:00:00Z
            plex2 up since 2026-11-22T20:00:00Z
   inside   https://plex.home.duckdns.org   200 from plex2, after 20 ms
   inside   https://plex1.home.duckdns.org  503 "plex1 is down.", after 20 ms
   tablet   plays on                        from plex2
   tv       begins its film again           from plex2, after 5100 ms
   the status page of plexdns
            plex1 is down since 2026-11-22 20:00:00Z: connection refused

7. plex1 is revived.

   inside   _status.plex.home.duckdns.org TXT, after 2000 ms
            plex1 up since 2026-11-22T20:00:00Z
            plex2 up since 2026-11-22T20:00:00Z
   inside   https://plex1.home.duckdns.org  200 from plex1, after 2000 ms
   the status page of plexdns
            all is well since 2026-11-22 20:00:00Z

8. The proxy is killed: inside gets a node, and outside nothing changes.

   inside   plex.home.duckdns.org A         127.0.1.1 (plex1), after 20 ms
   outside  plex.home.duckdns.org A         203.0.113.7 (wan)
   the status page of plexdns
            proxy is down since 2026-11-22 20:00:00Z: connection refused

9. It is revived, and knows where everybody was.

   inside   plex.home.duckdns.org A         127.0.3.1 (proxy), after 2000 ms
   tablet   https://plex.home.duckdns.org   200 from plex2
   the status page of plexproxy
            all is well since 2026-11-22 20:00:00Z

10. The external address changes: once echoes agree for 5 s, DuckDNS is told.

   outside  plex.home.duckdns.org A         203.0.113.8 (new), after 5000 ms
   DuckDNS  plex.home.duckdns.org A         203.0.113.8 (new), after 5050 ms
   the status page of plexdns
            all is well since 2026-11-22 20:00:00Z

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

// What is drained and killed is the node that the tv plays from, whichever that is.
func TestPlayFollowsTheTV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.node = demo.Plex2
		if err := demo.Play(t.Context(), f.world(), io.Discard); err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{"drain plex2", "kill plex2", "revive plex2"} {
			if !strings.Contains(strings.Join(f.events, ", "), event) {
				t.Errorf("events %q, want %q", f.events, event)
			}
		}
	})
}

// mistake is one thing that goes wrong in a home, and what the story says of it.
type mistake struct {
	name  string
	make  func(*fake)
	error string
}

const none = "no right answer within 20s: "

func TestPlayFindsWrongAnswers(t *testing.T) {
	insideA := demo.Question{From: demo.Inside, Name: "plex.home.duckdns.org.", Type: dns.TypeA}
	const named = "plex.home.duckdns.org "
	answers := func(edit func(demo.Question, demo.Answer) demo.Answer) func(*fake) {
		return func(f *fake) {
			f.edit = func(q demo.Question, right demo.Answer) (demo.Answer, error) { return edit(q, right), nil }
		}
	}
	whose := func(c demo.Client, wrong demo.Answer) func(*fake) {
		return answers(func(q demo.Question, right demo.Answer) demo.Answer {
			if q.From == c {
				return wrong
			}
			return right
		})
	}
	testMistakes(t, []mistake{
		{
			"outside follows inside", whose(demo.Outside, address(demo.Proxy)),
			"playing step 1: asking outside for " + named + "A: " + none + "got 127.0.3.1 (proxy), want wan",
		},
		{
			"a dead node is called up", answers(func(q demo.Question, right demo.Answer) demo.Answer {
				if q.Type == dns.TypeTXT {
					return data("plex1 up since now", "plex2 up since now")
				}
				return right
			}),
			"playing step 6: asking inside for _status." + named + "TXT: " + none +
				"got plex1 up since now, plex2 up since now, want plex1 down since , plex2 up since ",
		},
		{
			"the dead proxy goes on being answered", answers(func(q demo.Question, right demo.Answer) demo.Answer {
				if q == insideA {
					return address(demo.Proxy)
				}
				return right
			}),
			"playing step 8: asking inside for " + named + "A: " + none + "got 127.0.3.1 (proxy), want plex1 or plex2",
		},
		{
			"one answer leads to both nodes", answers(func(q demo.Question, right demo.Answer) demo.Answer {
				if q == insideA && !cmp.Equal(right, address(demo.Proxy)) {
					return address(demo.Plex1, demo.Plex2)
				}
				return right
			}),
			"playing step 8: asking inside for " + named + "A: " + none +
				"got 127.0.1.1 (plex1), 127.0.2.1 (plex2), want plex1 or plex2",
		},
		{
			"outside keeps the old address", whose(demo.Outside, address(demo.Wan)),
			"playing step 10: asking outside for " + named + "A: " + none + "got 203.0.113.7 (wan), want new",
		},
		{
			"DuckDNS is not told", whose(demo.AtDuck, address(demo.Wan)),
			"playing step 10: asking DuckDNS for " + named + "A: " + none + "got 203.0.113.7 (wan), want new",
		},
		{
			"no answer", func(f *fake) {
				f.edit = func(demo.Question, demo.Answer) (demo.Answer, error) { return demo.Answer{}, errors.New("timed out") }
			},
			"playing step 1: asking inside for " + named + "A: " + none + "timed out",
		},
	})
}

func TestPlayFindsWrongPages(t *testing.T) {
	pages := func(when func(demo.Visit) bool, wrong demo.Page) func(*fake) {
		return func(f *fake) {
			f.show = func(v demo.Visit, right demo.Page) (demo.Page, error) {
				if when(v) {
					return wrong, nil
				}
				return right, nil
			}
		}
	}
	of := func(d demo.Device) func(demo.Visit) bool { return func(v demo.Visit) bool { return v.By == d } }
	const host = "https://plex.home.duckdns.org/"
	turn := 0
	testMistakes(t, []mistake{
		{
			"a name leads to the other node",
			pages(func(v demo.Visit) bool { return v.Host == "plex1.home.duckdns.org" }, demo.Page{Status: 200, Node: demo.Plex2}),
			"playing step 2: visiting https://plex1.home.duckdns.org/identity: " + none + "got 200 from plex2, want 200 from plex1",
		},
		{
			"a device is led to and fro", func(f *fake) {
				f.show = func(v demo.Visit, right demo.Page) (demo.Page, error) {
					if turn++; v.By == demo.TV && turn > 10 {
						right.Node = demo.Plex2
					}
					return right, nil
				}
			},
			"playing step 3: visiting " + host + ": " + none + "got 200 from plex2, want 200 from plex1",
		},
		{
			"new devices go to a drained node", pages(of("guest-1-3"), demo.Page{Status: 200, Node: demo.Plex1}),
			"playing step 4: visiting " + host + ": " + none + "got 200 from plex1, want 200 from plex2",
		},
		{
			"a dead node's own name leads to the other one", func(f *fake) {
				f.show = func(v demo.Visit, right demo.Page) (demo.Page, error) {
					if right.Status != 200 {
						return demo.Page{Status: 200, Node: demo.Plex2}, nil
					}
					return right, nil
				}
			},
			"playing step 6: visiting https://plex1.home.duckdns.org/: " + none + `got 200 from plex2, want 503 "plex1 is down."`,
		},
	})
}

func TestPlayFindsWrongFilms(t *testing.T) {
	const tv, tablet = "watching a film on the tv: ", "watching a film on the tablet: "
	films := func(watch func(*fake, demo.Device, demo.Seen) demo.Seen) func(*fake) {
		return func(f *fake) {
			f.watch = func(d demo.Device, right demo.Seen) demo.Seen { return watch(f, d, right) }
		}
	}
	testMistakes(t, []mistake{
		{
			"a drained node's film breaks off", films(func(f *fake, _ demo.Device, right demo.Seen) demo.Seen {
				if f.drained != "" {
					right.Again++
				}
				return right
			}),
			"playing step 4: " + tv + none + "the film broke off once more",
		},
		{
			"a film stands still", films(func(_ *fake, d demo.Device, right demo.Seen) demo.Seen {
				if d == demo.Tablet {
					right.Pieces = min(right.Pieces, 3)
				}
				return right
			}),
			"playing step 6: " + tablet + none + "got 3 pieces, the last from plex2, want 5 more from plex2",
		},
		{
			"the other node's film breaks off too", films(func(f *fake, d demo.Device, right demo.Seen) demo.Seen {
				if d == demo.Tablet && f.dead[demo.Plex1] {
					right.Again++
				}
				return right
			}),
			"playing step 6: " + tablet + none + "the film broke off once more",
		},
		{
			"a film that has ended is counted for ever", func(f *fake) {
				f.know = func(k demo.Known) demo.Known { k.Playbacks = 1; return k }
			},
			"playing step 4: asking plexproxy about plex1: " + none + `got up, order "drain", 1 playbacks, want 0 playbacks`,
		},
		{
			"an order that plexproxy does not see", func(f *fake) {
				f.know = func(k demo.Known) demo.Known { k.Order = ""; return k }
			},
			"playing step 4: asking plexproxy about plex1: " + none + `got up, order "", 1 playbacks, want order "drain"`,
		},
		{
			"the page does not see it", func(f *fake) {
				f.headline = func(demo.Reporter, string) string { return "all is well" }
			},
			`playing step 6: reading the status page of plexdns: ` + none + `got all is well, want "plex1 is down"`,
		},
	})
}

func testMistakes(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				m.make(f)
				err := demo.Play(t.Context(), f.world(), io.Discard)
				if err == nil || err.Error() != m.error {
					t.Errorf("error %v\nwant  %s", err, m.error)
				}
				if len(f.films) > 0 {
					t.Errorf("%d films go on after the story", len(f.films))
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

// A step that cannot even be begun is the end of the story.
func TestPlayStopsWhereItCannotAct(t *testing.T) {
	for name, fail := range map[string]func(*fake, error){
		"killing":  func(f *fake, err error) { f.killErr = err },
		"ordering": func(f *fake, err error) { f.orderErr = err },
		"moving":   func(f *fake, err error) { f.moveErr = err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, cause := newFake(), errors.New("not permitted")
				fail(f, cause)
				if err := demo.Play(t.Context(), f.world(), io.Discard); !errors.Is(err, cause) {
					t.Errorf("error %v, want %v", err, cause)
				}
			})
		})
	}
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
