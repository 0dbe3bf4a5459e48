package zones_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// began is when every subject of a test cluster took its state.
var began = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// world is a snapshot that tests build from a few words, for example
//
//	cluster(nodes("plex1", "plex2"), proxies("proxy1")).with("plex1", zones.Down)
//
// and ask in the same words. Every subject begins up, at one IPv4 address of its own.
type world struct {
	*zones.Snapshot
	cluster *zones.Cluster
	names   map[netip.Addr]string // whose address it is
}

type part func(*world)

// cluster builds a snapshot as the Corefile's defaults have it: proxies all if there are proxies, else nodes
// spread, last_resort, ttl 10s 1s, and the word private.
func cluster(parts ...part) *world {
	c := &zones.Cluster{
		Origins:  []string{"home.duckdns.org."},
		Main:     "plex",
		Prefixes: zones.Prefixes{Private: true},
		Mode:     zones.Spread,
		TTL:      10 * time.Second,
		MinTTL:   time.Second,
		Negative: 10 * time.Second,
	}
	w := &world{cluster: c, names: map[netip.Addr]string{}}
	w.Snapshot = &zones.Snapshot{Cluster: c, Seq: 1, At: began, Ready: true}
	for _, p := range parts {
		p(w)
	}
	w.Views = c.Prefixes.Compile(nil)
	return w
}

func (w *world) health(name string, addrs ...netip.Addr) zones.Health {
	h := zones.Health{State: zones.Up, Since: began}
	for _, a := range addrs {
		w.names[a] = name
		h.Addrs = append(h.Addrs, zones.AddrHealth{Addr: a, State: zones.Up, Since: began})
	}
	return h
}

// nodes adds up nodes: "plex1" is at 10.0.0.1, the next at 10.0.0.2, and so on.
func nodes(names ...string) part {
	return func(w *world) {
		for _, name := range names {
			n := zones.Node{Name: zones.NodeName(name), Port: 32400, Weight: 1}
			i := len(w.Nodes) + 1
			addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
			n.Host = addr.String()
			w.cluster.Nodes = append(w.cluster.Nodes, n)
			w.Nodes = append(w.Nodes, zones.NodeHealth{Node: n, Health: w.health(name, addr)})
		}
	}
}

// proxies adds up proxies that the tests call by these names: the first is 192.168.1.1:443, and so on. As
// in the Corefile, the first proxy makes the main name answer proxies all.
func proxies(names ...string) part {
	return func(w *world) {
		w.cluster.Tier, w.cluster.Mode = zones.Proxies, zones.All
		for _, name := range names {
			addr := netip.AddrFrom4([4]byte{192, 168, 1, byte(len(w.Proxies) + 1)})
			p := zones.Proxy{Addrs: []netip.AddrPort{netip.AddrPortFrom(addr, 443)}}
			w.cluster.Proxies = append(w.cluster.Proxies, p)
			w.Proxies = append(w.Proxies, zones.ProxyHealth{Proxy: p, Health: w.health(name, addr)})
		}
	}
}

// uplinks adds up uplinks: the first is at 203.0.113.1, and so on.
func uplinks(names ...string) part {
	return func(w *world) {
		for _, name := range names {
			addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(len(w.Uplinks) + 1)})
			u := zones.Uplink{Name: name, Addrs: []netip.Addr{addr}}
			w.cluster.Uplinks = append(w.cluster.Uplinks, u)
			w.Uplinks = append(w.Uplinks, zones.UplinkHealth{Uplink: u, Health: w.health(name, addr)})
		}
	}
}

// backup, weight and at are the words of a node's line.
func backup(name string) part {
	return func(w *world) { w.node(name).Backup = true }
}

func weight(name string, n int) part {
	return func(w *world) { w.node(name).Weight = n }
}

func at(name string, addrs ...string) part {
	return func(w *world) {
		w.node(name).At = parseAddrs(addrs...)
		for _, a := range w.node(name).At {
			w.names[a] = name
		}
	}
}

func answer(tier zones.Tier, mode zones.Mode) part {
	return func(w *world) { w.cluster.Tier, w.cluster.Mode = tier, mode }
}

func allDown(what zones.AllDown) part {
	return func(w *world) { w.cluster.AllDown = what }
}

func internal(prefixes ...string) part {
	return func(w *world) { w.cluster.Prefixes = zones.Prefixes{Internal: parsePrefixes(prefixes...)} }
}

func wildcard() part {
	return func(w *world) { w.cluster.Wildcard = true }
}

func nameServers(ns ...zones.NameServer) part {
	return func(w *world) { w.cluster.NS = ns }
}

// with puts a subject and all of its addresses into a state.
func (w *world) with(name string, state zones.State) *world {
	h := w.subject(name)
	h.State = state
	for i := range h.Addrs {
		h.Addrs[i].State = state
	}
	return w
}

// without takes all addresses from a subject: nothing is known of where it is.
func (w *world) without(name string) *world {
	h := w.subject(name)
	h.State, h.Addrs = zones.Unknown, nil
	return w
}

// addressed replaces the addresses of a subject by others in a state each. The subject itself keeps its own.
func (w *world) addressed(name string, addrs map[string]zones.State) *world {
	h := w.subject(name)
	h.Addrs = nil
	for addr, state := range addrs {
		a := netip.MustParseAddr(addr)
		w.names[a] = name
		h.Addrs = append(h.Addrs, zones.AddrHealth{Addr: a, State: state, Since: began})
	}
	slices.SortFunc(h.Addrs, func(a, b zones.AddrHealth) int { return a.Addr.Compare(b.Addr) })
	return w
}

func (w *world) ordered(name string, order zones.Order) *world {
	w.subject(name).Order = order
	return w
}

// unasked makes a subject one that came with a reload and has no verdict yet.
func (w *world) unasked(name string) *world {
	w.with(name, zones.Unknown)
	w.subject(name).New = true
	return w
}

func (w *world) node(name string) *zones.Node { return &w.Node(zones.NodeName(name)).Node }

// subject finds one by the name that the test gave it.
func (w *world) subject(name string) *zones.Health {
	for s, h := range w.Subjects {
		if s.Name == name || len(h.Addrs) > 0 && w.names[h.Addrs[0].Addr] == name {
			return h
		}
	}
	panic(fmt.Sprintf("no subject %q", name))
}

// inside tells what internal clients get for a name, in the words of says. What differs from client to
// client stands divided by a bar: "plex1 | plex2".
func (w *world) inside(label string) string {
	var all []string
	for _, v := range w.Spreader().Variants() {
		all = append(all, w.says(w.Records(zones.Internal, v), label))
	}
	return strings.Join(slices.Compact(all), " | ")
}

// outside tells what external clients get for a name.
func (w *world) outside(label string) string { return w.says(w.Records(zones.External, ""), label) }

// says gives the subjects whose addresses an answer holds: those at IPv4 addresses by their names, those at
// IPv6 addresses with /6 behind. An answer without address is "nodata", "servfail" or "nxdomain".
func (w *world) says(answers zones.Answers, label string) string {
	if slices.Contains(answers.Failing, zones.Label(label)) {
		return "servfail"
	}
	var out []string
	for _, r := range answers.Records {
		switch {
		case r.Label != zones.Label(label):
		case r.Type == zones.TypeA:
			out = append(out, w.name(r.Addr))
		case r.Type == zones.TypeAAAA:
			out = append(out, w.name(r.Addr)+"/6")
		}
	}
	switch {
	case len(out) > 0:
		return strings.Join(out, " ")
	case slices.Contains(answers.Managed, zones.Label(label)):
		return "nodata"
	default:
		return "nxdomain"
	}
}

func (w *world) name(addr netip.Addr) string {
	if name, ok := w.names[addr]; ok {
		return name
	}
	return addr.String()
}

// ttl returns the TTL of a name's addresses for the first variant, in seconds.
func (w *world) ttl(view zones.View, label string) uint32 {
	var v zones.Variant
	if view == zones.Internal {
		v = w.Spreader().Variants()[0]
	}
	for _, r := range w.Records(view, v).Records {
		if r.Label == zones.Label(label) && (r.Type == zones.TypeA || r.Type == zones.TypeAAAA) {
			return r.TTL
		}
	}
	panic(fmt.Sprintf("no address at %q", label))
}

func parseAddrs(words ...string) []netip.Addr {
	var out []netip.Addr
	for _, word := range words {
		out = append(out, netip.MustParseAddr(word))
	}
	return out
}

func parsePrefixes(words ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, word := range words {
		out = append(out, netip.MustParsePrefix(word))
	}
	return out
}

// numbered returns n names: plex1, plex2, ...
func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("plex%d", i+1))
	}
	return out
}
