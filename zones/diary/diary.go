// Package diary puts into words what happens to the members of a cluster, at a rate that a person can read.
//
// It is pure: what is known comes from package board, every call carries its time, and who asked for the lines
// writes them.
package diary

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// Level says how much a line matters.
type Level uint8

// The levels.
const (
	Debug   Level = iota // for those who look for it
	Info                 // worth to be known later
	Warning              // somebody should look at it
	Error                // something that was asked for is not done
)

// Line is a line of the log.
type Line struct {
	Level Level
	Text  string
}

// Condition is something of a whole cluster that begins and ends, such as that nothing is up.
type Condition struct {
	Topic  string // what it is called here; "isolation" and the names of subjects are taken
	Holds  bool
	Begins string // the warning when it begins
	Ends   string
}

// Diary is what has been told of one cluster, so that only news is. It is for one goroutine at a time.
type Diary struct {
	zone   string
	seen   uint64                        // the last event
	snap   *zones.Snapshot               // the last one that was compared
	holds  map[string]bool               // the conditions, by topic
	told   map[zones.Subject]zones.State // the last state that is not in doubt
	topics map[string]*topic
}

// New returns the diary of a zone, which its lines name, since a process may serve several clusters. It begins
// where the one of an earlier board has ended, so that a reload tells nothing twice: with that one's last
// snapshot, nil if there was none, and the topics of the conditions that held then.
func New(zone string, before *zones.Snapshot, holding ...string) *Diary {
	if before == nil {
		before = &zones.Snapshot{}
	}
	d := &Diary{
		zone: strings.TrimSuffix(zone, "."), snap: before,
		holds: map[string]bool{}, told: map[zones.Subject]zones.State{}, topics: map[string]*topic{},
	}
	for _, topic := range holding {
		d.holds[topic] = true
	}
	return d
}

// Seen returns the number of the last event that was told.
func (d *Diary) Seen() uint64 { return d.seen }

// Tell returns the lines on what is new: the board's events after [Diary.Seen], the orders of a snapshot, the
// conditions, and what was held back and is due.
func (d *Diary) Tell(events []board.Event, snap *zones.Snapshot, now time.Time, conditions ...Condition) []Line {
	lines := d.dueLines(now)
	for _, e := range events {
		d.seen = e.Seq
		if e.Subject == (zones.Subject{}) {
			lines = d.say(lines, "isolation", d.isolation(e), now)
			continue
		}
		l := d.transition(e)
		if l.Level == Debug {
			lines = append(lines, l)
			continue
		}
		lines = d.say(lines, e.Subject.String(), l, now)
	}
	lines = append(lines, d.orders(snap)...)
	for _, c := range conditions {
		if c.Holds == d.holds[c.Topic] {
			continue
		}
		d.holds[c.Topic] = c.Holds
		l := Line{Info, c.Ends}
		if c.Holds {
			l = Line{Warning, c.Begins}
		}
		lines = d.say(lines, c.Topic, l, now)
	}
	d.snap = snap
	return lines
}

// Due returns when Tell must be called again for a line that is held back, or the zero Time if none is.
func (d *Diary) Due() time.Time {
	var first time.Time
	for _, t := range d.topics {
		if t.held > 0 && (first.IsZero() || t.until.Before(first)) {
			first = t.until
		}
	}
	return first
}

func (d *Diary) dueLines(now time.Time) []Line {
	var lines []Line
	for _, about := range slices.Sorted(maps.Keys(d.topics)) {
		if l, ok := d.topics[about].due(now); ok {
			lines = append(lines, l)
		}
	}
	return lines
}

// say adds a line, or holds it back if there have been too many on its topic.
func (d *Diary) say(lines []Line, about string, l Line, now time.Time) []Line {
	t := d.topics[about]
	if t == nil {
		t = &topic{}
		d.topics[about] = t
	}
	if t.add(l, now) {
		return append(lines, l)
	}
	return lines
}

func (d *Diary) isolation(e board.Event) Line {
	if e.Isolated {
		return Line{Warning, fmt.Sprintf("%s is cut off: %s; the last verdicts are held", d.zone, e.Why)}
	}
	return Line{Info, fmt.Sprintf("%s is no longer cut off: %s", d.zone, e.Why)}
}

// transition tells of a change of state. One that is in doubt, or takes a doubt back, is for the debug log: a
// slow node would fill the other.
func (d *Diary) transition(e board.Event) Line {
	l := Line{Info, fmt.Sprintf("%s of %s is %s", e.Subject, d.zone, e.To)}
	switch e.To {
	case zones.Failing, zones.Down, zones.Starting, zones.Impostor:
		l.Text += ": " + e.Why
	}
	switch {
	case !d.isNews(e):
		l.Level = Debug
	case e.To == zones.Down || e.To == zones.Impostor:
		l.Level = Warning
	}
	return l
}

// isNews reports whether the log does not say already that the subject is in the state of an event, and takes
// note of it.
func (d *Diary) isNews(e board.Event) bool {
	last, ok := d.told[e.Subject]
	switch {
	case ok:
	case e.From == zones.Failing:
		last = zones.Up
	case e.From == zones.Recovering:
		last = zones.Down
	default:
		last = e.From
	}
	if !e.To.InDoubt() {
		d.told[e.Subject] = e.To
	}
	return !e.To.InDoubt() && e.To != last
}

// orders tells what the operator has said since the last snapshot, and what has ended.
func (d *Diary) orders(snap *zones.Snapshot) []Line {
	var lines []Line
	for _, c := range snap.OrdersSince(d.snap) {
		lines = append(lines, Line{Info, c.Text(fmt.Sprintf("%s of %s", c.Subject, d.zone))})
	}
	return lines
}
