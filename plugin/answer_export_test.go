package plugin

import (
	"github.com/coredns/coredns/plugin/metrics"

	"plexha/zones"
)

// Behind says which plugins stand before ours: prometheus, bufsize with its size, dnssec. Nil and zero: none.
func (p *Plex) Behind(m *metrics.Metrics, bufsize int, dnssec bool) {
	p.front.metrics, p.front.writer, p.front.bufsize, p.front.dnssec = m, name, bufsize, dnssec
}

// ZoneOf returns what the first zone of the first variant is, for comparing: another one holds other answers.
func (p *Plex) ZoneOf(view zones.View) any { return p.current.Load().zoneOf(0, client{view: view}) }

// Packed returns how many answers of names lie ready in a view.
func (p *Plex) Packed(view zones.View) (n int) {
	z := p.current.Load().zoneOf(0, client{view: view})
	for i := range z.top.count {
		if z.shelf.get(i) != nil {
			n++
		}
	}
	return n
}

// Beside puts the plugin into a server block with another one.
func (p *Plex) Beside(other *Plex) { p.siblings = append(p.siblings, other) }
