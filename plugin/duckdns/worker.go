package duckdns

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"plexha/corefile"
	"plexha/corefile/token"
	"plexha/zones"
)

// Options is what a [Worker] works with.
type Options struct {
	Config *corefile.DuckDNS
	// Candidates returns the addresses that the records may hold, in order of preference, those of both families
	// in one list.
	Candidates func() []Candidate
	// News returns a channel that holds a value whenever Candidates may say something new, and a function that
	// ends that.
	News      func() (news <-chan struct{}, cancel func())
	Publisher Publisher
	Verifier  Verifier // not used with Config.NoVerify
	// Refuse says why an address that is shown cannot be the public one's, since it is for special purposes or is
	// one of ours inside; empty: it can. Nil: private and local ones are refused.
	Refuse func(netip.Addr) string
	// Token reads the token as it is now, so that a changed one is noticed; nil: that of Config.
	Token func() (corefile.Secret, error)
	// StateFile is where what DuckDNS was told is kept; empty: it does not outlive the process.
	StateFile string
	// Own waits until nobody else writes the state file and the record, and returns how to give that up again;
	// nil: nobody else does.
	Own     func(ctx context.Context, file string) (release func(), err error)
	Log     Log
	Observe func(r Result, took time.Duration) // called for each push; may be nil
	Told    func(Report)                       // called with each new report while [Worker.Run] runs, one after the other; may be nil

	jitter func(time.Duration) time.Duration
}

// Worker keeps the records of one domain, and is the only one that does.
type Worker struct {
	o       Options
	name    string // home.duckdns.org
	keepers []*keeper
	log     *teller
	report  atomic.Pointer[Report]

	trigger chan struct{} // one slot: somebody wants it done now
	touched chan struct{} // one slot: the token's file has changed

	tokenSum  [sha256.Size]byte // of the last token that was read; zero: none could be
	tokenErr  error
	tokenRead bool // once at least, successfully or not
	alerted   bool // about KO
	unsaved   bool // something is newer than the state file

	turned time.Time // when the last turn that was not cut off began
}

// keeper keeps the record of one family.
type keeper struct {
	family zones.Family
	looks  bool
	record record
	sight  sight
	plan   action // the last decision
}

// New returns a worker that does nothing yet.
func New(o Options) *Worker {
	if o.jitter == nil {
		o.jitter = jitter
	}
	if o.Refuse == nil {
		o.Refuse = refuse
	}
	if o.Token == nil {
		o.Token = func() (corefile.Secret, error) { return token.Of(o.Config) }
	}
	if o.Own == nil {
		o.Own = func(context.Context, string) (func(), error) { return func() {}, nil }
	}
	if o.Observe == nil {
		o.Observe = func(Result, time.Duration) {}
	}
	if o.Told == nil {
		o.Told = func(Report) {}
	}
	w := &Worker{
		o: o, name: o.Config.Name + ".duckdns.org", log: newTeller(o.Log),
		trigger: make(chan struct{}, 1), touched: make(chan struct{}, 1),
	}
	off := map[zones.Family]bool{zones.IPv4: o.Config.NoIPv4, zones.IPv6: o.Config.NoIPv6}
	for _, f := range zones.Families() {
		if !off[f] {
			w.keepers = append(w.keepers, &keeper{family: f, looks: !o.Config.NoVerify})
		}
	}
	w.tell(true)
	return w
}

// jitter varies a wait by up to a tenth, so that those who failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // nothing is kept secret by it
}

// refuse is the least that a public address must be.
func refuse(a netip.Addr) string {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return "a private address"
	}
	return ""
}

// Trigger looks now, and pushes now if a push is due but for the waits after failures.
func (w *Worker) Trigger() { fill(w.trigger) }

// fill fills a channel of one slot.
func fill(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Run keeps the records until ctx ends. It pushes nothing as long as another one owns them.
func (w *Worker) Run(ctx context.Context) error {
	key := w.o.StateFile
	if key == "" {
		key = w.name
	}
	release, err := w.o.Own(ctx, key)
	if err != nil {
		return nil // the instance ended first
	}
	defer release()
	if err := w.load(); err != nil {
		w.log.say("state", warning, fmt.Sprintf("%v: starting without", err))
	}
	for _, k := range w.keepers {
		if !k.record.Published.IsValid() {
			k.sight.next = time.Now().Add(strangerAfter)
		}
	}
	defer w.saveLast()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.o.Config.TokenFile != "" {
		wg.Go(func() { w.watchToken(ctx) })
	}
	w.follow(ctx)
	return nil
}

// follow acts whenever there is something to do.
func (w *Worker) follow(ctx context.Context) {
	news, cancel := w.o.News()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-w.touched:
		case <-timer.C:
		case <-w.trigger:
			w.hurry()
		}
		next := w.turn(ctx)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// turn does all that is due, and returns when there is more to do.
func (w *Worker) turn(ctx context.Context) (next time.Time) {
	began := time.Now()
	select {
	case <-w.trigger: // so that a report of a turn holds the outcome of what was asked for before it
		w.hurry()
	default:
	}
	for _, k := range w.keepers {
		w.keep(ctx, k)
		next = earliest(next, k.plan.next)
		next = earliest(next, w.complain(k))
	}
	if ctx.Err() == nil {
		w.turned = began
	}
	w.tell(false)
	return next
}

// hurry forgets what our own patience has put off. A look that somebody has just had serves as well: what a script
// costs DuckDNS is bounded.
func (w *Worker) hurry() {
	for _, k := range w.keepers {
		k.record = k.record.impatient()
		if time.Since(k.sight.at) >= lookGap {
			k.sight.next = time.Time{}
		}
	}
}

// saveLast keeps the file from being older than what a next instance should know. Verifications alone are not
// written down at each look, since the folder may be on a card that wears.
func (w *Worker) saveLast() {
	if w.unsaved {
		w.save()
	}
}
