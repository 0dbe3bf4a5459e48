package plugin

import (
	"fmt"
	"strings"
	"time"

	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/diary"
)

// logEvents counts and tells what is new since the last time: on the board, and between the snapshot of then
// and the one that is served now. It is for the loop that follows the board alone.
func (p *Plex) logEvents() {
	now, c := time.Now(), p.current.Load()
	if p.diary == nil {
		p.diary = p.openDiary()
	}
	events := p.board.Events(p.diary.Seen())
	for _, e := range events {
		if e.Subject != (zones.Subject{}) {
			transitions.WithLabelValues(p.zone(), e.Subject.Kind.String(), e.Subject.Name, e.To.String()).Inc()
		}
	}
	writeAll(p.diary.Tell(events, c.snap, now, p.lastResort(c.snap.Ready && c.lastResort)))
	if due := p.diary.Due(); due != p.dueLine && !due.IsZero() {
		p.dueLine = due
		time.AfterFunc(due.Sub(now), func() { signal(p.recompile) })
	}
}

// openDiary begins where the instance before this one has ended.
func (p *Plex) openDiary() *diary.Diary {
	old := runtime.Latest(p.zone())
	if old == nil {
		return diary.New(p.zone(), nil)
	}
	snap := old.Snapshot()
	if snap.Ready && snap.Records(zones.Internal, "").LastResort {
		return diary.New(p.zone(), snap, p.lastResort(true).Topic)
	}
	return diary.New(p.zone(), snap)
}

// lastResort is the last resort's begin and end. There is none until the first round has ended: before, nobody
// is answered.
func (p *Plex) lastResort(is bool) diary.Condition {
	domain := strings.TrimSuffix(p.zone(), ".")
	return diary.Condition{
		Topic: "last resort", Holds: is,
		Begins: fmt.Sprintf("nothing that the main name of %s may lead to is up: it is answered with the last resort", domain),
		Ends:   fmt.Sprintf("the main name of %s is no longer answered with the last resort", domain),
	}
}

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
