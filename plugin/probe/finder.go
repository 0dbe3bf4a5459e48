package probe

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"plexha/corefile"
	"plexha/zones"
)

// plexPort is where a Plex Media Server listens unless told otherwise.
const plexPort = 32400

// finder is a `nodes` line with what it has found.
type finder struct {
	corefile.Finder
	nudge nudge
	held  map[int]netip.AddrPort // by the number in the name
	bySRV bool                   // found last by SRV records
	said  string                 // the last warning
}

func (p *Prober) startFinder(ctx context.Context, line corefile.Finder) {
	f := &finder{Finder: line, nudge: newNudge(), held: inherited(p.opts.Board.Snapshot(), line.Name)}
	for n, at := range f.held {
		p.setFoundNode(ctx, f, f.node(n, at))
	}
	p.first.expect(f)
	p.wg.Go(func() {
		p.find(ctx, f)
		p.first.met(f)
		for f.nudge.wait(ctx, p.nextLookup(len(f.held))) {
			p.find(ctx, f)
		}
	})
}

// find looks for the nodes of a line. What was found last is kept when nothing is found: that the DNS knows
// none is far less likely than that it is the DNS that is ill.
func (p *Prober) find(ctx context.Context, f *finder) {
	asking, cancel := withTimeout(ctx, p.lookupTimeout())
	defer cancel()
	found, err := f.look(asking, p.opts.names)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		say := fmt.Sprintf("nodes %s: looking up %s: %v", f.Name, f.DNS, err)
		if say != f.said {
			p.opts.Warn(say)
		}
		f.said = say
		return
	}
	f.said = ""
	if held := number(f.held, found, f.Max); !maps.Equal(held, f.held) {
		p.setFound(ctx, f, held)
	}
}

// setFound moves from the nodes of before to those of now. A name that has a new address is another node: its
// loops end before the board learns of it, so that no verdict on one is taken for one on the other.
func (p *Prober) setFound(ctx context.Context, f *finder, held map[int]netip.AddrPort) {
	for n, at := range f.held {
		if held[n] != at {
			p.setLoops(ctx, f.node(n, at).Subject(), nil, func() {}, nil)
		}
	}
	f.held = held
	var nodes []zones.Node
	for _, n := range slices.Sorted(maps.Keys(held)) {
		nodes = append(nodes, f.node(n, held[n]))
	}
	p.opts.Board.SetFound(f.Name, nodes, time.Now())
	for _, n := range nodes {
		p.setFoundNode(ctx, f, n)
	}
}

// setFoundNode asks a found node, without a link watch: behind a name that Docker or Kubernetes serves, an
// address may be a virtual one that refuses for a moment while its tasks move.
func (p *Prober) setFoundNode(ctx context.Context, f *finder, n zones.Node) {
	p.setNode(ctx, n, []netip.Addr{netip.MustParseAddr(n.Host)}, false, f.nudge.give)
}

// inherited returns the nodes of a line that the board has from an earlier instance: over a reload each keeps
// its number, and is asked at once.
func inherited(s *zones.Snapshot, line string) map[int]netip.AddrPort {
	held := map[int]netip.AddrPort{}
	for _, n := range s.Nodes {
		number, err := strconv.Atoi(strings.TrimPrefix(string(n.Name), line))
		addr, errAddr := netip.ParseAddr(n.Host)
		if n.Group == line && err == nil && errAddr == nil {
			held[number] = netip.AddrPortFrom(addr, n.Port)
		}
	}
	return held
}

func (f *finder) node(n int, at netip.AddrPort) zones.Node {
	return zones.Node{
		Name:  zones.NodeName(f.Name + strconv.Itoa(n)),
		Host:  at.Addr().String(),
		Port:  at.Port(),
		Group: f.Name, Weight: 1,
	}
}

// number gives each place found a number from 1 to most (0: no limit): the one that it has, else the lowest
// that is free.
func number(held map[int]netip.AddrPort, found []netip.AddrPort, most int) map[int]netip.AddrPort {
	next := maps.Clone(held)
	if next == nil {
		next = map[int]netip.AddrPort{}
	}
	maps.DeleteFunc(next, func(_ int, at netip.AddrPort) bool { return !slices.Contains(found, at) })
	named := slices.Collect(maps.Values(next))
	free := 1
	for _, at := range found {
		if slices.Contains(named, at) {
			continue
		}
		for next[free].IsValid() {
			free++
		}
		if most > 0 && free > most {
			break
		}
		next[free] = at
	}
	return next
}

// look returns where the nodes are, sorted: at the SRV records' targets, else at the addresses of the name. A
// DNS that does not answer for SRV (some forward or refuse it) still has its addresses asked, unless there were
// SRV records before.
func (f *finder) look(ctx context.Context, from names) ([]netip.AddrPort, error) {
	_, records, err := from.LookupSRV(ctx, "", "", f.DNS)
	if err != nil && f.bySRV && !isNotFound(err) {
		return nil, lookupError(err)
	}
	found, err := f.targets(ctx, from, records)
	if err != nil {
		return nil, err
	}
	f.bySRV = len(found) > 0
	if !f.bySRV {
		addrs, err := lookup(ctx, from, f.DNS)
		if err != nil {
			return nil, err
		}
		found = atPort(oneFamily(addrs), f.Port)
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return slices.Compact(found), nil
}

// targets returns where SRV records lead: to one address of each target that exists.
func (f *finder) targets(ctx context.Context, from names, records []*net.SRV) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	for _, srv := range records {
		port := srv.Port
		if f.Port != 0 {
			port = f.Port
		}
		target := strings.TrimSuffix(srv.Target, ".")
		switch addrs, err := lookup(ctx, from, target); {
		case err == nil:
			found = append(found, netip.AddrPortFrom(addrs[0], port))
		case !isNotFound(err):
			return nil, fmt.Errorf("looking up %s: %w", target, err)
		}
	}
	return found, nil
}

// oneFamily leaves out IPv6 where there is IPv4: nothing tells which two addresses are one node's.
func oneFamily(sorted []netip.Addr) []netip.Addr {
	i := slices.IndexFunc(sorted, netip.Addr.Is6)
	if i <= 0 {
		return sorted
	}
	return sorted[:i]
}

func atPort(addrs []netip.Addr, port uint16) []netip.AddrPort {
	if port == 0 {
		port = plexPort
	}
	var places []netip.AddrPort
	for _, a := range addrs {
		places = append(places, netip.AddrPortFrom(a, port))
	}
	return places
}
