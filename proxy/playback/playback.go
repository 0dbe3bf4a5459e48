// Package playback knows what is played at which node, from the requests that nodes have answered.
//
// A playback is one film, song or download of one client at one node. It begins with a decision, a start, a
// segment, a part or a timeline, and ends when its client says so, or gives no sign for too long: a player that was
// switched off says nothing. What goes past the proxy is not seen. The package is pure: no I/O, no clock, and nobody
// is known but by secret hashes.
package playback

import (
	"slices"
	"sync"
	"time"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// How long a playback goes on without a sign.
const (
	// playingLasts is for one that plays: apps send a timeline every 10 or 20 seconds, and read on.
	playingLasts = 2 * time.Minute
	// pausedLasts is since the last timeline, which apps go on sending while they are paused: one that stopped
	// doing so was closed, or sleeps.
	pausedLasts = 10 * time.Minute
	// stoppedLasts is how long what is read counts for the end of a playback and not for another one: players ask
	// for several segments at once. A guess.
	stoppedLasts = 10 * time.Second
)

// State is what a playback's client says of it.
type State string

// The states.
const (
	Playing State = "playing"
	Paused  State = "paused"
	Stopped State = "stopped" // and an answer is still under way
)

// Playback is what may be shown of one.
type Playback struct {
	Node  zones.NodeName `json:"node"`
	State State          `json:"state"` // playing, paused, or stopped while an answer is still under way
	Since time.Time      `json:"since"` // when State last changed
	Last  time.Time      `json:"last"`  // its last sign; an answer that is under way is one all the time
}

// Table is all playbacks of a cluster. Its methods may be called by several goroutines at once.
//
// They are searched one after the other: a house has a handful of them, and the largest table is searched in some
// microseconds.
type Table struct {
	size int

	mu   sync.Mutex
	all  []*playback // in the order in which they began
	due  time.Time   // none of them ends before by itself
	subs map[chan struct{}]struct{}
}

// playback is one with all that finds it again.
type playback struct {
	node     zones.NodeName
	client   uint64 // 0: none has been named yet
	token    uint64
	sessions []uint64 // the last few, the newest last

	state State
	since time.Time
	last  time.Time // the last sign
	told  time.Time // the last timeline, or the begin
	open  int       // answers that are under way
}

// maxSessions bounds the sessions that a playback is known by: a change of quality begins another one.
const maxSessions = 4

// NewTable returns an empty table of at most size playbacks. Whoever gave no sign for the longest time makes room, and
// those to whom an answer is under way do so last: whoever makes clients up can't hide them.
func NewTable(size int) *Table {
	return &Table{size: max(size, 1), subs: map[chan struct{}]struct{}{}}
}

// Answer is an answer that is under way to a client that plays. The zero Answer is one to somebody who does not.
type Answer struct {
	table *Table
	to    *playback
}

// Begin takes note of what a request tells that a node has answered well. [Answer.End] must be called when the answer
// has been sent.
func (t *Table) Begin(s affinity.Sign, node zones.NodeName, now time.Time) Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := t.expire(now)
	p := t.find(&s, node)
	if s.Act == affinity.Ends {
		if p != nil && p.state != Stopped {
			p.become(Stopped, now)
			changed = true
		}
		t.tell(changed)
		return Answer{}
	}
	changed = t.leaveOthers(&s, node) || changed
	if p == nil {
		p = &playback{node: node}
		t.makeRoom()
		t.all = append(t.all, p)
	}
	p.learn(&s)
	changed = p.sign(s.Act, now) || changed
	p.open++
	if p.open == 1 && p.state == Stopped {
		changed = true // it is shown again
	}
	t.tell(changed)
	return Answer{t, p}
}

// End says that the answer has been sent, or has broken off.
func (a Answer) End(now time.Time) {
	if a.table == nil {
		return
	}
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	a.to.open--
	a.to.last = now
	if end := a.to.ends(); !end.IsZero() { // it may have been paused for longer than that lasts
		a.table.due = earlier(a.table.due, end)
	}
	a.table.tell(a.to.open == 0 && a.to.state == Stopped)
}

// find returns the playback that a sign is of, or nil. Of several that it may be of, it is of the newest, and rather
// of one that goes on.
func (t *Table) find(s *affinity.Sign, node zones.NodeName) *playback {
	var found *playback
	best := byNothing
	for _, p := range t.all {
		if p.node != node {
			continue
		}
		by := p.knows(s)
		if by > best || by == best && by != byNothing && (p.state != Stopped || found.state == Stopped) {
			found, best = p, by
		}
	}
	return found
}

// by says how surely a sign is of a playback.
type by uint8

const (
	byNothing by = iota
	byToken
	byClient
	bySession
)

// knows says by what a sign is of the playback. A client may play two films at once, in two windows of a browser,
// so that a decision on another session is another playback.
func (p *playback) knows(s *affinity.Sign) by {
	sameClient := s.Client != 0 && s.Client == p.client
	stranger := s.Client != 0 && p.client != 0 && !sameClient
	another := s.Act == affinity.Begins && (p.state == Stopped || s.Sessions[0] != 0 && len(p.sessions) > 0)
	switch {
	case stranger:
		return byNothing
	case p.hasSession(s):
		return bySession
	case another:
		return byNothing
	case sameClient:
		return byClient
	case s.Token != 0 && s.Token == p.token:
		return byToken // one of both names no client
	default:
		return byNothing
	}
}

// hasSession reports whether one of a sign's sessions is the playback's.
func (p *playback) hasSession(s *affinity.Sign) bool {
	for _, id := range s.Sessions {
		if id == 0 {
			break
		}
		if slices.Contains(p.sessions, id) {
			return true
		}
	}
	return false
}

// leaveOthers ends the playbacks that have gone to the node of a sign, at the nodes where they were: those of its
// session, and, if it begins there or says that it plays there, all of its client. One to which an answer is under
// way goes on.
func (t *Table) leaveOthers(s *affinity.Sign, node zones.NodeName) (changed bool) {
	before := len(t.all)
	t.all = slices.DeleteFunc(t.all, func(p *playback) bool {
		if p.node == node || p.open > 0 {
			return false
		}
		by := p.knows(s)
		return by == bySession || s.Client != 0 && s.Client == p.client && s.Act != affinity.Reads
	})
	return len(t.all) != before
}

// makeRoom drops a playback if there is no room for another one.
func (t *Table) makeRoom() {
	if len(t.all) < t.size {
		return
	}
	oldest := 0
	for i, p := range t.all {
		least := t.all[oldest]
		if idle := p.open == 0; idle && least.open > 0 || idle == (least.open == 0) && p.last.Before(least.last) {
			oldest = i
		}
	}
	t.all = slices.Delete(t.all, oldest, oldest+1)
}

// learn takes down by what else the playback is found.
func (p *playback) learn(s *affinity.Sign) {
	if s.Client != 0 {
		p.client = s.Client
	}
	if s.Token != 0 {
		p.token = s.Token
	}
	for _, id := range s.Sessions {
		if id == 0 || slices.Contains(p.sessions, id) {
			continue
		}
		if len(p.sessions) == maxSessions {
			p.sessions = slices.Delete(p.sessions, 0, 1)
		}
		p.sessions = append(p.sessions, id)
	}
}

// sign takes note of a sign of life, and reports whether the state is another one.
func (p *playback) sign(act affinity.Act, now time.Time) (changed bool) {
	p.last = now
	if act != affinity.Reads {
		p.told = now
	}
	switch {
	case act == affinity.Pauses:
		return p.become(Paused, now)
	case act != affinity.Reads, p.state == "", p.state == Stopped && now.Sub(p.since) >= stoppedLasts:
		return p.become(Playing, now)
	default:
		return false
	}
}

func (p *playback) become(state State, now time.Time) (changed bool) {
	if p.state == state {
		return false
	}
	p.state, p.since, p.last, p.told = state, now, now, now
	return true
}

// ends returns when the playback is forgotten if no more is heard of it; the zero Time while an answer is under way.
func (p *playback) ends() time.Time {
	switch {
	case p.open > 0:
		return time.Time{}
	case p.state == Paused:
		return p.told.Add(pausedLasts)
	case p.state == Stopped:
		return p.since.Add(stoppedLasts)
	default:
		return p.last.Add(playingLasts)
	}
}

// counts reports whether the playback is one still.
func (p *playback) counts(now time.Time) bool {
	if p.state == Stopped {
		return p.open > 0
	}
	end := p.ends()
	return end.IsZero() || now.Before(end)
}

// expire forgets what has ended, and reports whether one of it was shown still.
func (t *Table) expire(now time.Time) (changed bool) {
	if now.Before(t.due) {
		return false
	}
	t.due = now.Add(stoppedLasts) // what begins or goes on meanwhile lasts as long, at least
	t.all = slices.DeleteFunc(t.all, func(p *playback) bool {
		end := p.ends()
		if end.IsZero() {
			return false
		}
		if now.Before(end) {
			t.due = earlier(t.due, end)
			return false
		}
		changed = changed || p.state != Stopped
		return true
	})
	return changed
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Expire forgets the playbacks that gave no sign for too long.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(t.expire(now))
}

// Due returns when Expire has something to do if no sign comes before; the zero Time: never.
func (t *Table) Due() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first time.Time
	for _, p := range t.all {
		if end := p.ends(); !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}

// List returns the playbacks at an instant, in the order in which they began. Its times are UTC.
func (t *Table) List(now time.Time) []Playback {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Playback
	for _, p := range t.all {
		if !p.counts(now) {
			continue
		}
		shown := Playback{Node: p.node, State: p.state, Since: p.since.UTC(), Last: p.last.UTC()}
		if p.open > 0 {
			shown.Last = now.UTC()
		}
		out = append(out, shown)
	}
	return out
}

// Count returns how many playbacks there are at each node at an instant.
func (t *Table) Count(now time.Time) map[zones.NodeName]int {
	count := map[zones.NodeName]int{}
	for _, p := range t.List(now) {
		count[p.Node]++
	}
	return count
}

// Subscribe returns a channel that holds a value whenever a playback has begun or ended, or is in another state, of
// which the subscriber has not been told, and a function that ends the subscription.
func (t *Table) Subscribe() (news <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.subs[ch] = struct{}{}
	return ch, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subs, ch)
	}
}

// tell tells the subscribers if something has changed.
func (t *Table) tell(changed bool) {
	if !changed {
		return
	}
	for ch := range t.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
