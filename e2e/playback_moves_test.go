package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/standin"
)

// TestGuestIsFoundOnce: a guest of one node comes to the main name. Where his token was placed by its hash alone and
// is refused, each other node is asked once at most, and never again.
func TestGuestIsFoundOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	p := h.startProxy(t)
	const guests = 30
	ctx := patient(t)
	clients := h.viewers(standin.Guest, guests)
	for i, r := range p.front.play(ctx, clients) {
		if got, want := h.whole(t, r), fmt.Sprintf("plex%d", 1+i%3); got != want {
			t.Errorf("%s: played at %s, want %s, whose guest he is", r.Client, got, want)
		}
	}
	astray := h.checkGuests(t, clients)
	if astray == 0 || astray == guests {
		t.Errorf("%d of %d guests were not at home by the hash of their tokens: the test shows nothing", astray, guests)
	}
	t.Logf("%d of %d guests were looked for", astray, guests)

	// All that was learned outlives the process.
	p.stop()
	p.start()
	for i := range clients {
		clients[i].Nth = 1
	}
	for _, r := range p.front.play(ctx, clients) {
		h.whole(t, r)
	}
	h.checkGuests(t, clients)
}

// checkGuests fails the test if a node that a guest is not of was asked with his token more than once. It returns how
// many of the guests such a node was asked for.
func (h *house) checkGuests(tb testing.TB, clients []standin.Client) (astray int) {
	tb.Helper()
	for i, c := range clients {
		asked := false
		for j, n := range h.nodes {
			requests, refused := n.asked(c.Token)
			if j == i%len(h.nodes) {
				continue
			}
			asked = asked || requests > 0
			if requests > 1 || refused != requests {
				tb.Errorf("%s, a guest of plex%d: %s was asked %d times, and refused %d", c.ID, 1+i%len(h.nodes), n.options.Name, requests, refused)
			}
		}
		if asked {
			astray++
		}
	}
	return astray
}

// TestDevicesOfOneToken: an account's devices are on one node, unless the Corefile wants them spread.
func TestDevicesOfOneToken(t *testing.T) {
	t.Parallel()
	const accounts = 12
	// All three find what belongs to their playback by more than the token.
	kinds := []standin.Kind{standin.PlexWeb, standin.DirectPlay, standin.StrictApp}
	for _, tc := range []struct {
		name, line string
		apart      bool
	}{
		{"by the token", "affinity plex", false},
		{"by client", "affinity plex by client", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 3)
			p := h.startProxy(t, tc.line)
			var clients []standin.Client
			for i := range accounts {
				for _, kind := range kinds {
					c := h.viewer(kind, i)
					c.Token = h.viewer(standin.TVApp, i).Token
					clients = append(clients, c)
				}
			}
			apart := 0
			for reports := range slices.Chunk(p.front.play(patient(t), clients), len(kinds)) {
				var nodes []string
				for _, r := range reports {
					nodes = append(nodes, h.whole(t, r))
				}
				slices.Sort(nodes)
				if len(slices.Compact(nodes)) > 1 {
					apart++
				}
			}
			t.Logf("%d of %d accounts have devices on several nodes", apart, accounts)
			if tc.apart && apart < accounts/2 || !tc.apart && apart > 0 {
				t.Errorf("%d of %d accounts have devices on several nodes", apart, accounts)
			}
		})
	}
}

// interrupted plays with a new client for every third step of each kind's playback, and calls there before that. A
// notification that comes while a client has nobody to listen to is lost by any road, so that step is left out.
func (h *house) interrupted(t *testing.T, f *front, there func(t *testing.T, b *standin.Playback)) {
	t.Helper()
	ctx := patient(t)
	for _, kind := range standin.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			steps := h.viewer(kind, 0).Begin(f.device(), f.url()).Steps()
			for i := 0; i < len(steps); i += 3 {
				if steps[i] == "notification" {
					continue
				}
				b := h.viewer(kind, i).Begin(f.device(), f.url())
				if err := b.Until(ctx, steps[i]); err != nil {
					t.Fatal(err)
				}
				there(t, b)
				if h.whole(t, b.Finish(ctx)); t.Failed() {
					t.Fatalf("interrupted before %q", steps[i])
				}
			}
		})
	}
}

// TestPlaybackGoesOnThroughAnotherProxy: a client goes on through a proxy that has never heard of it.
func TestPlaybackGoesOnThroughAnotherProxy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	first, second := h.startProxy(t), h.startProxy(t)
	device := second.front.device()
	h.interrupted(t, first.front, func(_ *testing.T, b *standin.Playback) { b.Via(device, second.front.url()) })
}

// TestPlaybackOutlivesReloads: what is under way, websockets among it, goes on through a reload.
func TestPlaybackOutlivesReloads(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	p := h.startProxy(t)
	n := 0
	h.interrupted(t, p.front, func(t *testing.T, _ *standin.Playback) {
		n++
		p.reload(t, n%200)
	})
}

// TestPlaybackOutlivesAnotherProcess: the proxy is started anew amid the playbacks of one client of each kind.
func TestPlaybackOutlivesAnotherProcess(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	p := h.startProxy(t)
	ctx := patient(t)
	var all []*standin.Playback
	for _, kind := range standin.Kinds() {
		b := h.viewer(kind, 0).Begin(p.front.device(), p.front.url())
		steps := b.Steps()
		if err := b.Until(ctx, steps[len(steps)*2/3]); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	p.stop()
	p.start()
	for _, b := range all {
		b.Via(p.front.device(), p.front.url()) // websockets and event streams end with the process
		h.whole(t, b.Finish(ctx))
	}
}

// TestPinOutlivesTheProcess: a client whose node is not that of its hash, since it has asked for that one by name,
// stays there when the proxy is started anew; where nothing is known of it, it is where the hash says.
func TestPinOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	p, stranger := h.startProxy(t), h.startProxy(t)
	clients := h.viewers(standin.TVApp, 20)
	met := func(f *front) (nodes []string) {
		for _, c := range clients {
			a := f.get("/", asClient(c))
			nodes = append(nodes, a.header.Get("X-Backend"))
		}
		return nodes
	}
	hashed := met(p.front)
	var want []string
	for i, c := range clients {
		other := h.nodes[0]
		if hashed[i] == other.options.Name {
			other = h.nodes[1]
		}
		want = append(want, other.options.Name)
		query := url.Values{"type": {"video"}, "uri": {fmt.Sprintf("server://%s/com.plexapp.plugins.library/library/metadata/%d",
			other.Identity(), 1+other.options.IDBase)}}
		if a := p.front.do(http.MethodPost, "/playQueues?"+query.Encode(), http.NoBody, asClient(c)); a.status != http.StatusOK {
			t.Fatalf("%s asks for %s: %s: %s", c.ID, other.options.Name, a, a.body)
		}
	}
	check := func(when string, got, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("having asked for the other node", met(p.front), want)
	p.stop()
	p.start()
	check("after the start", met(p.front), want)
	check("where nothing is known", met(stranger.front), hashed)
}

// asClient makes a request that app's, as it stands in headers.
func asClient(c standin.Client) edit {
	return func(r *http.Request) {
		r.Header.Set("X-Plex-Client-Identifier", c.ID)
		r.Header.Set("X-Plex-Token", c.Token)
	}
}

// tallyOf says in words how many playbacks were whole.
type tallyOf struct{ whole, all int }

// String implements [fmt.Stringer].
func (t tallyOf) String() string { return fmt.Sprintf("%d of %d playbacks whole", t.whole, t.all) }

// TestPlaybacksWithoutAffinity shows what the affinity is for, and that these tests see when a playback is not whole:
// by the hash of their URLs alone, the requests of one are answered by several nodes.
func TestPlaybacksWithoutAffinity(t *testing.T) {
	t.Parallel()
	const playbacks = 20
	h := newHouse(t, 2)
	fronts := []struct {
		name string
		f    *front
	}{
		{"Caddy by uri_hash", startStockCaddy(t, tuned, h.standIns())},
		{"plexproxy, affinity off", h.startProxy(t, "affinity off").front},
		{"plexproxy", h.startProxy(t).front},
	}
	ctx := patient(t)
	got := map[string]tallyOf{}
	var table strings.Builder
	for _, x := range fronts {
		x.f.awaitNode()
		got[x.name] = tallyOf{wholes(x.f.play(ctx, h.viewers(standin.PlexWeb, playbacks))), playbacks}
		fmt.Fprintf(&table, "\n    %-24s %s", x.name, got[x.name])
	}
	t.Log(table.String())
	want := map[string]tallyOf{"Caddy by uri_hash": {0, playbacks}, "plexproxy, affinity off": {0, playbacks}, "plexproxy": {playbacks, playbacks}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tallyOf{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
