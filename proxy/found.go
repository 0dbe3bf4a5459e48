package proxy

import (
	"context"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"plexha/zones"
)

func init() {
	caddy.RegisterModule(new(Found))
	caddy.RegisterModule(new(Permission))
}

// nodeVar is the request's variable that tells package relay which node was found.
const nodeVar = "plexha_node"

// Found matches the names of nodes that `nodes` lines find. They come and go without a new configuration.
type Found struct {
	Zone string `json:"zone"` // the block's first origin

	server *Server
}

// CaddyModule implements [caddy.Module].
func (*Found) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.plexha_found", New: func() caddy.Module { return new(Found) }}
}

// Provision implements [caddy.Provisioner].
func (f *Found) Provision(caddy.Context) error {
	f.server = process.Load()
	return nil
}

// MatchWithError implements [caddyhttp.RequestMatcherWithError].
func (f *Found) MatchWithError(r *http.Request) (bool, error) {
	zone, node := f.server.foundNode(r.Host)
	if node == "" || zone != f.Zone {
		return false, nil
	}
	caddyhttp.SetVar(r.Context(), nodeVar, node)
	return true, nil
}

// Permission lets certificates be ordered when they are first asked for, if they are for a node that was found: else
// anybody could have us order any number of them.
type Permission struct{ server *Server }

// CaddyModule implements [caddy.Module].
func (*Permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.plexha", New: func() caddy.Module { return new(Permission) }}
}

// Provision implements [caddy.Provisioner].
func (p *Permission) Provision(caddy.Context) error {
	p.server = process.Load()
	return nil
}

// CertificateAllowed implements [caddytls.OnDemandPermission].
func (p *Permission) CertificateAllowed(_ context.Context, name string) error {
	if _, node := p.server.foundNode(name); node == "" {
		return fmt.Errorf("%q is no node that was found: %w", name, caddytls.ErrPermissionDenied)
	}
	return nil
}

// foundNode returns the node that was found and has this name, with the block that it belongs to.
func (s *Server) foundNode(host string) (zone string, node zones.NodeName) {
	if s == nil {
		return "", ""
	}
	c := s.clusterOf(host)
	if c == nil {
		return "", ""
	}
	m := c.Now()
	if m == nil {
		return "", ""
	}
	label := labelOf(host, m.Config)
	if n := m.Snapshot.Node(zones.NodeName(label)); n != nil && n.Group != "" {
		return c.Zone(), n.Name
	}
	return "", ""
}

// Interface guards
var (
	_ caddyhttp.RequestMatcherWithError = (*Found)(nil)
	_ caddytls.OnDemandPermission       = (*Permission)(nil)
)
