package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// nudge is a one-slot channel that wakes a look-up when a probe fails.
type nudge chan struct{}

func newNudge() nudge { return make(nudge, 1) }

// give wakes the look-up. It never waits, and many at once count as one.
func (n nudge) give() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// wait returns after every, or after a nudge but not before lookupGap. It reports false when ctx has ended.
func (n nudge) wait(ctx context.Context, every time.Duration) bool {
	if !sleep(ctx, lookupGap) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-n:
		return true
	case <-time.After(every - lookupGap):
		return true
	}
}

// sleep waits for d and reports whether ctx was still on then.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// host is a HOST that is a name, with the nodes that are at it.
type host struct {
	name  string
	nodes []zones.Node
	nudge nudge
	addrs []netip.Addr // of the last good look-up
	said  string       // the last warning
}

func (p *Prober) startHost(ctx context.Context, name string, nodes []zones.Node) {
	h := &host{name: name, nodes: nodes, nudge: newNudge()}
	p.first.expect(h)
	p.wg.Go(func() {
		p.lookUpHost(ctx, h)
		p.first.met(h)
		for h.nudge.wait(ctx, p.nextLookup(len(h.addrs))) {
			p.lookUpHost(ctx, h)
		}
	})
}

// nextLookup is when to look up again what was found known times: as often as a node is probed while nothing
// is known that could be probed.
func (p *Prober) nextLookup(known int) time.Duration {
	if known == 0 {
		return max(p.cfg.Interval, lookupGap)
	}
	return lookupEvery
}

func (p *Prober) lookUpHost(ctx context.Context, h *host) {
	asking, cancel := withTimeout(ctx, p.lookupTimeout())
	defer cancel()
	addrs, err := lookup(asking, p.opts.names, h.name)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.lookupFailed(h, fmt.Errorf("looking up %s: %w", h.name, err))
	case slices.Equal(addrs, h.addrs):
		h.said = ""
	default:
		h.addrs, h.said = addrs, ""
		for _, n := range h.nodes {
			p.setNode(ctx, n, addrs, true, h.nudge.give)
		}
	}
}

// lookupFailed keeps the last good addresses, and says so once. While there are none, nodes cannot be up.
func (p *Prober) lookupFailed(h *host, err error) {
	if h.addrs == nil {
		for _, n := range h.nodes {
			p.opts.Board.Report(board.Verdict{
				Subject: n.Subject(), Result: board.Failed, Why: err.Error(), At: time.Now(),
			})
		}
		return
	}
	if h.said != err.Error() {
		h.said = err.Error()
		p.opts.Warn(fmt.Sprintf("%v; staying with %v", err, h.addrs))
	}
}
