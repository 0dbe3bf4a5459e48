package plugin

import (
	"fmt"
	"strings"
	"time"

	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/diary"
	"plexha/zones/timeline"
)

// logEvents counts and tells what is new since the last time: on the board, and between the snapshot of then
// and the one that is served now. It is for the loop that follows the board alone.
func (p *Plex) logEvents() {
	now, c := time.Now(), p.current.Load()
	if p.diary == nil {
		p.openBooks()
	}
	events := p.board.Events(p.diary.Seen())
	p.countTransitions(events, c.snap)
	p.keepTimeline(c.snap)
	writeAll(p.diary.Tell(events, c.snap, now, p.lastResort(c.snap.Ready && c.lastResort)))
	if due := p.diary.Due(); due != p.dueLine && !due.IsZero() {
		p.dueLine = due
		time.AfterFunc(due.Sub(now), func() { signal(p.recompile) })
	}
}

// openBooks begins the diary and the timeline where the instance before this one has ended.
func (p *Plex) openBooks() {
	p.follower = &timeline.Follower{Answers: true}
	old := runtime.Latest(p.zone())
	if old == nil {
		p.diary = diary.New(p.zone(), nil)
		return
	}
	snap := old.Snapshot()
	p.follower.Begin(snap)
	var holding []string
	if snap.Ready && snap.Records(zones.Internal, "").LastResort {
		holding = []string{p.lastResort(true).Topic}
	}
	p.diary = diary.New(p.zone(), snap, holding...)
}

// keepTimeline tells the timeline what is new. Of two instances, while one takes over from the other, the newer one
// does: both see the same things happen.
func (p *Plex) keepTimeline(snap *zones.Snapshot) {
	p.follower.Timeline = p.Timeline()
	if newest := runtime.Latest(p.zone()); newest != nil && newest != runtime.Cluster(p) {
		if !p.entered {
			return // it is about to be the newest
		}
		p.follower.Timeline = &timeline.Timeline{} // which nobody reads
	}
	p.follower.Tell(p.board.Events(p.follower.Seen()), snap)
}

// lastResort is the last resort's begin and end. There is none until the first round has ended: before, nobody
// is answered.
func (p *Plex) lastResort(is bool) diary.Condition {
	domain := person(p.zone())
	return diary.Condition{
		Topic: "last resort", Holds: is,
		Begins: fmt.Sprintf("nothing that the main name of %s may lead to is up: it is answered with the last resort", domain),
		Ends:   fmt.Sprintf("the main name of %s is no longer answered with the last resort", domain),
	}
}

// person returns a name as a person writes it.
func person(fqdn string) string { return strings.TrimSuffix(fqdn, ".") }

// writeAll writes lines to the log.
func writeAll(lines []diary.Line) {
	for _, l := range lines {
		switch l.Level {
		case diary.Debug:
			log.Debug(l.Text)
		case diary.Info:
			log.Info(l.Text)
		case diary.Warning:
			log.Warning(l.Text)
		default:
			log.Error(l.Text)
		}
	}
}
