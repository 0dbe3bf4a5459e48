package wanip

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"plexha/corefile"
	"plexha/plugin/resolve"
	"plexha/plugin/via"
	"plexha/zones"
)

// What a source may say instead of an address.
var (
	// ErrNothing is no fault of the source: it, or this host, has nothing of that family.
	ErrNothing = errors.New("nothing to tell of this family")
	// ErrRedirected is an answer that the server that was asked never gives: somebody on the way takes what is
	// sent to port 53 for himself.
	ErrRedirected = errors.New("somebody else answers for it: port 53 is redirected")
)

// SourceOptions are what sources need besides the Corefile.
type SourceOptions struct {
	Version string         // of this program; HTTP servers are told
	Roots   *x509.CertPool // that servers' certificates come from; nil: the system's
	// Resolve looks up the host of an `https` or `stun` line; nil: as package resolve does, never by this host's
	// own resolver, which may be us.
	Resolve func(ctx context.Context, path via.Path, host string) ([]netip.Addr, error)
}

// Sources returns what the `detect` lines name, in their order. An echo's Ask ends with its context, after 5 s at
// the latest, and leaves no connection open.
func Sources(cfg *corefile.Config, o SourceOptions) []Source {
	if o.Resolve == nil {
		o.Resolve = (&resolvers{roots: o.Roots, of: map[string]*resolve.Resolver{}}).addrs
	}
	var out []Source
	for _, s := range cfg.Detect {
		switch s.Kind {
		case "interface":
			out = append(out, interfaceSource(s.Args[0]))
		case "router":
			out = append(out, routerSources(s)...)
		case "command":
			out = append(out, commandSource(s))
		case "file":
			out = append(out, fileSource(s))
		case "https":
			out = append(out, echoSource(s, newHTTPEcho(s, o).ask))
		case "stun":
			out = append(out, echoSource(s, newSTUN(s, o).ask))
		default:
			out = append(out, echoSource(s, newDNSEcho(s, o).ask))
		}
	}
	return out
}

func echoSource(s corefile.Source, ask askFunc) Source {
	return Source{
		Name: s.String(), Operator: s.Operator(), Nature: Echo, Secure: s.Secure(),
		Ask: func(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
			ctx, cancel := context.WithTimeoutCause(ctx, maxAsk, errSilent)
			defer cancel()
			return ask(ctx, path, f)
		},
	}
}

// resolvers keep what they have learned for the next round.
type resolvers struct {
	roots *x509.CertPool

	mu sync.Mutex
	of map[string]*resolve.Resolver // by interface
}

// addrs looks a host up. The system's resolver may be asked in the end: the host is none of ours.
func (r *resolvers) addrs(ctx context.Context, path via.Path, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	resolver := r.of[path.Interface]
	if resolver == nil {
		resolver = resolve.With(resolve.Options{
			Roots: r.roots, Path: via.Path{Interface: path.Interface}, System: true,
		})
		r.of[path.Interface] = resolver
	}
	r.mu.Unlock()
	return resolver.Addrs(ctx, host)
}

// ServersOf returns the addresses of the servers that are known for the operators, and of those that the
// Corefile names: nobody's packets come from there, so that an echo of one is a mistake or a lie.
func ServersOf(cfg *corefile.Config) []netip.Addr {
	var out []netip.Addr
	for _, op := range operators {
		for _, servers := range op.servers {
			out = append(out, servers.addrs...)
		}
	}
	for _, s := range cfg.Detect {
		for _, at := range s.At {
			out = append(out, at.Addr())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}
