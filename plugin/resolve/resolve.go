// Package resolve looks names up at public resolvers, which it knows by their addresses and asks over TLS.
//
// The machine that plexdns runs on is often its own resolver, and its answers about our zones are the inside's:
// what DuckDNS tells the world must be asked elsewhere.
package resolve

import (
	"context"
	"net/netip"

	"plexha/plugin/via"
)

// Resolver looks names up. It may be used by several goroutines.
type Resolver struct{}

// New returns a resolver that goes out by a path.
func New(path via.Path) *Resolver { return &Resolver{} }

// Addrs returns the addresses of a host, IPv4 first.
func (r *Resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) { return nil, nil }

// NameServer is one of a zone's.
type NameServer struct {
	Name string
	Addr netip.AddrPort
}

// NameServers returns the name servers of a zone, one entry for each of their addresses.
func (r *Resolver) NameServers(ctx context.Context, zone string) ([]NameServer, error) {
	return nil, nil
}
