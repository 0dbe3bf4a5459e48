package wanip

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"plexha/zones"
)

// Survey asks every source once and tells what each has said. Known is the address that has a quorum in this one
// round, and the zero Known if none has. Nothing is written, and of the board only the snapshot is read.
func Survey(ctx context.Context, o Options) []Report {
	if o.Board != nil {
		o.Board = onlooker{o.Board}
	}
	d := New(o)
	var wg sync.WaitGroup
	for _, u := range d.uplinks {
		for _, l := range u.lookouts {
			wg.Go(func() { l.survey(ctx) })
		}
	}
	wg.Wait()
	for _, u := range d.uplinks {
		u.tell(time.Now())
	}
	return d.Reports()
}

// onlooker is a board that nobody tells anything.
type onlooker struct{ Board }

// SetAddrs implements [Board].
func (onlooker) SetAddrs(zones.Subject, []netip.Addr, time.Time) {}

// survey is one round of all.
func (l *lookout) survey(ctx context.Context) {
	path, asked := l.path()
	l.askAll(ctx, path, asked)
	now := time.Now()
	if winner := count(l.findings).winner(l.alone); winner != nil {
		l.memory.known = Known{Addr: winner.addr, Since: now, Confirmed: now, By: winner.by}
		l.memory.voices = winner.by
	}
	l.set(l.family, FamilyReport{
		Known: l.memory.known, Findings: l.findings, Agree: l.memory.agree,
		Trouble: troubleText(l.memory.diagnose(l.findings, l.family, false)),
	}, now)
}
