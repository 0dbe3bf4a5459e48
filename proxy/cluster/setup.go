package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"plexha/corefile"
	"plexha/corefile/state"
	"plexha/corefile/watch"
	"plexha/plugin/probe"
	"plexha/zones/board"
	"plexha/zones/diary"
)

// Setup is a block that is ready to be adopted: its probes run.
type Setup struct {
	cluster *Cluster
	cfg     *corefile.Config
	board   *board.Board
	prober  *probe.Prober
	orders  state.Orders
	diary   *diary.Diary // what has been logged; set by Adopt
	dir     string       // the state folder; empty: none is writable

	adopted chan struct{} // closed by Adopt
	again   chan struct{} // one slot: what is known of the nodes' administration has changed

	cancel context.CancelCauseFunc // of all tasks
	tasks  sync.WaitGroup
}

var (
	errStopped = errors.New("the cluster is stopped")
	errRemoved = errors.New("another setup was adopted, or none")
)

// Prepare begins to ask the nodes of a block, starting from what the cluster knows. The setup must be adopted
// or stopped. An error leaves everything as it was.
func (c *Cluster) Prepare(cfg *corefile.Config) (*Setup, error) {
	old, ended := c.state()
	switch zone := cfg.Cluster.Origins[0]; {
	case ended:
		return nil, fmt.Errorf("preparing the cluster of %s: %w", c.zone, errStopped)
	case zone != c.zone:
		return nil, fmt.Errorf("preparing the cluster of %s: the block at %s:%d is that of %s", c.zone, cfg.File, cfg.Line, zone)
	}
	now := time.Now()
	nodes := nodesOf(cfg)
	s := &Setup{
		cluster: c, cfg: cfg, board: board.New(probe.BoardConfig(nodes), now),
		adopted: make(chan struct{}), again: make(chan struct{}, 1),
	}
	hosts, onlink := probe.LocalAddrs()
	s.board.SetLocal(hosts, onlink, now)
	if old != nil {
		s.board.Seed(old.board.Snapshot(), probe.Question(old.cfg.Probe) == probe.Question(cfg.Probe), now)
	}
	s.findState()
	s.readOrders()
	c.file.load(s.pinsFile())
	s.prober = probe.New(probe.Options{
		Config: nodes, Board: s.board, Version: c.opts.Version,
		Warn: func(msg string) { c.opts.Log(true, msg) },
	})
	s.run()
	return s, nil
}

// nodesOf returns the block as if its nodes were all that there is: whether proxies and uplinks are up is for
// who asks in the DNS, and no proxy asks another one, nor itself.
func nodesOf(cfg *corefile.Config) *corefile.Config {
	nodes := *cfg
	nodes.Cluster.Proxies, nodes.Cluster.Uplinks, nodes.Uplinks = nil, nil, nil
	return &nodes
}

// run starts the tasks. Stop waits for all of them.
func (s *Setup) run() {
	ctx, cancel := context.WithCancelCause(context.Background())
	s.cancel = cancel
	s.task(ctx, "the board", s.board.Run)
	s.task(ctx, "the probes", s.prober.Run)
	s.task(ctx, "the first round", s.endFirstRound)
	s.task(ctx, "the local addresses", func(ctx context.Context) error { return probe.FollowLocal(ctx, s.board) })
	if s.dir != "" {
		s.task(ctx, "the orders", func(ctx context.Context) error {
			return watch.Files(ctx, []string{s.orders.File}, s.readOrders)
		})
	}
	s.taskOnceAdopted(ctx, "the moments", s.follow)
	s.taskOnceAdopted(ctx, "the open administration", s.watchAdministration)
	s.taskOnceAdopted(ctx, "the playbacks", s.watchPlaybacks)
	s.taskOnceAdopted(ctx, "the pins", s.cluster.file.keep)
}

func (s *Setup) task(ctx context.Context, what string, run func(context.Context) error) {
	s.tasks.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			s.cluster.opts.Log(true, fmt.Sprintf("%s of %s: %v", what, s.cluster.domain(), err))
		}
	})
}

// taskOnceAdopted is a task that does nothing for a setup that is never adopted.
func (s *Setup) taskOnceAdopted(ctx context.Context, what string, run func(context.Context) error) {
	s.task(ctx, what, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.adopted:
			return run(ctx)
		}
	})
}

// Stop ends a setup that was not adopted, and waits for it.
func (s *Setup) Stop() {
	s.cancel(errRemoved)
	s.tasks.Wait()
}

// endFirstRound tells the board when every node has been asked.
func (s *Setup) endFirstRound(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-s.prober.FirstRound():
		s.board.FirstRoundDone(time.Now())
	}
	return nil
}

// follow publishes a moment whenever the board, or who asks for open administrations, has news.
func (s *Setup) follow(ctx context.Context) error {
	news, cancel := s.board.Subscribe()
	defer cancel()
	for {
		var due <-chan time.Time // of a line that is held back
		if at := s.diary.Due(); !at.IsZero() {
			due = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-s.again:
		case <-due:
		}
		s.publish()
	}
}

// publish publishes the moment of now, and tells the log what is new.
func (s *Setup) publish() {
	m := s.cluster.publish(s)
	if m == nil {
		return
	}
	now := time.Now()
	s.cluster.write(s.diary.Tell(s.board.Events(s.diary.Seen()), m.Snapshot, now, s.cluster.conditions(m)...))
	s.cluster.past.tell(s.board, m, now)
	s.cluster.changed()
}

// findState finds the folder for what must outlive the process.
func (s *Setup) findState() {
	dir, err := state.Dir(s.cfg.State)
	s.cluster.noFolder(err)
	if err != nil {
		return
	}
	s.dir = dir
	s.orders.File, s.orders.Groups = state.File(dir, s.cluster.zone, "orders"), probe.BoardConfig(s.cfg).Groups
}

// pinsFile returns where the pins are kept, or "".
func (s *Setup) pinsFile() string {
	if s.dir == "" {
		return ""
	}
	return state.File(s.dir, s.cluster.zone, "pins")
}

// readOrders takes over the orders file.
func (s *Setup) readOrders() {
	if s.dir != "" {
		s.cluster.write(s.orders.Read(ordersBoard{s.board, s.cfg}, time.Now()))
	}
}

// ordersBoard is the board as the orders of the whole block see it: some are on proxies and uplinks, which the
// board does not have.
type ordersBoard struct {
	*board.Board
	whole *corefile.Config
}

// SetOrders implements [state.OrdersBoard].
func (b ordersBoard) SetOrders(orders []board.OrderLine, now time.Time) (unknown []string) {
	unknown = b.Board.SetOrders(orders, now)
	if len(unknown) == 0 {
		return nil
	}
	nobody := board.New(probe.BoardConfig(b.whole), now).SetOrders(orders, now)
	return slices.DeleteFunc(unknown, func(name string) bool { return !slices.Contains(nobody, name) })
}
