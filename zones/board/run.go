package board

import (
	"context"
	"time"
)

// Run publishes what waits to be published together, ends orders that expire, and has the canary asked
// again while isolated. It returns when ctx ends.
func (b *Board) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.wake:
		case <-timer.C:
		}
		timer.Reset(time.Until(b.due(time.Now())))
	}
}

// forever is when Run looks again if nothing is due.
const forever = time.Hour

// due does what is due at now and returns when it must be called again.
func (b *Board) due(now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := now.Add(forever)
	if ended := b.expireOrders(now); ended || b.dirty && !now.Before(b.dirtyAt) {
		b.publish(now)
	}
	if b.dirty {
		next = earlier(next, b.dirtyAt)
	}
	for _, o := range b.orders {
		if !o.Until.IsZero() {
			next = earlier(next, o.Until)
		}
	}
	return earlier(next, b.dueCanary(now))
}

// dueCanary asks for the canary again each interval while isolated, and decides without it when nobody has
// said anything: a canary that is never asked must not keep a dead node in the answers.
func (b *Board) dueCanary(now time.Time) time.Time {
	switch {
	case b.heldAt.IsZero():
		return now.Add(forever)
	case b.isolated:
		again := b.heldAt.Add(b.cfg.Interval)
		if now.Before(again) {
			return again
		}
		b.askCanary(now)
		return now.Add(b.cfg.Interval)
	default:
		limit := b.heldAt.Add(2 * b.cfg.Timeout)
		if now.Before(limit) {
			return limit
		}
		b.canaryResult(true, now)
		return now.Add(forever)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
