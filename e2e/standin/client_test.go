package standin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/standin"
)

// The tokens of the owner, of a device that he has signed in with, and of a guest of plex1 alone.
const (
	ownerToken  = "owner-token"
	deviceToken = "device-token"
	guestToken  = "guest-token"
)

// newPlexes returns two servers of one owner whose numbers overlap: item 8 of the one is item 1 of the other.
func newPlexes(t *testing.T) (plex1, plex2 *standin.Plex) {
	t.Helper()
	o := standin.PlexOptions{
		Name: "plex1", Identity: strings.Repeat("1", 40), Decisions: true,
		Owner: ownerToken, Devices: []string{deviceToken}, Guests: []string{guestToken},
	}
	plex1 = standin.NewPlexServer(o)
	o.Name, o.Identity, o.IDBase, o.Guests = "plex2", strings.Repeat("2", 40), 7, nil
	return plex1, standin.NewPlexServer(o)
}

// start serves h, and returns where.
func start(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// startPlex serves p, and closes it before its server, which waits for event streams.
func startPlex(t *testing.T, p *standin.Plex) string {
	t.Helper()
	base := start(t, p)
	t.Cleanup(p.Close)
	return base
}

func newHTTP(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// newSplitter returns a proxy that asks choose for each request which of the servers is to answer it.
func newSplitter(t *testing.T, choose func(*http.Request) string) http.Handler {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			target, err := url.Parse(choose(r.In))
			if err != nil {
				panic(err)
			}
			r.SetURL(target)
		},
	}
}

// client returns one of that kind, with the token that it needs.
func client(kind standin.Kind) standin.Client {
	c := standin.Client{Kind: kind, ID: "device-" + strings.ReplaceAll(string(kind), " ", "-"), Token: ownerToken, Film: 3}
	if kind == standin.Guest {
		c.Token = guestToken
	}
	return c
}

func TestPlaybackIsWholeAtOneServer(t *testing.T) {
	for _, kind := range standin.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			plex, _ := newPlexes(t)
			r := client(kind).Play(t.Context(), newHTTP(t), startPlex(t, plex))
			if err := r.Whole(); err != nil {
				t.Error(err)
			}
			if r.Identity != plex.Identity() {
				t.Errorf("identity: got %q, want %q", r.Identity, plex.Identity())
			}
			if diff := cmp.Diff([]string{"plex1"}, r.Nodes()); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}

// Browsers speak HTTP/2 to a proxy, but not for websockets.
func TestPlaybackIsWholeOverHTTP2(t *testing.T) {
	for _, kind := range standin.Kinds() {
		plex, _ := newPlexes(t)
		s := httptest.NewUnstartedServer(plex)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		t.Cleanup(plex.Close)
		if err := client(kind).Play(t.Context(), s.Client(), s.URL).Whole(); err != nil {
			t.Error(err)
		}
		for _, r := range plex.Journal() {
			want := "HTTP/2.0"
			if strings.HasPrefix(r.Path, "/:/websockets/") {
				want = "HTTP/1.1"
			}
			if r.Proto != want {
				t.Errorf("%s: got %s, want %s", r.Path, r.Proto, want)
			}
		}
	}
}

func TestPlaybackIsSplitBehindARandomProxy(t *testing.T) {
	for _, kind := range standin.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			plex1, plex2 := newPlexes(t)
			bases := []string{startPlex(t, plex1), startPlex(t, plex2)}
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(1, 2))
			proxy := newSplitter(t, func(*http.Request) string {
				mu.Lock()
				defer mu.Unlock()
				return bases[random.IntN(2)]
			})
			r := client(kind).Play(t.Context(), newHTTP(t), start(t, proxy))
			if err := r.Whole(); err == nil || !strings.Contains(err.Error(), "split over plex1 and plex2") {
				t.Errorf("got %v, want it split", err)
			}
		})
	}
}

// TestPlaybackNotices diverts one kind of request to another server.
func TestPlaybackNotices(t *testing.T) {
	const session = "/video/:/transcode/universal/session/"
	tests := []struct {
		name   string
		kind   standin.Kind
		divert string // the beginning of paths
		want   string // in the first failure
	}{
		{"another server at the root", standin.StrictApp, "/identity", "another server"},
		{"a section of another server", standin.TVApp, "/library/sections/", "404"},
		{"a number that means another film", standin.TVApp, "/library/metadata/", "another film"},
		{"a photo of another server", standin.PlexWeb, "/photo/", "404"},
		{"a queue for another server", standin.TVApp, "/playQueues", "404"},
		{"a start without decision", standin.PlexWeb, "/video/:/transcode/universal/start", "400"},
		{"a segment of another server's session", standin.PlexWeb, session, "404"},
		{"a playlist of another server's session", standin.TVApp, session, "404"},
		{"a timeline that its websocket does not see", standin.PlexWeb, "/:/timeline", "plex2 got the timeline, and plex1 is listened to"},
		{"a websocket that sees no timeline", standin.Guest, "/:/websockets/", "401"},
		{"an event stream that sees no timeline", standin.TVApp, "/:/eventsource/", "plex1 got the timeline, and plex2 is listened to"},
		{"a file of another server", standin.DirectPlay, "/library/parts/", "404"},
		{"a server that does not know the guest", standin.Guest, "/hubs/", "401"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plex1, plex2 := newPlexes(t)
			base1, base2 := startPlex(t, plex1), startPlex(t, plex2)
			c := client(tt.kind)
			c.Film = 10 // item 11: film 10 of plex1, film 3 of plex2
			r := c.Play(t.Context(), newHTTP(t), start(t, newSplitter(t, func(r *http.Request) string {
				if strings.HasPrefix(r.URL.Path, tt.divert) {
					return base2
				}
				return base1
			})))
			fs := r.Failures()
			if len(fs) == 0 || !strings.Contains(fs[0].Err, tt.want) {
				t.Errorf("got %+v, want a failure with %q", fs, tt.want)
			}
			if r.Whole() == nil {
				t.Error("it is whole")
			}
		})
	}
}

// A playback about which nothing is known is not whole.
func TestPlaybackNoticesThatNoNodeIsNamed(t *testing.T) {
	plex := standin.NewPlexServer(standin.PlexOptions{Identity: identity, Owner: ownerToken})
	r := client(standin.DirectPlay).Play(t.Context(), newHTTP(t), startPlex(t, plex))
	if err := r.Whole(); err == nil || !strings.Contains(err.Error(), "no answer says which node") {
		t.Errorf("got %v, want a complaint", err)
	}
	if fs := r.Failures(); len(fs) > 0 {
		t.Errorf("failures: got %+v, want none", fs)
	}
}

func TestPlaybackNoticesOtherBytes(t *testing.T) {
	plex1, _ := newPlexes(t)
	same := startPlex(t, plex1)
	other := standin.NewPlexServer(standin.PlexOptions{Name: "plex1", Identity: strings.Repeat("3", 40), Owner: ownerToken})
	base := startPlex(t, other) // with the same numbers and the same name
	r := client(standin.DirectPlay).Play(t.Context(), newHTTP(t), start(t, newSplitter(t, func(r *http.Request) string {
		if strings.HasPrefix(r.Header.Get("Range"), "bytes=0-5") { // the first half
			return base
		}
		return same
	})))
	var got []string
	for _, f := range r.Failures() {
		got = append(got, f.Name)
	}
	if diff := cmp.Diff([]string{"first half", "second half"}, got); diff != "" { // it asks for the rest of the other file
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func TestStrictAppRefusesAnotherServer(t *testing.T) {
	plex1, _ := newPlexes(t)
	c := client(standin.StrictApp)
	c.Identity = strings.Repeat("2", 40) // it was set up with the other
	r := c.Play(t.Context(), newHTTP(t), startPlex(t, plex1))
	if len(r.Steps) != 1 || len(r.Left) == 0 {
		t.Errorf("steps: got %+v, want no more than the root", r.Steps)
	}
}

func TestPlaybackGoesOnThroughAnotherProxy(t *testing.T) {
	for _, kind := range standin.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			plex, _ := newPlexes(t)
			first, second := startPlex(t, plex), start(t, plex)
			steps := client(kind).Begin(newHTTP(t), first).Steps()
			for k, name := range steps {
				if k%4 != 0 || slices.Index(steps, name) != k {
					continue
				}
				continueAt(t, plex, client(kind), name, first, second)
				for _, r := range plex.Journal() {
					if "http://"+r.Host != second {
						t.Errorf("second proxy from %q on: %s %s went to %s", name, r.Method, r.Path, r.Host)
					}
				}
			}
		})
	}
}

// continueAt plays through first until the step of that name, and from there through second, as the journal shows.
func continueAt(t *testing.T, plex *standin.Plex, c standin.Client, name, first, second string) {
	t.Helper()
	b := c.Begin(newHTTP(t), first)
	if err := b.Until(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if got := b.Steps()[0]; got != name {
		t.Errorf("next step: got %q, want %q", got, name)
	}
	plex.Forget()
	b.Via(newHTTP(t), second)
	if err := b.Finish(t.Context()).Whole(); err != nil {
		t.Errorf("second proxy from %q on: %v", name, err)
	}
}

// A step says what a person would want to know of it.
func TestStepsSayHowItWent(t *testing.T) {
	plex, _ := newPlexes(t)
	base := startPlex(t, plex)
	plex.SetFaults(standin.Fault{Prefix: "/:/timeline", Delay: time.Millisecond, Status: 500, Times: 1})
	fs := client(standin.DirectPlay).Play(t.Context(), newHTTP(t), base).Failures()
	if len(fs) != 1 || fs[0].Took < time.Millisecond {
		t.Fatalf("got %+v, want one that took a while", fs)
	}
	fs[0].Took = 0
	want := standin.Step{
		Name: "timeline", Method: "GET", Path: "/:/timeline", Node: "plex1", Status: 500,
		Err: "500 Internal Server Error, want 200",
	}
	if diff := cmp.Diff(want, fs[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUntilNamesTheSteps(t *testing.T) {
	b := client(standin.DirectPlay).Begin(newHTTP(t), "http://127.0.0.1:1")
	if err := b.Until(t.Context(), "credits"); err == nil || !strings.Contains(err.Error(), `"second half"`) {
		t.Errorf("got %v, want the steps that there are", err)
	}
}

// Step by step it is the same playback, and a viewer may have seen enough before its end.
func TestPlaybackStepByStep(t *testing.T) {
	plex, _ := newPlexes(t)
	b := client(standin.TVApp).Begin(newHTTP(t), startPlex(t, plex))
	for b.Steps()[0] != "segment 2" {
		if !b.Step(t.Context()) {
			t.Fatalf("no step before %q", b.Steps()[0])
		}
	}
	b.LeaveTo("credits")
	if got := b.Steps()[0]; got != "segment 2" {
		t.Errorf("after a step that is not there: got %q, want that nothing is left out", got)
	}
	b.LeaveTo("stopped")
	left := b.Steps()
	for b.Step(t.Context()) {
	}
	if want := []string{"stopped", "stop", "scrobble"}; !slices.Equal(left, want) {
		t.Errorf("steps at last: got %q, want %q", left, want)
	}
	b.Close()
	if err := b.Report().Whole(); err != nil {
		t.Error(err)
	}
}

func TestPlaybackPauses(t *testing.T) {
	plex, _ := newPlexes(t)
	base := startPlex(t, plex)
	for kind, want := range map[standin.Kind]int32{standin.DirectPlay: 4, standin.TVApp: 8} { // two ranges are two pauses
		var pauses atomic.Int32
		c := client(kind)
		c.Pause = func() { pauses.Add(1) }
		if err := c.Play(t.Context(), newHTTP(t), base).Whole(); err != nil {
			t.Error(err)
		}
		if got := pauses.Load(); got != want {
			t.Errorf("%s: got %d pauses, want %d", kind, got, want)
		}
	}
}

func TestPlaybackEndsWithItsContext(t *testing.T) {
	plex, _ := newPlexes(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := client(standin.PlexWeb).Begin(newHTTP(t), startPlex(t, plex))
	if err := b.Until(ctx, "segment 4"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if r := b.Finish(ctx); len(r.Left) == 0 || r.Left[0] != "segment 4" || r.Whole() == nil {
		t.Errorf("left: got %q, want all from segment 4 on", r.Left)
	}
}

func TestThreeDevicesOnOneToken(t *testing.T) {
	plex, _ := newPlexes(t)
	base := startPlex(t, plex)
	reports := make([]standin.Report, 3)
	var wg sync.WaitGroup
	for i, kind := range []standin.Kind{standin.PlexWeb, standin.TVApp, standin.DirectPlay} {
		wg.Go(func() {
			reports[i] = standin.Client{Kind: kind, ID: fmt.Sprint("device", i), Token: ownerToken}.Play(t.Context(), newHTTP(t), base)
		})
	}
	wg.Wait()
	for _, r := range reports {
		if err := r.Whole(); err != nil {
			t.Error(err)
		}
	}
}

// What each kind says of itself, and where.
func TestClientsSayWhoTheyAre(t *testing.T) {
	tests := []struct {
		name string
		kind standin.Kind
		path string
		want standin.Request // Query: whether X-Plex-Client-Identifier stands in it
	}{
		{
			"Plex Web: everything in the query", standin.PlexWeb, "/:/timeline",
			standin.Request{Method: "GET", Client: "device-plex-web", Token: ownerToken, Query: "ids"},
		},
		{
			"Plex Web: the token alone for a photo", standin.PlexWeb, "/photo/:/transcode",
			standin.Request{Method: "GET", Token: ownerToken},
		},
		{
			"Plex Web: the token alone for a websocket", standin.PlexWeb, "/:/websockets/notifications",
			standin.Request{Method: "GET", Token: ownerToken},
		},
		{"Plex Web: nothing for its files", standin.PlexWeb, "/web/favicon.ico", standin.Request{Method: "GET"}},
		{
			"Plex Web: the session alone for a segment", standin.PlexWeb, "/0/header",
			standin.Request{Method: "GET", Session: "here"},
		},
		{
			"TV: headers, and no session, on the timeline", standin.TVApp, "/:/timeline",
			standin.Request{Method: "GET", Client: "device-tv-app", Token: ownerToken},
		},
		{
			"strict app: posts its timeline", standin.StrictApp, "/:/timeline",
			standin.Request{Method: "POST", Client: "device-strict-app", Token: ownerToken},
		},
		{
			"strict app: transcodeSessionId", standin.StrictApp, "/video/:/transcode/universal/start.m3u8",
			standin.Request{Method: "GET", Client: "device-strict-app", Token: ownerToken, Session: "here"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plex, _ := newPlexes(t)
			if err := client(tt.kind).Play(t.Context(), newHTTP(t), startPlex(t, plex)).Whole(); err != nil {
				t.Fatal(err)
			}
			all := plex.Journal()
			i := slices.IndexFunc(all, func(r standin.Request) bool { return strings.HasSuffix(r.Path, tt.path) })
			if i < 0 {
				t.Fatal("no such request")
			}
			got := standin.Request{Method: all[i].Method, Client: all[i].Client, Token: all[i].Token}
			if strings.Contains(all[i].Query, "X-Plex-Client-Identifier") {
				got.Query = "ids"
			}
			if all[i].Session != "" {
				got.Session = "here"
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlaybacksOfEqualClientsAreEqual(t *testing.T) {
	plex, _ := newPlexes(t)
	base := startPlex(t, plex)
	for _, kind := range standin.Kinds() {
		first := client(kind).Play(t.Context(), newHTTP(t), base)
		// A queue's number is the server's choice.
		again := client(kind).Play(t.Context(), newHTTP(t), base)
		paths := func(r standin.Report) []string {
			var all []string
			for _, s := range r.Steps {
				if !strings.HasPrefix(s.Path, "/playQueues/") {
					all = append(all, s.Method+" "+s.Path)
				}
			}
			return all
		}
		if diff := cmp.Diff(paths(first), paths(again)); diff != "" {
			t.Errorf("%s (-first +again):\n%s", kind, diff)
		}
		c := client(kind)
		c.Nth = 1
		if next := c.Play(t.Context(), newHTTP(t), base); kind != standin.DirectPlay && cmp.Equal(paths(first), paths(next)) {
			t.Errorf("%s: the next playback has the same session", kind)
		}
	}
}

func BenchmarkPlayback(b *testing.B) {
	for _, kind := range standin.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			plex := standin.NewPlexServer(standin.PlexOptions{
				Name: "plex1", Identity: identity, Owner: ownerToken, Guests: []string{guestToken}, Quiet: true,
			})
			s := httptest.NewServer(plex)
			defer s.Close()
			defer plex.Close()
			c := client(kind)
			for b.Loop() {
				if err := c.Play(b.Context(), s.Client(), s.URL).Whole(); err != nil {
					b.Fatal(err)
				}
				c.Nth++
			}
		})
	}
}
