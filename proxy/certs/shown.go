package certs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"
)

const (
	lookEvery   = 2 * time.Second // between looks at the name servers, as CertMagic does
	lookTimeout = 3 * time.Second // of one question; the servers are in Canada
	// blindFor is how long we wait for a record that we have no way to look for: as long as lego gives
	// DuckDNS.
	blindFor = time.Minute
)

// publicResolvers are asked where DuckDNS's name servers are, by their addresses: the system's resolver may
// be ourselves.
func publicResolvers() []netip.AddrPort {
	return []netip.AddrPort{
		netip.MustParseAddrPort("1.1.1.1:53"), // Cloudflare
		netip.MustParseAddrPort("9.9.9.9:53"), // Quad9
		netip.MustParseAddrPort("8.8.8.8:53"), // Google
	}
}

// sighting is what one look at the name servers has shown.
type sighting struct {
	shown   []netip.AddrPort // have the record
	without []netip.AddrPort // have not
	blind   error            // why another one said nothing, or none was found; nil: all did
}

// untilShown waits until all of DuckDNS's name servers that can be asked show the text.
func (p *Provider) untilShown(ctx context.Context, text string) error {
	var servers []netip.AddrPort // found once
	seen, err := awaitRecord(ctx, time.Duration(p.PropagationTimeout), func(ctx context.Context) sighting {
		if len(servers) == 0 {
			var err error
			if servers, err = p.nameServers(ctx); err != nil {
				return sighting{blind: err}
			}
		}
		return p.look(ctx, servers, text)
	})
	if err != nil {
		return fmt.Errorf("waiting for the TXT record of %s%s: %w", p.Domain, duckDNS, err)
	}
	if len(seen.shown) == 0 {
		p.logger.Warn("could not look for the TXT record at DuckDNS's name servers: going on without",
			zap.String("domain", p.Domain), zap.Error(seen.blind))
	}
	return nil
}

// awaitRecord looks until a look shows the record nowhere missing, and returns that look. After blindFor it
// is content with one that shows nothing at all: that the servers cannot be asked from here says nothing
// about what the certificate authority will see.
func awaitRecord(ctx context.Context, timeout time.Duration, look func(context.Context) sighting) (sighting, error) {
	start := time.Now()
	for {
		seen := look(ctx)
		lasted := time.Since(start)
		switch {
		case ctx.Err() != nil:
			return seen, context.Cause(ctx)
		case len(seen.without) == 0 && (len(seen.shown) > 0 || lasted >= blindFor):
			return seen, nil
		case lasted >= timeout && len(seen.without) > 0:
			return seen, fmt.Errorf("DuckDNS took it, and its name servers %v do not show it after %s", seen.without, timeout)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

// look asks all name servers at once.
func (p *Provider) look(ctx context.Context, servers []netip.AddrPort, text string) sighting {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		seen sighting
	)
	for _, server := range servers {
		wg.Go(func() {
			texts, err := authoritativeTXT(ctx, p.challengeName(), server)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				seen.blind = fmt.Errorf("asking %s: %w", server, err)
			case len(texts) == 1 && texts[0] == text:
				seen.shown = append(seen.shown, server)
			default:
				seen.without = append(seen.without, server)
			}
		})
	}
	wg.Wait()
	return seen
}

// challengeName is where the record shows; DuckDNS has the same at all other names of the domain.
func (p *Provider) challengeName() string { return dns.Fqdn("_acme-challenge." + p.Domain + duckDNS) }

var errNotAuthoritative = errors.New("it does not answer as a name server of DuckDNS: is port 53 redirected?")

// authoritativeTXT asks a name server for the texts of a name.
func authoritativeTXT(ctx context.Context, name string, server netip.AddrPort) ([]string, error) {
	q := new(dns.Msg).SetQuestion(name, dns.TypeTXT)
	q.RecursionDesired = false
	r, err := exchange(ctx, q, server)
	switch {
	case err != nil:
		return nil, err
	case r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("it answers %s", dns.RcodeToString[r.Rcode])
	case !r.Authoritative:
		return nil, errNotAuthoritative
	}
	var texts []string
	for _, rr := range r.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			texts = append(texts, strings.Join(txt.Txt, ""))
		}
	}
	return texts, nil
}

// nameServers returns where DuckDNS's name servers are.
func (p *Provider) nameServers(ctx context.Context) ([]netip.AddrPort, error) {
	if len(p.NameServers) > 0 {
		return p.NameServers, nil
	}
	var errs []error
	for _, resolver := range p.Resolvers {
		servers, err := serversOf(ctx, dns.Fqdn(duckDNS[1:]), resolver)
		if err == nil {
			return servers, nil
		}
		errs = append(errs, fmt.Errorf("asking %s for DuckDNS's name servers: %w", resolver, err))
	}
	return nil, errors.Join(errs...)
}

// serversOf asks a resolver for the addresses of a zone's name servers.
func serversOf(ctx context.Context, zone string, resolver netip.AddrPort) ([]netip.AddrPort, error) {
	ns, err := records[*dns.NS](ctx, zone, dns.TypeNS, resolver)
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, rr := range ns {
		as, err := records[*dns.A](ctx, rr.Ns, dns.TypeA, resolver)
		if err != nil {
			return nil, err
		}
		for _, a := range as {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				servers = append(servers, netip.AddrPortFrom(addr.Unmap(), 53))
			}
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("it knows none")
	}
	return servers, nil
}

// records asks a resolver for the records of a name.
func records[R dns.RR](ctx context.Context, name string, qtype uint16, resolver netip.AddrPort) ([]R, error) {
	r, err := exchange(ctx, new(dns.Msg).SetQuestion(name, qtype), resolver)
	if err != nil {
		return nil, err
	}
	if r.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("it answers %s for %s", dns.RcodeToString[r.Rcode], name)
	}
	var out []R
	for _, rr := range r.Answer {
		if rr, ok := rr.(R); ok {
			out = append(out, rr)
		}
	}
	return out, nil
}

// exchange asks a question over UDP, and over TCP if there is no answer or only a part of it.
func exchange(ctx context.Context, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	r, _, err := (&dns.Client{Net: "udp", Timeout: lookTimeout}).ExchangeContext(ctx, q, server.String())
	if ctx.Err() == nil && (err != nil || r.Truncated) {
		r, _, err = (&dns.Client{Net: "tcp", Timeout: lookTimeout}).ExchangeContext(ctx, q, server.String())
	}
	return r, err
}
