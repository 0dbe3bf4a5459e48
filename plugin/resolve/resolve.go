// Package resolve looks names up at public resolvers, which it knows by their addresses and asks over TLS.
//
// The machine that plexdns runs on is often its own resolver, and its answers about our zones are the inside's:
// what DuckDNS tells the world must be asked elsewhere.
package resolve

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/via"
)

// lookupTimeout bounds one look-up, with all its steps and servers. A caller's deadline that ends sooner holds.
const lookupTimeout = 10 * time.Second

// Options say how names are looked up. The zero value is right outside tests.
type Options struct {
	Servers []Server       // in order of preference; nil: those of [Public]
	Roots   *x509.CertPool // vouch for the servers; nil: the system's
	Path    via.Path       // all questions and connections leave by it
	// System lets Addrs ask the system's resolver when no server answers, for a network that lets nothing else
	// out. It is for hosts of which its answer is as good as any, since TLS proves who is there.
	System bool
}

// Resolver looks names up. It may be used by several goroutines.
//
// The servers are asked over TLS; if none of them answers, since some networks let no port 853 out, the same
// ones are asked on port 53. An answer holds for its TTL, but at least 30 s and at most 1 h, and longer while
// nobody gives another one.
type Resolver struct {
	opts  Options
	hosts cache[netip.Addr]
	zones cache[NameServer]
}

// New returns a resolver that goes out by a path.
func New(path via.Path) *Resolver { return With(Options{Path: path}) }

// With returns a resolver that works as the options say.
func With(o Options) *Resolver {
	if o.Servers == nil {
		o.Servers = Public()
	}
	return &Resolver{opts: o}
}

// Addrs returns the addresses of a host, IPv4 first. Those of an address are itself.
func (r *Resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	name := dns.CanonicalName(host)
	steps := steps(r, func(ctx context.Context, ask asker) (answer[netip.Addr], error) {
		return addrsOf(ctx, ask, name)
	})
	if r.opts.System {
		steps = append(steps, func(ctx context.Context) (answer[netip.Addr], error) { return systemAddrs(ctx, host) })
	}
	return r.hosts.get(name, func() (answer[netip.Addr], error) { return run(ctx, "looking up "+host, steps) })
}

// NameServer is one of a zone's.
type NameServer struct {
	Name string // fully qualified, lower-case
	Addr netip.AddrPort
}

// NameServers returns the name servers of a zone, one entry for each of their addresses, by name and IPv4
// first. The system's resolver is never asked for them.
func (r *Resolver) NameServers(ctx context.Context, zone string) ([]NameServer, error) {
	name := dns.CanonicalName(zone)
	steps := steps(r, func(ctx context.Context, ask asker) (answer[NameServer], error) {
		return nameServersOf(ctx, ask, name)
	})
	return r.zones.get(name, func() (answer[NameServer], error) {
		return run(ctx, "looking for the name servers of "+bare(name), steps)
	})
}

// Exchange is [Exchange] by the resolver's own path.
func (r *Resolver) Exchange(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	return Exchange(ctx, r.opts.Path, q, server)
}
