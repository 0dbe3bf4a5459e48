package duckdns

import (
	"net/netip"
	"time"

	"plexha/zones"
)

// Report is the newest there is to say about a domain. It is immutable.
type Report struct {
	Name string // home.duckdns.org
	// At is when the last turn that has ended began: the outcome of every [Worker.Trigger] before that is in
	// here. Zero: none has ended yet.
	At      time.Time
	Waiting bool   // an earlier instance still writes the record
	Verify  bool   // the name servers are looked at
	Token   string // why there is no token to push with; empty: there is one
	IPv4    FamilyReport
	IPv6    FamilyReport
}

// FamilyReport is about the record of one family.
type FamilyReport struct {
	Off bool // it is left alone; all else is zero

	Wanted netip.Addr // what the record should hold; the zero Addr: nothing better than what it has is known
	Uplink string     // whose address that is

	Published   netip.Addr // the last address that DuckDNS took; the zero Addr: none that is known
	PublishedAt time.Time
	Changed     bool // it said UPDATED; false: NOCHANGE

	View     View      // what the last look has shown
	Looked   time.Time // when that was
	Verified time.Time // when all name servers that answered last showed Published; zero: never yet
	By, Of   int       // how many showed it then, and how many there are
	Shown    []Shown   // of the last look
	Other    []netip.Addr
	// Since is when the name servers were first seen to show Other instead of Published; zero: they do not.
	Since       time.Time
	Intercepted string // who else answers for the name servers, in words; empty: nobody is known to

	NextLook time.Time // zero: there is nothing to look for
	NextPush time.Time // zero: there is nothing to push
	Why      Why       // what the next push is for

	Error        string    // of the last push; empty: it was good
	Tried        time.Time // when that was
	FailingSince time.Time // zero: it does not fail
	RefusedSince time.Time // the first of the KOs in a row, which are followed up slowly; zero: there is none
}

// Of returns the report on the family.
func (r Report) Of(f zones.Family) FamilyReport {
	if f == zones.IPv6 {
		return r.IPv6
	}
	return r.IPv4
}

// Report returns the newest. It never waits, and before [Worker.Run] there is little in it.
func (w *Worker) Report() Report { return *w.report.Load() }

// tell makes a new report.
func (w *Worker) tell(waiting bool) {
	r := &Report{
		Name: w.name, At: w.turned, Waiting: waiting, Verify: !w.o.Config.NoVerify,
		IPv4: FamilyReport{Off: true}, IPv6: FamilyReport{Off: true},
	}
	if w.tokenErr != nil {
		r.Token = w.tokenErr.Error()
	}
	for _, k := range w.keepers {
		if k.family == zones.IPv6 {
			r.IPv6 = k.report()
		} else {
			r.IPv4 = k.report()
		}
	}
	w.report.Store(r)
	if !waiting {
		w.o.Told(*r)
	}
}

func (k *keeper) report() FamilyReport {
	r, s := k.record, k.sight
	f := FamilyReport{
		Wanted: k.plan.wanted.Addr, Uplink: k.plan.wanted.Uplink,
		Published: r.Published, PublishedAt: r.PublishedAt, Changed: r.Changed,
		View: s.view(), Looked: s.at, Verified: r.Verified, By: r.By, Of: r.Of,
		Shown: s.last.shown, Other: s.other, Since: s.since, Intercepted: s.last.intercepted(),
		NextPush: k.plan.pushAt, Why: k.plan.why,
		Error: r.Error, Tried: r.Tried, FailingSince: r.FailingSince, RefusedSince: r.RefusedSince,
	}
	if k.looks {
		f.NextLook = s.next
	}
	return f
}
