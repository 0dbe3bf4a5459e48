package zones

import (
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

// Views tells the view of a client by the longest prefix that holds its address. It is immutable; the
// zero value calls every client external.
type Views struct {
	byPrefix map[netip.Prefix]View
	bits4    []int // prefix lengths in use, longest first
	bits6    []int
}

// Compile returns the views that p and the on-link prefixes of the moment give. A listed prefix beats
// the same one among those that a word stands for.
func (p Prefixes) Compile(onlink []netip.Prefix) *Views {
	v := &Views{byPrefix: map[netip.Prefix]View{}}
	v.add(Internal, loopback)
	if p.Private {
		v.add(Internal, private)
	}
	if p.Onlink {
		v.add(Internal, onlink)
	}
	v.add(Internal, p.Internal)
	v.add(External, p.External)
	for prefix := range v.byPrefix {
		bits := &v.bits6
		if prefix.Addr().Is4() {
			bits = &v.bits4
		}
		if !slices.Contains(*bits, prefix.Bits()) {
			*bits = append(*bits, prefix.Bits())
		}
	}
	for _, bits := range [][]int{v.bits4, v.bits6} {
		slices.SortFunc(bits, func(a, b int) int { return b - a })
	}
	return v
}

func (v *Views) add(view View, prefixes []netip.Prefix) {
	for _, p := range prefixes {
		v.byPrefix[p.Masked()] = view
	}
}

// Of returns the view of a client at addr. IPv4 in IPv6 counts as IPv4, and zones are ignored.
func (v *Views) Of(addr netip.Addr) View {
	addr = addr.Unmap().WithZone("")
	return v.longest(addr, addr.BitLen())
}

// OfPrefix returns the view of the clients of a whole network: internal only if it lies inside an
// internal prefix that holds no external one within the network. The prefix of length 0 is external
// (RFC 7871, 7.1.2: the client asks not to be told apart).
func (v *Views) OfPrefix(p netip.Prefix) View {
	if p.Bits() <= 0 || v.longest(p.Addr(), p.Bits()) == External {
		return External
	}
	for other, view := range v.byPrefix {
		if view == External && other.Bits() > p.Bits() && p.Contains(other.Addr()) {
			return External
		}
	}
	return Internal
}

// longest looks for the longest prefix of at most limit bits that holds addr.
func (v *Views) longest(addr netip.Addr, limit int) View {
	bits := v.bits6
	if addr.Is4() {
		bits = v.bits4
	}
	for _, n := range bits {
		if n > limit {
			continue
		}
		if p, err := addr.Prefix(n); err == nil {
			if view, ok := v.byPrefix[p]; ok {
				return view
			}
		}
	}
	return External
}

// inInternal reports whether addr lies in an internal prefix that is no loopback prefix.
func (v *Views) inInternal(addr netip.Addr) bool {
	return !addr.IsLoopback() && v.Of(addr) == Internal
}
