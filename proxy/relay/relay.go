// Package relay takes a request to its node and brings the answer back, as modules of Caddy.
//
// A request passes four of them. The handler "plexha" stands around all others: it makes the [trip] of the
// request and renders what went wrong. Caddy's own reverse_proxy prepares the request, and asks the selection
// policy "plexha" for a node, by what the request names (package affinity) or, where it is bound to no node,
// by the `balance` policy. The transport "plexha" brings it there: all retries, the other nodes that are
// asked, and the queue of `max_requests` live in it, since Caddy's own loop can neither leave out the node that
// has just failed nor know which requests may go to another one. The handler "plexha_answer" tells
// reverse_proxy that the answer is seen to; "plexha" writes it when reverse_proxy has returned.
//
// What the operator can change without touching a name or a certificate is read from the newest moment of the
// cluster, per request: nodes, their health, orders, `retry`, `affinity`, `max_requests`, `open_ok`.
package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/proxy/playback"
	"plexha/zones"
)

// Cluster is what a relay needs of a cluster. *[cluster.Cluster] is one.
type Cluster interface {
	// Zone returns the block's first origin, fully qualified.
	Zone() string
	// Now returns the newest moment, or nil before the first. It never waits.
	Now() *cluster.Moment
	// Subscribe returns a channel that holds a value whenever there is a moment that the subscriber has not
	// been told of.
	Subscribe() (news <-chan struct{}, cancel func())
	// Pins returns what has been learned of clients and sessions. It never changes.
	Pins() *affinity.Table
	// Playbacks returns who plays at which node. It never changes.
	Playbacks() *playback.Table
}

// Relay is the traffic of one cluster. It outlives Caddy's configurations, whose modules find it by its zone.
type Relay struct {
	cluster Cluster
	zone    string
	pins    *affinity.Table
	plays   *playback.Table

	view  atomic.Pointer[view] // never nil
	mu    sync.Mutex           // one view is made at a time
	news  bell                 // rung with each new view
	trips sync.Pool            // of *trip
	asks  *askers

	streams [streamKinds]atomic.Int64 // that are open
	waiting atomic.Int64              // requests that wait for a node
	nowhere stats                     // of requests that came to no node
}

// New returns the relay of a cluster and enters it into the registry, where the modules find it by the
// cluster's zone. It works as it is; Run makes it quick to notice what happens to the nodes.
func New(c Cluster) *Relay {
	r := &Relay{cluster: c, zone: c.Zone(), pins: c.Pins(), plays: c.Playbacks(), asks: newAskers()}
	r.trips.New = func() any { return newTrip(r) }
	r.view.Store(&view{})
	relays.enter(r)
	return r
}

// Run follows what is known of the nodes until ctx ends: requests that wait for a node that goes down are let
// go, and those that wait for any node to come up are woken.
func (r *Relay) Run(ctx context.Context) error {
	news, cancel := r.cluster.Subscribe()
	defer cancel()
	for {
		r.now()
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

// Close takes the relay out of the registry and closes the idle connections to the nodes. Requests that are
// under way go on.
func (r *Relay) Close() {
	relays.leave(r)
	for _, n := range r.view.Load().nodes {
		n.transport.CloseIdleConnections()
	}
}

// now returns the view of the newest moment.
func (r *Relay) now() *view {
	if v := r.view.Load(); v.moment == r.cluster.Now() {
		return v
	}
	return r.look()
}

// look makes the view of the newest moment, and tells those whom it concerns.
func (r *Relay) look() *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, m := r.view.Load(), r.cluster.Now()
	if old.moment == m {
		return old // another one was faster
	}
	v := newView(m, old)
	r.view.Store(v)
	for _, n := range old.nodes {
		if !v.up(n) { // down, gone, or asked for elsewhere, so that nobody would ever tell that it is down
			n.letGo()
			n.transport.CloseIdleConnections()
		}
	}
	r.news.ring()
	return v
}

// firstRoundWait bounds the wait for the first round of probes, which takes as long as two of them at most.
const firstRoundWait = 5 * time.Second

// awaitFirstRound waits until the first round of probes has ended, since a client that is given a node before
// may be given a dead one, and stays there.
func (r *Relay) awaitFirstRound(ctx context.Context) {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	late := time.NewTimer(firstRoundWait)
	defer late.Stop()
	for {
		news := r.news.wait()
		if r.now().ready {
			return
		}
		select {
		case <-news:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// bell wakes all who wait for it.
type bell struct {
	mu sync.Mutex
	ch chan struct{} // nil: nobody waits
}

// wait returns a channel that is closed at the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// relays is all relays of the process. Caddy makes its modules anew with each configuration, from JSON alone:
// this is how they find what outlives them.
var relays = registry{byZone: map[string]*Relay{}}

type registry struct {
	mu     sync.Mutex
	byZone map[string]*Relay
}

var errNoRelay = errors.New("no such cluster is running")

func (g *registry) enter(r *Relay) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byZone[r.zone] = r
}

// leave takes r out, unless another one has taken its place.
func (g *registry) leave(r *Relay) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byZone[r.zone] == r {
		delete(g.byZone, r.zone)
	}
}

func (g *registry) find(zone string) (*Relay, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.byZone[zone]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("finding the relay of zone %q: %w", zone, errNoRelay)
}

// all returns the relays, ordered by zone.
func (g *registry) all() []*Relay {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*Relay
	for _, r := range g.byZone {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *Relay) int { return strings.Compare(a.zone, b.zone) })
	return out
}

// site is the name that a request asked for: a node's own, or the main name, which is empty.
type site = zones.NodeName
