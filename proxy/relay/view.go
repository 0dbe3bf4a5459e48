package relay

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/zones"
)

// view is one moment with what the relay has for it: its nodes, and whom requests that are bound to none may
// go to. It is immutable; the zero value knows nothing.
type view struct {
	moment *cluster.Moment
	ready  bool    // the first round of probes has ended
	nodes  []*node // as in moment.Nodes.All

	inside  side
	outside *side // for external clients; nil: as inside
}

// side is the nodes as the clients of one view see them.
type side struct {
	all  *affinity.Nodes
	pool pool
}

// pool is the nodes that a request may go to which is bound to none.
type pool struct {
	nodes     []*node
	upstreams reverseproxy.UpstreamPool // the same ones
	weights   []float64                 // nil: all alike
}

// newView makes the view of a moment. A node that is asked for as before keeps its connections.
func newView(m *cluster.Moment, old *view) *view {
	v := &view{moment: m}
	if m == nil {
		return v
	}
	v.ready = m.Snapshot.Ready
	for i := range m.Nodes.All {
		v.nodes = append(v.nodes, nodeOf(&m.Nodes.All[i], m, old))
	}
	v.inside = v.side(m.Nodes)
	if len(m.Open) > 0 {
		outside := v.side(without(m.Nodes, m.Open))
		v.outside = &outside
	}
	return v
}

// nodeOf returns what the relay has for a node: what the old view had for it, if it is asked for at the same
// place in the same way.
func nodeOf(n *affinity.Node, m *cluster.Moment, old *view) *node {
	known := m.Snapshot.Node(n.Name)
	if known == nil {
		known = &zones.NodeHealth{}
	}
	own := old.named(n.Name)
	if own == nil || own.dial != n.Dial || own.https != known.HTTPS || own.verify != known.Verify {
		own = newNode(n.Name, n.Dial, known, own)
	}
	own.follow(known)
	own.setLimit(m.Config.MaxRequests)
	return own
}

// without returns the nodes with some of them down.
func without(all *affinity.Nodes, some map[zones.NodeName]bool) *affinity.Nodes {
	out := &affinity.Nodes{All: slices.Clone(all.All)}
	for i := range out.All {
		if n := &out.All[i]; some[n.Name] {
			n.Up, n.New = false, false
		}
	}
	return out
}

func (v *view) side(all *affinity.Nodes) side {
	s := side{all: all}
	for _, wanted := range []func(*affinity.Node) bool{
		func(n *affinity.Node) bool { return n.New },
		func(n *affinity.Node) bool { return n.Up },
	} {
		if s.pool = v.pool(all, wanted); len(s.pool.nodes) > 0 {
			break
		}
	}
	return s
}

func (v *view) pool(all *affinity.Nodes, wanted func(*affinity.Node) bool) pool {
	var p pool
	alike := true
	for i := range all.All {
		n := &all.All[i]
		if !wanted(n) {
			continue
		}
		p.nodes = append(p.nodes, v.nodes[i])
		p.upstreams = append(p.upstreams, v.nodes[i].upstream)
		p.weights = append(p.weights, float64(max(n.Weight, 1)))
		alike = alike && p.weights[0] == p.weights[len(p.weights)-1]
	}
	if alike {
		p.weights = nil
	}
	return p
}

// less returns the pool without some nodes.
func (p pool) less(some []*node) pool {
	var out pool
	for i, n := range p.nodes {
		if slices.Contains(some, n) {
			continue
		}
		out.nodes = append(out.nodes, n)
		out.upstreams = append(out.upstreams, p.upstreams[i])
		if p.weights != nil {
			out.weights = append(out.weights, p.weights[i])
		}
	}
	return out
}

// named returns the node of that name, or nil.
func (v *view) named(name zones.NodeName) *node {
	for _, n := range v.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// up reports whether n is one of the nodes now, and takes requests.
func (v *view) up(n *node) bool {
	i := slices.Index(v.nodes, n)
	return i >= 0 && v.moment.Nodes.All[i].Up
}

// up returns the node of that name if it takes requests, or nil.
func (s *side) up(v *view, name zones.NodeName) *node {
	for i := range s.all.All {
		if n := &s.all.All[i]; n.Name == name && n.Up {
			return v.nodes[i]
		}
	}
	return nil
}

// sideOf returns what the client at an address sees.
func (v *view) sideOf(client string) *side {
	if v.outside == nil {
		return &v.inside
	}
	addr, err := netip.ParseAddr(client)
	if err == nil && v.moment.Snapshot.Views.Of(addr) == zones.Internal {
		return &v.inside
	}
	return v.outside
}

// refuses reports whether nothing but its open administration keeps the named node, or, if the name is empty,
// all nodes, from the clients of s.
func (v *view) refuses(s *side, name zones.NodeName) bool {
	if s != v.outside {
		return false
	}
	if name != "" {
		return v.moment.Open[name] && v.inside.up(v, name) != nil
	}
	return len(s.pool.nodes) == 0 && len(v.inside.pool.nodes) > 0
}

func (v *view) retryFor() time.Duration {
	if v.moment == nil {
		return firstRoundWait
	}
	return v.moment.Config.RetryFor
}

func (v *view) retryEvery() time.Duration {
	if v.moment == nil {
		return firstRoundWait
	}
	return v.moment.Config.RetryEvery
}

// addresses returns where a node listens, those that are up first.
func addresses(n *zones.NodeHealth) []string {
	port := strconv.Itoa(int(n.Port))
	var up, others []string
	for _, a := range n.Addrs {
		addr := net.JoinHostPort(a.Addr.String(), port)
		if a.State.IsUp() {
			up = append(up, addr)
		} else {
			others = append(others, addr)
		}
	}
	return append(up, others...)
}
