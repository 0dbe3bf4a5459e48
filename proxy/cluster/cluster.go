// Package cluster runs one plex block for plexproxy: it asks the nodes how they are, follows the operator's
// orders, keeps the pins, and says at any instant what is known.
package cluster

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plexha/corefile"
	"plexha/proxy/affinity"
	"plexha/proxy/playback"
	"plexha/zones"
	"plexha/zones/diary"
)

const (
	// maxPins bounds the pins, and the sessions, of one cluster.
	maxPins = 100_000
	// maxPlaybacks is more than the nodes of a house can serve at a time.
	maxPlaybacks = 1000
)

// Moment is all that is known at one instant. It is immutable.
type Moment struct {
	Config   *corefile.Config
	Snapshot *zones.Snapshot // of the nodes alone: its cluster has no proxies and no uplinks
	Nodes    *affinity.Nodes
	// Open names the nodes whose administration is open to whoever comes through the proxy, those of
	// `open_ok` apart: they are refused to external clients.
	Open map[zones.NodeName]bool
}

// Cluster is one running plex block. It lives as long as its zone stands in the Corefile; a reload puts
// another Setup into it, so that requests that are under way go on with what is known then.
//
// Prepare, Adopt, Stop and those of a [Setup] are for one goroutine at a time, all other methods for any
// number of them.
type Cluster struct {
	zone   string
	opts   Options
	pins   *affinity.Table
	plays  *playback.Table
	began  time.Time // when playbacks began to be seen
	file   pinsFile
	admin  administration
	past   chronicle
	moment atomic.Pointer[Moment]
	said   string // why there was no state folder at the last setup

	mu      sync.Mutex
	running *Setup // nil before the first Adopt and after Stop
	ended   bool
	subs    map[chan struct{}]struct{} // of moments
	news    map[chan struct{}]struct{} // of all that is shown
}

// Options says what a cluster needs from the process.
type Options struct {
	Version string                      // of plexha
	Log     func(warn bool, msg string) // gets whole lines, from several goroutines; nil: nobody reads them
}

// New returns the cluster of a zone, which knows nothing yet.
func New(zone string, opts Options) *Cluster {
	if opts.Log == nil {
		opts.Log = func(bool, string) {}
	}
	pins := affinity.NewTable(maxPins)
	return &Cluster{
		zone: zone, opts: opts, pins: pins, plays: playback.NewTable(maxPlaybacks), began: time.Now(),
		file:  pinsFile{table: pins, log: opts.Log},
		admin: administration{doors: map[door]*knowledge{}},
		subs:  map[chan struct{}]struct{}{},
		news:  map[chan struct{}]struct{}{},
	}
}

// Zone returns the block's first origin, fully qualified.
func (c *Cluster) Zone() string { return c.zone }

// domain is the zone as a person writes it.
func (c *Cluster) domain() string { return strings.TrimSuffix(c.zone, ".") }

// Pins returns what has been learned of clients and sessions. It stays the same over reloads.
func (c *Cluster) Pins() *affinity.Table { return c.pins }

// Playbacks returns who plays at which node. It stays the same over reloads.
func (c *Cluster) Playbacks() *playback.Table { return c.plays }

// Now returns the newest moment. It never waits, and is nil before the first Adopt.
func (c *Cluster) Now() *Moment { return c.moment.Load() }

// Subscribe returns a channel that holds a value whenever a moment has come that the subscriber has not been
// told of, over reloads too, and a function that ends the subscription.
func (c *Cluster) Subscribe() (news <-chan struct{}, cancel func()) {
	return c.subscribe(c.subs)
}

// News is as Subscribe, for all that [Cluster.Status] shows and [Cluster.Timeline] tells.
func (c *Cluster) News() (news <-chan struct{}, cancel func()) {
	return c.subscribe(c.news)
}

func (c *Cluster) subscribe(to map[chan struct{}]struct{}) (news <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Now() != nil {
		ch <- struct{}{}
	}
	to[ch] = struct{}{}
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(to, ch)
	}
}

// changed tells those who show the cluster.
func (c *Cluster) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.news {
		signal(ch)
	}
}

// Adopt puts the setup in the place of the one before it, which is stopped.
func (c *Cluster) Adopt(s *Setup) {
	c.mu.Lock()
	old := c.running
	c.running = s
	c.mu.Unlock()
	s.diary = c.openDiary()
	if last := c.Now(); last != nil {
		c.past.begin(s.board, last.Snapshot)
	} else {
		c.past.begin(s.board, nil)
	}
	c.configured(old == nil)
	s.publish()
	c.file.use(s.pinsFile())
	close(s.adopted)
	if old != nil {
		old.Stop()
	}
}

// Stop ends the cluster and saves what must outlive it. The last moment stays what it is.
func (c *Cluster) Stop() {
	c.mu.Lock()
	s := c.running
	c.running, c.ended = nil, true
	c.mu.Unlock()
	if s != nil {
		s.Stop()
	}
	c.file.close()
}

// state returns the setup that runs, or nil, and whether the cluster is stopped.
func (c *Cluster) state() (running *Setup, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.ended
}

// publish makes the moment of a setup's newest snapshot the newest one, and returns it. A setup that does not
// run (any more) publishes nothing.
func (c *Cluster) publish(s *Setup) *Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != s {
		return nil
	}
	snap := s.board.Snapshot()
	open := c.admin.refused(snap, s.cfg.OpenOK)
	last := c.Now()
	if last != nil && last.Config == s.cfg && last.Snapshot == snap && maps.Equal(last.Open, open) {
		return last
	}
	m := &Moment{Config: s.cfg, Snapshot: snap, Nodes: affinity.NodesOf(snap), Open: open}
	c.moment.Store(m)
	for ch := range c.subs {
		signal(ch)
	}
	return m
}

// signal fills a channel of one slot.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// noFolder tells once why no state folder is writable; nil: one is.
func (c *Cluster) noFolder(err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("no state folder is writable, so that the pins of %s do not outlive the process "+
			"and no orders are read: %v", c.domain(), err)
	}
	if text != "" && text != c.said {
		c.opts.Log(true, text)
	}
	c.said = text
}

// write writes lines to the log, but for those that only who looks for them wants.
func (c *Cluster) write(lines []diary.Line) {
	for _, l := range lines {
		if l.Level != diary.Debug {
			c.opts.Log(l.Level >= diary.Warning, l.Text)
		}
	}
}

// openDiary begins where the setup before has ended.
func (c *Cluster) openDiary() *diary.Diary {
	last := c.Now()
	if last == nil {
		return diary.New(c.zone, nil)
	}
	var holding []string
	for _, is := range c.conditions(last) {
		if is.Holds {
			holding = append(holding, is.Topic)
		}
	}
	return diary.New(c.zone, last.Snapshot, holding...)
}

// Stalled returns the subjects whose probe loop gives no sign of life.
func (c *Cluster) Stalled(now time.Time) []zones.Subject {
	s, _ := c.state()
	if s == nil {
		return nil
	}
	return s.prober.Stalled(now)
}
