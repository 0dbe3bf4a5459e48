// Package plugin is the CoreDNS plugin `plex`: an authoritative zone with two views for a cluster of Plex
// Media Servers, whose answers follow the health of what they point at.
package plugin

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/pkg/fall"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/transfer"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/pack"
	"plexha/plugin/runtime"
)

const name = "plex"

var log = clog.NewWithPlugin(name)

// Plex serves the zones of one `plex { }` block.
type Plex struct {
	Next plugin.Handler

	// siblings are the blocks of the server block in their order, this one among them. CoreDNS knows one plugin of each
	// name in a server block: the one that others ask speaks for all of them.
	siblings []*Plex

	cfg     *corefile.Config
	fall    fall.F
	wires   wires
	front   front       // set before anything is served
	statics staticZones // of the zone files, replaced when one changes
	*cluster

	current atomic.Pointer[compiled]
}

// Name implements [plugin.Handler].
func (*Plex) Name() string { return name }

// Ready implements ready.Readiness: the first round of probes has ended, and every probe loop is alive.
// With `ready { monitor continuously }` a loop that stalls later shows as well.
func (p *Plex) Ready() bool {
	return !slices.ContainsFunc(p.siblings, func(p *Plex) bool {
		c := p.current.Load()
		return c == nil || !c.snap.Ready || len(p.stalled()) > 0
	})
}

// CacheBypassZones implements cache.ZoneBypasser: an answer depends on who asks, which the cache's key does
// not know, so that one view's answer would reach the other.
func (p *Plex) CacheBypassZones() []string {
	var out []string
	for _, p := range p.siblings {
		out = append(out, p.cfg.Cluster.Origins...)
	}
	return out
}

// ServeDNS implements [plugin.Handler].
func (p *Plex) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	q := questions.Get().(*pack.Question)
	defer questions.Put(q)
	if !q.From(r) {
		q = nil
	} else if p.writeReady(w, q) {
		return dns.RcodeSuccess, nil
	}
	return p.serve(ctx, request.Request{W: w, Req: r}, q)
}

// serve answers in full. The question is nil unless it is a plain one.
func (p *Plex) serve(ctx context.Context, state request.Request, q *pack.Question) (int, error) {
	origin := p.origin(state)
	if origin == "" {
		if p.Next == nil {
			return dns.RcodeRefused, nil // out of our authority
		}
		return plugin.NextOrFailure(p.Name(), p.Next, ctx, state.W, state.Req)
	}
	state.Zone = origin
	if state.Req.Opcode == dns.OpcodeNotify {
		return dns.RcodeRefused, nil // we are nobody's secondary
	}
	switch state.QType() {
	case dns.TypeAXFR, dns.TypeIXFR:
		return dns.RcodeRefused, nil // the transfer plugin, before us, takes those that are allowed
	}
	c := p.current.Load()
	who, err := p.client(c, state)
	if err != nil {
		return dns.RcodeFormatError, nil //nolint:nilerr // the code is the answer
	}
	z := c.zone(origin, who)
	if !c.snap.Ready && z.isManaged(state.Name()) {
		if !p.firstRound(ctx) {
			return dns.RcodeServerFailure, nil
		}
		c = p.current.Load()
		who = who.in(c)
		z = c.zone(origin, who)
	}
	if p.leavesToNext(z, state) {
		return plugin.NextOrFailure(p.Name(), p.Next, ctx, state.W, state.Req)
	}
	return p.answer(ctx, z, who, state, q)
}

// origin returns our zone that a question is about, or "". Plugin chaos lets other classes than IN through.
func (p *Plex) origin(state request.Request) string {
	if state.QClass() != dns.ClassINET {
		return ""
	}
	return plugin.Zones(p.cfg.Cluster.Origins).Matches(state.Name())
}

// leavesToNext reports whether the name was given to the next plugin: those of `passthrough`, and the ACME
// challenges unless the zone file has them.
func (p *Plex) leavesToNext(z *zone, state request.Request) bool {
	if p.Next == nil {
		return false
	}
	qname := state.Name()
	if isChallenge(qname) && !z.isStatic(qname) {
		return true
	}
	return plugin.Zones(p.cfg.Passthrough).Contains(qname)
}

// answer writes what the zone says, or asks the next plugin for names that the zone does not
// have.
func (p *Plex) answer(ctx context.Context, z *zone, who client, state request.Request, q *pack.Question) (int, error) {
	res := z.lookup(ctx, state)
	if res.code == file.NameError && len(res.answer) == 0 && p.Next != nil && p.fall.Through(state.Name()) {
		return plugin.NextOrFailure(p.Name(), p.Next, ctx, state.W, state.Req)
	}
	countAnswer(z, state)
	if res.code == file.ServerFailure && len(res.answer) == 0 {
		return dns.RcodeServerFailure, nil
	}
	m := res.reply(state.Req)
	direct, _ := looksAt(state.W)
	own(m, state.Name(), state.QName(), p.turnOf(z, q), !direct)
	who.echo(m, z, state)
	if err := state.W.WriteMsg(m); err != nil {
		log.Debugf("writing an answer to %s: %v", state.RemoteAddr(), err)
	}
	return dns.RcodeSuccess, nil
}

// firstRound waits until the first round of probes has ended. It reports false when that takes too long, or
// when too many questions wait already.
func (p *Plex) firstRound(ctx context.Context) bool {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return false
	}
	select {
	case <-p.asked:
		return true
	case <-ctx.Done():
		return false
	case <-p.stopped:
		return false
	}
}

// Interface guards.
var (
	_ plugin.Handler      = (*Plex)(nil)
	_ metadata.Provider   = (*Plex)(nil)
	_ transfer.Transferer = (*Plex)(nil)
	_ runtime.Cluster     = (*Plex)(nil)
)
