package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() { caddy.RegisterModule(new(Gate)) }

// Gate stands before all else at each listener, counts who is inside, and shows those out who would never leave:
// websockets and event streams, when the process ends.
type Gate struct {
	// Page: it stands at a status page, whose streams end when the process does.
	Page bool `json:"page,omitempty"`

	flights *flights
}

// CaddyModule implements [caddy.Module].
func (*Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.plexha_gate", New: func() caddy.Module { return new(Gate) }}
}

// Provision implements [caddy.Provisioner].
func (g *Gate) Provision(ctx caddy.Context) error {
	g.flights = newFlights() // of nobody, while a configuration is only checked
	if s := process.Load(); s != nil {
		g.flights = s.flights
	}
	if s, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		s.RegisterConnState(g.flights.connState)
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	g.flights.begin()
	defer g.flights.end()
	if r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w = hijacker{w, g.flights}
	}
	if g.Page || strings.HasPrefix(r.URL.Path, eventStreams) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer g.flights.onLeave(func() { cancel(errLeaving) })()
		r = r.WithContext(ctx)
	}
	return next.ServeHTTP(w, r)
}

// eventStreams is where Plex sends events for as long as somebody listens.
const eventStreams = "/:/eventsource/"

var errLeaving = errors.New("the process ends")

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
