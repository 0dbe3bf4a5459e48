// Package certs holds the Caddy modules that certificates come through: DuckDNS's API for DNS-01, and files.
//
// The module dns.providers.plexha_duckdns is a [Provider], tls.get_certificate.plexha_files is a [Manager].
// [ACME.Policy], [Internal] and [Files] make the policies that use them, and those that need neither.
package certs

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

func init() {
	caddy.RegisterModule(new(Provider))
	caddy.RegisterModule(new(Manager))
}

// ACME says how certificates are ordered from a certificate authority.
type ACME struct {
	Email     string
	CA        string   // the directory's URL; empty: Let's Encrypt
	HTTPPort  int      // where our plain listener is reached as port 80 from outside; 0: 80
	HTTPSPort int      // where our TLS listener is reached as port 443 from outside; 0: 443
	Host      string   // where both listen; empty: at all addresses
	NoHTTP    bool     // there is no plain listener: not by HTTP-01
	NoHTTPS   bool     // none of TLS can be reached as port 443: not by TLS-ALPN-01
	DNS       *DuckDNS // by DNS-01; nil: by HTTP-01 and TLS-ALPN-01
}

// DuckDNS says through which account the challenges are answered.
type DuckDNS struct {
	Domain      string // the account's domain, without .duckdns.org: what [Account] returns
	Token       string // exactly one of Token, TokenFile and Credential is set
	TokenFile   string
	Credential  string           // the name of a file in $CREDENTIALS_DIRECTORY
	Resolvers   []netip.AddrPort // that find DuckDNS's name servers; nil: public ones
	NameServers []netip.AddrPort // asked instead of those that are found
	Hold        caddy.Duration   // 0: a minute; see [Provider]
}

// Policy returns the policy that orders a certificate for each of the subjects, once they are automated.
func (a ACME) Policy(subjects []string) *caddytls.AutomationPolicy {
	issuer := caddytls.ACMEIssuer{CA: a.CA, Email: a.Email, Challenges: a.challenges()}
	return &caddytls.AutomationPolicy{SubjectsRaw: subjects, IssuersRaw: modules(issuer, "module", "acme")}
}

func (a ACME) challenges() *caddytls.ChallengesConfig {
	if a.DNS == nil {
		return &caddytls.ChallengesConfig{
			HTTP:     &caddytls.HTTPChallengeConfig{Disabled: a.NoHTTP, AlternatePort: alternate(a.HTTPPort, 80)},
			TLSALPN:  &caddytls.TLSALPNChallengeConfig{Disabled: a.NoHTTPS, AlternatePort: alternate(a.HTTPSPort, 443)},
			BindHost: a.Host,
		}
	}
	return &caddytls.ChallengesConfig{
		HTTP:    &caddytls.HTTPChallengeConfig{Disabled: true},
		TLSALPN: &caddytls.TLSALPNChallengeConfig{Disabled: true},
		DNS:     a.DNS.challenge(),
	}
}

// challenge returns the configuration of CertMagic's solver. It asks the resolvers where the zone begins, for
// which the overriding domain gives it the shortest way, and does not look for the record: the provider has
// seen it at DuckDNS's own name servers.
func (d *DuckDNS) challenge() *caddytls.DNSChallengeConfig {
	return &caddytls.DNSChallengeConfig{
		ProviderRaw:        caddyconfig.JSONModuleObject(d.provider(), "name", providerName, nil),
		Resolvers:          texts(d.resolvers()),
		OverrideDomain:     d.Domain + duckDNS,
		PropagationTimeout: -1,
	}
}

func (d *DuckDNS) resolvers() []netip.AddrPort {
	if len(d.Resolvers) > 0 {
		return d.Resolvers
	}
	return publicResolvers()
}

// publicResolvers are asked where the zone begins, by their addresses: the system's resolver may be ourselves.
func publicResolvers() []netip.AddrPort {
	return []netip.AddrPort{
		netip.MustParseAddrPort("1.1.1.1:53"), // Cloudflare
		netip.MustParseAddrPort("9.9.9.9:53"), // Quad9
		netip.MustParseAddrPort("8.8.8.8:53"), // Google
	}
}

// provider returns the configuration of a [Provider], whose own type would hide the token.
func (d *DuckDNS) provider() any {
	return struct {
		Domain      string           `json:"domain"`
		Token       string           `json:"token,omitempty"`
		TokenFile   string           `json:"token_file,omitempty"`
		Credential  string           `json:"credential,omitempty"`
		Resolvers   []netip.AddrPort `json:"resolvers,omitempty"`
		NameServers []netip.AddrPort `json:"nameservers,omitempty"`
		Hold        caddy.Duration   `json:"hold,omitempty"`
	}{d.Domain, d.Token, d.TokenFile, d.Credential, d.Resolvers, d.NameServers, d.Hold}
}

// Account returns the account's domain that holds the challenges of a zone: the label before .duckdns.org if
// the zone lies there, else name, to which the zone's _acme-challenge must lead by a CNAME record.
func Account(zone, name string) string {
	zone = strings.ToLower(strings.TrimSuffix(zone, "."))
	below, ok := strings.CutSuffix(zone, duckDNS)
	if !ok || below == "" {
		return name
	}
	return below[strings.LastIndexByte(below, '.')+1:]
}

// Wildcard returns the subjects that cover a whole zone: all names right below it, and its apex.
func Wildcard(zone string) []string {
	zone = strings.TrimSuffix(zone, ".")
	return []string{"*." + zone, zone}
}

// Internal returns the policy that signs for the subjects with Caddy's own authority, once they are automated.
func Internal(subjects []string) *caddytls.AutomationPolicy {
	return &caddytls.AutomationPolicy{
		SubjectsRaw: subjects,
		IssuersRaw:  modules(caddytls.InternalIssuer{}, "module", "internal"),
	}
}

// Files returns the policy that serves the subjects with the certificate and key of two files. They must not
// be automated: a handshake asks.
func Files(subjects []string, certificate, key string) *caddytls.AutomationPolicy {
	manager := struct {
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}{certificate, key}
	return &caddytls.AutomationPolicy{SubjectsRaw: subjects, ManagersRaw: modules(manager, "via", managerName)}
}

// modules returns the list of one module.
func modules(config any, key, name string) []json.RawMessage {
	return []json.RawMessage{caddyconfig.JSONModuleObject(config, key, name, nil)}
}

// alternate returns port as Caddy wants it: 0 if it is the standard one.
func alternate(port, standard int) int {
	if port == standard {
		return 0
	}
	return port
}

func texts(addrs []netip.AddrPort) []string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}
