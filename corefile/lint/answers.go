package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// unreachable finds members at addresses that clients are never told.
func unreachable(c *cluster, say say) {
	if c.Cluster.OnlyLoopback() {
		return // a trial on one machine
	}
	for _, n := range c.Cluster.Nodes {
		addr, err := netip.ParseAddr(n.Host)
		if err == nil && addr.IsLoopback() && len(n.At) == 0 {
			say(c.member("node", string(n.Name)), "node %s is at %v, which no other machine reaches, so that clients "+
				"are never told of it: add `at` with this machine's address", n.Name, addr)
		}
	}
	for _, p := range c.Cluster.Proxies {
		if a := p.Addrs[0].Addr(); a.IsLoopback() {
			say(c.proxyLine(a), "proxy %v is reached by no other machine: write this machine's address in the house", a)
		}
	}
}

// member returns where the line of a node or name server stands, whose name may be written in capitals.
func (c *cluster) member(property, name string) pos {
	for _, l := range c.block.body {
		if l.words[0] == property && len(l.words) > 1 && strings.EqualFold(l.words[1], name) {
			return l.pos
		}
	}
	return c.block.pos
}

// proxyLine returns where the line of a proxy stands.
func (c *cluster) proxyLine(addr netip.Addr) pos {
	for _, l := range c.block.body {
		names := func(word string) bool {
			if at, err := netip.ParseAddrPort(word); err == nil {
				return at.Addr().Unmap() == addr
			}
			a, err := netip.ParseAddr(strings.Trim(word, "[]"))
			return err == nil && a.Unmap() == addr
		}
		if l.words[0] == "proxy" && slices.ContainsFunc(l.words[1:], names) {
			return l.pos
		}
	}
	return c.at("proxy")
}

// proxyOutside finds proxies in networks whose clients are told external addresses.
func proxyOutside(c *cluster, say say) {
	views := c.views()
	for _, p := range c.Cluster.Proxies {
		for _, a := range p.Addrs {
			addr := a.Addr()
			if addr.IsLoopback() || views.Of(addr) == zones.Internal || c.Cluster.Prefixes.Onlink && isGlobal(addr) {
				continue
			}
			say(c.proxyLine(addr), "proxy %v is in none of the internal prefixes: the clients beside it get the external address: "+
				"add its network to `internal`", addr)
		}
	}
}

// internalUplink finds uplinks from whose addresses clients would get the internal view: with most routers these
// are what the house's own clients come from, and what those of a neighbour of the provider's do.
func internalUplink(c *cluster, say say) {
	views := c.views()
	for _, u := range c.Cluster.Uplinks {
		for _, addr := range u.Addrs {
			if !addr.IsLoopback() && views.Of(addr) == zones.Internal {
				say(c.member("uplink", u.Name), "uplink %s has the address %v, which lies in the internal prefixes: "+
					"who comes from outside may be told addresses of the house, and nobody outside reaches a private one: "+
					"give the address that the world sees, and keep it out of `internal`", u.Name, addr)
			}
		}
	}
}

// internalEverybody finds internal prefixes that hold a good part of the Internet.
func internalEverybody(c *cluster, say say) {
	for _, p := range c.Cluster.Prefixes.Internal {
		if isWide(p) {
			say(c.at("internal"), "internal %v holds much of the Internet, whose clients get the house's addresses, "+
				"which they can't reach: write the house's own networks", p)
		}
	}
}

// nodeFallback finds clusters whose nodes are answered while no proxy is up, to clients who can't use that: an answer
// has no port.
func nodeFallback(c *cluster, say say) {
	ports := c.nodePorts()
	if c.Cluster.Tier == zones.Proxies && len(ports) > 1 {
		say(c.at("node"), "while no proxy is up %s leads to the nodes, which no client can use: they listen at %s, "+
			"and DNS carries no port: give all nodes one port, such as 32400", c.mainName(), ports)
	}
}

// nodePorts finds clusters whose nodes are answered by one name, but are reached at several ports.
func nodePorts(c *cluster, say say) {
	ports := c.nodePorts()
	if c.Cluster.Tier == zones.Nodes && len(ports) > 1 {
		say(c.at("node"), "%s leads to nodes that listen at %s, and DNS carries no port: a client that knows one of them loses its server "+
			"when another node is answered: give all nodes one port, or write a proxy line", c.mainName(), ports)
	}
}

// ports are port numbers, which read as prose.
type ports []uint16

// String returns them as a message has them.
func (p ports) String() string {
	words := make([]string, len(p))
	for i, port := range p {
		words[i] = fmt.Sprintf(":%d", port)
	}
	return listed(words)
}

// nodePorts returns the ports of all nodes, each once, as far as the file says them.
func (c *cluster) nodePorts() ports {
	var all ports
	for _, n := range c.Cluster.Nodes {
		all = append(all, n.Port)
	}
	for _, f := range c.Finders {
		if f.Port != 0 {
			all = append(all, f.Port)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func allDownEmpty(c *cluster, say say) {
	if c.Cluster.AllDown == zones.Empty {
		say(c.at("alldown"), "alldown empty: while nothing is up %s has no address, which resolvers and apps remember beyond that: "+
			"leave it out, or write alldown servfail", c.mainName())
	}
}

// longTTL is as long as a client may go on to an address that is down, by the promise of the README.
const longTTL = time.Minute

func ttl(c *cluster, say say) {
	switch d := c.Cluster.TTL; {
	case d == 0:
		say(c.at("ttl"), "ttl 0s: clients and resolvers ask again before each connection, and some take 0 for an error: write 10s")
	case d > longTTL:
		say(c.at("ttl"), "ttl %v: for so long clients go on to an address that is down: write 60s or less, such as 10s", d)
	}
}

// oneNameServer finds zones that vanish with one machine although their name servers are given.
func oneNameServer(c *cluster, say say) {
	var addrs []netip.Addr
	for _, ns := range c.Cluster.NS {
		addrs = append(addrs, ns.Addrs...)
	}
	machines := len(c.Cluster.NS)
	if len(addrs) > 0 {
		slices.SortFunc(addrs, netip.Addr.Compare)
		machines = min(machines, len(slices.Compact(addrs)))
	}
	if c.has("ns") && machines == 1 {
		say(c.at("ns"), "ns: there is one name server only: while it is down nobody finds %s: "+
			"run a second plexdns or a secondary, and add its `ns NAME ADDRESS`", c.zone())
	}
}

// noNameServer finds what plexdns refuses when it starts.
func noNameServer(c *cluster, say say) {
	noAddress := func(ns zones.NameServer) bool { return len(ns.Addrs) == 0 }
	if c.server.has("transfer") && slices.ContainsFunc(c.Cluster.NS, noAddress) {
		say(c.at("ns"), "%v", ErrNoNameServer)
	}
}

// answering are CoreDNS's plugins behind ours that may answer what we leave to them.
var answering = []string{
	"auto", "azure", "clouddns", "dynupdate", "erratic", "etcd", "file", "forward", "grpc", "hosts", "k8s_external",
	"kubernetes", "nomad", "route53", "secondary", "whoami",
}

// leadsOn reports whether a plugin stands behind ours.
func (s *server) leadsOn() bool { return slices.ContainsFunc(answering, s.has) }

func passthrough(c *cluster, say say) {
	if c.has("passthrough") && !c.server.leadsOn() {
		say(c.at("passthrough"), "passthrough leads nowhere, so that its names are answered SERVFAIL: "+
			"add a plugin that knows them, such as forward . tls://1.1.1.1")
	}
}

// restOfZone finds zones whose other names, which the world has, are denied to the house. A zone that is kept here as
// a whole has its names in zone files, or goes to secondaries.
func restOfZone(c *cluster, say say) {
	kept := len(c.ZoneFiles) > 0 || c.server.has("transfer")
	switch {
	case c.has("fallthrough") && !c.server.leadsOn():
		say(c.at("fallthrough"), "fallthrough leads nowhere, so that all other names of %s are answered SERVFAIL: "+
			"add forward . tls://1.1.1.1 tls://9.9.9.9 to the server block", c.zone())
	case c.has("fallthrough"), c.has("passthrough"), c.Cluster.Wildcard, kept:
	default:
		say(c.block.pos, "all other names of %s, _acme-challenge among them, do not exist for the house: "+
			"add fallthrough to the plex block, and forward . tls://1.1.1.1 tls://9.9.9.9 behind it", c.zone())
	}
}

func trustECS(c *cluster, say say) {
	for _, p := range c.TrustECS {
		if isWide(p) {
			say(c.at("trust_ecs"), "trust_ecs %v: whoever claims to ask for a client in the house is told its addresses: "+
				"write the resolvers' own addresses", p)
		}
	}
}

func token(c *cluster, say say) {
	if d := c.DuckDNS; d != nil && d.TokenFile == "" && d.Credential == "" {
		say(c.at("duckdns"), "duckdns: the token stands in the Corefile, where everybody has it who gets to see that: "+
			"write token_file FILE, a file with mode 0600")
	}
}

func verifyOff(c *cluster, say say) {
	if c.DuckDNS != nil && c.DuckDNS.NoVerify {
		say(c.at("duckdns"), "duckdns: with verify off nobody notices when DuckDNS shows another address than ours: leave it out")
	}
}
