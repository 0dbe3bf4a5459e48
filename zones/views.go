package zones

import (
	"cmp"
	"net/netip"
	"slices"
)

// Prefixes is what the `internal` and `external` lines of a Corefile say.
type Prefixes struct {
	Private  bool           // the word `private`: RFC 1918, ULA, loopback, link-local
	Onlink   bool           // the word `onlink`: prefixes of interfaces that also hold a private IPv4
	Internal []netip.Prefix // listed ones, masked
	External []netip.Prefix // exceptions, masked
}

// private holds what the word `private` stands for: RFC 1918, RFC 4193, RFC 3927, RFC 4291 2.5.6.
// Loopback is internal in any case.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// shared is the space of carrier-grade NAT (RFC 6598) and of overlay networks. It is never on-link for us:
// who is in the house comes from the house's own prefixes, and everybody else in it must be listed.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// Views tells the view of a client by the longest prefix that holds its address. It is immutable; the
// zero value calls every client external.
type Views struct {
	// prefixes are looked through one after the other, longest first: a house has a dozen.
	prefixes []viewOf
}

// viewOf is the view of the clients in one prefix.
type viewOf struct {
	prefix netip.Prefix
	view   View
}

// Compile returns the views that p and the on-link prefixes of the moment give. A listed prefix beats
// the same one among those that a word stands for.
func (p Prefixes) Compile(onlink []netip.Prefix) *Views {
	byPrefix := map[netip.Prefix]View{}
	add := func(view View, prefixes []netip.Prefix) {
		for _, prefix := range prefixes {
			byPrefix[unmapped(prefix).Masked()] = view
		}
	}
	add(Internal, loopback)
	if p.Private {
		add(Internal, private)
	}
	if p.Onlink {
		add(Internal, slices.DeleteFunc(slices.Clone(onlink), shared.Overlaps))
	}
	add(Internal, p.Internal)
	add(External, p.External)
	v := &Views{}
	for prefix, view := range byPrefix {
		v.prefixes = append(v.prefixes, viewOf{prefix, view})
	}
	slices.SortFunc(v.prefixes, func(a, b viewOf) int {
		return cmp.Or(b.prefix.Bits()-a.prefix.Bits(), a.prefix.Addr().Compare(b.prefix.Addr()))
	})
	return v
}

// Of returns the view of a client at addr. IPv4 in IPv6 counts as IPv4, and zones are ignored.
func (v *Views) Of(addr netip.Addr) View {
	addr = addr.Unmap().WithZone("")
	for i := range v.prefixes {
		if v.prefixes[i].prefix.Contains(addr) {
			return v.prefixes[i].view
		}
	}
	return External
}

// OfPrefix returns the view of the clients of a whole network: internal only if it lies inside an
// internal prefix that holds no external one within the network. The prefix of length 0, with which a client
// asks not to be told apart (RFC 7871, 7.1.2), counts as one inside none: it is external, whoever sends it
// and whatever is listed.
func (v *Views) OfPrefix(p netip.Prefix) View {
	p = unmapped(p)
	if p.Bits() <= 0 {
		return External
	}
	for _, known := range v.prefixes {
		switch {
		case known.prefix.Bits() <= p.Bits():
			if known.prefix.Contains(p.Addr()) {
				return known.view
			}
		case known.view == External && p.Contains(known.prefix.Addr()):
			return External
		}
	}
	return External
}

// unmapped returns the IPv4 prefix of one that is written as IPv6 (::ffff:192.0.2.0/120), all others as
// they are.
func unmapped(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before the IPv4 address, RFC 4291 2.5.5.2
	if !p.Addr().Is4In6() || p.Bits() < mapped {
		return p
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
}

// inInternal reports whether addr lies in an internal prefix that is no loopback prefix.
func (v *Views) inInternal(addr netip.Addr) bool {
	return !addr.IsLoopback() && v.Of(addr) == Internal
}
