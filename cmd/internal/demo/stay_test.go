package demo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plexha/cmd/internal/demo"
)

// guest is a person who plays with a home.
type guest struct {
	fake  *fake
	keys  *io.PipeWriter
	out   strings.Builder
	ended chan error
}

// visit starts demo.Stay in a bubble.
func visit(ctx context.Context, t *testing.T) *guest {
	t.Helper()
	in, keys := io.Pipe()
	g := &guest{fake: newFake(), keys: keys, ended: make(chan error, 1)}
	go func() { g.ended <- demo.Stay(ctx, g.fake.world(), in, &g.out) }()
	t.Cleanup(func() { keys.Close(); in.Close() })
	synctest.Wait()
	return g
}

// press types a line, and waits until what it does has happened.
func (g *guest) press(key string) {
	fmt.Fprintln(g.keys, key)
	time.Sleep(12 * time.Second)
	synctest.Wait()
}

func TestStay(t *testing.T) {
	const (
		answer  = "   inside   plex.home.duckdns.org A  "
		outside = "   outside  plex.home.duckdns.org A  "
		atDuck  = "   DuckDNS  plex.home.duckdns.org A  "
	)
	for _, tc := range []struct {
		name string
		keys string
		want string
	}{
		{"the proxy is killed", "p", "proxy killed\n" + answer + "127.0.1.1 (plex1), after 20 ms\n"},
		{"capitals will do", "P", "proxy killed\n" + answer + "127.0.1.1 (plex1), after 20 ms\n"},
		{"the proxy returns", "p p", "proxy killed\n" + answer + "127.0.1.1 (plex1), after 20 ms\n" +
			"proxy revived\n" + answer + "127.0.3.1 (proxy), after 2000 ms\n"},
		{"the node in use is killed", "p 1", "proxy killed\n" + answer + "127.0.1.1 (plex1), after 20 ms\n" +
			"plex1 killed\n" + answer + "127.0.2.1 (plex2), after 20 ms\n"},
		{"the home moves", "w", "wan moved to 203.0.113.8\n" + outside + "203.0.113.8 (new), after 5000 ms\n" +
			atDuck + "203.0.113.8 (new)\n"},
		{"the home moves and returns", "w W", "wan moved to 203.0.113.8\n" + outside + "203.0.113.8 (new), after 5000 ms\n" +
			atDuck + "203.0.113.8 (new)\n" + "wan moved to 203.0.113.7\n" + outside + "203.0.113.7 (wan), after 5000 ms\n" +
			atDuck + "203.0.113.7 (wan)\n"},
		{"the tv's node is drained, and taken back", "d d", "plex1 drained\nplex1 taken back\n"},
		{"one that is not in use is killed", "2", "plex2 killed\n" + answer + "still 127.0.3.1 (proxy)\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := visit(t.Context(), t)
				for key := range strings.FieldsSeq(tc.keys) {
					g.press(key)
				}
				g.press("q")
				if err := <-g.ended; err != nil {
					t.Error(err)
				}
				checkGolden(t, g.out.String(), tc.want)
				if tc.keys == "d d" && !slices.Equal(g.fake.events[2:], []string{"drain plex1", "none plex1"}) {
					t.Errorf("did %q, want that plexdns is told", g.fake.events)
				}
			})
		})
	}
}

func TestStayHelpsWithOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := visit(t.Context(), t)
		g.press("")
		g.press("7")
		g.press("q")
		if got := g.out.String(); !strings.HasPrefix(got, "   no such key\n\n1, 2, p  ") || len(g.fake.events) > 2 {
			t.Errorf("said %q and did %q, want help, and films alone", got, g.fake.events)
		}
	})
}

func TestStayTellsAChangeOfItsOwnAccord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := visit(t.Context(), t)
		g.fake.happen(demo.Proxy, "crash", true)
		time.Sleep(time.Second)
		synctest.Wait()
		checkGolden(t, g.out.String(), "   inside   plex.home.duckdns.org A  127.0.1.1 (plex1)\n")
		g.press("q")
	})
}

func TestStayEnds(t *testing.T) {
	t.Run("with its input", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := visit(t.Context(), t)
			g.keys.Close()
			if err := <-g.ended; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			g := visit(ctx, t)
			cancel(cause)
			if err := <-g.ended; !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
		})
	})
	t.Run("when nobody listens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			in, keys := io.Pipe()
			defer keys.Close()
			go fmt.Fprintln(keys, "p")
			if err := demo.Stay(t.Context(), newFake().world(), in, brokenWriter{}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("error %v, want %v", err, io.ErrClosedPipe)
			}
		})
	})
}
