package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"plexha/zones"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler stands around reverse_proxy: it begins the trip of a request, takes away what clients must not say,
// renders what went wrong, and counts.
type Handler struct {
	// The zone of the cluster.
	Zone string `json:"zone"`

	// The node whose own name the site is for. Empty: the main name.
	Node zones.NodeName `json:"node,omitempty"`

	// The node is the one that a matcher has put into the request variable plexha_node.
	Found bool `json:"found,omitempty"`

	relay  *Relay
	logger *zap.Logger
}

// statusClientGone is what Caddy's log says of a client that has left before its answer.
const statusClientGone = 499

// nodeVar names the request variable with the node of a site that is for several.
const nodeVar = "plexha_node"

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.plexha",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the relay and lets the metrics be seen in this configuration.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.relay, err = relays.find(h.Zone); err != nil {
		return err
	}
	err = ctx.GetMetricsRegistry().Register(collector{})
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); err != nil && !twice {
		return fmt.Errorf("registering the metrics: %w", err)
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	disown(r)
	if !h.relay.now().ready {
		h.relay.awaitFirstRound(r.Context())
	}
	t := h.relay.begin(r, h.site(r), client)
	defer t.end(r)
	err := next.ServeHTTP(w, r)
	if err == nil {
		err = h.finish(t, w, r)
	}
	if errors.Is(err, context.Canceled) {
		w.WriteHeader(statusClientGone)
		return nil
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	t.status = f.why.status()
	if c := h.logger.Check(zap.DebugLevel, "no answer"); c != nil {
		c.Write(zap.Error(f), zap.Stringer("class", t.keys.Class))
	}
	f.render(w, r)
	return nil
}

// site returns the name that was asked for.
func (h *Handler) site(r *http.Request) site {
	if h.Found {
		node, _ := caddyhttp.GetVar(r.Context(), nodeVar).(zones.NodeName)
		return node
	}
	return h.Node
}

// disown takes away what clients say of their own address. X-Forwarded-For, -Proto and -Host are reverse_proxy's to
// set, which knows whom to trust.
func disown(r *http.Request) {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Ssl"} {
		delete(r.Header, name)
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
