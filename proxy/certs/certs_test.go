package certs_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/google/go-cmp/cmp"

	"plexha/proxy/certs"
)

func TestPolicies(t *testing.T) {
	apex := []string{"home.duckdns.org"}
	tests := []struct {
		name   string
		policy *caddytls.AutomationPolicy
		want   string
	}{
		{
			"acme", certs.ACME{Email: "mail@example.com", HTTPPort: 80, HTTPSPort: 443}.Policy(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme","email":"mail@example.com",` +
				`"challenges":{"http":{},"tls-alpn":{}}}]}`,
		},
		{
			"acme of another authority, behind a router",
			certs.ACME{Email: "mail@example.com", CA: "https://ca.example/dir", HTTPPort: 8080, HTTPSPort: 8443}.Policy(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme","ca":"https://ca.example/dir","email":"mail@example.com",` +
				`"challenges":{"http":{"alternate_port":8080},"tls-alpn":{"alternate_port":8443}}}]}`,
		},
		{
			"acme without a plain listener",
			certs.ACME{Host: "192.0.2.1", NoHTTP: true}.Policy(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme",` +
				`"challenges":{"http":{"disabled":true},"tls-alpn":{},"bind_host":"192.0.2.1"}}]}`,
		},
		{
			"acme without TLS at port 443",
			certs.ACME{NoHTTPS: true}.Policy(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme","challenges":{"http":{},"tls-alpn":{"disabled":true}}}]}`,
		},
		{
			"acme by DNS",
			certs.ACME{Email: "mail@example.com", DNS: &certs.DuckDNS{Domain: "home", TokenFile: "/token"}}.
				Policy(certs.Wildcard("home.duckdns.org.")),
			`{"subjects":["*.home.duckdns.org","home.duckdns.org"],"issuers":[{"module":"acme","email":"mail@example.com",` +
				`"challenges":{"http":{"disabled":true},"tls-alpn":{"disabled":true},"dns":{` +
				`"provider":{"name":"plexha_duckdns","domain":"home","token_file":"/token"},` +
				`"propagation_timeout":-1,"resolvers":["1.1.1.1:53","9.9.9.9:53","8.8.8.8:53"],"override_domain":"home.duckdns.org"}}}]}`,
		},
		{
			"acme by DNS, the token from systemd",
			certs.ACME{DNS: &certs.DuckDNS{Domain: "home", Credential: "duckdns_token"}}.Policy([]string{"home.duckdns.org"}),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme",` +
				`"challenges":{"http":{"disabled":true},"tls-alpn":{"disabled":true},"dns":{` +
				`"provider":{"name":"plexha_duckdns","domain":"home","credential":"duckdns_token"},` +
				`"propagation_timeout":-1,"resolvers":["1.1.1.1:53","9.9.9.9:53","8.8.8.8:53"],"override_domain":"home.duckdns.org"}}}]}`,
		},
		{
			"acme by DNS, all said",
			certs.ACME{DNS: &certs.DuckDNS{
				Domain: "home", Token: tokenText, Hold: 1, Resolvers: []netip.AddrPort{ns1}, NameServers: []netip.AddrPort{ns2},
			}}.Policy(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"acme",` +
				`"challenges":{"http":{"disabled":true},"tls-alpn":{"disabled":true},"dns":{` +
				`"provider":{"name":"plexha_duckdns","domain":"home","token":"` + tokenText + `","hold":1,` +
				`"resolvers":["192.0.2.1:53"],"nameservers":["192.0.2.2:53"]},` +
				`"propagation_timeout":-1,"resolvers":["192.0.2.1:53"],"override_domain":"home.duckdns.org"}}}]}`,
		},
		{
			"internal", certs.Internal(apex),
			`{"subjects":["home.duckdns.org"],"issuers":[{"module":"internal"}]}`,
		},
		{
			"files", certs.Files(apex, "/cert.pem", "/key.pem"),
			`{"subjects":["home.duckdns.org"],"get_certificate":[{"via":"plexha_files","certificate":"/cert.pem","key":"/key.pem"}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value(t, []byte(tt.want)), value(t, got)); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

// value returns what a JSON text means.
func value(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPoliciesLoad: Caddy takes the policies as they are.
func TestPoliciesLoad(t *testing.T) {
	p := newPairOnDisk(t, "one")
	zone := certs.Wildcard("home.duckdns.org")
	for name, policy := range map[string]*caddytls.AutomationPolicy{
		"acme":        certs.ACME{Email: "mail@example.com"}.Policy(zone[1:]),
		"acme by DNS": certs.ACME{DNS: &certs.DuckDNS{Domain: "home", Token: tokenText}}.Policy(zone),
		"files":       certs.Files(zone[1:], p.certificate, p.key),
	} {
		raw, err := json.Marshal(caddytls.TLS{Automation: &caddytls.AutomationConfig{Policies: []*caddytls.AutomationPolicy{policy}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&caddy.Config{
			StorageRaw: json.RawMessage(`{"module":"test"}`), AppsRaw: caddy.ModuleMap{"tls": raw},
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccount(t *testing.T) {
	tests := []struct{ zone, name, want string }{
		{"home.duckdns.org.", "home", "home"},
		{"home.duckdns.org", "other", "home"},
		{"HOME.DuckDNS.org.", "other", "home"},
		{"tv.home.duckdns.org.", "other", "home"},
		{"home.example.org.", "home", "home"},
		{"notduckdns.org.", "home", "home"},
		{"duckdns.org.", "home", "home"},
	}
	for _, tt := range tests {
		if got := certs.Account(tt.zone, tt.name); got != tt.want {
			t.Errorf("%s with duckdns %s: %q, want %q", tt.zone, tt.name, got, tt.want)
		}
	}
}
