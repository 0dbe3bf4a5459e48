package duckdns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

type Record = record

// Evidence is what a decision depends on besides the record.
type Evidence struct {
	Candidates []Candidate
	Drifted    bool
	NextLook   time.Time
	NoVerify   bool
	NoToken    bool
}

// Decide returns an action in words.
func Decide(r Record, e Evidence, now time.Time) string {
	s := sight{next: e.NextLook}
	if e.Drifted {
		s.since, s.until = now.Add(-driftFor), now
	}
	a := decide(r, evidence{
		candidates: e.Candidates, sight: s, refresh: 24 * time.Hour, verify: !e.NoVerify, tokenless: e.NoToken,
	}, now)
	var words []string
	switch {
	case a.push:
		return fmt.Sprintf("push %s: %s", a.wanted.Addr, a.why)
	case a.why != "":
		words = append(words, fmt.Sprintf("%s of %s in %v", a.why, a.wanted.Addr, a.pushAt.Sub(now)))
	}
	if a.look {
		words = append(words, "look")
	} else if !a.next.IsZero() {
		words = append(words, fmt.Sprintf("wake in %v", a.next.Sub(now)))
	}
	return strings.Join(words, ", ")
}

// AfterFailure is a record after a push that failed, with no chance in it.
func AfterFailure(r Record, addr netip.Addr, err error, now time.Time) Record {
	return r.failed(addr, err, now, func(d time.Duration) time.Duration { return d })
}

// Judge returns what a look has shown, in words.
func Judge(shown []Shown, err error, want netip.Addr) string {
	f := judge(shown, err, want, refuse)
	words := fmt.Sprintf("%s by %d of %d", f.view, f.by, len(f.shown))
	if f.view == Differs {
		words += ": " + text(f.other)
	}
	if f.why != "" {
		words += ": " + f.why
	}
	return words
}

// Jittering replaces chance.
func (o Options) Jittering(f func(time.Duration) time.Duration) Options {
	o.jitter = f
	return o
}

var Jitter = jitter

// SetClockBack does to a worker that waits what a clock does that is put back: all that it remembers is ahead.
func (w *Worker) SetClockBack(d time.Duration) {
	for _, k := range w.keepers {
		r, s := &k.record, &k.sight
		for _, t := range []*time.Time{
			&r.PublishedAt, &r.Verified, &r.Returned, &r.Tried, &r.RefusedSince, &r.FailingSince, &r.Retry, &r.Hold,
			&s.next, &s.pushed, &s.since, &s.until, &s.silent, &s.at,
		} {
			if !t.IsZero() {
				*t = t.Add(d)
			}
		}
	}
}
