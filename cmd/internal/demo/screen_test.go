package demo_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/demo"
)

var evening = time.Date(2026, time.November, 22, 20, 0, 0, 0, time.UTC)

func fullFrame() demo.Frame {
	return demo.Frame{
		At: evening.Add(time.Minute), Wan: demo.Wan, Done: "plex2 killed",
		Health: []demo.Health{
			{State: "up", Since: evening, Order: "drain"},
			{State: "down", Since: evening, Why: "connection refused"},
			{State: "up", Since: evening},
		},
		Known:   []demo.Known{{Playbacks: 2}, {}},
		Answers: []string{"127.0.3.1 (proxy)", "203.0.113.7 (wan)", "no answer"},
		Films:   []demo.Seen{{Node: demo.Plex1, Pieces: 412}, {Node: demo.Plex1, Pieces: 397, Again: 1}},
		Events:  []demo.Event{{At: evening, Text: "node plex1 is up"}, {At: evening.Add(time.Second), Text: "node plex2 is down"}},
	}
}

func TestFrame(t *testing.T) {
	for _, tc := range []struct {
		name       string
		frame      demo.Frame
		cols, rows int
		want       string
	}{
		{"all of it", fullFrame(), 79, 23, `
A home on loopback at 20:01:00Z

  1  plex1    up since 20:00:00Z, ordered: drain (2 playing)
  2  plex2    down since 20:00:00Z: connection refused
  p  proxy    up since 20:00:00Z
  w  wan      203.0.113.7

  inside   plex.home.duckdns.org A      127.0.3.1 (proxy)
  outside  plex.home.duckdns.org A      203.0.113.7 (wan)
  DuckDNS  plex.home.duckdns.org A      no answer

  tv       412 pieces, the last from plex1
  tablet   397 pieces, the last from plex1; breaks: 1

  20:00:01Z  node plex2 is down
  20:00:00Z  node plex1 is up

plex2 killed
1 2 p kill or revive   w move   d drain   q quit
`},
		{"nothing known, in a small window", demo.Frame{At: evening, Wan: demo.Wan, Events: fullFrame().Events}, 30, 18, `
A home on loopback at 20:00:0…

  1  plex1    plexdns does no…
  2  plex2    plexdns does no…
  p  proxy    plexdns does no…
  w  wan      203.0.113.7

  inside   plex.home.duckdns.…
  outside  plex.home.duckdns.…
  DuckDNS  plex.home.duckdns.…

  tv       waits for its film
  tablet   waits for its film

  20:00:01Z  node plex2 is do…


1 2 p kill or revive   w move…
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := "\n" + strings.Join(tc.frame.Draw(tc.cols, tc.rows), "\n") + "\n"
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What somebody else has written cannot steer the terminal.
func TestFrameIsPlain(t *testing.T) {
	f := demo.Frame{Events: []demo.Event{{Text: "order: \x1b[2Jgone\nnext"}}}
	for _, line := range f.Draw(79, 23) {
		if strings.ContainsAny(line, "\x1b\n") {
			t.Errorf("%q", line)
		}
	}
}

// paper keeps the last frame that was drawn on it.
type paper struct {
	mu   sync.Mutex
	text string
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text += string(b)
	return len(b), nil
}

// last returns the last frame.
func (p *paper) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text[strings.LastIndex(p.text, "A home on loopback"):]
}

// sitter is a person at a terminal.
type sitter struct {
	fake  *fake
	keys  *io.PipeWriter
	paper *paper
	ended chan error
}

func sit(ctx context.Context, t *testing.T) *sitter {
	t.Helper()
	in, keys := io.Pipe()
	s := &sitter{fake: newFake(), keys: keys, paper: &paper{}, ended: make(chan error, 1)}
	go func() {
		size := func() (int, int) { return 80, 24 }
		s.ended <- demo.Screen(ctx, s.fake.world(), demo.Terminal{In: in, Out: s.paper, Size: size})
	}()
	t.Cleanup(func() { keys.Close(); in.Close() })
	synctest.Wait()
	return s
}

// press presses a key, and waits for so long.
func (s *sitter) press(key string, wait time.Duration) {
	_, _ = io.WriteString(s.keys, key) // it is read, or the test ends
	time.Sleep(wait)
	synctest.Wait()
}

func TestScreenObeys(t *testing.T) {
	for _, tc := range []struct {
		name string
		key  string
		wait time.Duration
		want []string
	}{
		{"plex1 is killed", "1", time.Second, []string{"1  plex1    down", "refused", "kill plex1"}},
		{"plex2 is killed", "2", time.Second, []string{"2  plex2    down", "plex2 killed"}},
		{"the proxy is killed", "P", time.Second, []string{"p  proxy    down", "A      127.0.1.1 (plex1)", "proxy killed"}},
		{"the proxy returns", "pp", 3 * time.Second, []string{"p  proxy    up", "A      127.0.3.1 (proxy)", "proxy revived"}},
		{"the home moves", "w", 10 * time.Second, []string{"wan      203.0.113.8", "A      203.0.113.8 (new)", "wan moved"}},
		{"the tv's node is drained", "d", time.Second, []string{"plex1    up", ", ordered: drain (1 playing)", "plex1 drained"}},
		{"and taken back", "dd", time.Second, []string{"plex1    up", "plex1 taken back"}},
		{"other keys do nothing", "x\x1b[A", time.Second, []string{"plex1    up", "proxy    up"}},
		{"films go on", "", 2 * time.Second, []string{"pieces, the last from plex1", "pieces, the last from plex2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sit(t.Context(), t)
				s.press(tc.key, tc.wait)
				for _, words := range tc.want {
					if !strings.Contains(s.paper.last(), words) {
						t.Errorf("no %q in\n%s", words, s.paper.last())
					}
				}
				s.press("q", 0)
				if err := <-s.ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A frame is drawn over the one before, line by line, and at the end the cursor is back.
func TestScreenIsDrawnInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sit(t.Context(), t)
		s.press("\x03", 0)
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
		text := s.paper.text
		first, rest, again := strings.Cut(text, "\x1b[J")
		if lines := strings.Count(first, "\r\n"); !again || !strings.HasPrefix(rest, "\x1b[17A\r") || lines != 17 {
			t.Errorf("%d lines, and then %.20q, want 17 and back to the first", lines, rest)
		}
		if !strings.HasPrefix(text, "\x1b[?25l") || !strings.HasSuffix(text, "\x1b[?25h") {
			t.Error("the cursor is not hidden, or not shown at the end")
		}
	})
}

func TestScreenEnds(t *testing.T) {
	t.Run("with its keys", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := sit(t.Context(), t)
			s.keys.Close()
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cause := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			s := sit(ctx, t)
			cancel(cause)
			if err := <-s.ended; !errors.Is(err, cause) {
				t.Errorf("error %v, want %v", err, cause)
			}
		})
	})
	t.Run("when the terminal is gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			in, keys := io.Pipe()
			defer keys.Close()
			size := func() (int, int) { return 80, 24 }
			err := demo.Screen(t.Context(), newFake().world(), demo.Terminal{In: in, Out: brokenWriter{}, Size: size})
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("error %v, want %v", err, io.ErrClosedPipe)
			}
		})
	})
}

func TestWordsIn(t *testing.T) {
	const page = "<h1 id=\"a\">plex1 is\n down.</h1><p class=\"headline\"><b>all is &lt;well&gt;</b> since <time>20:00</time></p>"
	if got := demo.WordsIn(demo.Heading, []byte(page)); got != "plex1 is down." {
		t.Errorf("heading %q", got)
	}
	if got := demo.WordsIn(demo.Headline, []byte(page)); got != "all is <well> since 20:00" {
		t.Errorf("headline %q", got)
	}
	if got := demo.WordsIn(demo.Headline, []byte("<p>")); got != "" {
		t.Errorf("%q in a page without one", got)
	}
}
