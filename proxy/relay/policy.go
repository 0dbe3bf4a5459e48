package relay

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"plexha/proxy/affinity"
)

func init() { caddy.RegisterModule(new(Policy)) }

// Policy chooses the node of a request: the one that it is bound to, or else one by another policy.
type Policy struct {
	// The zone of the cluster.
	Zone string `json:"zone"`

	// The policy for requests that are bound to no node. Default: uri_hash.
	BalanceRaw json.RawMessage `json:"balance,omitempty" caddy:"namespace=http.reverse_proxy.selection_policies inline_key=policy"`

	relay   *Relay
	balance balancer
}

// CaddyModule returns the Caddy module information.
func (*Policy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.selection_policies.plexha",
		New: func() caddy.Module { return new(Policy) },
	}
}

// Provision finds the relay and loads the policy for unbound requests.
func (p *Policy) Provision(ctx caddy.Context) (err error) {
	if p.relay, err = relays.find(p.Zone); err != nil {
		return err
	}
	p.balance = uriHash{}
	if p.BalanceRaw == nil {
		return nil
	}
	mod, err := ctx.LoadModule(p, "BalanceRaw")
	if err != nil {
		return fmt.Errorf("loading the balance policy: %w", err)
	}
	if _, ok := mod.(*reverseproxy.URIHashSelection); !ok {
		p.balance = caddyPolicy{mod.(reverseproxy.Selector)}
	}
	return nil
}

// nowhere stands for a node while there is none to send a request to: the transport waits for one.
var nowhere = &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: "0.0.0.0:1"}

// Select implements [reverseproxy.Selector]. The pool is not used: the nodes come and go without a reload.
func (p *Policy) Select(_ reverseproxy.UpstreamPool, r *http.Request, w http.ResponseWriter) *reverseproxy.Upstream {
	t, ok := tripOf(r.Context())
	if !ok {
		return nil
	}
	t.policy, t.req, t.w = p, r, w
	t.keys = affinity.Parse(r)
	t.keys.Host = t.site
	t.placeIn(t.relay.now())
	if t.node == nil {
		return nowhere
	}
	return t.node.upstream
}

// pick chooses among the nodes of a pool, which is not empty.
func (p *Policy) pick(among pool, t *trip) *node { return p.balance.pick(among, t.req, t.w) }

// Interface guards
var (
	_ caddy.Provisioner     = (*Policy)(nil)
	_ reverseproxy.Selector = (*Policy)(nil)
)
