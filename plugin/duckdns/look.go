package duckdns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/resolve"
	"plexha/plugin/via"
	"plexha/zones"
)

const (
	duckDNS = "duckdns.org." // the zone of all domains
	// lookTimeout bounds the question to one name server, over UDP and TCP. The servers are in America, and a
	// lost packet must leave TCP time for its two round trips.
	lookTimeout = 3 * time.Second
)

// lookout asks DuckDNS's name servers, without recursion: what they show is what the world will see.
type lookout struct {
	name     string           // fully qualified
	at       []netip.AddrPort // asked instead of the zone's own; nil: those
	resolver *resolve.Resolver
}

// NewVerifier returns the verifier of a domain's record. The resolver finds DuckDNS's name servers, and all
// questions leave by its path; nil stands for a plain [resolve.New].
func NewVerifier(cfg *corefile.DuckDNS, r *resolve.Resolver) Verifier {
	if r == nil {
		r = resolve.New(via.Path{})
	}
	return &lookout{name: cfg.Name + "." + duckDNS, at: cfg.VerifyAt, resolver: r}
}

// Look implements [Verifier].
func (l *lookout) Look(ctx context.Context, f zones.Family) ([]Shown, error) {
	servers, err := l.servers(ctx)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	shown := make([]Shown, len(servers))
	for i, server := range servers {
		wg.Go(func() {
			addrs, err := l.ask(ctx, server.Addr, f)
			shown[i] = Shown{server, addrs, err}
		})
	}
	wg.Wait()
	return shown, nil
}

func (l *lookout) servers(ctx context.Context) ([]resolve.NameServer, error) {
	if len(l.at) == 0 {
		return l.resolver.NameServers(ctx, duckDNS)
	}
	var given []resolve.NameServer
	for _, at := range l.at {
		given = append(given, resolve.NameServer{Name: at.Addr().String(), Addr: at})
	}
	return given, nil
}

// ask returns the addresses that one name server shows, in their order.
func (l *lookout) ask(ctx context.Context, server netip.AddrPort, f zones.Family) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, timeoutError(lookTimeout))
	defer cancel()
	q := new(dns.Msg).SetQuestion(l.name, qtypeOf(f))
	q.RecursionDesired = false
	r, err := l.resolver.Exchange(ctx, q, server)
	switch {
	case err != nil:
		return nil, err
	case r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("it answers %s", dns.RcodeToString[r.Rcode])
	case !r.Authoritative:
		return nil, fmt.Errorf("%w: is port 53 redirected?", ErrNotAuthoritative)
	}
	return addrsIn(r.Answer, l.name, f), nil
}

// addrsIn returns the addresses of one family among a name's records.
func addrsIn(records []dns.RR, name string, f zones.Family) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range records {
		var a netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			a, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			a, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if a = a.Unmap(); f.Has(a) && strings.EqualFold(rr.Header().Name, name) {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

func qtypeOf(f zones.Family) uint16 {
	if f == zones.IPv6 {
		return dns.TypeAAAA
	}
	return dns.TypeA
}
