package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// dialPatience is how long one address may be silent before the next is tried as well. It is longer than the
// 250 ms of RFC 8305, since nobody waits at a screen, and each connection too many is a load for its server.
const dialPatience = time.Second

// Dial connects to HOST:PORT as [net.Dialer.DialContext] does, at the addresses that [Resolver.Addrs] knows and
// by the resolver's path. The network is tcp, tcp4 or tcp6.
func (r *Resolver) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := r.Addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return !fits(network, a) })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address for %s", host, network)
	}
	return race(ctx, addrs, dialPatience, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return r.opts.Path.Dial(ctx, "tcp", net.JoinHostPort(a.String(), port))
	}, func(late net.Conn) { _ = late.Close() })
}

// fits reports whether an address is of the family that a network such as tcp4 names, if it names one.
func fits(network string, a netip.Addr) bool {
	switch {
	case strings.HasSuffix(network, "4"):
		return zones.IPv4.Has(a)
	case strings.HasSuffix(network, "6"):
		return zones.IPv6.Has(a)
	default:
		return true
	}
}
