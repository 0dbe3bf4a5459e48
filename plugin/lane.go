package plugin

import (
	"maps"
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"plexha/corefile/lint"
	"plexha/plugin/lane"
	"plexha/plugin/runtime"
)

func init() { prometheus.MustRegister(&runtime.Lanes) }

// lanes are what an instance of CoreDNS wants of the fast lane. Its server blocks share them.
type lanes struct {
	blocks   map[int]*laneBlock   // the server blocks with plex blocks, by their number
	writers  map[string]decorator // of other plugins, by address; written before anything serves
	findings []lint.Finding       // where a lane stands aside without a word from package lint
	plans    []lane.Plan          // what is claimed
	looked   bool
}

// laneBlock is a server block with plex blocks.
type laneBlock struct {
	plexes []*Plex   // in the order in which a question meets them
	before int       // how many plugins it meets before them
	asks   bool      // for a lane: the server block's decorator is ours
	writer decorator // of another plugin in the server block; nil: none

	// Known when all server blocks have their plugins.
	front front
	aside []string // the plugins that the lane stands aside for
}

// decorator is the type of [dnsserver.Config.UDPDecorateWriterFunc].
type decorator = func(*dnsserver.Server) dns.DecorateWriter

// join takes note of a server block that has those plugins alone which a question meets before ours. Nothing starts
// before [lanes.look].
func (l *lanes) join(c *caddy.Controller, server *dnsserver.Config) *laneBlock {
	if l.blocks == nil {
		l.blocks = map[int]*laneBlock{}
		c.OnShutdown(func() error {
			runtime.Lanes.Release(l)
			return nil
		})
	}
	b := &laneBlock{before: len(server.Plugin)}
	l.blocks[c.ServerBlockIndex] = b
	return b
}

// add takes note of a plex block, which asks for a lane unless it has `lane off`.
func (l *lanes) add(b *laneBlock, server *dnsserver.Config, p *Plex) {
	b.plexes = append(b.plexes, p)
	if p.cfg.Lane.Off || b.asks {
		return
	}
	b.asks, b.writer = true, server.UDPDecorateWriterFunc
	server.UDPDecorateWriterFunc = l.serve
}

// serve is called for each UDP socket of an address where a block has asked, when all sockets are bound.
func (l *lanes) serve(s *dnsserver.Server) dns.DecorateWriter {
	var writer dns.DecorateWriter
	if decorate := l.writers[s.Addr]; decorate != nil {
		writer = decorate(s)
	}
	return runtime.Lanes.Serve(l, s, writer)
}

// look claims the lanes of the instance, once, when all server blocks have their plugins.
func (l *lanes) look(c *caddy.Controller) {
	if l.looked {
		return
	}
	l.looked, l.writers = true, map[string]decorator{}
	for i, b := range l.blocks {
		l.know(b, serverAt(c, i, 0))
	}
	all := l.sites(c)
	for _, addr := range slices.Sorted(maps.Keys(all)) {
		l.writers[addr] = all[addr].writer()
		for _, b := range all[addr].blocks() {
			b.front.bytesUDP = b.front.bytesUDP && l.writers[addr] == nil
		}
		if plan, ok := l.plan(addr, all[addr]); ok {
			l.plans = append(l.plans, plan)
			runtime.Lanes.Claim(l, plan)
		}
	}
	for _, b := range l.blocks {
		for _, p := range b.plexes {
			p.front = b.front
		}
	}
	onTrial(func() {}, func() { runtime.Lanes.Release(l) })
}

// plan returns what a lane shall do at an address. It reports false if there can be none.
func (l *lanes) plan(addr string, all sites) (lane.Plan, bool) {
	cuts := all.cuts()
	plexes := answering(cuts)
	if len(plexes) == 0 || strings.HasSuffix(addr, ":0") { // which is another port for each socket
		return lane.Plan{}, false
	}
	if why, ok := all.free(); !ok {
		if why != "" {
			l.standAside(plexes, " at "+addr+", "+why)
		}
		return lane.Plan{}, false
	}
	plan := lane.Plan{
		Addr: addr, Routes: lane.NewRoutes(cuts), Others: max(1, all[0].NumSockets), Info: log.Infof, Warn: log.Warningf,
	}
	for _, p := range plexes {
		plan.Sockets = max(plan.Sockets, p.cfg.Lane.Sockets)
	}
	return plan, true
}

// know finds out what the plugins of a server block make of a lane.
func (l *lanes) know(b *laneBlock, server *dnsserver.Config) {
	b.front, b.aside = frontOf(server), b.opaque(server)
	unsaid := slices.DeleteFunc(slices.Clone(b.aside), lint.SeesAll)
	if len(unsaid) > 0 && b.asks {
		l.standAside(b.plexes, ", since "+strings.Join(unsaid, ", ")+" may have to see each question")
	}
}

// standAside notes that blocks have no lane.
func (l *lanes) standAside(plexes []*Plex, why string) {
	for _, p := range plexes {
		if p.cfg.Lane.Off {
			continue
		}
		l.findings = append(l.findings, lint.Finding{
			File: p.cfg.File, Line: p.cfg.Line, Level: lint.Note, Code: lint.Lane, Program: lint.Plexdns,
			Text: "the fast lane stands aside for " + strings.TrimSuffix(p.zone(), ".") + why +
				": CoreDNS answers them all, as with lane off",
		})
	}
}
