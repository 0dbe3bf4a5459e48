package plugin

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/plugin/lane"
	"plexha/plugin/probe"
	"plexha/plugin/runtime"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// stills counts the plugins that Still has made: each has serials of its own.
var stills atomic.Int64

// Still returns the plugin of a block with the board of a test. It starts nothing: what is known is what the
// test tells the board, and what is served is what the test asks Show for.
func Still(cfg *corefile.Config, root string, b *board.Board, next plugin.Handler) (*Plex, error) {
	p, err := newPlex(cfg, root)
	if err != nil {
		return nil, err
	}
	p.Next, p.board = next, b
	process := fmt.Sprint("still ", stills.Add(1), " ")
	for _, origin := range cfg.Cluster.Origins {
		if p.serials[origin], err = runtime.SerialsOf(process+origin, ""); err != nil {
			return nil, err
		}
	}
	p.findAddresses(time.Now())
	p.tellDuckDNS()
	return p, nil
}

// Show serves the board's newest snapshot from now on, as the loop that follows the board does.
func (p *Plex) Show(now time.Time) error {
	c := p.compile(now)
	p.current.Store(c)
	if c.snap.Ready {
		p.askedOnce.Do(func() { close(p.asked) })
	}
	signal(p.save)
	return nil
}

// ReadZoneFiles reads the zone files again.
func (p *Plex) ReadZoneFiles() error { return p.statics.load() }

// Waiting returns how many questions wait for the first round.
func (p *Plex) Waiting() int { return len(p.waiting) }

// Quit ends what waits, as Stop does.
func (p *Plex) Quit() { p.stop() }

// Observe is told of each probe.
func (p *Plex) Observe(o probe.Observation) { p.observe(o) }

// Announced reports whether a change of the external view waits to be told to the secondaries.
func (p *Plex) Announced() bool { return len(p.announce) > 0 }

// Candidates returns what DuckDNS's record may hold.
func (p *Plex) Candidates() []duckdns.Candidate { return p.candidates() }

// Start brings the plugin to life as a server block does that listens there.
func (p *Plex) Start(own []netip.AddrPort) error { return p.start(own, nil) }

// ProbeFor makes a prober that reports to b, and counts as the plugin's.
func (p *Plex) ProbeFor(b probe.Board) *probe.Prober {
	p.prober = probe.New(probe.Options{Config: p.cfg, Board: b})
	return p.prober
}

// SaveSerials writes the serials down in the folder until ctx ends, as the plugin's task does.
func (p *Plex) SaveSerials(ctx context.Context, folder string) error {
	p.state = folder
	return p.saveSerials(ctx)
}

// New returns the plugin of a block.
func New(cfg *corefile.Config) (*Plex, error) { return newPlex(cfg, "") }

// LogEvents tells what is new, as the loop that follows the board does.
func (p *Plex) LogEvents() { p.logEvents() }

// Woken reports whether that loop is to look again, and takes that note.
func (p *Plex) Woken() bool {
	select {
	case <-p.recompile:
		return true
	default:
		return false
	}
}

// ReadOrders takes over the orders file of a state folder.
func (p *Plex) ReadOrders(folder string) {
	p.useState(folder)
	p.readOrders()
}

// Enter counts as having started.
func (p *Plex) Enter() { p.entered = true }

// WriteBytes has answers that lie ready written as bytes over UDP too, as where no plugin decorates the writer.
func (p *Plex) WriteBytes(on bool) { p.front.bytesUDP = on }

// DuckEvents returns what is new in a report on DuckDNS.
func DuckEvents(before, now duckdns.Report, began, at time.Time) []timeline.Event {
	return duckEvents(before, now, began, at)
}

// Transparent are the plugins before ours that the lane may answer for.
var Transparent = transparent

// Plans returns what an instance has claimed of the fast lane.
func Plans(i *caddy.Instance) []lane.Plan {
	i.StorageMu.RLock()
	defer i.StorageMu.RUnlock()
	l, ok := i.Storage[reflect.TypeFor[*lanes]()].(*lanes)
	if !ok {
		return nil
	}
	return l.plans
}
