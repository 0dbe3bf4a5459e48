package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// chronicle is the timeline of a cluster, over reloads.
type chronicle struct {
	timeline timeline.Timeline

	mu       sync.Mutex
	board    *board.Board // that is followed
	follower *timeline.Follower
	holding  map[string]timeline.Kind // the alarms that have been told, by subject
}

// Timeline returns what has happened, over reloads.
func (c *Cluster) Timeline() *timeline.Timeline { return &c.past.timeline }

// begin has a new board followed, from the last snapshot of the one before, or nil.
func (p *chronicle) begin(b *board.Board, before *zones.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.board, p.follower = b, &timeline.Follower{Timeline: &p.timeline}
	p.follower.Begin(before)
}

// tell adds what is new in a moment of a board, if that is followed still.
func (p *chronicle) tell(b *board.Board, m *Moment, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b != p.board {
		return
	}
	p.follower.Tell(b.Events(p.follower.Seen()), m.Snapshot)
	is := alarms(m)
	for subject, kind := range is {
		if p.holding[subject] == "" {
			p.timeline.Add(begins(subject, kind, now))
		}
	}
	for subject, kind := range p.holding {
		if is[subject] == "" {
			p.timeline.Add(ends(subject, kind, now))
		}
	}
	p.holding = is
}

// alarms returns what clients feel, beside the states of the nodes: that none is up, for no subject in particular, and
// whose administration is open.
func alarms(m *Moment) map[string]timeline.Kind {
	all := map[string]timeline.Kind{}
	if m.Snapshot.Ready && !anyServes(m.Snapshot) {
		all[""] = timeline.Answers
	}
	for name := range maps.Keys(m.Open) {
		all[zones.Subject{Kind: zones.KindNode, Name: string(name)}.String()] = timeline.Administration
	}
	return all
}

func begins(subject string, kind timeline.Kind, now time.Time) timeline.Event {
	e := timeline.Event{At: now, Level: timeline.Error, Kind: kind, Subject: subject, Text: "no node is up: clients get an error"}
	if kind == timeline.Administration {
		e.Text = subject + " shows its libraries without a token, so that clients from outside are refused there"
	}
	return e
}

func ends(subject string, kind timeline.Kind, now time.Time) timeline.Event {
	e := timeline.Event{At: now, Level: timeline.Info, Kind: kind, Subject: subject, Text: "a node is up again"}
	if kind == timeline.Administration {
		e.Text = subject + " serves clients from outside again"
	}
	return e
}

// changed returns when something last went wrong, or right again.
func changed(events []timeline.Event) time.Time {
	for _, e := range slices.Backward(events) {
		if e.Level != timeline.Doubt && e.Kind != timeline.Order && e.Kind != timeline.Configuration {
			return utc(e.At)
		}
	}
	return time.Time{}
}

// configured tells that a Corefile is served: the first, or another one.
func (c *Cluster) configured(first bool) {
	text := "the changed Corefile is taken over"
	if first {
		text = "plexproxy " + c.opts.Version + " serves the Corefile"
	}
	c.past.timeline.Add(timeline.Event{At: time.Now(), Level: timeline.Info, Kind: timeline.Configuration, Text: text})
	c.changed()
}

// longestRefusal bounds what is kept of the mistakes in a Corefile, in bytes. The log has all of them.
const longestRefusal = 300

// Refused takes down that a changed Corefile is not served, and why.
func (c *Cluster) Refused(err error) {
	why := strings.Join(strings.Split(err.Error(), "\n"), "; ")
	if len(why) > longestRefusal {
		why = strings.ToValidUTF8(why[:longestRefusal], "") + "..."
	}
	c.past.timeline.Add(timeline.Event{
		At: time.Now(), Level: timeline.Warning, Kind: timeline.Configuration,
		Text: fmt.Sprintf("the changed Corefile is refused, and the one before goes on: %s", why),
	})
	c.changed()
}
