package wanip

import (
	"fmt"
	"net/netip"
	"slices"

	"plexha/zones"
)

// Special is a row of a [Table]: addresses that cannot be an uplink's external address.
type Special struct {
	Prefix netip.Prefix
	Name   string // what such an address is, to follow the word "is"; empty: an address like any other
	RFC    string // where that is said
}

// Table tells addresses that packets from anywhere reach from those that they do not. The longest prefix that
// holds an address decides; without any it is an address like any other.
type Table []Special

// IANA holds the special-purpose address registries of both families (RFC 6890 and those that have added to it,
// https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry), the multicast
// addresses, and what of IPv6 is not handed out.
//
// The registries mark a few blocks as globally reachable that are refused all the same: anycast addresses
// (192.0.0.9, 192.0.0.10, 192.31.196.0/24, 192.52.193.0/24, 192.175.48.0/24, 2001:1::/32, 2001:3::/32,
// 2001:4:112::/48, 2620:4f:8000::/48) and identifiers (2001:20::/28, 2001:30::/28) belong to no one's uplink.
var IANA = Table{
	row("0.0.0.0/8", "an address of this network", "RFC 791"),
	row("0.0.0.0/32", "no address", "RFC 1122"),
	row("10.0.0.0/8", "a private address", "RFC 1918"),
	row("100.64.0.0/10", "shared between customers: carrier-grade NAT", "RFC 6598"),
	row("127.0.0.0/8", "a loopback address", "RFC 1122"),
	row("169.254.0.0/16", "a link-local address", "RFC 3927"),
	row("172.16.0.0/12", "a private address", "RFC 1918"),
	row("192.0.0.0/24", "kept for protocols", "RFC 6890"),
	row("192.0.0.0/29", "shared between customers: DS-Lite", "RFC 7335"),
	row("192.0.2.0/24", "an address for documentation", "RFC 5737"),
	row("192.31.196.0/24", "an anycast address of AS112", "RFC 7535"),
	row("192.52.193.0/24", "an anycast address of AMT", "RFC 7450"),
	row("192.88.99.0/24", "an anycast address of 6to4 relays", "RFC 7526"),
	row("192.168.0.0/16", "a private address", "RFC 1918"),
	row("192.175.48.0/24", "an anycast address of AS112", "RFC 7534"),
	row("198.18.0.0/15", "an address for benchmarks", "RFC 2544"),
	row("198.51.100.0/24", "an address for documentation", "RFC 5737"),
	row("203.0.113.0/24", "an address for documentation", "RFC 5737"),
	row("224.0.0.0/4", "a multicast address", "RFC 5771"),
	row("240.0.0.0/4", "reserved", "RFC 1112"),
	row("255.255.255.255/32", "the broadcast address", "RFC 919"),

	row("::/0", "outside the global unicast addresses, 2000::/3", "RFC 4291"),
	row("::/128", "no address", "RFC 4291"),
	row("::1/128", "a loopback address", "RFC 4291"),
	row("64:ff9b::/96", "an IPv4 address as NAT64 writes it", "RFC 6052"),
	row("64:ff9b:1::/48", "an IPv4 address as a local NAT64 writes it", "RFC 8215"),
	row("100::/64", "an address whose packets are discarded", "RFC 6666"),
	row("100:0:0:1::/64", "a dummy address", "RFC 9780"),
	row("2000::/3", "", "RFC 4291"),
	row("2001::/23", "kept for protocols", "RFC 2928"),
	row("2001::/32", "a Teredo address", "RFC 4380"),
	row("2001:1::/32", "an anycast address", "RFC 7723"),
	row("2001:2::/48", "an address for benchmarks", "RFC 5180"),
	row("2001:3::/32", "an anycast address of AMT", "RFC 7450"),
	row("2001:4:112::/48", "an anycast address of AS112", "RFC 7535"),
	row("2001:10::/28", "an identifier (ORCHID)", "RFC 4843"),
	row("2001:20::/28", "an identifier (ORCHIDv2)", "RFC 7343"),
	row("2001:30::/28", "an identifier of a drone", "RFC 9374"),
	row("2001:db8::/32", "an address for documentation", "RFC 3849"),
	row("2002::/16", "a 6to4 address", "RFC 3056"),
	row("2620:4f:8000::/48", "an anycast address of AS112", "RFC 7534"),
	row("3fff::/20", "an address for documentation", "RFC 9637"),
	row("5f00::/16", "an identifier of a segment (SRv6)", "RFC 9602"),
	row("fc00::/7", "a unique local address", "RFC 4193"),
	row("fe80::/10", "a link-local address", "RFC 4291"),
	row("fec0::/10", "a site-local address", "RFC 3879"),
	row("ff00::/8", "a multicast address", "RFC 4291"),
}

func row(prefix, name, rfc string) Special {
	return Special{netip.MustParsePrefix(prefix), name, rfc}
}

// Refuse says why an address cannot be an external one, such as "10.0.0.1 is a private address (RFC 1918)". It
// is empty for one that can be, as those in allow always can.
func (t Table) Refuse(a netip.Addr, allow []netip.Prefix) (reason string) {
	if !a.IsValid() {
		return "it is no address"
	}
	if a.Zone() != "" {
		return fmt.Sprintf("%v has a zone: it is known on one link only", a)
	}
	a = a.Unmap()
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return ""
	}
	if s := t.find(a); s.Name != "" {
		return fmt.Sprintf("%v is %s (%s)", a, s.Name, s.RFC)
	}
	return ""
}

// find returns the row with the longest prefix that holds an address, the zero Special without any.
func (t Table) find(a netip.Addr) (found Special) {
	longest := -1
	for _, s := range t {
		if s.Prefix.Bits() > longest && s.Prefix.Contains(a) {
			found, longest = s, s.Prefix.Bits()
		}
	}
	return found
}

// cgnat are the addresses that Internet providers give to customers who share an external one.
var cgnat = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), // RFC 6598
	netip.MustParsePrefix("192.0.0.0/29"),  // DS-Lite's, RFC 7335
}

// IsCGNAT reports whether an address is one that Internet providers give to customers who share an external
// one: nobody outside can connect to it.
func IsCGNAT(a netip.Addr) bool {
	a = a.Unmap()
	return zones.IPv4.Has(a) && slices.ContainsFunc(cgnat, func(p netip.Prefix) bool { return p.Contains(a) })
}
