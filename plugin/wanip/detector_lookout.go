package wanip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"plexha/plugin/via"
	"plexha/zones"
)

const (
	// tick is the time between looks while all is well, as the daemon interval of the tools before us was. It
	// bounds how long a change goes unnoticed that the kernel does not tell of.
	tick = time.Minute
	// allEvery is how often all sources are asked while all is well: those that were silent or wrong the last
	// time, and the router, are not asked in between.
	allEvery = time.Hour
	// afterReload is when an instance looks that has taken over from another.
	afterReload = 10 * time.Second
	// wakeGap is the least time between rounds of all that somebody wants at once: it bounds what a script costs
	// those who are asked.
	wakeGap = 5 * time.Second
	// askFor bounds one question.
	askFor = 5 * time.Second
	// firstRetry is how long after a round in which nobody told an address the next one is. It doubles each
	// time, up to a tick: a network that comes up does so in seconds.
	firstRetry = time.Second
)

// errUnanswered is why a question has ended that nobody has answered.
var errUnanswered = fmt.Errorf("no answer within %v", askFor)

// lookout follows one family of one uplink. All but wake belongs to the goroutine of run.
type lookout struct {
	*uplink
	family  zones.Family
	sources []Source // that speak for this uplink
	alone   bool     // they are all the operator's own word
	wake    chan struct{}

	source   netip.Addr // of this host, that IPv6 packets came from in the last round
	memory   memory
	talker   talker
	findings []Finding // of the last round of all
	troubles []trouble
	due      time.Duration // until the first round
	all      bool          // the next round asks all
	allAt    time.Time     // when the last one did
	routerAt time.Time     // when the router was asked last
	turn     int           // counts the rounds that ask one
}

func newLookout(u *uplink, f zones.Family) *lookout {
	l := &lookout{uplink: u, family: f, all: true, alone: true, wake: make(chan struct{}, 1), talker: newTalker(nil, time.Time{})}
	for _, s := range u.opts.Sources {
		if s.Interface != "" && u.detect.Via != "" && s.Interface != u.detect.Via {
			continue // it knows another uplink's address
		}
		l.sources = append(l.sources, s)
		l.alone = l.alone && s.isOwnWord()
	}
	return l
}

// isOwnWord reports whether the source is on this host and says what the operator wants it to.
func (s Source) isOwnWord() bool { return s.Nature == Host || s.Nature == Word }

// resume goes on where another instance has ended. Begun says that it has looked at all.
func (l *lookout) resume(old FamilyReport, begun bool, now time.Time) {
	if old.Known.Addr.IsValid() && l.rules.refuse(old.Known.Addr, l.family) != "" {
		return // no longer allowed
	}
	l.memory.known, l.memory.agree, l.findings = old.Known, old.Agree, old.Findings
	for _, f := range old.Findings {
		if f.votes() && f.Addr == old.Known.Addr {
			l.memory.voices = append(l.memory.voices, f.Source)
		}
	}
	l.troubles = l.memory.diagnose(old.Findings, l.family, false)
	l.talker = newTalker(old.Told, now)
	if begun {
		l.due, l.all, l.allAt, l.routerAt = l.opts.jitter(afterReload), l.areOthers(old.Findings), now, now
	}
	l.set(l.family, old, now)
}

// areOthers reports whether these are findings of other sources than ours. The router may be missing.
func (l *lookout) areOthers(findings []Finding) bool {
	ours := func(f Finding) bool {
		return slices.ContainsFunc(l.sources, func(s Source) bool { return s.Name == f.Source })
	}
	missing := func(s Source) bool {
		return s.Nature != Router && !slices.ContainsFunc(findings, func(f Finding) bool { return f.Source == s.Name })
	}
	return slices.ContainsFunc(l.sources, missing) || slices.ContainsFunc(findings, func(f Finding) bool { return !ours(f) })
}

// run looks until ctx ends.
func (l *lookout) run(ctx context.Context) {
	timer := time.NewTimer(l.due)
	defer timer.Stop()
	next := time.Now().Add(l.due)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.all = true
			if at := l.allAt.Add(wakeGap); time.Now().Before(at) {
				if at.Before(next) {
					next = at
					timer.Reset(time.Until(next))
				}
				continue
			}
		case <-timer.C:
		}
		after := l.round(ctx)
		if ctx.Err() != nil {
			return
		}
		next = time.Now().Add(after)
		timer.Reset(after)
	}
}

// round looks once, and returns when to look again.
func (l *lookout) round(ctx context.Context) time.Duration {
	before := l.memory
	path, asked := l.path()
	act := askAll
	if !l.all {
		act = l.askOne(ctx, path, asked)
	}
	if act == askAll {
		act = l.askAll(ctx, path, asked)
	}
	if ctx.Err() != nil {
		return 0 // what was found is worth nothing: the questions were called off
	}
	now := time.Now()
	later := l.conclude(before, now)
	return l.plan(act, later, now)
}

// path returns the way that questions go out, and the sources that may be asked that way. An echo is to see
// the address of this host that lasts, not one that it uses for a day (RFC 8981); if it has none, only sources
// that know without a packet can tell an IPv6 address.
func (l *lookout) path() (via.Path, []Source) {
	p := via.Path{Interface: l.detect.Via}
	if l.family == zones.IPv4 {
		return p, l.sources
	}
	p.Source = cmp.Or(l.source, l.memory.known.Addr)
	source, err := l.opts.hostIPv6(p)
	p.Source, l.source = source, source
	if err != nil || !source.IsValid() {
		return p, slices.DeleteFunc(slices.Clone(l.sources), func(s Source) bool { return !s.isOwnWord() })
	}
	return p, l.sources
}

// askOne asks the source whose turn it is, of those that told the known address the last time. Without any, all
// must be asked. All take turns, whatever they cost: what one of them cannot see, the next one does.
func (l *lookout) askOne(ctx context.Context, path via.Path, asked []Source) action {
	var trusted []Source
	for _, s := range asked {
		if s.Nature != Router && slices.Contains(l.memory.voices, s.Name) {
			trusted = append(trusted, s)
		}
	}
	if len(trusted) == 0 {
		return askAll
	}
	s := trusted[l.turn%len(trusted)]
	l.turn++
	var act action
	f := l.ask(ctx, s, path)
	l.memory, act = l.memory.hear(f, time.Now())
	return act
}

// askAll asks everybody at once, and judges. The router is asked once an hour, and whenever the others do not
// simply tell the known address.
func (l *lookout) askAll(ctx context.Context, path via.Path, asked []Source) action {
	routers := func(s Source) bool { return s.Nature == Router }
	spared := l.isWell() && time.Since(l.routerAt) < allEvery
	l.findings = l.gather(ctx, path, asked, func(s Source) bool { return !spared || !routers(s) })
	if spared && !l.isSame(l.findings) {
		spared = false
		l.findings = append(l.findings, l.gather(ctx, path, asked, routers)...)
	}
	now := time.Now()
	l.allAt = now
	if !spared {
		l.routerAt = now
	}
	var act action
	l.memory, act = l.memory.judge(l.findings, l.alone, now)
	if act != askAgain { // else the sources may just see a change one after the other
		l.troubles = l.memory.diagnose(l.findings, l.family, l.isExpected())
	}
	return act
}

// isWell reports whether the last round of all has left nothing open.
func (l *lookout) isWell() bool {
	return len(l.memory.voices) > 0 && l.memory.agree && !l.memory.candidate.addr.IsValid() && len(l.troubles) == 0
}

// isSame reports whether the known address is told, and no other.
func (l *lookout) isSame(findings []Finding) bool {
	b := count(findings)
	return len(b) == 1 && b[0].addr == l.memory.known.Addr && agree(findings)
}

// isExpected reports whether there should be an address: there was one, or the uplink has none at all.
func (l *lookout) isExpected() bool {
	return l.memory.known.Addr.IsValid() || l.family == zones.IPv4 && !l.knowsBeside(l.family)
}

// gather asks some of the sources at once, and returns their findings in the order of the sources.
func (l *lookout) gather(ctx context.Context, path via.Path, asked []Source, some func(Source) bool) []Finding {
	asked = slices.DeleteFunc(slices.Clone(asked), func(s Source) bool { return !some(s) })
	findings := make([]Finding, len(asked))
	var wg sync.WaitGroup
	for i, s := range asked {
		wg.Go(func() { findings[i] = l.ask(ctx, s, path) })
	}
	wg.Wait()
	return findings
}

// ask puts one question, when not too many are on their way.
func (l *lookout) ask(ctx context.Context, s Source, path via.Path) Finding {
	f := Finding{Source: s.Name, Operator: s.Operator, Nature: s.Nature, Secure: s.Secure}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		f.Err = context.Cause(ctx)
		return f
	}
	asking, cancel := context.WithTimeoutCause(withUplink(ctx, l.subject.Name), askFor, errUnanswered)
	defer cancel()
	began := time.Now()
	addr, err := askSafely(asking, s, path, l.family)
	f.Took = time.Since(began)
	switch {
	case err == nil:
		f.Addr = addr.Unmap()
		f.Refused = l.rules.refuse(f.Addr, l.family)
	case errors.Is(err, context.DeadlineExceeded):
		f.Err = errUnanswered
	default:
		f.Err = err
	}
	if ctx.Err() == nil {
		l.opts.Observe(Observation{
			Uplink: l.subject.Name, Source: s.Name, Family: l.family, Result: f.result(l.memory.known.Addr), Took: f.Took,
		})
	}
	return f
}

// askSafely turns a panic, and an answer without an address, into an error.
func askSafely(ctx context.Context, s Source, path via.Path, f zones.Family) (addr netip.Addr, err error) {
	defer func() {
		if v := recover(); v != nil {
			addr, err = netip.Addr{}, fmt.Errorf("source panicked: %v", v)
		}
	}()
	addr, err = s.Ask(ctx, path, f)
	if err == nil && !addr.IsValid() {
		err = errors.New("it says nothing")
	}
	return addr, err
}

// conclude reports, publishes and tells what the round has brought. Later says that a trouble is left to be
// told once it has lasted.
func (l *lookout) conclude(before memory, now time.Time) (later bool) {
	m := l.memory
	begins, ends, later := l.talker.tell(l.troubles, now)
	l.set(l.family, FamilyReport{
		Known: m.known, Findings: l.findings, Agree: m.agree,
		Trouble: troubleText(l.troubles), Told: l.talker.told(),
	}, now)
	l.tell(now)
	l.opts.Told()
	if m.known.Addr != before.known.Addr {
		l.say(l.opts.Log.Info, changed(l.family, before.known, m.known))
		signal(l.save)
	}
	for _, text := range begins {
		l.say(l.opts.Log.Warning, text)
	}
	for _, text := range ends {
		l.say(l.opts.Log.Info, text)
	}
	if m.known.Addr != before.known.Addr || before.known.Confirmed.IsZero() && !m.known.Confirmed.IsZero() {
		l.opts.News()
	}
	return later
}

// plan says when the next round is due, and whether it asks all.
func (l *lookout) plan(act action, later bool, now time.Time) time.Duration {
	m := l.memory
	l.all = true
	switch {
	case act == askAgain:
		return secondRound
	case m.silent.rounds > 0:
		return min(firstRetry<<min(m.silent.rounds-1, 6), tick)
	default:
		l.all = later || m.candidate.addr.IsValid() || now.Sub(l.allAt) >= allEvery
		return l.opts.jitter(tick)
	}
}
