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

	"plexha/plugin/resolve"
	"plexha/plugin/via"
)

const (
	lookEvery   = 2 * time.Second // between looks at the name servers, as CertMagic does
	lookTimeout = 3 * time.Second // of the question to one server, over UDP and TCP
	// blindFor is how long we wait for a record that we have no way to look for: as long as lego gives
	// DuckDNS.
	blindFor = time.Minute
)

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
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("no answer within %s", lookTimeout))
	defer cancel()
	r, err := resolve.Exchange(ctx, via.Path{}, q, server)
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
	found, err := p.resolver.NameServers(ctx, duckDNS[1:])
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, s := range found {
		servers = append(servers, s.Addr)
	}
	return servers, nil
}

// newResolver returns what finds DuckDNS's name servers: the public resolvers over TLS, or those that are given,
// over UDP and TCP.
func newResolver(given []netip.AddrPort) *resolve.Resolver {
	if len(given) == 0 {
		return resolve.New(via.Path{})
	}
	var servers []resolve.Server
	for _, at := range given {
		servers = append(servers, resolve.Server{Plain: at})
	}
	return resolve.With(resolve.Options{Servers: servers})
}
