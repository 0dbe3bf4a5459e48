package duckdns

import "time"

// The clock of a small machine begins anywhere, and is put right while we run. What is remembered of a clock that
// was ahead would keep us waiting until that comes true.

// onTime returns the record with no time further ahead of now than the rules put it.
func (r record) onTime(now time.Time) record {
	for _, t := range []*time.Time{&r.PublishedAt, &r.Verified, &r.Tried, &r.FailingSince, &r.RefusedSince, &r.Returned} {
		*t = notAfter(*t, now)
	}
	most := retryMost
	if r.Refusals > 0 {
		most = slowMost
	}
	r.Retry = notAfter(r.Retry, now.Add(varied(most)))
	r.Hold = notAfter(r.Hold, now.Add(holdMost))
	return r
}

// onTime returns the sight with no time further ahead of now than steady looks that are so far apart put it. A look
// that is yet to come has been: then it is time for another one.
func (s sight) onTime(now time.Time, every time.Duration) sight {
	if s.at.After(now) {
		s.next = now
	}
	for _, t := range []*time.Time{&s.pushed, &s.since, &s.until, &s.silent, &s.at} {
		*t = notAfter(*t, now)
	}
	s.next = notAfter(s.next, now.Add(varied(every)))
	return s
}

func notAfter(t, most time.Time) time.Time {
	if t.After(most) {
		return most
	}
	return t
}

// varied is the most that [jitter] makes of a wait.
func varied(d time.Duration) time.Duration { return d + d/10 }
