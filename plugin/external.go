package plugin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"plexha/corefile/state"
	"plexha/corefile/token"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
	"plexha/plugin/runtime"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// external is how a cluster knows its external addresses, and has DuckDNS tell the world.
type external struct {
	detector *wanip.Detector
	duck     *duckdns.Worker // nil: no duckdns line
	duckNews chan struct{}   // one slot: what the record should hold may have changed
}

// What the parts of a cluster that know no logger are given.
func debug(msg string)   { log.Debug(msg) }
func info(msg string)    { log.Info(msg) }
func warning(msg string) { log.Warning(msg) }
func failure(msg string) { log.Error(msg) }

// findAddresses prepares the detection and tells the board what is known already: what the instance before this
// one knew, or else what an earlier process has written down.
func (p *Plex) findAddresses(now time.Time) {
	o := wanip.Options{
		Config: p.cfg, Board: p.board, Own: runtime.Own,
		Sources: wanip.Sources(p.cfg, wanip.SourceOptions{Version: Version}),
		News:    func() { signal(p.duckNews) },
		Told:    p.shown.tell,
		Observe: p.observeDetection,
		Log:     wanip.Log{Info: info, Warning: warning},
	}
	if p.state != "" {
		o.StateFile = state.File(p.state, p.zone(), "external.json")
	}
	if old, ok := runtime.Latest(p.zone()).(*Plex); ok {
		o.Old = old.External()
	}
	p.detector = wanip.New(o)
	if err := p.detector.Recall(now); err != nil {
		log.Warningf("%v: starting without", err)
	}
}

// tellDuckDNS prepares what keeps DuckDNS's record equal to the external address.
func (p *Plex) tellDuckDNS() {
	d := p.cfg.DuckDNS
	if d == nil {
		return
	}
	if loose := token.Loose(d); loose != "" {
		log.Warning(loose)
	}
	o := duckdns.Options{
		Config:     d,
		Candidates: p.candidates,
		News:       func() (<-chan struct{}, func()) { return p.duckNews, func() {} },
		Publisher:  p.publishers(),
		Verifier:   duckdns.NewVerifier(d, resolve.New(via.Path{})),
		Refuse:     p.notPublic,
		Own:        runtime.Own,
		Observe:    p.observePush,
		Told:       p.duckTold(),
		Log:        duckdns.Log{Debug: debug, Info: info, Warning: warning, Error: failure},
	}
	if p.state != "" {
		o.StateFile = state.File(p.state, p.zone(), "duckdns.json")
	}
	p.duck = duckdns.New(o)
}

// byUplink pushes each address by its own uplink: the routing table's way out may be the one that is dead.
type byUplink struct {
	*Plex

	ways map[string]duckdns.Publisher // by the uplink's name
}

func (p *Plex) publishers() byUplink {
	ways := map[string]duckdns.Publisher{}
	for _, u := range p.cfg.Uplinks {
		names := resolve.With(resolve.Options{Path: via.Path{Interface: u.Via}, System: true})
		ways[u.Name] = duckdns.NewPublisher(p.cfg.DuckDNS, duckdns.PublishOptions{Resolver: names})
	}
	return byUplink{p, ways}
}

// Publish implements [duckdns.Publisher].
func (b byUplink) Publish(ctx context.Context, addr netip.Addr) (duckdns.Reply, error) {
	for _, u := range b.board.Snapshot().Uplinks {
		if slices.ContainsFunc(u.Health.Addrs, func(h zones.AddrHealth) bool { return h.Addr == addr }) {
			return b.ways[u.Name].Publish(ctx, addr)
		}
	}
	return duckdns.Reply{}, errors.New("the address is no uplink's any more")
}

// runExternal starts the loops of both.
func (p *Plex) runExternal(ctx context.Context) {
	p.task(ctx, "the external addresses", p.detector.Run)
	if p.duck != nil {
		p.task(ctx, "DuckDNS", p.duck.Run)
	}
}

// candidates returns what DuckDNS's record may hold, in order of preference: an uplink is up there while external
// answers lead to it because it is up.
func (p *Plex) candidates() []duckdns.Candidate {
	snap := p.board.Snapshot()
	up := map[string][]netip.Addr{}
	for _, u := range snap.Outside() {
		up[u.Name] = u.Told
	}
	var out []duckdns.Candidate
	for i := range snap.Uplinks {
		u := &snap.Uplinks[i]
		for _, a := range u.Health.Addrs {
			out = append(out, duckdns.Candidate{
				Uplink: u.Name, Addr: a.Addr, Up: slices.Contains(up[u.Name], a.Addr), Since: u.Since,
				Confirmed: p.detector.Confirmed(u.Name, a.Addr), Seen: p.detector.Seen(u.Name, a.Addr),
			})
		}
	}
	return out
}

// notPublic returns why an address that a name server shows cannot be what the world is told.
func (p *Plex) notPublic(a netip.Addr) string { return wanip.IANA.Refuse(a, p.cfg.Allow) }
