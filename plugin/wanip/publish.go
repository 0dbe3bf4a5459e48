package wanip

import (
	"fmt"
	"net/netip"
	"slices"

	"plexha/corefile"
	"plexha/zones"
)

// offer is what is known of an uplink when its addresses are put together.
type offer struct {
	uplink corefile.UplinkDetect
	given  []netip.Addr // in the Corefile
	ipv4   netip.Addr   // detected; the zero Addr: none
	ipv6   netip.Addr   // detected: this host's own
	proxy  bool         // this host is a proxy
}

// publish returns the addresses that clients outside are to be led to by an uplink, and why the IPv6 address
// that was detected is of no use for that. IPv4 leads to the router, which forwards it. An IPv6 address leads
// to one host: it is published only if that is a proxy.
func (o offer) publish() (addrs []netip.Addr, noIPv6 string) {
	addrs = slices.Clone(o.given)
	if o.ipv4.IsValid() {
		addrs = append(addrs, o.ipv4)
	}
	switch {
	case !o.ipv6.IsValid() || o.uplink.NoIPv6:
	case o.uplink.Suffix.IsValid():
		addrs = append(addrs, join(o.ipv6, o.uplink.Suffix, o.uplink.Bits))
	case o.proxy:
		addrs = append(addrs, o.ipv6)
	default:
		noIPv6 = fmt.Sprintf("no IPv6 address is published: %s leads to this host, and no `proxy` address is this host's: "+
			"write `uplink %s auto ipv6` with a proxy's address, with its lower half as ::SUFFIX, or with off", o.ipv6, o.uplink.Name)
	}
	return addrs, noIPv6
}

// join returns the address with the first bits of one and the others of another.
func join(first, rest netip.Addr, bits int) netip.Addr {
	a, b := first.As16(), rest.As16()
	for i := range a {
		mask := byte(0xff) << (8 - min(max(bits-8*i, 0), 8))
		a[i] = a[i]&mask | b[i]&^mask
	}
	return netip.AddrFrom16(a)
}

// isProxy reports whether one of the proxies' addresses is this host's.
func isProxy(snap *zones.Snapshot, proxies []zones.Proxy) bool {
	for _, p := range proxies {
		for _, at := range p.Addrs {
			if at.Addr().IsLoopback() || slices.Contains(snap.HostAddrs, at.Addr()) {
				return true
			}
		}
	}
	return false
}
