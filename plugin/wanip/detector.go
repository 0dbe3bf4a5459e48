package wanip

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// maxAsked bounds the questions that are on their way at once, over all uplinks. It holds the eight sources of
// the default set, once for each family.
const maxAsked = 16

// Options say what a [Detector] asks and whom it tells.
type Options struct {
	Config    *corefile.Config
	Board     Board             // nil, for a [Survey] alone: nothing is published
	Sources   []Source          // as [Sources] makes them
	Table     Table             // nil: [IANA]
	StateFile string            // where the last known addresses outlive the process; empty: nowhere
	Old       []Report          // of the instance before this one; then the file is not read
	Observe   func(Observation) // called for each question, from several goroutines; may be nil
	Log       Log               // from several goroutines
	// Own waits until nobody else in the process writes the file. It is needed with StateFile.
	Own func(ctx context.Context, file string) (release func(), err error)
	// Only says which families of which uplinks are looked for; nil: all. It is for a [Survey].
	Only func(uplink string, f zones.Family) bool
	// News is called when an address was found, and when one was confirmed for the first time in this process:
	// the board knows no difference. From several goroutines; may be nil.
	News func()
	// Told is called when [Detector.Reports] has something new to say. From several goroutines; may be nil.
	Told func()

	// Seams for tests. Each is set by New when it is nil.
	hostIPv6 func(via.Path) (netip.Addr, error)
	follow   func(ctx context.Context, changed func()) error
	jitter   func(time.Duration) time.Duration
	wall     func() time.Time
}

// Detector follows the external addresses of the uplinks of one block that are `auto`.
type Detector struct {
	opts    Options
	rules   rules
	uplinks []*uplink
	slots   chan struct{} // one for each question on its way
	save    chan struct{} // one slot: an address has changed
}

// New returns a detector that does nothing until Run.
func New(o Options) *Detector {
	o.Log = o.Log.orSilent()
	if o.Table == nil {
		o.Table = IANA
	}
	if o.Observe == nil {
		o.Observe = func(Observation) {}
	}
	if o.Only == nil {
		o.Only = func(string, zones.Family) bool { return true }
	}
	if o.News == nil {
		o.News = func() {}
	}
	if o.Told == nil {
		o.Told = func() {}
	}
	if o.hostIPv6 == nil {
		o.hostIPv6 = hostIPv6
	}
	if o.follow == nil {
		o.follow = followKernel
	}
	if o.jitter == nil {
		o.jitter = jitter
	}
	if o.wall == nil {
		o.wall = wall
	}
	d := &Detector{
		opts:  o,
		rules: rules{table: o.Table, allow: o.Config.Allow, servers: ServersOf(o.Config)},
		slots: make(chan struct{}, maxAsked),
		save:  make(chan struct{}, 1),
	}
	for i, u := range o.Config.Cluster.Uplinks {
		if u.Auto {
			d.uplinks = append(d.uplinks, newUplink(d, u, o.Config.Uplinks[i]))
		}
	}
	return d
}

// jitter spreads by a tenth what would otherwise be in step: the houses that ask the same echoes.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5) //nolint:gosec // nothing secret in when we ask
}

// wall is the time without its monotonic part, which stands still while a machine is suspended.
func wall() time.Time { return time.Now().Round(0) }

// Recall takes over what the instance before, or an earlier process, has known, and tells the board. It is
// called once, before Run, and never waits for the network. The error says why there is nothing to take over.
func (d *Detector) Recall(now time.Time) error {
	if d.opts.Old != nil || d.opts.StateFile == "" {
		for _, u := range d.uplinks {
			u.inherit(d.opts.Old, now)
		}
		return nil
	}
	saved, err := readState(d.opts.StateFile)
	for _, u := range d.uplinks {
		u.recall(saved[u.subject.Name], now)
	}
	return err
}

// Run asks until ctx ends and everything that it has started has ended.
func (d *Detector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if len(d.uplinks) == 0 {
		<-ctx.Done()
		return nil
	}
	for _, u := range d.uplinks {
		for _, l := range u.lookouts {
			wg.Go(func() { l.run(ctx) })
		}
	}
	wg.Go(func() { d.followKernel(ctx) })
	wg.Go(func() { d.followClock(ctx) })
	if d.opts.StateFile != "" {
		wg.Go(func() { d.saveState(ctx) })
	}
	<-ctx.Done()
	return nil
}

// Trigger has every source asked now. It never waits.
func (d *Detector) Trigger() {
	for _, u := range d.uplinks {
		for _, l := range u.lookouts {
			signal(l.wake)
		}
	}
}

// Reports returns what is known of each uplink that is `auto`, in the order of the Corefile.
func (d *Detector) Reports() []Report {
	var out []Report
	for _, u := range d.uplinks {
		out = append(out, *u.report.Load())
	}
	return out
}

// Confirmed reports whether an address of an uplink may be told to others: it was given in the Corefile, or it
// was found or told again in this process.
func (d *Detector) Confirmed(name string, a netip.Addr) bool {
	for _, u := range d.opts.Config.Cluster.Uplinks {
		if u.Name == name && slices.Contains(u.Addrs, a) {
			return true
		}
	}
	for _, u := range d.uplinks {
		if u.subject.Name == name && u.report.Load().confirms(a) {
			return true
		}
	}
	return false
}

// Seen returns when an address of an uplink that was found was last told; the zero Time: it is another one, or was
// not told in this process.
func (d *Detector) Seen(name string, a netip.Addr) time.Time {
	for _, u := range d.uplinks {
		if r := u.report.Load(); u.subject.Name == name && r.confirms(a) {
			return r.family(zones.FamilyOf(a)).Known.Confirmed
		}
	}
	return time.Time{}
}

// signal fills a channel of one slot.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

const (
	// debounce is how long after the kernel's first event its sources are asked: a link that comes up gets its
	// addresses and its routes one after the other.
	debounce = 2 * time.Second
	// eventGap is the least time between rounds that the kernel's events start, so that an interface that comes
	// and goes does not have everybody asked all the time.
	eventGap = 15 * time.Second
	// clockEvery is how often the clocks are compared, and clockGap how far they must be apart: longer than a
	// busy machine lets us wait, shorter than a suspension that a router's lease does not live through.
	clockEvery = 5 * time.Second
	clockGap   = 15 * time.Second
)

// followKernel starts a round when this host's addresses or routes have changed.
func (d *Detector) followKernel(ctx context.Context) {
	events := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		err := d.opts.follow(ctx, func() { signal(events) })
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Warning("following this host's addresses: " + err.Error() + ": changes are found a minute later")
		}
	})
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(debounce, eventGap-time.Since(last))):
		}
		select {
		case <-events:
		default:
		}
		last = time.Now()
		d.Trigger()
	}
}

// followClock starts a round when the machine was suspended: then the clock on the wall is ahead.
func (d *Detector) followClock(ctx context.Context) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	last, lastWall := time.Now(), d.opts.wall()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, nowWall := time.Now(), d.opts.wall()
		if nowWall.Sub(lastWall)-now.Sub(last) > clockGap {
			d.Trigger()
		}
		last, lastWall = now, nowWall
	}
}
