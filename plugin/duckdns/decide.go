package duckdns

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"plexha/zones"
)

// The rules in numbers. DuckDNS publishes no limits: all of them are ours, and keep well below the five minutes
// at which its own recipes push.
const (
	// gap is the least time between two pushes of one record, whatever happens.
	gap = time.Minute
	// lookGap is the least time between looks that somebody asks for.
	lookGap = 5 * time.Second
	// settled is how long a preferred uplink must have been up before the record goes back to it.
	settled = time.Minute
	// The waits after failures in a row: the first, and what doubling leads to at most.
	retryFirst, retryMost = 30 * time.Second, 30 * time.Minute
	// The same for what asking again does not mend: a KO, and a record that does not stay as it was pushed.
	slowFirst, slowMost = 15 * time.Minute, 6 * time.Hour
	// holdMost bounds what a Retry-After is heeded for: one that asks for days would leave a wrong record.
	holdMost = time.Hour
	// driftFor is how long all name servers must show another address before it counts: two looks.
	driftFor = time.Minute
	// calm is how long a record must stay as it was pushed before an earlier drift makes the next one no worse.
	calm = time.Hour
	// stale is how long a refresh waits at least for somebody to confirm the address.
	stale = time.Hour
	// strangerAfter and strangerEvery are when a record that nothing is known to be published in is looked at: it
	// may hold what another program has left there.
	strangerAfter, strangerEvery = 10 * time.Minute, time.Hour
	// forgiven is how long ago an uplink must have come back to count as one that stays.
	forgiven = 6 * time.Hour
)

// Why says what a push is for.
type Why string

// What pushes are for.
const (
	First   Why = "first"   // nothing is known to be published
	Change  Why = "change"  // the uplink has another address, or another uplink must be used
	Return  Why = "return"  // a preferred uplink is up again
	Again   Why = "again"   // a push of another address has failed, but may have been taken
	Drift   Why = "drift"   // the name servers show another address than the one that was pushed
	Refresh Why = "refresh" // the last push is long ago: the token must be known to be good before it matters
)

// record is what is known of the record of one family. The state file holds it, so that a new process goes on
// where the last one has ended. Nothing in it is secret.
type record struct {
	Published   netip.Addr `json:"published,omitzero"` // the last address that DuckDNS took; the zero Addr: none
	Uplink      string     `json:"uplink,omitzero"`    // whose it was
	PublishedAt time.Time  `json:"published_at,omitzero"`
	Changed     bool       `json:"changed,omitzero"` // DuckDNS said UPDATED

	Verified time.Time `json:"verified,omitzero"` // when the name servers last showed Published
	By       int       `json:"by,omitzero"`       // how many of them did
	Of       int       `json:"of,omitzero"`       // how many there are
	Repairs  int       `json:"repairs,omitzero"`  // pushes for drift, without calm between them
	Returns  int       `json:"returns,omitzero"`  // to a preferred uplink, likewise
	Returned time.Time `json:"returned,omitzero"`

	Tried        time.Time  `json:"tried,omitzero"` // when the last push ended, good or bad
	TriedAddr    netip.Addr `json:"tried_addr,omitzero"`
	Doubt        bool       `json:"doubt,omitzero"`         // it failed, and DuckDNS may have taken it all the same
	Failures     int        `json:"failures,omitzero"`      // in a row, KOs apart
	Refusals     int        `json:"refusals,omitzero"`      // KOs since the last success: the slow lane
	RefusedSince time.Time  `json:"refused_since,omitzero"` // the first of those
	FailingSince time.Time  `json:"failing_since,omitzero"`
	Told         bool       `json:"told,omitzero"`  // the log says that it fails
	Error        string     `json:"error,omitzero"` // of the last push; empty: it was good
	Retry        time.Time  `json:"retry,omitzero"` // no push before that: our own patience
	Hold         time.Time  `json:"hold,omitzero"`  // no push before that: DuckDNS asked for it
}

// sight is what the looks at the name servers have shown. It begins anew with each process.
type sight struct {
	next   time.Time    // when to look; in the past: now
	pushed time.Time    // a push that no look has confirmed yet; zero: none
	other  []netip.Addr // what all of them show instead of the published address, in order; none with since: no record
	since  time.Time    // when they were first seen to; zero: they do not
	until  time.Time    // when they were last seen to
	silent time.Time    // since when none of them answers; zero: some do
	last   finding      // of the last look
	at     time.Time    // when that was; zero: never
}

// drifted reports whether the name servers have shown another address for long enough.
func (s sight) drifted() bool { return !s.since.IsZero() && s.until.Sub(s.since) >= driftFor }

// evidence is what a decision depends on besides the record.
type evidence struct {
	candidates []Candidate // of the family, in order of preference
	sight      sight
	refresh    time.Duration
	verify     bool
	tokenless  bool // there is no token to push with
}

// action is what is to be done about a record now, and what is to come.
type action struct {
	wanted Candidate // what the record should hold; without an address: nothing better than what it has
	why    Why       // what a push is for; empty: none is needed
	push   bool      // now
	pushAt time.Time // with why and without push: when it may be
	look   bool      // now; never with push
	next   time.Time // when to decide again if nothing happens; zero: never
}

// decide says what is to be done about a record.
//
// An address that is not confirmed is never pushed, and where nobody is up the record stays as it is: that
// nothing is known is no reason to write, let alone to clear. Nor is what nobody has confirmed since the record
// was seen to hold another address: another plexdns of the house may have found that one before us.
func decide(r record, e evidence, now time.Time) action {
	wanted, settles := prefer(e.candidates, r, now)
	a := action{wanted: wanted, next: settles}
	if why, at := reason(r, e, wanted); why != "" {
		a.why, a.pushAt = why, latest(at, notBefore(r, wanted.Addr, why))
		if e.tokenless {
			a.pushAt = latest(a.pushAt, now.Add(retryFirst))
		}
		if why == Refresh && wanted.unseenSince(r.PublishedAt) {
			a.pushAt = latest(a.pushAt, now.Add(stale))
		}
		if a.push = !a.pushAt.After(now); a.push {
			return a
		}
		a.next = earliest(a.next, a.pushAt)
	}
	if e.verify && (r.Published.IsValid() || a.why == "") {
		a.look = !e.sight.next.After(now)
		a.next = earliest(a.next, e.sight.next)
	}
	return a
}

// prefer returns the first candidate that is up, and when the choice may be another one by time alone. The
// record goes away from an uplink that is down at once, and back to a preferred one when that is settled.
func prefer(all []Candidate, r record, now time.Time) (c Candidate, settles time.Time) {
	var up []Candidate
	for _, c := range all {
		if c.Up && (c.Confirmed || c.Addr == r.Published) {
			up = append(up, c)
		}
	}
	holder := slices.IndexFunc(up, func(c Candidate) bool { return c.Addr == r.Published })
	switch {
	case len(up) == 0:
		return Candidate{}, time.Time{}
	case holder < 0:
		return up[0], time.Time{}
	}
	for _, c := range up[:holder] {
		back := c.Since.Add(r.patience(now))
		if !back.After(now) {
			return c, time.Time{}
		}
		settles = earliest(settles, back)
	}
	return up[holder], settles
}

// patience is how long an uplink must be up before the record returns to it: longer for one that keeps going
// down again.
func (r record) patience(now time.Time) time.Duration {
	if now.Sub(r.Returned) > forgiven {
		return settled
	}
	return doubled(settled, retryMost, r.Returns)
}

// reason returns what a push of the candidate would be for, and from when on. Without a time: from now on.
func reason(r record, e evidence, c Candidate) (why Why, from time.Time) {
	switch {
	case !c.Addr.IsValid() || !c.Confirmed:
		return "", time.Time{}
	case !r.Published.IsValid():
		return First, time.Time{}
	case c.Addr != r.Published && e.isUp(r.Published):
		return Return, time.Time{}
	case c.Addr != r.Published:
		return Change, time.Time{}
	case r.Doubt:
		return Again, time.Time{}
	case e.sight.drifted() && c.unseenSince(e.sight.since):
		return "", time.Time{} // whoever has set the record may know more than we do
	case e.sight.drifted():
		return Drift, time.Time{}
	default:
		return Refresh, r.PublishedAt.Add(e.refresh)
	}
}

// unseenSince reports whether nobody has confirmed an address since then that somebody has to.
func (c Candidate) unseenSince(then time.Time) bool { return !c.Seen.IsZero() && c.Seen.Before(then) }

// isUp reports whether an address is one of an uplink that is up.
func (e evidence) isUp(a netip.Addr) bool {
	return slices.ContainsFunc(e.candidates, func(c Candidate) bool { return c.Up && c.Addr == a })
}

// notBefore returns the time before which an address is not pushed. The failures of another address do not
// count against it, since a line that comes back often has a new one; a KO does.
func notBefore(r record, addr netip.Addr, why Why) time.Time {
	if r.Tried.IsZero() {
		return r.Hold
	}
	at := latest(r.Hold, r.Tried.Add(gap))
	if r.Refusals > 0 || r.TriedAddr == addr {
		at = latest(at, r.Retry)
	}
	if why == Drift && r.Repairs > 0 {
		at = latest(at, r.Tried.Add(doubled(slowFirst, slowMost, r.Repairs)))
	}
	return at
}

// taken returns the record after a push that DuckDNS took.
func (r record) taken(c Candidate, why Why, reply Reply, now time.Time) record {
	after := record{
		Published: c.Addr, Uplink: c.Uplink, PublishedAt: now, Changed: reply.Changed,
		Tried: now, TriedAddr: c.Addr,
		Repairs: r.Repairs, Returns: r.Returns, Returned: r.Returned,
	}
	switch why {
	case Refresh:
		after.Verified, after.By, after.Of = r.Verified, r.By, r.Of
	case Drift:
		after.Repairs++
	case Return:
		if now.Sub(r.Returned) > forgiven {
			after.Returns = 0
		}
		after.Returns++
		after.Returned = now
	}
	return after
}

// failed returns the record after a push that failed. Jitter varies a wait, so that those who failed together
// do not come back together.
func (r record) failed(addr netip.Addr, err error, now time.Time, jitter func(time.Duration) time.Duration) record {
	if r.TriedAddr != addr {
		r.Failures = 0
	}
	r.Tried, r.TriedAddr, r.Error = now, addr, err.Error()
	if r.FailingSince.IsZero() {
		r.FailingSince = now
	}
	if errors.Is(err, ErrRefused) {
		if r.Refusals == 0 {
			r.RefusedSince = now
		}
		r.Refusals++
		r.Retry = now.Add(jitter(doubled(slowFirst, slowMost, r.Refusals)))
		return r
	}
	r.Doubt = r.Doubt || addr != r.Published
	r.Failures++
	r.Retry = now.Add(jitter(doubled(retryFirst, retryMost, r.Failures)))
	if e, ok := errors.AsType[*StatusError](err); ok && e.RetryAfter > 0 {
		r.Hold = now.Add(min(e.RetryAfter, holdMost))
	}
	return r
}

// cutOff returns the record after a push that ended because we did. It is no failure, and the next one need not
// keep away from it.
func (r record) cutOff(addr netip.Addr) record {
	r.Doubt, r.TriedAddr = r.Doubt || addr != r.Published, addr
	return r
}

// adopted returns the record after the name servers have shown the address of a push whose answer was lost.
func (r record) adopted(f finding, uplink string) (record, bool) {
	if !r.Doubt || f.view != Differs || !slices.Equal(f.other, []netip.Addr{r.TriedAddr}) {
		return r, false
	}
	return r.taken(Candidate{Addr: r.TriedAddr, Uplink: uplink}, Change, Reply{Changed: true}, r.Tried), true
}

// verified returns the record after a look that has shown what was published.
func (r record) verified(f finding, now time.Time) record {
	r.Verified, r.By, r.Of = now, f.by, len(f.shown)
	if now.Sub(r.Tried) >= calm {
		r.Repairs = 0
	}
	return r
}

// renewed returns the record when there is another token. A KO has changed nothing at DuckDNS, so that the next
// push need not keep away from it.
func (r record) renewed() record {
	if r.Refusals > 0 {
		r.Tried = time.Time{}
	}
	return r.impatient()
}

// impatient returns the record without what our own patience has put off. The gap between pushes stays, and so
// does what DuckDNS has asked for.
func (r record) impatient() record {
	r.Failures, r.Refusals, r.Repairs = 0, 0, 0
	r.Retry, r.RefusedSince = time.Time{}, time.Time{}
	return r
}

// doubled returns the n-th of a row of waits, n from 1, each twice as long as the one before.
func doubled(first, most time.Duration, n int) time.Duration {
	d := first
	for range n - 1 {
		if d *= 2; d >= most {
			return most
		}
	}
	return d
}

// latest returns the last of some times.
func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

// earliest returns the first of two times that are not zero, which stands for never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ofFamily returns the candidates of a family.
func ofFamily(all []Candidate, f zones.Family) []Candidate {
	var out []Candidate
	for _, c := range all {
		if c.Addr = c.Addr.Unmap(); f.Has(c.Addr) {
			out = append(out, c)
		}
	}
	return out
}
