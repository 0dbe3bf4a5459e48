// Package board turns the verdicts of probes and the operator's orders into immutable snapshots.
//
// It does no I/O and has no clock of its own: every call carries its time, and [Board.Run] alone waits.
package board

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plexha/zones"
)

// Config says how a board judges.
type Config struct {
	Cluster  *zones.Cluster
	Groups   []string      // the names of the `nodes` lines, in file order
	Rise     int           // good verdicts in a row to come back, 1 or more
	Fall     int           // failed verdicts in a row to go down, 1 or more
	Interval time.Duration // of the probes; with Timeout the span of verdicts that an isolation takes back
	Timeout  time.Duration
	Canary   bool // a canary is asked before a verdict that would leave nothing up
}

// coalesce is how long a change that takes nothing out of service waits for others to be published
// together with it. It bounds how often zones are compiled while many members come up at once, and is far
// below what a person or a resolver notices.
const coalesce = 20 * time.Millisecond

// Board judges verdicts and publishes snapshots. All methods may be called at once from several goroutines.
// What takes nothing out of service is published by [Board.Run], at most 20 ms later.
type Board struct {
	cfg    Config
	newest atomic.Pointer[zones.Snapshot]
	canary chan struct{} // one slot
	wake   chan struct{} // one slot: Run must look at its timers again

	mu       sync.Mutex
	subjects []*subject // nodes, proxies, uplinks; within a kind in file order
	orders   []OrderLine
	onlink   []netip.Prefix
	hosts    []netip.Addr
	views    *zones.Views
	ready    bool
	isolated bool
	held     map[*address]hold // verdicts that wait for the canary's answer
	heldAt   time.Time         // when the canary was last asked
	dirty    bool              // something is to be published by dirtyAt
	dirtyAt  time.Time
	seq      uint64
	events   []Event
	eventSeq uint64
	subs     map[chan struct{}]struct{}
}

// hold is a verdict that waits for the canary.
type hold struct {
	to  zones.State
	why string
}

// New returns a board on which nothing is known but the addresses that the cluster gives itself.
func New(cfg Config, now time.Time) *Board {
	b := &Board{
		cfg:    cfg,
		canary: make(chan struct{}, 1),
		wake:   make(chan struct{}, 1),
		views:  cfg.Cluster.Prefixes.Compile(nil),
		held:   map[*address]hold{},
		subs:   map[chan struct{}]struct{}{},
	}
	for _, n := range cfg.Cluster.Nodes {
		b.subjects = append(b.subjects, newNode(n, now))
	}
	for _, p := range cfg.Cluster.Proxies {
		s := &subject{id: p.Subject(), proxy: p}
		var addrs []netip.Addr
		for _, a := range p.Addrs {
			addrs = append(addrs, a.Addr())
		}
		s.setAddrs(addrs, now)
		b.subjects = append(b.subjects, s)
	}
	for _, u := range cfg.Cluster.Uplinks {
		s := &subject{id: u.Subject(), uplink: u}
		s.setAddrs(u.Addrs, now)
		b.subjects = append(b.subjects, s)
	}
	for _, s := range b.subjects {
		s.refresh(now)
	}
	b.publish(now)
	return b
}

// Snapshot returns the newest snapshot. It never waits.
func (b *Board) Snapshot() *zones.Snapshot { return b.newest.Load() }

// Canary returns a channel that gets a value whenever the canary must be asked now.
func (b *Board) Canary() <-chan struct{} { return b.canary }

// Subscribe returns a channel that holds a value whenever a snapshot has come that the subscriber has not
// been told of, and a function that ends the subscription. A slow subscriber sees the newest only.
func (b *Board) Subscribe() (news <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[ch] = struct{}{}
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, ch)
	}
}

// SetAddrs says which addresses a subject has now. What is known of an address that stays is kept; a new
// one starts unknown, but for an uplink without a probe, which is up while an address is known. An empty
// list is ignored: the last good addresses are kept. So is a subject that the board does not have.
func (b *Board) SetAddrs(id zones.Subject, addrs []netip.Addr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(id)
	if s == nil || len(addrs) == 0 {
		return
	}
	before := s.addrs
	if !s.setAddrs(addrs, now) {
		return
	}
	b.forgetHolds()
	b.settle(s, now)
	if slices.ContainsFunc(before, func(a *address) bool { return a.state.IsUp() && !slices.Contains(s.addrs, a) }) {
		b.publish(now) // clients are still told one that is gone
		return
	}
	b.later(now)
}

// SetLocal says which addresses this host has that a name server record may hold, and which prefixes the
// word `onlink` stands for now.
func (b *Board) SetLocal(hosts []netip.Addr, onlink []netip.Prefix, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Equal(hosts, b.hosts) && slices.Equal(onlink, b.onlink) {
		return
	}
	b.hosts, b.onlink = slices.Clone(hosts), slices.Clone(onlink)
	b.views = b.cfg.Cluster.Prefixes.Compile(b.onlink)
	b.publish(now)
}

// FirstRoundDone says that every subject has been asked, or that there was time enough for it.
func (b *Board) FirstRoundDone(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ready {
		b.ready = true
		b.publish(now)
	}
}

func (b *Board) find(id zones.Subject) *subject {
	for _, s := range b.subjects {
		if s.id == id {
			return s
		}
	}
	return nil
}

// later publishes within the coalescing time.
func (b *Board) later(now time.Time) {
	if b.dirty {
		return
	}
	b.dirty, b.dirtyAt = true, now.Add(coalesce)
	b.wakeRun()
}

func (b *Board) wakeRun() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// publish makes the snapshot of now and tells the subscribers.
func (b *Board) publish(now time.Time) {
	b.dirty = false
	b.seq++
	snap := &zones.Snapshot{
		Cluster:   b.cfg.Cluster,
		Seq:       b.seq,
		At:        now,
		Ready:     b.ready,
		Isolated:  b.isolated,
		Views:     b.views,
		HostAddrs: b.hosts,
	}
	orders := b.liveOrders(now)
	for _, s := range b.subjects {
		health := s.health(orders[s])
		switch s.id.Kind {
		case zones.KindNode:
			snap.Nodes = append(snap.Nodes, zones.NodeHealth{Node: s.node, Health: health, Identity: s.identity})
		case zones.KindProxy:
			snap.Proxies = append(snap.Proxies, zones.ProxyHealth{Proxy: s.proxy, Health: health})
		default:
			snap.Uplinks = append(snap.Uplinks, zones.UplinkHealth{Uplink: s.uplink, Health: health})
		}
	}
	b.newest.Store(snap)
	for ch := range b.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
