package plugin

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/coredns/coredns/plugin/transfer"

	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/corefile/state"
	"plexha/corefile/watch"
	"plexha/plugin/probe"
	"plexha/plugin/runtime"
	"plexha/plugin/status"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/diary"
	"plexha/zones/timeline"
)

// Version is plexha's, as `plexdns -version` and the probes' User-Agent say it.
const Version = corefile.Version

// maxWaiting bounds the questions that wait for the first round of probes.
const maxWaiting = 256

// cluster is what runs while a block is served: the board, the probes and all that follows them.
type cluster struct {
	board   *board.Board
	prober  *probe.Prober
	serials map[string]*runtime.Serials // by origin
	external
	state string // the state folder; empty: none is writable
	xfer  *transfer.Transfer

	asked     chan struct{} // closed when zones of a finished first round are served
	askedOnce sync.Once
	waiting   chan struct{} // one slot for each question that waits
	recompile chan struct{} // one slot: a zone file has changed
	save      chan struct{} // one slot: a serial has changed
	announce  chan struct{} // one slot: the external view has changed
	orders    state.Orders
	diary     *diary.Diary // what has been logged; nil: nothing yet
	dueLine   time.Time    // when the zones' loop is woken for a line that is held back
	follower  *timeline.Follower
	entered   bool // the cluster is in the registry; written before the loops begin
	shown     audience
	findings  []lint.Finding // what is unwise in the block
	series    series

	leave   func()                  // the status page; nil before it is shown
	cancel  context.CancelCauseFunc // of all tasks; nil before they run
	stopped chan struct{}           // closed by stop
	stop    func()                  // once is enough
	tasks   sync.WaitGroup
}

var errStopped = errors.New("the instance is stopped")

func newCluster() *cluster {
	stopped := make(chan struct{})
	return &cluster{
		asked:     make(chan struct{}),
		waiting:   make(chan struct{}, maxWaiting),
		recompile: make(chan struct{}, 1),
		save:      make(chan struct{}, 1),
		announce:  make(chan struct{}, 1),
		external:  external{duckNews: make(chan struct{}, 1)},
		serials:   map[string]*runtime.Serials{},
		stopped:   stopped,
		stop:      sync.OnceFunc(func() { close(stopped) }),
	}
}

// start brings the block to life: it takes over what an earlier instance knew, compiles the first zones and
// starts the loops. It never waits for the network.
func (p *Plex) start(own []netip.AddrPort, xfer *transfer.Transfer) error {
	now := time.Now()
	p.xfer = xfer
	p.openSeries()
	p.greet(own)
	p.findState()
	p.board = board.New(probe.BoardConfig(p.cfg), now)
	hosts, onlink := probe.LocalAddrs()
	p.board.SetLocal(hosts, onlink, now)
	if old := runtime.Latest(p.zone()); old != nil {
		p.board.Seed(old.Snapshot(), old.Probe() == p.Probe(), now)
	}
	p.readOrders()
	if err := p.readSerials(); err != nil {
		log.Warningf("%v: starting without", err)
	}
	p.prober = probe.New(probe.Options{
		Config: p.cfg, Board: p.board, Version: Version, Avoid: own,
		Observe: p.observe, Warn: warning,
	})
	p.findAddresses(now)
	p.tellDuckDNS()
	p.refresh()
	if err := p.showStatus(); err != nil {
		return err
	}
	runtime.Started(p.zone(), p)
	p.entered = true
	p.run()
	return nil
}

// showStatus lets the cluster be seen and triggered. Answers matter more than the page: if another program has its
// port, they are given without.
func (p *Plex) showStatus() error {
	o := status.Options{
		Addr: p.cfg.Status.Addr, Public: p.cfg.Status.Public, Dir: p.state, Version: Version,
		Info: info, Warn: warning,
	}
	leave, err := runtime.Pages.Open(o, p)
	if errors.Is(err, syscall.EADDRINUSE) {
		log.Warningf("%v", err)
		o.Addr = netip.AddrPort{}
		leave, err = runtime.Pages.Open(o, p)
	}
	if err != nil {
		return err
	}
	p.leave = leave
	return nil
}

// run starts the loops. Stop waits for all of them.
func (p *Plex) run() {
	ctx, cancel := context.WithCancelCause(context.Background())
	p.cancel = cancel
	p.task(ctx, "the board", p.board.Run)
	p.task(ctx, "the probes", p.prober.Run)
	p.task(ctx, "the zones", p.follow)
	p.task(ctx, "the first round", p.endFirstRound)
	p.task(ctx, "the local addresses", func(ctx context.Context) error { return probe.FollowLocal(ctx, p.board) })
	p.task(ctx, "the announcements", p.announceChanges)
	p.runExternal(ctx)
	if files := p.statics.paths(); len(files) > 0 {
		p.task(ctx, "the zone files", func(ctx context.Context) error {
			return watch.Files(ctx, files, p.reloadStatics)
		})
	}
	if p.state != "" {
		p.task(ctx, "the serials", p.saveSerials)
		p.task(ctx, "the orders", func(ctx context.Context) error {
			return watch.Files(ctx, []string{p.orders.File}, p.readOrders)
		})
	}
}

func (p *Plex) task(ctx context.Context, what string, run func(context.Context) error) {
	p.tasks.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			log.Errorf("%s: %v", what, err)
		}
	})
}

// Stop ends everything that start has begun, and waits for it. The last zones go on being served: CoreDNS
// calls this before it stops its listeners when the process ends.
func (p *Plex) Stop() {
	p.stop()
	if p.leave != nil {
		p.leave()
	}
	if p.cancel != nil {
		p.cancel(errStopped)
	}
	p.tasks.Wait()
	runtime.Stopped(p.zone(), p)
	p.forgetSeries()
}

// stalled returns the subjects whose probe loop gives no sign of life.
func (c *cluster) stalled() []zones.Subject {
	if c.prober == nil {
		return nil
	}
	select {
	case <-c.stopped:
		return nil
	default:
		return c.prober.Stalled(time.Now())
	}
}

// Snapshot implements [runtime.Cluster].
func (p *Plex) Snapshot() *zones.Snapshot { return p.board.Snapshot() }

// Probe implements [runtime.Cluster].
func (p *Plex) Probe() string { return probe.Question(p.cfg.Probe) }

// zone is the name that the block goes by: its first origin.
func (p *Plex) zone() string { return p.cfg.Cluster.Origins[0] }

// follow compiles zones whenever the board or a zone file has news.
func (p *Plex) follow(ctx context.Context) error {
	news, cancel := p.board.Subscribe()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-p.recompile:
		}
		p.refresh()
	}
}

// refresh compiles the newest snapshot and serves it.
func (p *Plex) refresh() {
	begin := time.Now()
	c := p.compile(begin)
	p.current.Store(c)
	compileDuration.WithLabelValues(p.zone()).Observe(time.Since(begin).Seconds())
	if c.snap.Ready {
		p.askedOnce.Do(func() { close(p.asked) })
	}
	signal(p.save)
	signal(p.duckNews)
	if len(c.raised) > 0 {
		signal(p.announce)
	}
	p.logEvents()
	p.shown.tell()
}

// signal fills a channel of one slot.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// endFirstRound tells the board when every subject has been asked.
func (p *Plex) endFirstRound(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-p.prober.FirstRound():
		p.board.FirstRoundDone(time.Now())
	}
	return nil
}

// reloadStatics reads the zone files again. A bad one leaves everything as it was.
func (p *Plex) reloadStatics() {
	if err := p.statics.load(); err != nil {
		log.Errorf("%v: its last good reading stays in use", err)
		return
	}
	signal(p.recompile)
}

// findState finds the folder for what must outlive the process.
func (p *Plex) findState() {
	dir, err := state.Dir(p.cfg.State)
	if err != nil {
		log.Warningf("no state folder is writable, so that what is known does not outlive the process, no orders are read "+
			"and plexctl cannot ask it: %v", err)
	}
	p.useState(dir)
}

// useState keeps what must outlive the process in the folder; empty: nothing.
func (p *Plex) useState(dir string) {
	p.state = dir
	p.orders.File, p.orders.Groups = state.File(dir, p.zone(), "orders"), probe.BoardConfig(p.cfg).Groups
}

// readOrders takes over the orders file.
func (p *Plex) readOrders() {
	if p.state != "" {
		writeAll(p.orders.Read(p.board, time.Now()))
	}
}

// readSerials takes over the serials that an earlier process has published.
func (p *Plex) readSerials() error {
	var errs []error
	for _, origin := range p.cfg.Cluster.Origins {
		file := ""
		if p.state != "" {
			file = state.File(p.state, origin, "serials")
		}
		s, err := runtime.SerialsOf(origin, file)
		p.serials[origin] = s
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// saveSerials writes the serials down as they change, once no earlier instance does.
func (p *Plex) saveSerials(ctx context.Context) error {
	release, err := runtime.Own(ctx, state.File(p.state, p.zone(), "serials"))
	if err != nil {
		return nil // the instance ended first
	}
	defer release()
	for {
		p.writeSerials()
		select {
		case <-ctx.Done():
			p.writeSerials() // one may have been raised while the last ones were written
			return nil
		case <-p.save:
		}
	}
}

func (p *Plex) writeSerials() {
	for origin, s := range p.serials {
		if err := s.Save(state.File(p.state, origin, "serials")); err != nil {
			log.Warningf("%v", err)
		}
	}
}
