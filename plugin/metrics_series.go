package plugin

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/board"
)

// series is which subjects the counters of a block have series for.
type series struct {
	sync.Mutex // held while one is added and while those of somebody who is gone are deleted

	last *zones.Snapshot // whose subjects may have some; nil: none has
}

// openSeries has those counters exist from the start that are zero while all is well.
func (p *Plex) openSeries() { probePanics.WithLabelValues(p.zone()) }

// countTransitions counts changes of state, and forgets who is gone since the last call: a node that was found and
// is no longer.
func (p *Plex) countTransitions(events []board.Event, snap *zones.Snapshot) {
	p.series.Lock()
	defer p.series.Unlock()
	for _, e := range events {
		if e.Subject != (zones.Subject{}) && hasSubject(snap, e.Subject) {
			transitions.WithLabelValues(p.zone(), e.Subject.Kind.String(), e.Subject.Name, e.To.String()).Inc()
		}
	}
	if p.series.last != nil {
		p.forgetSubjects(p.series.last, snap)
	}
	p.series.last = snap
}

// forgetSubjects deletes the series of those that only the first snapshot has.
func (p *Plex) forgetSubjects(had, has *zones.Snapshot) {
	for s := range had.Subjects {
		if hasSubject(has, s) {
			continue
		}
		of := prometheus.Labels{"zone": p.zone(), "kind": s.Kind.String(), "subject": s.Name}
		transitions.DeletePartialMatch(of)
		probeDuration.DeletePartialMatch(of)
	}
}

// forgetSeries deletes the series of what is no longer configured. It is called when nothing of the instance runs any
// more.
func (p *Plex) forgetSeries() {
	if p.board == nil {
		return // it has never started
	}
	for _, origin := range p.cfg.Cluster.Origins {
		if !isServed(origin) {
			answers.DeletePartialMatch(prometheus.Labels{"zone": origin})
		}
	}
	if newest := runtime.Latest(p.zone()); newest != nil {
		p.forgetSubjects(p.board.Snapshot(), newest.Snapshot())
		return
	}
	for _, counter := range []interface {
		DeletePartialMatch(labels prometheus.Labels) int
	}{transitions, probeDuration, probePanics, compileDuration, detections, detectionDuration, pushes, pushDuration} {
		counter.DeletePartialMatch(prometheus.Labels{"zone": p.zone()})
	}
}

// isServed reports whether a running block has the origin.
func isServed(origin string) bool {
	return slices.ContainsFunc(runtime.All(), func(c runtime.Cluster) bool {
		other, ok := c.(*Plex)
		return ok && slices.Contains(other.cfg.Cluster.Origins, origin)
	})
}

func hasSubject(snap *zones.Snapshot, s zones.Subject) bool {
	for other := range snap.Subjects {
		if other == s {
			return true
		}
	}
	return false
}
