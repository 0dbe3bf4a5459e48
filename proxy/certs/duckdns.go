package certs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"go.uber.org/zap"

	"plexha/plugin/resolve"
)

const (
	providerName = "plexha_duckdns"
	// duckDNS ends the names of all accounts.
	duckDNS = ".duckdns.org"
)

// Provider answers ACME's DNS-01 challenges through DuckDNS. It is the module dns.providers.plexha_duckdns.
//
// DuckDNS keeps one TXT record for each of its domains, shared by all names below: the challenge of *.DOMAIN
// and that of DOMAIN would overwrite each other. So an order has a lock in Caddy's storage from the moment
// its record is set until it is cleared and forgotten, and all others of that domain wait, be they of this
// process or of another one that shares the storage.
//
// AppendRecords returns when DuckDNS's own name servers show the record: CertMagic's check of it must be off,
// for it would go to resolvers, which may be ourselves, and which remember the record of the order before.
type Provider struct {
	// Domain is the account's domain, without .duckdns.org. The names of the records are of no account.
	Domain string `json:"domain"`

	// Token is the account's. It stands in the configuration, so TokenFile is the better way.
	Token secret `json:"token,omitempty"`

	// TokenFile holds the token. It is read at each use.
	TokenFile string `json:"token_file,omitempty"`

	// Credential is the name of a file in $CREDENTIALS_DIRECTORY that holds the token. It is read at each use.
	Credential string `json:"credential,omitempty"`

	// Resolvers are asked for DuckDNS's name servers, over UDP and TCP. Default: Cloudflare's, Quad9's and
	// Google's, over TLS.
	Resolvers []netip.AddrPort `json:"resolvers,omitempty"`

	// NameServers are asked for the record, instead of those that the resolvers tell.
	NameServers []netip.AddrPort `json:"nameservers,omitempty"`

	// Timeout bounds one call of DuckDNS's API. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// PropagationTimeout bounds how long a record may take to show at the name servers. Default: 5m.
	PropagationTimeout caddy.Duration `json:"propagation_timeout,omitempty"`

	// Hold is how long the lock is kept after a record was cleared: the certificate authority's resolvers may
	// remember a record for its TTL, which is a minute. Default: 1m.
	Hold caddy.Duration `json:"hold,omitempty"`

	storage  certmagic.Storage
	logger   *zap.Logger
	resolver *resolve.Resolver // finds DuckDNS's name servers

	mu    sync.Mutex
	turns map[string]*turn // by the record's text: those whose record is set
}

// CaddyModule implements [caddy.Module].
func (*Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers." + providerName, New: func() caddy.Module { return new(Provider) }}
}

// Provision implements [caddy.Provisioner].
func (p *Provider) Provision(ctx caddy.Context) error {
	p.storage, p.logger = ctx.Storage(), ctx.Logger()
	p.turns = map[string]*turn{}
	p.Timeout = orElse(p.Timeout, 10*time.Second)
	p.PropagationTimeout = orElse(p.PropagationTimeout, 5*time.Minute)
	p.Hold = orElse(p.Hold, time.Minute)
	p.resolver = newResolver(p.Resolvers)
	return nil
}

func orElse(d caddy.Duration, otherwise time.Duration) caddy.Duration {
	if d == 0 {
		return caddy.Duration(otherwise)
	}
	return d
}

var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Validate implements [caddy.Validator]. A token file is not read yet: it may come later than we do.
func (p *Provider) Validate() error {
	if !label.MatchString(p.Domain) {
		return fmt.Errorf("domain %q: want the one label before %s", p.Domain, duckDNS)
	}
	return p.checkToken()
}

// String implements [fmt.Stringer].
func (p *Provider) String() string { return "DuckDNS's " + p.Domain }

// AppendRecords sets the TXT record of a challenge, the only one that it may be given, and returns it when
// DuckDNS's name servers show it. Other orders of the same domain wait from then on until DeleteRecords.
func (p *Provider) AppendRecords(ctx context.Context, _ string, records []libdns.Record) ([]libdns.Record, error) {
	text, err := challengeText(records)
	if err != nil {
		return nil, err
	}
	t, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.set(ctx, text); err != nil {
		t.end(0)
		return nil, err
	}
	if err := p.untilShown(ctx, text); err != nil {
		// The caller will not ask for it: it has no record. Its context may have ended.
		cleared := p.clear(context.WithoutCancel(ctx), text)
		t.end(time.Duration(p.Hold))
		return nil, errors.Join(err, cleared)
	}
	p.keep(text, t)
	return records, nil
}

// DeleteRecords clears what AppendRecords has set. A record that this provider did not set, or has given up,
// is left alone: what DuckDNS holds now is another order's.
func (p *Provider) DeleteRecords(ctx context.Context, _ string, records []libdns.Record) ([]libdns.Record, error) {
	text, err := challengeText(records)
	if err != nil {
		return nil, err
	}
	t := p.forget(text)
	if t == nil {
		return records, nil
	}
	defer t.end(time.Duration(p.Hold))
	if err := p.clear(ctx, text); err != nil {
		return nil, err
	}
	return records, nil
}

// challengeText returns the text of the one TXT record that there must be.
func challengeText(records []libdns.Record) (string, error) {
	if len(records) != 1 {
		return "", fmt.Errorf("%d records at once: DuckDNS holds one", len(records))
	}
	rr := records[0].RR()
	if rr.Type != "TXT" || rr.Data == "" {
		return "", fmt.Errorf("a record of type %s: a challenge is a TXT record with a text", rr.Type)
	}
	return rr.Data, nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Provider)(nil)
	_ caddy.Validator       = (*Provider)(nil)
	_ certmagic.DNSProvider = (*Provider)(nil)
)
