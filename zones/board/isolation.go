package board

import (
	"time"

	"plexha/zones"
)

// mustHold reports whether a's going down waits for the canary: while isolated always, else when it would
// leave no node or proxy up.
func (b *Board) mustHold(s *subject, a *address) bool {
	if !b.cfg.Canary || s.id.Kind == zones.KindUplink {
		return false
	}
	return b.isolated || !b.anyUpBut(a)
}

// anyUpBut reports whether a node or proxy is up without the address a.
func (b *Board) anyUpBut(a *address) bool {
	for _, s := range b.subjects {
		if s.id.Kind == zones.KindUplink {
			continue
		}
		for _, other := range s.all() {
			if _, held := b.held[other]; other != a && other.state.IsUp() && !held {
				return true
			}
		}
	}
	return false
}

// hold keeps a verdict until the canary has answered, and has it asked.
func (b *Board) hold(a *address, to zones.State, why string, now time.Time) {
	b.held[a] = hold{to: to, why: why}
	if b.isolated || !b.heldAt.IsZero() {
		return
	}
	b.askCanary(now)
}

func (b *Board) askCanary(now time.Time) {
	b.heldAt = now
	select {
	case b.canary <- struct{}{}:
	default:
	}
	b.wakeRun()
}

// CanaryResult says whether the canary answered. If it did, what was held is judged: at once the first
// time, by fresh probes after an isolation. If not, we are the ones cut off: what went down within the last
// interval + timeout is taken back, and everything is held until the canary answers.
func (b *Board) CanaryResult(ok bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heldAt.IsZero() {
		return
	}
	b.canaryResult(ok, now)
}

func (b *Board) canaryResult(ok bool, now time.Time) {
	switch {
	case ok && b.isolated:
		b.endIsolation(now)
	case !b.isolated && len(b.held) == 0: // what was held has come back by itself
		b.heldAt = time.Time{}
	case ok:
		b.heldAt = time.Time{}
		b.release(now)
	case !b.isolated:
		b.beginIsolation(now)
	}
}

// release lets all held verdicts take effect.
func (b *Board) release(now time.Time) {
	for _, s := range b.subjects {
		for _, a := range s.all() {
			if h, ok := b.held[a]; ok {
				b.set(s, a, h.to, h.why, now)
			}
		}
	}
	clear(b.held)
	b.publish(now)
}

func (b *Board) beginIsolation(now time.Time) {
	b.isolated = true
	b.heldAt = now
	b.record(Event{At: now, Isolated: true, Why: "the canary does not answer either"})
	since := now.Add(-b.cfg.Interval - b.cfg.Timeout)
	for _, s := range b.subjects {
		if s.id.Kind == zones.KindUplink {
			continue
		}
		for _, a := range s.all() {
			if a.state == zones.Down && a.wentDown && !a.since.Before(since) {
				b.held[a] = hold{to: a.state, why: a.why}
				a.set(zones.Failing, a.why, now)
				b.settle(s, now)
			}
		}
	}
	b.publish(now)
	b.wakeRun()
}

// resumeIsolation goes on with the isolation of an earlier board. A snapshot does not show which verdicts
// were held, so that all that is failing is: it may wait for the canary, which is asked at once.
func (b *Board) resumeIsolation(now time.Time) {
	b.isolated = true
	for _, s := range b.subjects {
		if s.id.Kind == zones.KindUplink {
			continue
		}
		for _, a := range s.all() {
			if a.state == zones.Failing {
				b.held[a] = hold{to: zones.Down, why: a.why}
			}
		}
	}
	b.askCanary(now)
}

// endIsolation has everything judged anew: what is still failing needs `fall` fresh failures.
func (b *Board) endIsolation(now time.Time) {
	b.isolated = false
	b.heldAt = time.Time{}
	b.record(Event{At: now, Why: "the canary answers again"})
	for a := range b.held {
		a.fails = 0
	}
	clear(b.held)
	b.publish(now)
}

// forgetHolds drops what is held of addresses that no subject has any more.
func (b *Board) forgetHolds() {
	live := map[*address]bool{}
	for _, s := range b.subjects {
		for _, a := range s.all() {
			live[a] = true
		}
	}
	for a := range b.held {
		if !live[a] {
			delete(b.held, a)
		}
	}
}
