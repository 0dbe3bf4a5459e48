package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// deeds are what a client may ask that changes something, or means an item of one node. They write, some of
// them in the shape of a GET.
var deeds = []struct{ method, path string }{
	{http.MethodGet, "/:/timeline?ratingKey=7&state=playing&time=60000"},
	{http.MethodPost, "/:/timeline?ratingKey=7&state=paused&time=60000"},
	{http.MethodGet, "/:/scrobble?key=7&identifier=com.plexapp.plugins.library"},
	{http.MethodGet, "/:/unscrobble?key=7&identifier=com.plexapp.plugins.library"},
	{http.MethodPut, "/:/rate?key=7&rating=2"},
	{http.MethodDelete, "/library/metadata/7"},
	{http.MethodPut, "/library/metadata/7/prefs?x=1"},
	{http.MethodPost, "/playlists?type=video&title=mine"},
}

// deedsOf returns which deeds a node has seen of a client.
func deedsOf(tb testing.TB, s *standIn, client string) (done []string) {
	tb.Helper()
	for _, j := range journalOf(tb, s) {
		if j.Header.Get("X-Plex-Client-Identifier") != client {
			continue
		}
		for _, d := range deeds {
			if j.Method == d.method && j.URI == d.path {
				done = append(done, d.method+" "+d.path)
			}
		}
	}
	return done
}

// mover is a client that has to leave its node.
type mover struct {
	t      *testing.T
	s      *stage
	client string
}

// do asks for all deeds, and returns the answers.
func (m mover) do() (as []answer) {
	for _, d := range deeds {
		as = append(as, m.s.front.do(d.method, d.path, http.NoBody, by(m.client)))
	}
	return as
}

// refused wants all deeds to be refused, and none to be done by plex2.
func (m mover) refused(when string) {
	m.t.Helper()
	for i, a := range m.do() {
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			m.t.Errorf("%s: %s %s: %s, want 503 with Retry-After", when, deeds[i].method, deeds[i].path, a)
		}
	}
	if done := deedsOf(m.t, m.s.nodes[1], m.client); len(done) > 0 {
		m.t.Errorf("%s: plex2 has done %q", when, done)
	}
}

// done wants all deeds to be done by that node.
func (m mover) done(when string, node int) {
	m.t.Helper()
	for i, a := range m.do() {
		if a.status != http.StatusOK || a.node() != fmt.Sprintf("plex%d", 1+node) {
			m.t.Errorf("%s: %s %s: %s, want 200 from plex%d", when, deeds[i].method, deeds[i].path, a, 1+node)
		}
	}
	if done := deedsOf(m.t, m.s.nodes[node], m.client); len(done) != len(deeds) {
		m.t.Errorf("%s: plex%d has done %q, want all", when, 1+node, done)
	}
}

// leave takes its node away and makes it move by a read.
func (m mover) leave() {
	m.t.Helper()
	m.s.nodes[0].kill()
	m.refused("before it has moved")
	if a := m.s.front.get("/library/sections/1/all", by(m.client)); a.node() != "plex2" || a.status != http.StatusOK {
		m.t.Fatalf("a read: %s, want 200 from plex2", a)
	}
	m.refused("after it has moved")
}

// TestMovedClientWritesNowhere: a client that had to leave its node still has that one's item ids, which mean
// other films on the next one. Until it has asked where it is, nothing that it writes may reach that.
func TestMovedClientWritesNowhere(t *testing.T) {
	t.Parallel()
	newMover := func(t *testing.T) mover {
		s := newStage(t, ours, stageConfig{})
		return mover{t, s, s.front.clientOn("plex1")}
	}
	t.Run("until it asks where it is", func(t *testing.T) {
		t.Parallel()
		m := newMover(t)
		m.leave()
		a := m.s.front.get("/", by(m.client))
		if a.node() != "plex2" || !strings.Contains(string(a.body), strings.Repeat("2", 40)) {
			t.Fatalf("GET /: %s, want plex2's identity", a)
		}
		m.done("after GET /", 1)
	})
	t.Run("until its node is back", func(t *testing.T) {
		t.Parallel()
		m := newMover(t)
		path := m.s.front.pathOn("plex1")
		m.leave()
		m.s.nodes[0].start()
		eventually(t, 20*time.Second, func() error {
			if a := m.s.front.get(path); a.node() != "plex1" {
				return fmt.Errorf("plex1 is back: %s", a)
			}
			return nil
		})
		m.done("after its node has come back", 0)
		if done := deedsOf(t, m.s.nodes[1], m.client); len(done) > 0 {
			t.Errorf("plex2 has done %q", done)
		}
	})
}

// TestPlaybackWhoseNodeEnds takes the node away from apps in the middle of a film. That cannot go on, since its
// transcode was there; but nothing of it may be told to another node, and the app's next film is whole there.
func TestPlaybackWhoseNodeEnds(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*stage, int){
		"killed": func(s *stage, node int) { s.nodes[node].kill() },
		"frozen": (*stage).freeze,
	}
	for _, kind := range []standin.Kind{standin.PlexWeb, standin.TVApp, standin.DirectPlay} {
		for how, end := range ends {
			t.Run(string(kind)+" "+how, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, ours, stageConfig{})
				app := standin.Client{Kind: kind, ID: "the-device", Token: secret}
				film := app.Begin(s.front.client, s.front.url())
				half := map[standin.Kind]string{standin.DirectPlay: "second half"}[kind]
				if err := film.Until(t.Context(), cmp.Or(half, "timeline 9s")); err != nil {
					t.Fatal(err)
				}
				was := film.Report().Nodes()
				if fs := film.Report().Failures(); len(fs) > 0 || len(was) != 1 {
					t.Fatalf("before its node's end: at %q, failures: %v", was, fs)
				}
				here := slices.Index([]string{"plex1", "plex2"}, was[0])
				end(s, here)
				ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
				defer cancel()
				rest := film.Finish(ctx)
				s.nothingWritten(t, 1-here, app.ID)

				app.Nth++
				began := time.Now()
				next := app.Play(t.Context(), s.front.client, s.front.url())
				t.Logf("%d of %d steps of the film failed; the next one took %s on %q",
					len(rest.Failures()), len(rest.Steps), time.Since(began).Round(time.Millisecond), next.Nodes())
				if err := next.Whole(); err != nil {
					t.Errorf("the next film: %v", err)
				}
				if want := s.identity(1 - here); next.Identity != want {
					t.Errorf("the next film is from %s, want %s", next.Identity, want)
				}
			})
		}
	}
}

// identity returns the machineIdentifier of a node.
func (s *stage) identity(node int) string { return strings.Repeat(strconv.Itoa(1+node), 40) }

// nothingWritten wants a node to have got nothing from a client that changes anything.
func (s *stage) nothingWritten(t *testing.T, node int, client string) {
	t.Helper()
	journal, err := standin.Remote{Base: "http://" + s.nodes[node].addr.String(), HTTP: &http.Client{}}.Journal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range journal {
		if r.Client == client && r.Writes() {
			t.Errorf("plex%d got %s %s of a client that does not know it", 1+node, r.Method, r.Path)
		}
	}
}

// TestDrain: a node that the operator wants to empty keeps the clients that play and gets no new ones; the
// others leave when they next ask where they are.
func TestDrain(t *testing.T) {
	t.Parallel()
	h := &home{tb: t, nodes: []*standIn{startFaultyNode(t, 1), startFaultyNode(t, 2)}}
	p := newPlexproxy(t, h)
	p.start()
	f := p.front
	player, idler := f.clientOn("plex1"), ""
	for i := range 100 { // one that is there with another token
		c := fmt.Sprintf("idler-%d", i)
		if f.get("/", by(c)).node() == "plex1" {
			idler = c
			break
		}
	}
	s := &stage{tb: t, maker: ours, nodes: h.nodes, front: f}
	if c := s.play(player, "a-film"); c.failed > 0 {
		t.Fatalf("before the order: %s", c)
	}
	orders := filepath.Join(p.dir, "home.duckdns.org.orders")
	writeFile(t, orders, "plex1 drain # new disk\n")
	eventually(t, 5*time.Second, func() error {
		if a := f.get("/", by(idler)); a.node() != "plex2" {
			return fmt.Errorf("GET / of a client that does not play: %s", a)
		}
		return nil
	})
	if a := f.get("/:/timeline?ratingKey=7&state=playing", by(idler)); a.node() != "plex2" {
		t.Errorf("that client after its GET /: %s, want 200 from plex2", a)
	}
	for i := range 20 {
		if a := f.get("/", by(fmt.Sprintf("new-%d", i))); a.node() != "plex2" {
			t.Errorf("a new client: %s, want plex2", a)
		}
	}
	for _, path := range []string{"/", "/:/timeline?ratingKey=7&state=playing&X-Plex-Session-Identifier=a-film", "/library/metadata/7"} {
		if a := f.get(path, by(player)); a.node() != "plex1" || a.status != http.StatusOK {
			t.Errorf("the client that plays: %s: %s, want 200 from plex1", path, a)
		}
	}
	writeFile(t, orders, "")
	eventually(t, 5*time.Second, func() error {
		nodes := []string{}
		for i := range 20 {
			nodes = append(nodes, f.get("/", by(fmt.Sprintf("newer-%d-%d", i, time.Now().UnixNano()))).node())
		}
		if !slices.Contains(nodes, "plex1") {
			return fmt.Errorf("after the order's end new clients go to %q", nodes)
		}
		return nil
	})
}

// TestTwoProxiesAgree: proxies with one Corefile know nothing of each other and put every client on the same
// node, so that it may use any of them.
func TestTwoProxiesAgree(t *testing.T) {
	t.Parallel()
	const clients = 200
	h := &home{tb: t, nodes: []*standIn{startFaultyNode(t, 1), startFaultyNode(t, 2), startFaultyNode(t, 3)}}
	proxies := []*plexproxy{newPlexproxy(t, h), newPlexproxy(t, h)}
	for _, p := range proxies {
		p.start()
	}
	ask := func(p *plexproxy, i int, path string) answer {
		return p.front.get(path, by(fmt.Sprintf("client-%d", i)))
	}
	homes := make([]string, clients)
	agree, share := 0, map[string]int{}
	for i := range clients {
		a, b := ask(proxies[i%2], i, "/"), ask(proxies[1-i%2], i, "/library/sections")
		if a.status != http.StatusOK || b.status != http.StatusOK {
			t.Fatalf("client %d: %s, %s", i, a, b)
		}
		homes[i] = a.node()
		share[a.node()]++
		if a.node() == b.node() {
			agree++
		}
	}
	t.Logf("%d of %d clients are on the same node of both proxies: %v", agree, clients, share)
	if agree != clients {
		t.Errorf("%d of %d agree, want all", agree, clients)
	}
	for _, n := range []string{"plex1", "plex2", "plex3"} {
		if fair := clients / 3; share[n] < fair/2 || share[n] > 2*fair {
			t.Errorf("%s has %d of %d clients, want %d to %d", n, share[n], clients, fair/2, 2*fair)
		}
	}
	// A client that knows both addresses takes the other one when a connection fails.
	proxies[0].ends = true
	proxies[0].proc.kill()
	for i := range clients {
		a := ask(proxies[0], i, "/:/timeline?state=playing")
		if a.status == 0 {
			a = ask(proxies[1], i, "/:/timeline?state=playing")
		}
		if a.status != http.StatusOK || a.node() != homes[i] {
			t.Errorf("client %d after one proxy's end: %s, want 200 from %s", i, a, homes[i])
		}
	}
}
