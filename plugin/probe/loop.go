package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

const (
	// confirmAfter is how long after the last answer the next probe starts while a state is in doubt, and
	// the least time after which an unanswered probe is late.
	confirmAfter = 250 * time.Millisecond
	// lateFactor times the usual time of an answer is late, so that a slow server is not always in doubt.
	lateFactor = 4
	// maxFlights bounds the probes of one address that run at once by the loop's own doing: one, and one
	// that confirms it.
	maxFlights = 2
	// usualShare is the weight of the newest answer in the usual time: 1/8, as TCP has it for round trips
	// (RFC 6298).
	usualShare = 8
)

// jitter spreads what would otherwise be in step: loops that began together.
func jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most))) //nolint:gosec // nothing secret in when we ask
}

// loop asks one place on a schedule and reports what it finds. Everything but beat belongs to the goroutine
// of run.
type loop struct {
	at       place
	asker    asker
	addrs    func() []netip.Addr // what a verdict is on
	link     link                // nil: no link watch
	failed   func()              // told of each failure; may be nil
	interval time.Duration
	timeout  time.Duration
	jitter   func(time.Duration) time.Duration
	board    Board
	observe  func(Observation)
	warn     func(string)

	firstVerdict func() // called with the first verdict

	beat    atomic.Int64 // Unix nanoseconds of the last sign of life
	wg      sync.WaitGroup
	answers chan *flight
	wakes   chan wake     // from the link watch
	up      chan struct{} // to the link watch: a probe has just found the place up
	endLink context.CancelFunc

	due, late *time.Timer
	flights   []*flight // in order of their start
	lateOne   *flight   // the flight that the timer late is about
	began     time.Time // when the last flight began
	cadence   bool      // the jitter has been had
	usual     time.Duration
	state     zones.State
	closedAt  time.Time // when the place last closed a link and lived on
}

// flight is one probe on its way.
type flight struct {
	began  time.Time
	cancel context.CancelFunc
	wake   *wake // what the link watch told; nil: it is the schedule's
	off    bool  // called off: its answer counts for nothing
	answer answer
	took   time.Duration
}

func (p *Prober) newLoop(at place, a asker, watch bool, failed func()) *loop {
	l := &loop{
		at: at, asker: a, failed: failed,
		addrs:    func() []netip.Addr { return []netip.Addr{at.at.Addr()} },
		interval: p.cfg.Interval, timeout: p.cfg.Timeout, jitter: p.opts.jitter,
		board: p.opts.Board, observe: p.opts.Observe, warn: p.opts.Warn,
		answers: make(chan *flight), wakes: make(chan wake), up: make(chan struct{}, 1),
	}
	if watch {
		l.link = p.opts.link(at)
	}
	l.alive()
	return l
}

func (l *loop) alive()              { l.beat.Store(time.Now().UnixNano()) }
func (l *loop) lastBeat() time.Time { return time.Unix(0, l.beat.Load()) }

// run asks until ctx ends, and returns when nothing that it started is left.
func (l *loop) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer l.asker.close()
	defer l.wg.Wait()
	defer cancel()
	l.due, l.late = time.NewTimer(0), time.NewTimer(l.timeout)
	l.late.Stop()
	defer l.due.Stop()
	defer l.late.Stop()
	l.startLink(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-l.answers:
			l.take(f)
		case w := <-l.wakes:
			l.woken(ctx, w)
		case <-l.late.C:
			l.suspect(ctx)
		case <-l.due.C:
			if len(l.flights) < maxFlights {
				l.begin(ctx, &flight{})
			}
		}
	}
}

func (l *loop) startLink(ctx context.Context) {
	if l.link == nil {
		return
	}
	ctx, l.endLink = context.WithCancel(ctx)
	l.wg.Go(func() { l.link(ctx, l.up, l.wakes) })
}

// begin starts one probe. All but the only one on its way use a new connection.
func (l *loop) begin(ctx context.Context, f *flight) {
	fresh := f.wake != nil || len(l.flights) > 0
	f.began = time.Now()
	asking, cancel := withTimeout(ctx, l.timeout)
	f.cancel = cancel
	l.began = f.began
	l.flights = append(l.flights, f)
	if after := max(confirmAfter, lateFactor*l.usual); !fresh && l.state == zones.Up && after < l.timeout {
		l.lateOne = f
		l.late.Reset(after)
	}
	l.wg.Go(func() {
		defer cancel()
		f.answer = l.put(asking, f, fresh)
		f.took = time.Since(f.began)
		select {
		case l.answers <- f:
		case <-ctx.Done():
		}
	})
}

// put asks. A process that dies ends its connections one by one, its listener not always first: a probe that
// the link watch woke and that is cut off too asks once more, to be told for good.
func (l *loop) put(ctx context.Context, f *flight, fresh bool) answer {
	a := askSafely(ctx, l.asker, fresh)
	if f.wake != nil && a.broken {
		a = askSafely(ctx, l.asker, true)
	}
	return a
}

// askSafely turns a panic into a failed answer.
func askSafely(ctx context.Context, from asker, fresh bool) (a answer) {
	defer func() {
		if v := recover(); v != nil {
			a = answerFailed(fmt.Sprintf("probe panicked: %v", v))
			a.panicked = true
		}
	}()
	return from.ask(ctx, fresh)
}

// take judges an answer and plans what comes next.
func (l *loop) take(f *flight) {
	l.alive()
	if f.off {
		return
	}
	l.flights = slices.DeleteFunc(l.flights, func(o *flight) bool { return o == f })
	result := f.answer.result
	if f.wake != nil && f.answer.refused && l.state.IsUp() {
		result = board.Gone
	}
	l.observe(Observation{
		Subject: l.at.subject, Addr: l.at.at.Addr(), Result: result, Took: f.took, Panicked: f.answer.panicked,
	})
	if result == board.OK {
		l.good(f)
	}
	l.report(board.Verdict{Result: result, Identity: f.answer.identity, Why: f.answer.why})
	l.plan()
}

// good learns from an answer as it should be. What else is on its way is needless, but for a probe that the
// link watch woke: the place may have died after it gave this answer.
func (l *loop) good(f *flight) {
	l.flights = slices.DeleteFunc(l.flights, func(other *flight) bool {
		if other.wake != nil {
			return false
		}
		other.off = true
		other.cancel()
		return true
	})
	if l.usual == 0 {
		l.usual = f.took
	}
	l.usual += (f.took - l.usual) / usualShare
	if f.wake != nil && f.wake.closed {
		l.livedOn(f.began)
	}
}

// report tells the board a verdict on each address, and others what follows from the state.
func (l *loop) report(v board.Verdict) {
	v.Subject, v.At = l.at.subject, time.Now()
	for _, v.Addr = range l.addrs() {
		l.state = l.board.Report(v)
	}
	if v.Result == board.Late {
		return
	}
	if l.firstVerdict != nil {
		l.firstVerdict()
		l.firstVerdict = nil
	}
	if v.Result != board.OK && v.Result != board.Starting && l.failed != nil {
		l.failed()
	}
	if v.Result == board.OK && l.state.IsUp() {
		select {
		case l.up <- struct{}{}:
		default:
		}
	}
}

// plan sets when the next probe is due: soon while in doubt, else one interval after the last one began.
// While another one is on its way and nothing is in doubt, its answer decides.
func (l *loop) plan() {
	switch {
	case l.state.InDoubt():
		l.due.Reset(confirmAfter)
	case len(l.flights) > 0:
		l.due.Stop()
	case !l.cadence:
		l.cadence = true
		l.due.Reset(time.Until(l.began.Add(l.jitter(l.interval))))
	default:
		l.due.Reset(time.Until(l.began.Add(l.interval)))
	}
}

// suspect says that a probe is late, and starts another beside it.
func (l *loop) suspect(ctx context.Context) {
	if !slices.Contains(l.flights, l.lateOne) {
		return
	}
	l.report(board.Verdict{
		Result: board.Late,
		Why:    fmt.Sprintf("no answer for %v", time.Since(l.lateOne.began).Round(time.Millisecond)),
	})
	if len(l.flights) < maxFlights {
		l.begin(ctx, &flight{})
	}
}

// woken asks at once because of what the link watch told: beside whatever is on its way, but only one at a
// time. A link that the kernel gave up counts as a failure by itself.
func (l *loop) woken(ctx context.Context, w wake) {
	l.alive()
	if !l.state.IsUp() {
		return
	}
	if w.why != "" {
		l.report(board.Verdict{Result: board.Failed, Why: w.why})
	}
	if !slices.ContainsFunc(l.flights, func(f *flight) bool { return f.wake != nil }) {
		l.begin(ctx, &flight{wake: &w})
	}
}

// closesWithin is how close together two closes by a place that lives on end its link watch.
const closesWithin = 10 * time.Second

// livedOn ends the link watch of a place that closes idle connections as a habit.
func (l *loop) livedOn(at time.Time) {
	if !l.closedAt.IsZero() && at.Sub(l.closedAt) <= closesWithin {
		l.endLink()
		l.warn(fmt.Sprintf("%s: closes idle connections, so it is probed without a link watch", l.at))
	}
	l.closedAt = at
}
