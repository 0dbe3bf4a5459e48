package duckdns

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"plexha/corefile"
	"plexha/corefile/watch"
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
	// Token reads the token as it is now, so that a changed one is noticed; nil: it never changes.
	Token func() (corefile.Secret, error)
	// StateFile is where what DuckDNS was told is kept; empty: it does not outlive the process.
	StateFile string
	// Own waits until nobody else writes the state file and the record, and returns how to give that up again;
	// nil: nobody else does.
	Own     func(ctx context.Context, file string) (release func(), err error)
	Log     Log
	Observe func(r Result, took time.Duration) // called for each push; may be nil

	jitter func(time.Duration) time.Duration
}

// Result is how a push has ended, as metrics name it.
type Result string

// The results of pushes.
const (
	Updated  Result = "updated"
	NoChange Result = "nochange"
	KO       Result = "ko"
	HTTP     Result = "http"     // another status than 200
	Foreign  Result = "foreign"  // an answer that is not DuckDNS's
	Timeout  Result = "timeout"  // no answer in time
	Mismatch Result = "mismatch" // an answer that repeats another address
	Failed   Result = "error"    // all else
)

// What a hanging network may take of the loop's time. The publisher and the verifier have shorter deadlines of
// their own.
const (
	longestPush = 30 * time.Second
	longestLook = 15 * time.Second
)

// tellAfter is how long pushes must have failed before the log says so: what lasts shorter needs nobody.
const tellAfter = 10 * time.Minute

var (
	errPushTooLong = errors.New("the push took too long")
	errLookTooLong = errors.New("the look took too long")
)

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
		o.Token = func() (corefile.Secret, error) { return corefile.Secret{}, nil }
	}
	if o.Own == nil {
		o.Own = func(context.Context, string) (func(), error) { return func() {}, nil }
	}
	if o.Observe == nil {
		o.Observe = func(Result, time.Duration) {}
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
		return nil //nolint:nilerr // the instance ended first
	}
	defer release()
	if err := w.load(); err != nil {
		w.log.say("state", warning, fmt.Sprintf("%v: starting without", err))
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
	for _, k := range w.keepers {
		w.keep(ctx, k)
		next = earliest(next, k.plan.next)
		next = earliest(next, w.complain(k))
	}
	w.tell(false)
	return next
}

// keep acts for one family until nothing is due. Each push and each look put the next one off.
func (w *Worker) keep(ctx context.Context, k *keeper) {
	for ctx.Err() == nil {
		w.readToken()
		k.plan = decide(k.record, w.evidence(k), time.Now())
		switch {
		case k.plan.push:
			w.push(ctx, k)
		case k.plan.look:
			w.look(ctx, k)
		default:
			return
		}
		w.tell(false)
	}
}

func (w *Worker) evidence(k *keeper) evidence {
	return evidence{
		candidates: ofFamily(w.o.Candidates(), k.family), sight: k.sight,
		refresh: w.o.Config.Refresh, verify: k.looks, tokenless: w.tokenErr != nil,
	}
}

// push tells DuckDNS the wanted address.
func (w *Worker) push(ctx context.Context, k *keeper) {
	began, c := time.Now(), k.plan.wanted
	reply, err := w.publish(ctx, c.Addr)
	now := time.Now()
	if err != nil && ctx.Err() != nil {
		k.record.Doubt, w.unsaved = true, true // it was cut off, and is no failure
		return
	}
	w.o.Observe(resultOf(reply, err), now.Sub(began))
	before := k.record
	if err != nil {
		k.record = before.failed(c.Addr, err, now, w.o.jitter)
		w.sayFailed(k, err)
	} else {
		k.record = before.taken(c, k.plan.why, reply, now)
		k.sight = k.sight.afterPush(now)
		w.sayTaken(k, before)
	}
	w.save()
}

func (w *Worker) publish(ctx context.Context, addr netip.Addr) (Reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestPush, errPushTooLong)
	defer cancel()
	return w.o.Publisher.Publish(ctx, addr)
}

// resultOf classes the end of a push.
func resultOf(reply Reply, err error) Result {
	status, isStatus := errors.AsType[*StatusError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case err == nil && reply.Changed:
		return Updated
	case err == nil:
		return NoChange
	case errors.Is(err, ErrRefused):
		return KO
	case errors.Is(err, ErrEcho):
		return Mismatch
	case errors.Is(err, ErrForeign):
		return Foreign
	case isStatus && status != nil:
		return HTTP
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errPushTooLong), isNetwork && network.Timeout():
		return Timeout
	default:
		return Failed
	}
}

// look looks at what the name servers show.
func (w *Worker) look(ctx context.Context, k *keeper) {
	looking, cancel := context.WithTimeoutCause(ctx, longestLook, errLookTooLong)
	defer cancel()
	shown, err := w.o.Verifier.Look(looking, k.family)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	f := judge(shown, err, k.record.Published, w.o.Refuse)
	if r, ok := k.record.adopted(f, k.plan.wanted.Uplink); ok {
		before := k.record
		k.record, w.unsaved = r, true
		w.sayTaken(k, before)
		f = judge(shown, err, r.Published, w.o.Refuse)
	}
	before, record := k.sight, k.record
	k.sight = before.after(f, now, w.o.Config.Every, w.o.jitter)
	if f.view == Verified {
		k.record, w.unsaved = record.verified(f, now), true
	}
	w.saySeen(k, before, record)
	if f.view == Verified && record.Verified.IsZero() {
		w.save()
	}
}

// hurry forgets what our own patience has put off.
func (w *Worker) hurry() {
	for _, k := range w.keepers {
		k.record = k.record.impatient()
		k.sight.next = time.Time{}
	}
}

// saveLast keeps the file from being older than what a next instance should know. Verifications alone are not
// written down at each look, since the folder may be on a card that wears.
func (w *Worker) saveLast() {
	if w.unsaved {
		w.save()
	}
}

// watchToken wakes the worker when the token's file changes. Without, it reads the file whenever it wakes anyway.
func (w *Worker) watchToken(ctx context.Context) {
	err := watch.Files(ctx, []string{w.o.Config.TokenFile}, func() { fill(w.touched) })
	if err != nil {
		w.log.to[debug](err.Error())
	}
}

// readToken reads the token, and forgets the failures of another one. Only a hash of it is kept.
func (w *Worker) readToken() {
	t, err := w.o.Token()
	var sum [sha256.Size]byte
	if err == nil {
		sum = sha256.Sum256([]byte(t.Reveal()))
	}
	known, before := w.tokenRead, w.tokenSum
	w.tokenRead, w.tokenSum, w.tokenErr = true, sum, err
	if err != nil {
		w.log.say("token", severe, fmt.Sprintf("%s cannot be kept up to date: %v", w.name, err))
		return
	}
	if !known || sum == before {
		return
	}
	w.log.forget("token")
	w.log.forget("ko")
	w.alerted, w.unsaved = false, true
	for _, k := range w.keepers {
		k.record = k.record.renewed()
	}
	w.log.say("new token", info, w.name+": there is another token")
}
