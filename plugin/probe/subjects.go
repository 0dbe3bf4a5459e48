package probe

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
	"plexha/zones/board"
)

func compareSubjects(a, b zones.Subject) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// startNodes starts the loops of nodes whose HOST is an address, and one look-up per HOST that is a name.
func (p *Prober) startNodes(ctx context.Context) {
	var order []string
	byHost := map[string][]zones.Node{}
	for _, n := range p.cfg.Cluster.Nodes {
		if addr, err := netip.ParseAddr(n.Host); err == nil {
			p.setNode(ctx, n, []netip.Addr{addr}, true, nil)
			continue
		}
		if byHost[n.Host] == nil {
			order = append(order, n.Host)
		}
		byHost[n.Host] = append(byHost[n.Host], n)
	}
	for _, name := range order {
		p.startHost(ctx, name, byHost[name])
	}
}

// setNode says where a node is now. With watch its addresses get a link watch; failed, if not nil, is called
// when a probe of it fails.
func (p *Prober) setNode(ctx context.Context, n zones.Node, addrs []netip.Addr, watch bool, failed func()) {
	s := n.Subject()
	tell := func() { p.opts.Board.SetAddrs(s, addrs, time.Now()) }
	if p.cfg.Probe.Kind == corefile.ProbeNone {
		tell()
		for _, a := range addrs {
			p.opts.Board.Report(board.Verdict{Subject: s, Addr: a, Result: board.OK, At: time.Now()})
		}
		return
	}
	var want []place
	for _, a := range addrs {
		want = append(want, place{s, netip.AddrPortFrom(a, n.Port)})
	}
	p.setLoops(ctx, s, want, tell, func(at place) *loop {
		return p.newLoop(at, p.nodeAsker(n, at), watch, failed)
	})
}

func (p *Prober) nodeAsker(n zones.Node, at place) asker {
	switch {
	case p.opts.ask != nil:
		return p.opts.ask(at)
	case p.cfg.Probe.Kind == corefile.ProbeTCP:
		return tcpAsker(at.at)
	default:
		return newNodeAsker(&p.opts, n, at)
	}
}

func (p *Prober) startProxies(ctx context.Context) {
	for _, x := range p.cfg.Cluster.Proxies {
		var want []place
		var addrs []netip.Addr
		for _, at := range x.Addrs {
			want = append(want, place{x.Subject(), at})
			addrs = append(addrs, at.Addr())
		}
		tell := func() { p.opts.Board.SetAddrs(x.Subject(), addrs, time.Now()) }
		p.setLoops(ctx, x.Subject(), want, tell, func(at place) *loop {
			return p.newLoop(at, p.proxyAsker(at), true, nil)
		})
	}
}

func (p *Prober) proxyAsker(at place) asker {
	if p.opts.ask != nil {
		return p.opts.ask(at)
	}
	return newProxyAsker(&p.opts, at)
}

// mainName is the name by which clients ask for the cluster, without the final dot.
func mainName(c *zones.Cluster) string {
	return c.Main + "." + strings.TrimSuffix(c.Origins[0], ".")
}

func (p *Prober) startUplinks(ctx context.Context) {
	for i, u := range p.cfg.Cluster.Uplinks {
		if !u.Auto { // else all that is known is put together elsewhere
			p.opts.Board.SetAddrs(u.Subject(), u.Addrs, time.Now())
		}
		if u.Probe == "" {
			continue
		}
		p.startLoop(ctx, place{subject: u.Subject()}, func(at place) *loop {
			l := p.newLoop(at, p.uplinkAsker(u, via.Path{Interface: p.cfg.Uplinks[i].Via}, at), false, nil)
			l.addrs = func() []netip.Addr { return uplinkAddrs(p.opts.Board.Snapshot(), u.Name) }
			return l
		})
	}
}

// uplinkAsker asks through the uplink itself: by another one the answer would say nothing about it.
func (p *Prober) uplinkAsker(u zones.Uplink, by via.Path, at place) asker {
	if p.opts.ask != nil {
		return p.opts.ask(at)
	}
	return newEndpoint(u.Probe, by, p.opts.names, p.lookupTimeout())
}

// uplinkAddrs returns the external addresses that an uplink is known to have, given or detected. A verdict
// on an uplink is one on each of them, or on the uplink as a whole while there is none.
func uplinkAddrs(s *zones.Snapshot, name string) []netip.Addr {
	var addrs []netip.Addr
	for i := range s.Uplinks {
		if s.Uplinks[i].Name == name {
			for _, a := range s.Uplinks[i].Health.Addrs {
				addrs = append(addrs, a.Addr)
			}
		}
	}
	if addrs == nil {
		return []netip.Addr{{}}
	}
	return addrs
}

// hostPort is HOST:PORT as a URL has it.
func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
