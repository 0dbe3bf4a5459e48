package duckdns

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// View says what the name servers of DuckDNS show of a record.
type View string

// What they may show.
const (
	Unseen      View = "unseen"      // nobody has looked yet
	Unreachable View = "unreachable" // none of them answers, or none is known
	Intercepted View = "intercepted" // somebody else answers for them
	Propagating View = "propagating" // they do not agree, or the push is too fresh
	Verified    View = "verified"    // all that answer show what was published
	Differs     View = "differs"     // all that answer show the same, but not what was published
)

// finding is what one look has shown.
type finding struct {
	view  View
	by    int          // how many show the published address
	other []netip.Addr // of Differs: what they show, in order; nil: no record
	why   string       // of Unreachable; of all others, who else answers for some of them
	shown []Shown
}

// intercepted says who else answers for the name servers; empty: nobody is known to.
func (f finding) intercepted() string {
	if f.view == Unreachable {
		return ""
	}
	return f.why
}

// lookAfter is when a push is looked for, until it is seen. Others wait as long for what they have told DuckDNS.
var lookAfter = []time.Duration{5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}

// judge says what a look has shown of a record that should hold an address; the zero Addr: none at all. Refuse
// says why an address cannot be the public one's: whoever shows such a one is not DuckDNS, and is told of but
// never acted upon.
func judge(shown []Shown, err error, want netip.Addr, refuse func(netip.Addr) string) finding {
	f := finding{shown: shown}
	var answers [][]netip.Addr
	for _, s := range shown {
		why := suspicion(s, want, refuse)
		switch {
		case why != "":
			f.view, f.why = Intercepted, cmp.Or(f.why, why)
		case s.Err != nil:
			err = cmp.Or(err, s.Err)
		default:
			answers = append(answers, inOrder(s.Addrs))
		}
	}
	var wanted []netip.Addr
	if want.IsValid() {
		wanted = append(wanted, want)
	}
	for _, a := range answers {
		if slices.Equal(a, wanted) {
			f.by++
		}
	}
	switch {
	case f.by > 0 && f.by == len(answers):
		f.view = Verified
	case f.view == Intercepted:
	case len(answers) == 0:
		f.view, f.why = Unreachable, "no name server of DuckDNS is known"
		if err != nil {
			f.why = err.Error()
		}
	case agree(answers):
		f.view, f.other = Differs, answers[0]
	default:
		f.view = Propagating
	}
	return f
}

// suspicion says why an answer is somebody else's; empty: it may be the name server's.
func suspicion(s Shown, want netip.Addr, refuse func(netip.Addr) string) string {
	if errors.Is(s.Err, ErrNotAuthoritative) {
		return fmt.Sprintf("%s: %v", s.Server.Addr, s.Err)
	}
	for _, a := range s.Addrs {
		if a = a.Unmap(); a == want {
			continue
		}
		if why := refuse(a); why != "" {
			return fmt.Sprintf("%s shows %s, %s", s.Server.Addr, a, why)
		}
	}
	return ""
}

// after returns the sight after a look. Vary makes the steady looks of many come at different times.
func (s sight) after(f finding, now time.Time, every time.Duration, vary func(time.Duration) time.Duration) sight {
	fresh := !s.pushed.IsZero() && now.Sub(s.pushed) < lookAfter[len(lookAfter)-1]
	if f.view == Differs && fresh {
		f.view = Propagating // they may still show what was there before
	}
	s.last, s.at = f, now
	switch {
	case f.view == Unreachable: // it says neither that the drift goes on nor that it has ended
	case f.view != Differs:
		s.other, s.since, s.until = nil, time.Time{}, time.Time{}
	case s.since.IsZero() || !slices.Equal(s.other, f.other):
		s.other, s.since, s.until = f.other, now, now
	default:
		s.until = now
	}
	if f.view == Verified {
		s.pushed = time.Time{}
	}
	switch {
	case f.view != Unreachable:
		s.silent = time.Time{}
	case s.silent.IsZero():
		s.silent = now
	}
	s.next = now.Add(vary(every))
	if !s.pushed.IsZero() {
		s.next = earliest(s.next, s.step(now))
	}
	if !s.since.IsZero() && !s.drifted() {
		s.next = earliest(s.next, now.Add(driftFor))
	}
	return s
}

// step returns when a push is looked for next; zero: it has been long enough.
func (s sight) step(now time.Time) time.Time {
	for _, d := range lookAfter {
		if at := s.pushed.Add(d); at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// afterPush returns the sight after a push that DuckDNS took.
func (s sight) afterPush(now time.Time) sight {
	s.pushed, s.next = now, now.Add(lookAfter[0])
	s.other, s.since, s.until = nil, time.Time{}, time.Time{}
	return s
}

// afterDoubt returns the sight after a push that DuckDNS may have taken without our being told.
func (s sight) afterDoubt(now time.Time) sight {
	s.next = earliest(s.next, now.Add(lookAfter[1]))
	return s
}

// view is what is known now; until somebody has looked after a push, that it is on its way.
func (s sight) view() View {
	switch {
	case s.at.IsZero():
		return Unseen
	case s.pushed.After(s.at):
		return Propagating
	default:
		return s.last.view
	}
}

// agree reports whether all answers are the same.
func agree(answers [][]netip.Addr) bool {
	for _, a := range answers {
		if !slices.Equal(a, answers[0]) {
			return false
		}
	}
	return true
}

// inOrder returns the addresses as they are compared.
func inOrder(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		out = append(out, a.Unmap())
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// text names what is shown.
func text(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "no address"
	}
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, " and ")
}
