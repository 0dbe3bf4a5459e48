package plugin

import (
	"plexha/zones"
	"plexha/zones/board"
)

// logEvents tells of what has happened on the board since the last time.
func (p *Plex) logEvents() {
	for _, e := range p.board.Events(p.seen) {
		p.seen = e.Seq
		switch {
		case e.Isolated:
			log.Warningf("%s: cut off: %s; the last verdicts are held", p.zone(), e.Why)
		case e.Subject == (zones.Subject{}):
			log.Infof("%s: no longer cut off: %s", p.zone(), e.Why)
		default:
			p.logTransition(e)
		}
	}
}

func (p *Plex) logTransition(e board.Event) {
	transitions.WithLabelValues(p.zone(), e.Subject.Kind.String(), e.Subject.Name, e.To.String()).Inc()
	switch e.To {
	case zones.Down, zones.Impostor:
		log.Warningf("%s is %s: %s", e.Subject, e.To, e.Why)
	case zones.Failing, zones.Starting:
		log.Infof("%s is %s: %s", e.Subject, e.To, e.Why)
	default:
		log.Infof("%s is %s", e.Subject, e.To)
	}
}
