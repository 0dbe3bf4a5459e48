package proxy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddypki"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/caddy/v2/modules/filestorage"

	"plexha/corefile"
)

// What holds for every listener. Numbers without a source are ours.
const (
	readHeaderTimeout = 30 * time.Second
	// never switches off Caddy's timeouts of bodies: a film that is paused neither reads nor writes for as long as
	// its viewer is away.
	never = -1
	// maxHeaderBytes leaves room for X-Plex-Client-Profile-Extra, which apps repeat in the Referer. Caddy's own
	// bound is 16 KiB.
	maxHeaderBytes = 64 << 10
)

// Place is where a listener of the Corefile is found on this machine.
type Place struct {
	TCP  string // as Caddy names it: an address, or one of the doors
	UDP  string // the same for HTTP/3: an address behind udp/, or fdgram/N
	Port uint16 // 0: not known
}

// Unbound returns the place of an address that nobody has bound yet: Caddy would bind it.
func Unbound(addr string) Place {
	p := Place{TCP: addr, UDP: "udp/" + addr}
	if na, err := caddy.ParseNetworkAddress(addr); err == nil && na.StartPort <= 65535 {
		p.Port = uint16(na.StartPort)
	}
	return p
}

// Settings say what else Caddy's configuration is made from.
type Settings struct {
	At    func(addr string) Place // where the listeners are; nil: Unbound
	Grace time.Duration           // what requests that are under way get when Caddy stops
	Admin string                  // the unix socket of Caddy's administration; empty: none
}

// Build returns Caddy's configuration for the plex blocks of a Corefile. What may change from one instant to the
// next, such as who is up, is not in it.
func Build(blocks []*corefile.Config, s Settings) ([]byte, error) {
	if s.At == nil {
		s.At = Unbound
	}
	b := builder{Settings: s, blocks: blocks}
	cfg, err := b.config()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing Caddy's configuration: %w", err)
	}
	return text, nil
}

// builder makes Caddy's configuration.
type builder struct {
	Settings
	blocks []*corefile.Config
}

func (b *builder) config() (*caddy.Config, error) {
	fronts, err := b.fronts()
	if err != nil {
		return nil, err
	}
	storage, err := b.storage()
	if err != nil {
		return nil, err
	}
	cfg := &caddy.Config{
		Admin:      b.admin(),
		Logging:    b.logging(),
		StorageRaw: storage,
		AppsRaw:    caddy.ModuleMap{"http": caddyconfig.JSON(b.http(fronts), nil)},
	}
	if tls := b.tls(); tls != nil {
		cfg.AppsRaw["tls"] = caddyconfig.JSON(tls, nil)
	}
	if slices.ContainsFunc(b.blocks, func(c *corefile.Config) bool { return c.TLS.Kind == corefile.TLSInternal }) {
		// Caddy would put its root certificate among those that this machine trusts.
		local := &caddypki.CA{Name: "plexha", InstallTrust: new(false)}
		cfg.AppsRaw["pki"] = caddyconfig.JSON(caddypki.PKI{CAs: map[string]*caddypki.CA{caddypki.DefaultCAID: local}}, nil)
	}
	return cfg, nil
}

// admin returns no administration, or one at a socket of this user's. The configuration never goes to a file: it
// may hold DuckDNS's token.
func (b *builder) admin() *caddy.AdminConfig {
	admin := &caddy.AdminConfig{Config: &caddy.ConfigSettings{Persist: new(false)}}
	if b.Admin == "" {
		admin.Disabled = true
	} else {
		admin.Listen = "unix/" + b.Admin + "|0600"
	}
	return admin
}

// storage returns the folder for certificates. CertMagic's locks are in one place, so that there is one.
func (b *builder) storage() (json.RawMessage, error) {
	var first *corefile.Config
	for _, c := range b.blocks {
		switch {
		case c.Storage == "":
		case first == nil:
			first = c
		case c.Storage != first.Storage:
			return nil, conflict(c, "storage: %s, but the block in %s has %s: there is one for all",
				c.Storage, place(first), first.Storage)
		}
	}
	if first == nil {
		return nil, nil
	}
	return folder(first.Storage), nil
}

// folder returns the storage in a folder.
func folder(dir string) json.RawMessage {
	return caddyconfig.JSONModuleObject(filestorage.FileStorage{Root: dir}, "module", "file_system", nil)
}

// conflict is a mistake between two blocks.
func conflict(c *corefile.Config, format string, args ...any) error {
	return &corefile.Error{File: c.File, Line: c.Line, Err: fmt.Errorf(format, args...)}
}

func place(c *corefile.Config) string { return fmt.Sprintf("%s:%d", c.File, c.Line) }

// front is one listener with the blocks that are served there.
type front struct {
	corefile.Listener
	blocks []*corefile.Config
}

// fronts returns the listeners of all blocks, each once.
func (b *builder) fronts() ([]*front, error) {
	var all []*front
	for _, c := range b.blocks {
		for _, l := range c.Listen {
			i := slices.IndexFunc(all, func(f *front) bool { return f.Addr == l.Addr })
			if i < 0 {
				all = append(all, &front{l, []*corefile.Config{c}})
				continue
			}
			f := all[i]
			if f.Plain != l.Plain {
				return nil, conflict(c, "listen: %s is with TLS in one block and without in another, %s", l.Addr, place(f.blocks[0]))
			}
			f.H3 = f.H3 || l.H3
			f.blocks = append(f.blocks, c)
		}
	}
	return all, nil
}

func (b *builder) http(fronts []*front) *caddyhttp.App {
	app := &caddyhttp.App{
		GracePeriod:   caddy.Duration(max(b.Grace, time.Second)),
		ShutdownDelay: caddy.Duration(settleTime),
		Servers:       map[string]*caddyhttp.Server{},
	}
	for _, f := range fronts {
		app.Servers[f.String()] = b.server(f)
	}
	for addr, public := range b.statusPages() {
		app.Servers["status "+addr.String()] = b.statusServer(addr, public)
	}
	return app
}

// server returns what listens at one address. Automatic HTTPS would guess at what stands here in full: it can't
// tell the port of fd/N.
func (b *builder) server(f *front) *caddyhttp.Server {
	at := b.At(f.Addr)
	s := &caddyhttp.Server{
		Listen:            []string{at.TCP},
		Protocols:         []string{"h1"},
		ReadHeaderTimeout: caddy.Duration(readHeaderTimeout),
		ReadIdleTimeout:   never,
		WriteIdleTimeout:  never,
		MaxHeaderBytes:    maxHeaderBytes,
		Routes:            b.routes(f),
		AutoHTTPS:         &caddyhttp.AutoHTTPSConfig{Disabled: true},
		Logs:              b.serverLogs(f),
	}
	if !f.Plain {
		s.Protocols = []string{"h1", "h2"}
		// A client that names no host, since it has an address alone, gets a certificate all the same: that of the
		// origin, since no wildcard is looked at for this. Who names one host and then asks for another is served by
		// what he asks for: HTTP/2 does so with a wildcard.
		s.TLSConnPolicies = caddytls.ConnectionPolicies{{DefaultSNI: hosts(f.blocks[0]).apex[0]}}
	}
	if f.H3 {
		s.Listen = append(s.Listen, at.UDP)
		s.ListenProtocols = [][]string{s.Protocols, {"h3"}}
		s.Protocols = append(slices.Clone(s.Protocols), "h3")
	}
	if trusted := trustedProxies(f.blocks); len(trusted) > 0 {
		s.TrustedProxiesRaw = caddyconfig.JSONModuleObject(caddyhttp.StaticIPRange{Ranges: trusted}, "source", "static", nil)
		s.TrustedProxiesStrict = 1 // from the right: what stands further left is the client's word
	}
	return s
}

// trustedProxies returns whom the blocks of one listener trust. The connection is theirs together.
func trustedProxies(blocks []*corefile.Config) []string {
	var out []string
	for _, c := range blocks {
		for _, p := range c.TrustedProxies {
			if !slices.Contains(out, p.String()) {
				out = append(out, p.String())
			}
		}
	}
	return out
}

// statusPages returns where the state of the blocks is shown, and whether to everybody.
func (b *builder) statusPages() map[netip.AddrPort]bool {
	all := map[netip.AddrPort]bool{}
	for _, c := range b.blocks {
		public, again := all[c.ProxyStatus.Addr]
		all[c.ProxyStatus.Addr] = c.ProxyStatus.Public && (public || !again)
	}
	return all
}

func (b *builder) statusServer(addr netip.AddrPort, public bool) *caddyhttp.Server {
	metrics := caddyhttp.Route{
		MatcherSetsRaw: match("path", []string{"/metrics"}),
		HandlersRaw:    handlers(handler("metrics", struct{}{})),
		Terminal:       true,
	}
	page := Status{Page: addr.String(), Public: public}
	return &caddyhttp.Server{
		Listen:            []string{b.At(addr.String()).TCP},
		Protocols:         []string{"h1"},
		ReadHeaderTimeout: caddy.Duration(readHeaderTimeout),
		Routes: caddyhttp.RouteList{
			{HandlersRaw: handlers(handler("plexha_gate", Gate{Page: true}), handler("plexha_status", page))},
			metrics,
		},
		AutoHTTPS: &caddyhttp.AutoHTTPSConfig{Disabled: true},
	}
}
