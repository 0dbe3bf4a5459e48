package proxy

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	pagedoor "plexha/plugin/status/door"
	"plexha/proxy/cluster"
	"plexha/proxy/status"
	"plexha/zones"
)

func init() { caddy.RegisterModule(new(Status)) }

// ours is where we answer ourselves, under whatever host. No path of Plex's begins so.
const ours = "/.plexha/"

// Status answers what is below /.plexha/, and lets all else pass, but at the listener of a status page, where it
// answers all but /metrics.
//
// `ready` tells everybody, in one word, whether the cluster whose host is asked can serve; under a host that is
// nobody's, whether all can. `status.json` shows clients in the house how the nodes are.
type Status struct {
	// Page is the address of the status page at whose listener it stands. Empty: at none.
	Page string `json:"page,omitempty"`
	// Public shows the page to everybody.
	Public bool `json:"public,omitempty"`

	server *Server
	page   http.Handler
	onEnd  func(do func()) (forget func() bool) // has something done when another configuration has taken over
}

// CaddyModule implements [caddy.Module].
func (*Status) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.plexha_status", New: func() caddy.Module { return new(Status) }}
}

// Provision implements [caddy.Provisioner].
func (s *Status) Provision(ctx caddy.Context) error {
	s.server = process.Load()
	if s.server == nil { // the configuration is only checked
		s.server = newServer(Options{})
	}
	s.onEnd = func(do func()) func() bool { return context.AfterFunc(ctx, do) }
	s.page = status.New(status.Options{Version: s.server.opts.Version, Public: s.Public, Sources: s.sources})
	return nil
}

// sources returns the clusters of the page.
func (s *Status) sources() []status.Source {
	return s.server.sources(func(at *block) bool {
		m := at.cluster.Now()
		return m != nil && m.Config.ProxyStatus.Addr.String() == s.Page
	})
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (s *Status) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s.Page != "" {
		return s.servePage(w, r, next)
	}
	if !strings.HasPrefix(r.URL.Path, ours) {
		return next.ServeHTTP(w, r)
	}
	client := clientAddr(r)
	return s.server.answerOurs(w, r, func() []status.Source {
		if !s.server.isNamed(r.Host) {
			return nil
		}
		return s.server.sources(func(at *block) bool { return client.IsLoopback() || internal(at.cluster.Now(), client) })
	})
}

// servePage answers at the listener of a status page. Its streams end with the configuration.
func (s *Status) servePage(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if path := r.URL.Path; path != "/metrics" && !strings.HasPrefix(path, ours) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer s.onEnd(cancel)()
		s.page.ServeHTTP(w, r.WithContext(ctx))
		return nil
	}
	named := s.server.isNamed(r.Host)
	switch metrics := r.URL.Path == "/metrics"; {
	case r.URL.Path == ours+"ready":
	case !s.Public && !pagedoor.IsLocal(r):
		return text(w, http.StatusForbidden, "forbidden")
	case metrics && (named || s.Public): // Prometheus goes by names
		return next.ServeHTTP(w, r)
	case !named:
		return text(w, http.StatusMisdirectedRequest, "misdirected")
	}
	return s.server.answerOurs(w, r, s.sources)
}

// isNamed reports whether a page elsewhere can not have made up the host that is asked, to read what this client may.
func (s *Server) isNamed(host string) bool { return pagedoor.IsNamed(host) || s.clusterOf(host) != nil }

// answerOurs answers what is below /.plexha/. Shown returns the clusters whose state the client may see.
func (s *Server) answerOurs(w http.ResponseWriter, r *http.Request, shown func() []status.Source) error {
	switch path := strings.TrimPrefix(r.URL.Path, ours); {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return text(w, http.StatusMethodNotAllowed, "method_not_allowed")
	case path == "ready":
		return s.ready(w, r)
	case path != "status.json":
		return text(w, http.StatusNotFound, "not_found")
	}
	sources := shown()
	if len(sources) == 0 {
		return text(w, http.StatusForbidden, "forbidden")
	}
	header(w, "application/json")
	return pagedoor.WriteJSON(w, status.Render(s.opts.Version, sources, time.Now()))
}

// ready answers with the first word that is not `ready`, if there is one.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	asked := s.clusters()
	if c := s.clusterOf(r.Host); c != nil {
		asked = []*cluster.Cluster{c}
	}
	if len(asked) == 0 {
		return text(w, http.StatusServiceUnavailable, "starting")
	}
	word := ""
	for _, c := range asked {
		ok, said := c.Ready()
		if !ok {
			return text(w, http.StatusServiceUnavailable, said)
		}
		word = said
	}
	return text(w, http.StatusOK, word)
}

func internal(m *cluster.Moment, client netip.Addr) bool {
	return m != nil && m.Snapshot.Views != nil && m.Snapshot.Views.Of(client) == zones.Internal
}

// clientAddr returns who asks, as Caddy has found out: the address that a trusted proxy tells, else the connection's.
func clientAddr(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func header(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
}

func text(w http.ResponseWriter, status int, word string) error {
	header(w, "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, err := io.WriteString(w, word+"\n")
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Status)(nil)
	_ caddyhttp.MiddlewareHandler = (*Status)(nil)
)
