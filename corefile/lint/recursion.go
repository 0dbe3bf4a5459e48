package lint

import (
	"net/netip"
	"slices"
	"strings"

	"plexha/zones"
)

// openRecursion finds resolvers that work for the Internet: server blocks for other zones than ours that forward,
// listen elsewhere than at loopback, and refuse no address outside.
func openRecursion(f *file, say say) {
	for _, s := range f.servers {
		// Plugins with rules of their own for who is served are taken at their word.
		if !s.has("forward") || s.has("view") || s.has("tsig") || s.onlyLoopback() {
			continue
		}
		for _, zone := range s.zones() {
			if f.isOurs(zone) || isReverse(zone) {
				continue
			}
			if addr := f.stranger(s.accessTo(zone)); addr.IsValid() {
				say(s.plugins["forward"][0].pos, "everybody who reaches this server may have it look up %s, %v for one, "+
					"and not the house alone: add an acl with the lines `allow net %s` and `block`", below(zone), addr, f.house())
				break
			}
		}
	}
}

// below says which names a zone holds.
func below(zone string) string {
	if zone == "." {
		return "any name"
	}
	return "names in " + strings.TrimSuffix(zone, ".")
}

// isOurs reports whether a zone lies in one that a plex block answers for: what is forwarded of that is ours to show.
func (f *file) isOurs(zone string) bool {
	return slices.ContainsFunc(f.clusters, func(c *cluster) bool { return c.InZone(zone) })
}

// isReverse reports whether a key is a network, or the zone of one.
func isReverse(zone string) bool {
	return strings.Contains(zone, "/") || strings.HasSuffix(zone, ".arpa.")
}

// onlyLoopback reports whether nobody but this machine reaches the server block.
func (s *server) onlyLoopback() bool {
	hosts := s.bound()
	elsewhere := func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return host != "lo" && (err != nil || !addr.IsLoopback())
	}
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, elsewhere)
}

// house returns what an `acl` of the house lets in.
func (f *file) house() string {
	all := []string{"127.0.0.0/8", "::1/128"}
	for _, c := range f.clusters {
		if c.Cluster.Prefixes.Private {
			all = append(all, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
		}
		for _, p := range c.Cluster.Prefixes.Internal {
			all = append(all, p.String())
		}
	}
	var once []string
	for _, p := range all {
		if !slices.Contains(once, p) {
			once = append(once, p)
		}
	}
	return strings.Join(once, " ")
}

// stranger returns an address of the Internet that is in no internal prefix and that the access list lets in. It
// returns the zero Addr if there is none.
//
// Access and view change nowhere but where a prefix begins or ends, so that a look at those addresses is a look at
// all.
func (f *file) stranger(a access) netip.Addr {
	var known []netip.Prefix
	for _, r := range a {
		known = append(known, r.nets...)
	}
	known = append(known, notGlobal4...)
	known = append(known, global6)
	for _, c := range f.clusters {
		known = append(known, c.Cluster.Prefixes.Internal...)
		known = append(known, c.Cluster.Prefixes.External...)
	}
	for _, addr := range edges(known) {
		if isGlobal(addr) && !f.isInside(addr) && a.allows(addr) && !f.mayBeOnlink(a, addr) {
			return addr
		}
	}
	return netip.Addr{}
}

// isInside reports whether some block gives the internal view to an address.
func (f *file) isInside(addr netip.Addr) bool {
	return slices.ContainsFunc(f.clusters, func(c *cluster) bool { return c.views().Of(addr) == zones.Internal })
}

// siteBits is the longest prefix of a provider, and the shortest of a house, by a guess of ours: providers give /48 to
// /64 (RFC 6177).
const siteBits = 40

// mayBeOnlink reports whether an IPv6 address is let in by a line for no more than a house's network, which `onlink`
// makes internal as soon as an interface has it.
func (f *file) mayBeOnlink(a access, addr netip.Addr) bool {
	onlink := func(c *cluster) bool { return c.Cluster.Prefixes.Onlink }
	site := func(p netip.Prefix) bool { return p.Addr().Is6() && p.Bits() >= siteBits && p.Contains(addr) }
	return slices.ContainsFunc(f.clusters, onlink) &&
		slices.ContainsFunc(a, func(r accessRule) bool { return r.allow && slices.ContainsFunc(r.nets, site) })
}

// edges returns the first address of each prefix, and the first one behind it, with the lowest ones of all.
func edges(prefixes []netip.Prefix) []netip.Addr {
	all := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	for _, p := range prefixes {
		all = append(all, p.Masked().Addr())
		if behind := last(p).Next(); behind.IsValid() {
			all = append(all, behind)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes) // of a length that it had
	return addr
}
