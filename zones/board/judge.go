package board

import (
	"fmt"
	"strings"
	"time"

	"plexha/zones"
)

// Report judges one verdict and returns the state that the verdict's address is in now. A caller probes
// faster while that is in doubt ([zones.State.InDoubt]). A verdict on an address or a subject that the
// board no longer has is dropped, and gives the state unknown.
func (b *Board) Report(v Verdict) zones.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(v.Subject)
	if s == nil {
		return zones.Unknown
	}
	a := s.at(v.Addr)
	if a == nil {
		return zones.Unknown
	}
	if v.Result != Late && s.fresh {
		s.fresh = false // published with the state that it gets
	}
	switch v.Result {
	case OK:
		if why := b.impostor(s, v.Identity); why != "" {
			b.failure(s, a, zones.Impostor, why, v)
			break
		}
		b.success(s, a, v)
	case Late:
		if a.state == zones.Up {
			b.move(s, a, zones.Failing, v.Why, v.At)
		}
	case Starting:
		b.failure(s, a, zones.Starting, v.Why, v)
	default:
		b.failure(s, a, zones.Down, v.Why, v)
	}
	return a.state
}

func (b *Board) success(s *subject, a *address, v Verdict) {
	if v.Identity != "" && v.Identity != s.identity {
		b.learn(s, v.Identity)
		b.later(v.At)
	}
	delete(b.held, a)
	a.fails = 0
	a.oks++
	switch {
	case a.state == zones.Unknown, a.state.IsUp(), a.oks >= b.cfg.Rise:
		b.move(s, a, zones.Up, "", v.At)
	default:
		b.move(s, a, zones.Recovering, a.why, v.At)
	}
}

// failure counts one failed verdict that ends, once it is confirmed, in the state to.
func (b *Board) failure(s *subject, a *address, to zones.State, why string, v Verdict) {
	a.oks = 0
	a.fails++
	switch {
	case !a.state.IsUp():
		b.move(s, a, to, why, v.At)
	case a.fails < b.cfg.Fall && v.Result != Gone:
		b.move(s, a, zones.Failing, why, v.At)
	case b.mustHold(s, a):
		b.move(s, a, zones.Failing, why, v.At)
		b.hold(a, to, why, v.At)
	default:
		delete(b.held, a) // it was held while nothing else was up
		b.move(s, a, to, why, v.At)
	}
}

// move sets an address's state and publishes what follows from it: at once when it takes something out of
// service, else together with what else comes within the coalescing time.
func (b *Board) move(s *subject, a *address, to zones.State, why string, now time.Time) {
	if a.state == to && a.why == why {
		return
	}
	if b.set(s, a, to, why, now) {
		b.publish(now)
		return
	}
	b.later(now)
}

// set sets an address's state and reports whether that takes it out of service.
func (b *Board) set(s *subject, a *address, to zones.State, why string, now time.Time) (down bool) {
	down = a.state.IsUp() && !to.IsUp()
	a.set(to, why, now)
	b.settle(s, now)
	return down
}

// settle computes the subject's state anew and records its change.
func (b *Board) settle(s *subject, now time.Time) {
	from := s.state
	s.refresh(now)
	if s.state != from {
		b.record(Event{At: now, Subject: s.id, From: from, To: s.state, Why: s.why})
	}
}

// impostor says why a node that answers with an identity is not the one that it should be, if so.
func (b *Board) impostor(s *subject, identity string) string {
	switch {
	case identity == "", strings.EqualFold(s.node.ID, identity):
		return ""
	case s.node.ID != "":
		return fmt.Sprintf("answers as %s, not as the id %s of its line", short(identity), short(s.node.ID))
	}
	if other := b.rival(s, identity); other != nil {
		return fmt.Sprintf("answers as %s, which is %s", short(identity), other.id)
	}
	return ""
}

// rival returns the node that an identity belongs to rather than to s, or nil.
//
// It belongs to the node whose `id` it is, else to the one that had it first, until that one is seen to be
// another; of two that have never been seen with another, to the earlier in the file, so that two boards
// agree.
func (b *Board) rival(s *subject, identity string) *subject {
	met := false // s itself: those that follow stand after it in the file
	for _, other := range b.subjects {
		switch {
		case other == s:
			met = true
		case other.id.Kind != zones.KindNode, !other.owns(identity):
		case met && s.identity == "" && other.node.ID == "" && !other.moved:
		default:
			return other
		}
	}
	return nil
}

// learn gives an identity to s, and takes it from who had it.
func (b *Board) learn(s *subject, identity string) {
	for _, other := range b.subjects {
		if other.identity == identity {
			other.identity = ""
		}
	}
	s.moved = s.moved || s.identity != ""
	s.identity = identity
}

// short returns the first digits of a machineIdentifier, as Plex's own logs show it.
func short(identity string) string {
	const digits = 8
	if len(identity) <= digits {
		return identity
	}
	return identity[:digits]
}
