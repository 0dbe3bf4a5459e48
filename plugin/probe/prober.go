// Package probe asks nodes, proxies and uplinks how they are, and reports verdicts to a board.
//
// Each address of a subject has a loop of its own. A loop asks once an interval; once something is in doubt
// it asks again after 250 ms, or beside a question that is unanswered for longer than usual. One idle TCP
// connection per address, the link watch, tells within milliseconds that a process or a host has gone.
//
// What a verdict means for a state is the board's business. What a question is, and when it is asked, is
// decided here.
package probe

import (
	"context"
	"crypto/x509"
	"net/netip"
	"slices"
	"sync"
	"time"

	"plexha/corefile"
	"plexha/zones"
	"plexha/zones/board"
)

// Board is what a [Prober] tells and asks of a [board.Board].
type Board interface {
	Report(v board.Verdict) zones.State
	SetAddrs(s zones.Subject, addrs []netip.Addr, now time.Time)
	SetFound(group string, nodes []zones.Node, now time.Time)
	Snapshot() *zones.Snapshot
	Canary() <-chan struct{}
	CanaryResult(ok bool, now time.Time)
}

var _ Board = (*board.Board)(nil)

// Observation is one probe that ended, for metrics. One that was called off because another one beside it
// was answered is none.
type Observation struct {
	Subject  zones.Subject
	Addr     netip.Addr // zero for an uplink
	Result   board.Result
	Took     time.Duration
	Panicked bool
}

// Options says what a [Prober] asks and whom it tells.
type Options struct {
	Config  *corefile.Config
	Board   Board
	Version string            // of plexha, sent as User-Agent plexha/VERSION
	Avoid   []netip.AddrPort  // our own DNS listeners: look-ups never go there
	Observe func(Observation) // called for each probe, from several goroutines; may be nil
	Warn    func(msg string)  // gets whole messages for the log, from several goroutines; may be nil

	// Seams for tests. Each is set by New when it is nil.
	ask    func(place) asker
	names  names
	link   func(place) link
	jitter func(time.Duration) time.Duration
	roots  *x509.CertPool // for `https verify`; nil: the system's
}

// Prober asks the subjects of one plex block.
type Prober struct {
	opts  Options
	cfg   *corefile.Config
	first *round

	mu    sync.Mutex
	loops map[place]*running
	wg    sync.WaitGroup
}

// place is where one loop asks. An uplink has no address here: it is asked through its probe's HOST:PORT.
type place struct {
	subject zones.Subject
	at      netip.AddrPort
}

// String returns the subject with the address that is asked, for messages.
func (p place) String() string {
	if p.subject.Kind == zones.KindProxy {
		return p.subject.Kind.String() + " " + p.at.String()
	}
	if p.at.IsValid() {
		return p.subject.String() + " at " + p.at.String()
	}
	return p.subject.String()
}

// running is a loop with what ends it.
type running struct {
	*loop
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns a prober that does nothing until Run.
func New(opts Options) *Prober {
	if opts.Observe == nil {
		opts.Observe = func(Observation) {}
	}
	if opts.Warn == nil {
		opts.Warn = func(string) {}
	}
	if opts.names == nil {
		opts.names = newResolver(opts.Avoid)
	}
	if opts.jitter == nil {
		opts.jitter = jitter
	}
	if opts.link == nil {
		opts.link = tcpLink
	}
	return &Prober{opts: opts, cfg: opts.Config, first: newRound(), loops: map[place]*running{}}
}

// Run asks until ctx ends and every loop has ended.
func (p *Prober) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.wg.Wait()
	defer cancel()
	latest := time.AfterFunc(2*p.cfg.Timeout, p.first.end)
	defer latest.Stop()

	p.startNodes(ctx)
	p.startProxies(ctx)
	p.startUplinks(ctx)
	for _, f := range p.cfg.Finders {
		p.startFinder(ctx, f)
	}
	p.startCanary(ctx)
	p.first.met(setup)
	<-ctx.Done()
	return nil
}

// FirstRound returns a channel that is closed when each subject has had its first verdict at each of its
// addresses, at the latest 2 x timeout after Run began.
func (p *Prober) FirstRound() <-chan struct{} { return p.first.over }

// Stalled returns the subjects of which a loop has given no sign of life for longer than the slowest of
// healthy loops could be silent, each once and in order of name.
func (p *Prober) Stalled(now time.Time) []zones.Subject {
	oldest := now.Add(-p.cfg.Interval - 2*p.cfg.Timeout - time.Second)
	var stalled []zones.Subject
	p.mu.Lock()
	for at, r := range p.loops {
		if r.lastBeat().Before(oldest) {
			stalled = append(stalled, at.subject)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(stalled, compareSubjects)
	return slices.Compact(stalled)
}

// setLoops makes the loops of a subject those of the places wanted. Those that remain are not disturbed;
// what is to end has ended before between is called, and what is new starts after it.
func (p *Prober) setLoops(ctx context.Context, s zones.Subject, want []place, between func(), build func(place) *loop) {
	p.mu.Lock()
	var old []*running
	for at, r := range p.loops {
		if at.subject == s && !slices.Contains(want, at) {
			r.cancel()
			old = append(old, r)
			delete(p.loops, at)
		}
	}
	p.mu.Unlock()
	for _, r := range old {
		<-r.done
	}
	between()
	for _, at := range want {
		p.startLoop(ctx, at, build)
	}
}

// startLoop starts the loop of a place that has none.
func (p *Prober) startLoop(ctx context.Context, at place, build func(place) *loop) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.loops[at]; ok {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &running{loop: build(at), cancel: cancel, done: make(chan struct{})}
	r.firstVerdict = func() { p.first.met(at) }
	p.first.expect(at)
	p.loops[at] = r
	p.wg.Go(func() {
		defer close(r.done)
		defer cancel()
		r.run(ctx)
		p.first.met(at)
	})
}
