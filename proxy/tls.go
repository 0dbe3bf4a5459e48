package proxy

import (
	"net"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"plexha/corefile"
	"plexha/proxy/certs"
)

// tls says where the certificates of all blocks come from. nil: no block has any.
func (b *builder) tls() *caddytls.TLS {
	var automate []string
	automation := &caddytls.AutomationConfig{}
	nameless := b.nameless()
	for _, c := range b.blocks {
		if c == nameless {
			continue
		}
		policies, names := b.policies(c)
		automation.Policies = append(automation.Policies, policies...)
		automate = append(automate, names...)
	}
	if nameless != nil { // the last, since one without subjects is for all that the others are not for
		automation.Policies = append(automation.Policies, certs.Files(nil, nameless.TLS.CertFile, nameless.TLS.KeyFile))
	}
	if len(automation.Policies) == 0 {
		return nil
	}
	for _, p := range automation.Policies {
		if p.OnDemand || len(p.ManagersRaw) > 0 { // else Caddy warns that files alone say who is served
			automation.OnDemand = &caddytls.OnDemandConfig{
				PermissionRaw: caddyconfig.JSONModuleObject(Permission{}, "module", "plexha", nil),
			}
		}
	}
	app := &caddytls.TLS{Automation: automation}
	if len(automate) > 0 {
		app.CertificatesRaw = caddy.ModuleMap{"automate": caddyconfig.JSON(automate, nil)}
	}
	return app
}

// nameless returns the block whose certificate a client gets that names no host: the first at every listener with
// TLS. It is nil if that is not one block, or one without files: others' certificates Caddy finds by the listener's
// default name, but those of files it asks for by the name that the client has given.
func (b *builder) nameless() *corefile.Config {
	var first *corefile.Config
	seen := map[string]bool{}
	for _, c := range b.blocks {
		for _, l := range c.Listen {
			if l.Plain || seen[l.Addr] {
				continue
			}
			seen[l.Addr] = true
			if first == nil {
				first = c
			} else if first != c {
				return nil
			}
		}
	}
	if first == nil || first.TLS.Kind != corefile.TLSFiles {
		return nil
	}
	return first
}

// policies returns how one block gets its certificates, and for which names that is to be seen to from the start.
func (b *builder) policies(c *corefile.Config) (policies []*caddytls.AutomationPolicy, automate []string) {
	switch c.TLS.Kind {
	case corefile.TLSACME:
		if c.TLS.DNS {
			return b.byDNS(c)
		}
		return b.byHTTP(c)
	case corefile.TLSInternal:
		for _, origin := range c.Cluster.Origins {
			automate = append(automate, certs.Wildcard(origin)...)
		}
		return []*caddytls.AutomationPolicy{certs.Internal(automate)}, automate
	case corefile.TLSFiles:
		subjects := hosts(c).exact()
		if open(c) {
			subjects = append(subjects, hosts(c).below...)
		}
		return []*caddytls.AutomationPolicy{certs.Files(subjects, c.TLS.CertFile, c.TLS.KeyFile)}, nil
	default:
		return nil, nil
	}
}

// byDNS orders one certificate for all names below an origin, and one for the origin.
func (b *builder) byDNS(c *corefile.Config) (policies []*caddytls.AutomationPolicy, automate []string) {
	for _, origin := range c.Cluster.Origins {
		subjects := certs.Wildcard(origin)
		acme := certs.ACME{Email: c.TLS.Email, CA: c.TLS.CA, DNS: &certs.DuckDNS{
			Domain:     certs.Account(origin, c.DuckDNS.Name),
			Token:      c.DuckDNS.Token.Reveal(),
			TokenFile:  c.DuckDNS.TokenFile,
			Credential: c.DuckDNS.Credential,
		}}
		policies = append(policies, acme.Policy(subjects))
		automate = append(automate, subjects...)
	}
	return policies, automate
}

// bindHost returns the address that all listeners of a block have. Empty: there is no such one.
func bindHost(c *corefile.Config) string {
	first := ""
	for i, l := range c.Listen {
		host, _, err := net.SplitHostPort(l.Addr)
		if err != nil || i > 0 && host != first {
			return "" // one may be fd/N
		}
		first = host
	}
	return first
}

// byHTTP orders a certificate for each name. Those of nodes that are found are ordered when they are first asked
// for, if there is such a node.
func (b *builder) byHTTP(c *corefile.Config) (policies []*caddytls.AutomationPolicy, automate []string) {
	acme := certs.ACME{
		Email: c.TLS.Email, CA: c.TLS.CA,
		HTTPPort: int(b.port(c, true)), HTTPSPort: int(b.port(c, false)),
		Host:   bindHost(c),
		NoHTTP: !slices.ContainsFunc(c.Listen, func(l corefile.Listener) bool { return l.Plain }),
	}
	automate = hosts(c).exact()
	policies = append(policies, acme.Policy(automate))
	if len(c.Finders) > 0 {
		found := acme.Policy(hosts(c).below)
		found.OnDemand = true
		policies = append(policies, found)
	}
	return policies, automate
}
