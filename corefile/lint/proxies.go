package lint

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"plexha/corefile"
)

// proxyIsNode finds nodes at whose address and port plexproxy itself listens.
func proxyIsNode(c *cluster, say say) {
	for _, n := range c.Cluster.Nodes {
		addr, err := netip.ParseAddr(n.Host)
		if err != nil || !c.isProxy(addr) || !slices.Contains(c.listenPorts(), n.Port) {
			continue
		}
		say(c.member("node", string(n.Name)), "node %s is at %v, where the proxy listens, which would ask itself: "+
			"write where Plex listens, such as %v", n.Name, netip.AddrPortFrom(addr, n.Port), netip.AddrPortFrom(addr, 32400))
	}
}

func (c *cluster) isProxy(addr netip.Addr) bool {
	for _, p := range c.Cluster.Proxies {
		if slices.ContainsFunc(p.Addrs, func(a netip.AddrPort) bool { return a.Addr() == addr }) {
			return true
		}
	}
	return false
}

// listenPorts returns where plexproxy listens, as far as it is known: the socket of a supervisor may have any port.
func (c *cluster) listenPorts() ports {
	var all ports
	for _, l := range c.Listen {
		_, text, err := net.SplitHostPort(l.Addr)
		if port, bad := strconv.ParseUint(text, 10, 16); err == nil && bad == nil {
			all = append(all, uint16(port))
		}
	}
	return all
}

// listenPorts finds proxies that are asked where they do not listen.
func listenPorts(c *cluster, say say) {
	known := c.listenPorts()
	if len(known) < len(c.Listen) {
		return
	}
	for _, p := range c.Cluster.Proxies {
		for _, a := range p.Addrs {
			if slices.Contains(known, a.Port()) {
				continue
			}
			say(c.proxyLine(a.Addr()), "proxy %v: plexproxy listens at %s, so that it counts as down "+
				"unless something on the way changes the port: add :%d to `listen`, or write the port that it has into the proxy line",
				a, known, a.Port())
			break
		}
	}
}

func probeNone(c *cluster, say say) {
	if c.Probe.Kind == corefile.ProbeNone {
		say(c.at("probe"), "probe none: nobody asks the nodes, so that one that is down stays in answers and gets requests: leave it out")
	}
}

func affinityOff(c *cluster, say say) {
	if c.Affinity.Off && hasNodes(c.Config) {
		say(c.at("affinity"), "affinity off: the requests of one playback go to several nodes, and all but one do not know it: "+
			"leave it out")
	}
}

// tlsInternal finds certificates that Plex's apps refuse. A block without any sign of a proxy says nothing of them.
func tlsInternal(c *cluster, say say) {
	if c.TLS.Kind == corefile.TLSInternal && (len(c.Cluster.Proxies) > 0 || c.has("tls") || c.has("listen")) {
		say(c.at("tls"), "certificates come from our own authority, which TVs and phones refuse: "+
			"write tls acme EMAIL, or tls files CERT KEY")
	}
}

// tlsOff finds tokens in the clear. Whoever lists trusted proxies has one in front that takes the TLS off.
func tlsOff(c *cluster, say say) {
	if c.TLS.Kind == corefile.TLSOff && len(c.TrustedProxies) == 0 {
		say(c.at("tls"), "tls off: tokens go over the wire in the clear, and apps refuse it where they want secure connections: "+
			"write tls acme EMAIL, or trusted_proxies PREFIX if another proxy in front has the certificate")
	}
}

// storage finds proxies that each want certificates of their own for the same names.
func storage(c *cluster, say say) {
	if c.TLS.Kind == corefile.TLSACME && len(c.Cluster.Proxies) > 1 && c.Storage == "" {
		say(c.at("proxy"), "%d proxies without a common `storage`: each orders certificates of its own, and an answer to the authority "+
			"may be asked of the other one: write storage DIR, a folder that all of them share", len(c.Cluster.Proxies))
	}
}

// fewRequests is less than one client has under way: browsers open six connections to a host.
const fewRequests = 6

func maxRequests(c *cluster, say say) {
	switch n := c.MaxRequests; {
	case n == 1:
		say(c.at("max_requests"), "max_requests 1: while a node sends one film everybody else waits for it, its own viewer included: "+
			"leave it out")
	case n > 0 && n < fewRequests:
		say(c.at("max_requests"), "max_requests %d: one app has more requests under way, and a film is one for as long as it plays, "+
			"so that everybody else waits: leave it out, or write 100", n)
	}
}

func trustedProxies(c *cluster, say say) {
	for _, p := range c.TrustedProxies {
		if isWide(p) {
			say(c.at("trusted_proxies"), "trusted_proxies %v: whoever connects may say which address he has, one in the house included: "+
				"write the proxy's own address", p)
		}
	}
}

func statusPublic(c *cluster, say say)      { publicPage(c, "status", c.Status, say) }
func proxyStatusPublic(c *cluster, say say) { publicPage(c, "proxy_status", c.ProxyStatus, say) }
func statusClosed(c *cluster, say say)      { closedPage(c, "status", c.Status, say) }
func proxyStatusClosed(c *cluster, say say) { closedPage(c, "proxy_status", c.ProxyStatus, say) }

// publicPage finds pages that the Internet may get to see.
func publicPage(c *cluster, property string, s corefile.Status, say say) {
	addr := s.Addr.Addr()
	if s.Public && (addr.IsUnspecified() || isGlobal(addr)) {
		say(c.at(property), "%s %v public: whoever reaches this machine sees names, addresses and states of the house: "+
			"write its address in the house instead of %v", property, s.Addr, addr)
	}
}

// closedPage finds pages that are shown to nobody: with an address that is not loopback no client has one either.
func closedPage(c *cluster, property string, s corefile.Status, say say) {
	addr := s.Addr.Addr()
	if !s.Public && addr.IsValid() && !addr.IsLoopback() && !addr.IsUnspecified() {
		say(c.at(property), "%s %v: the page is shown to loopback alone, which does not come to this address: "+
			"add public to show it, or write 127.0.0.1:%d", property, s.Addr, s.Addr.Port())
	}
}
