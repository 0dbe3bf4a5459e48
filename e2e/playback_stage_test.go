package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// viewers is how many clients of each kind a house has.
const viewers = 120

// house is nodes of one owner in the test's own process, so that it can read what they were asked.
type house struct {
	tb    testing.TB
	nodes []*houseNode // plex1, plex2, ...
}

type houseNode struct {
	*standin.Plex
	options standin.PlexOptions
	addr    netip.AddrPort
	kill    func() // closes its connections and refuses new ones
}

// newHouse starts n nodes. The first client of a kind has the first film, and so on; every node numbers them
// in its own way. A guest is one of a single node: the first of plex1, the second of plex2, and so on.
func newHouse(tb testing.TB, n int, edits ...func(*standin.PlexOptions)) *house {
	tb.Helper()
	h := &house{tb: tb}
	var devices []string
	for _, kind := range standin.Kinds() {
		for i := range viewers {
			if kind != standin.Guest {
				devices = append(devices, h.viewer(kind, i).Token)
			}
		}
	}
	for i := range n {
		o := standin.PlexOptions{
			Name: fmt.Sprintf("plex%d", 1+i), Identity: strings.Repeat(fmt.Sprintf("%x", 1+i), 40),
			Owner: secret, Devices: devices, IDBase: 7 * i,
			FilmSize: 64 << 10, SegmentSize: 2 << 10, Decisions: true,
		}
		for g := i; g < viewers; g += n {
			o.Guests = append(o.Guests, h.viewer(standin.Guest, g).Token)
		}
		for _, edit := range edits {
			edit(&o)
		}
		node := &houseNode{options: o, addr: netip.AddrPortFrom(inside, freePort(tb, inside))}
		node.start(tb)
		h.nodes = append(h.nodes, node)
	}
	return h
}

// start starts the node, which knows nothing of the sessions that it had before.
func (n *houseNode) start(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // not the test's: it ends after the proxy
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", n.addr.String())
	if err != nil {
		tb.Fatal(err)
	}
	n.Plex = standin.NewPlexServer(n.options)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.Serve(ctx, l); err != nil {
			tb.Errorf("%s: %v", n.options.Name, err)
		}
	}()
	n.kill = sync.OnceFunc(func() { cancel(); <-done })
	tb.Cleanup(n.kill)
}

// standIns returns the nodes as who puts a proxy before them wants them: only their addresses count.
func (h *house) standIns() (all []*standIn) {
	for _, n := range h.nodes {
		all = append(all, &standIn{tb: h.tb, addr: n.addr})
	}
	return all
}

// newProxy picks a folder and ports for a plexproxy before the nodes. It starts nothing.
func (h *house) newProxy(tb testing.TB, lines ...string) *plexproxy {
	tb.Helper()
	p := newPlexproxy(tb, &home{tb: tb, nodes: h.standIns()})
	p.lines = lines
	return p
}

// startProxy starts a plexproxy before the nodes.
func (h *house) startProxy(tb testing.TB, lines ...string) *plexproxy {
	tb.Helper()
	p := h.newProxy(tb, lines...)
	p.start()
	return p
}

// viewer returns the ith client of that kind. Each has a token of its own, in which stands the secret that no log
// may hold.
func (h *house) viewer(kind standin.Kind, i int) standin.Client {
	id := fmt.Sprintf("%s-%d", strings.ReplaceAll(string(kind), " ", "-"), i)
	return standin.Client{Kind: kind, ID: id, Token: secret + "-" + id, Film: i % 20, Segments: 4}
}

// viewers returns n clients of that kind.
func (h *house) viewers(kind standin.Kind, n int) (all []standin.Client) {
	for i := range n {
		all = append(all, h.viewer(kind, i))
	}
	return all
}

// device returns an HTTP client that shares no connection with others, as devices don't.
func (f *front) device() *http.Client {
	t := f.client.Transport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 16
	f.tb.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// play has all clients play at the front, some at a time, and returns what came of it in their order.
func (f *front) play(ctx context.Context, clients []standin.Client) []standin.Report {
	const atOnce = 12
	reports := make([]standin.Report, len(clients))
	todo := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(clients)) {
		device := f.device()
		wg.Go(func() {
			for i := range todo {
				reports[i] = clients[i].Play(ctx, device, f.url())
			}
		})
	}
	for i := range clients {
		todo <- i
	}
	close(todo)
	wg.Wait()
	return reports
}

// whole fails the test unless the playback is whole: every request that only one node may answer went where the
// decision went, and the app has met that node alone. It returns the node.
func (h *house) whole(tb testing.TB, r standin.Report) (node string) {
	tb.Helper()
	if err := r.Whole(); err != nil {
		tb.Error(err)
		return ""
	}
	for _, s := range r.Steps {
		if s.Name == "decision" {
			node = s.Node
		}
	}
	for _, s := range r.Steps {
		if s.Node != node && !s.Anywhere && s.Method != "LISTEN" {
			tb.Errorf("%s %s: %s %s at %q, and the decision at %s", r.Kind, r.Client, s.Name, s.Path, s.Node, node)
		}
	}
	if n := h.node(node); n == nil || n.Identity() != r.Identity {
		tb.Errorf("%s %s: played at %q, and has met %s", r.Kind, r.Client, node, r.Identity)
	}
	return node
}

// wholes returns how many of the playbacks are whole.
func wholes(reports []standin.Report) (n int) {
	for _, r := range reports {
		if r.Whole() == nil {
			n++
		}
	}
	return n
}

// node returns the node of that name, or nil.
func (h *house) node(name string) *houseNode {
	i := slices.IndexFunc(h.nodes, func(n *houseNode) bool { return n.options.Name == name })
	if i < 0 {
		return nil
	}
	return h.nodes[i]
}

// asked returns how often a node was asked with a token, and how often it refused that.
func (n *houseNode) asked(token string) (requests, refused int) {
	for _, r := range n.Journal() {
		if r.Token == token {
			requests++
			if r.Status == http.StatusUnauthorized {
				refused++
			}
		}
	}
	return requests, refused
}

// patience bounds how long a client of these tests goes on.
const patience = 2 * time.Minute

// patient returns a context for the clients of a test.
func patient(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// awaitNode returns when a node answers through the proxy.
func (f *front) awaitNode() {
	f.tb.Helper()
	eventually(f.tb, 20*time.Second, func() error {
		if a := f.get("/identity"); a.status != http.StatusOK {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
}
