package plugin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/board"
)

// diary is what has been logged of a cluster, so that only news is. It is for the loop that follows the
// board alone.
type diary struct {
	seen       uint64                        // the last event
	snap       *zones.Snapshot               // the last one that was compared; nil: none yet
	lastResort bool                          // of that snapshot
	told       map[zones.Subject]zones.State // the last state that is not in doubt
	topics     map[string]*topic
}

// logEvents tells what is new since the last time: on the board, and between the snapshot of then and the
// one that is served now.
func (p *Plex) logEvents() {
	now, c := time.Now(), p.current.Load()
	if p.diary.snap == nil {
		p.openDiary()
	}
	for _, about := range slices.Sorted(maps.Keys(p.diary.topics)) {
		if l, ok := p.diary.topics[about].due(now); ok {
			l.write()
		}
	}
	for _, e := range p.board.Events(p.diary.seen) {
		p.diary.seen = e.Seq
		if e.Subject == (zones.Subject{}) {
			p.logIsolation(e, now)
		} else {
			p.logTransition(e, now)
		}
	}
	p.logOrders(c.snap)
	p.logLastResort(c.snap.Ready && c.lastResort, now)
	p.diary.snap = c.snap
}

// openDiary begins where the instance before this one has ended, so that a reload tells nothing twice.
func (p *Plex) openDiary() {
	p.diary = diary{snap: &zones.Snapshot{}, told: map[zones.Subject]zones.State{}, topics: map[string]*topic{}}
	if old := runtime.Latest(p.zone()); old != nil {
		p.diary.snap = old.Snapshot()
		p.diary.lastResort = p.diary.snap.Ready && p.diary.snap.Records(zones.Internal, "").LastResort
	}
}

// domain is the zone as a person writes it. Lines name it, since a process may serve several clusters.
func (p *Plex) domain() string { return strings.TrimSuffix(p.zone(), ".") }

func (p *Plex) logIsolation(e board.Event, now time.Time) {
	l := line{text: fmt.Sprintf("%s is no longer cut off: %s", p.domain(), e.Why)}
	if e.Isolated {
		l = line{warn: true, text: fmt.Sprintf("%s is cut off: %s; the last verdicts are held", p.domain(), e.Why)}
	}
	p.say("isolation", l, now)
}

// logTransition counts a change of state, and tells of it unless it is in doubt or takes a doubt back: a slow
// node would fill the log.
func (p *Plex) logTransition(e board.Event, now time.Time) {
	transitions.WithLabelValues(p.zone(), e.Subject.Kind.String(), e.Subject.Name, e.To.String()).Inc()
	text := fmt.Sprintf("%s of %s is %s", e.Subject, p.domain(), e.To)
	switch e.To {
	case zones.Failing, zones.Down, zones.Starting, zones.Impostor:
		text += ": " + e.Why
	}
	if !p.diary.isNews(e) {
		log.Debug(text)
		return
	}
	alarm := e.To == zones.Down || e.To == zones.Impostor
	p.say(e.Subject.String(), line{warn: alarm, text: text}, now)
}

// isNews reports whether the log does not say already that the subject is in the state of an event, and takes
// note of it.
func (d *diary) isNews(e board.Event) bool {
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

// logOrders tells what the operator has said since the last snapshot, and what has ended.
func (p *Plex) logOrders(snap *zones.Snapshot) {
	before := maps.Collect(p.diary.snap.Subjects)
	for s, h := range snap.Subjects {
		was := before[s]
		if was == nil {
			was = &zones.Health{}
		}
		who := fmt.Sprintf("%s of %s", s, p.domain())
		switch {
		case was.Order == h.Order && was.OrderUntil.Equal(h.OrderUntil) && was.OrderWhy == h.OrderWhy:
		case h.Order != zones.NoOrder:
			log.Infof("order on %s: %s", who, orderText(h))
		case !was.OrderUntil.IsZero() && !snap.At.Before(was.OrderUntil):
			log.Infof("the order on %s has ended", who)
		default:
			log.Infof("the order on %s has been withdrawn", who)
		}
	}
}

func orderText(h *zones.Health) string {
	text := h.Order.String()
	if !h.OrderUntil.IsZero() {
		text += " until " + h.OrderUntil.UTC().Format(time.RFC3339)
	}
	if h.OrderWhy != "" {
		text += ": " + h.OrderWhy
	}
	return text
}

// logLastResort tells of the last resort's begin and end. There is none until the first round has ended: before,
// nobody is answered.
func (p *Plex) logLastResort(is bool, now time.Time) {
	if is == p.diary.lastResort {
		return
	}
	p.diary.lastResort = is
	l := line{text: fmt.Sprintf("the main name of %s is no longer answered with the last resort", p.domain())}
	if is {
		l = line{warn: true, text: fmt.Sprintf(
			"nothing that the main name of %s may lead to is up: it is answered with the last resort", p.domain())}
	}
	p.say("last resort", l, now)
}

// say writes a line, or holds it back if there have been too many on its topic. Then the loop that follows
// the board is woken when the one line is due that stands for all of them.
func (p *Plex) say(about string, l line, now time.Time) {
	t := p.diary.topics[about]
	if t == nil {
		t = &topic{}
		p.diary.topics[about] = t
	}
	switch {
	case t.add(l, now):
		l.write()
	case t.held == 1: // the first
		time.AfterFunc(minute, func() { signal(p.recompile) })
	}
}

// line is a line of the log.
type line struct {
	warn bool
	text string
}

func (l line) write() {
	if l.warn {
		log.Warning(l.text)
	} else {
		log.Info(l.text)
	}
}

// The lines on one topic that are written within a minute. These numbers are a guess at what a person reads.
const (
	minute   = time.Minute
	maxLines = 4
)

// topic holds the lines on one thing that changes to and fro: the first few are written as they come, then
// one a minute, for the rest. The zero topic is ready for use.
type topic struct {
	changes []time.Time // within the last minute
	held    int         // how many lines are held back
	newest  line        // of those
	until   time.Time   // when it is due
}

// add takes a line and reports whether it may be written now.
func (t *topic) add(l line, now time.Time) bool {
	for len(t.changes) > 0 && now.Sub(t.changes[0]) > minute {
		t.changes = t.changes[1:]
	}
	t.changes = append(t.changes, now)
	if t.held == 0 && len(t.changes) <= maxLines {
		return true
	}
	if t.held == 0 {
		t.until = now.Add(minute)
	}
	t.held++
	t.newest = l
	return false
}

// due returns the newest of the lines that were held back when it is time, with the number of changes.
func (t *topic) due(now time.Time) (l line, ok bool) {
	if t.held == 0 || now.Before(t.until) {
		return line{}, false
	}
	l = t.newest
	if t.held > 1 {
		l = line{warn: true, text: fmt.Sprintf("%s (it has changed %d times within the last minute)", l.text, t.held)}
	}
	t.held = 0
	return l, true
}
