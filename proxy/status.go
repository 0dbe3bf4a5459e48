package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"plexha/proxy/cluster"
	"plexha/zones"
)

func init() { caddy.RegisterModule(new(Status)) }

// ours is where we answer ourselves, under whatever host. No path of Plex's begins so.
const ours = "/.plexha/"

// Status answers what is below /.plexha/, and lets all else pass.
//
// `ready` tells everybody, in one word, whether the cluster whose host is asked can serve; under a host that is
// nobody's, whether all can. `status.json` shows clients in the house how the nodes are.
type Status struct {
	// Page: it stands at the listener of the status page, which is for this machine alone.
	Page bool `json:"page,omitempty"`
	// Public shows the page to everybody.
	Public bool `json:"public,omitempty"`

	server *Server
}

// CaddyModule implements [caddy.Module].
func (*Status) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.plexha_status", New: func() caddy.Module { return new(Status) }}
}

// Provision implements [caddy.Provisioner].
func (s *Status) Provision(caddy.Context) error {
	s.server = process.Load()
	if s.server == nil { // the configuration is only checked
		s.server = newServer(Options{})
	}
	return nil
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (s *Status) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	client := clientAddr(r)
	if s.Page && !s.Public && !client.IsLoopback() {
		return text(w, http.StatusForbidden, "forbidden")
	}
	path, mine := strings.CutPrefix(r.URL.Path, ours)
	switch {
	case !mine:
		return next.ServeHTTP(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		return text(w, http.StatusMethodNotAllowed, "method_not_allowed")
	case path == "ready":
		return s.ready(w, r)
	case path == "status.json":
		return s.status(w, client)
	default:
		return text(w, http.StatusNotFound, "not_found")
	}
}

// ready answers with the first word that is not `ready`, if there is one.
func (s *Status) ready(w http.ResponseWriter, r *http.Request) error {
	asked := s.server.clusters()
	if c := s.server.clusterOf(r.Host); c != nil {
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

// status shows the clusters that the client is in the house of.
func (s *Status) status(w http.ResponseWriter, client netip.Addr) error {
	shown := struct {
		Clusters []cluster.Status `json:"clusters"`
	}{[]cluster.Status{}}
	for _, c := range s.server.clusters() {
		if s.Page || client.IsLoopback() || internal(c.Now(), client) {
			shown.Clusters = append(shown.Clusters, c.Status(time.Now()))
		}
	}
	if len(shown.Clusters) == 0 && !s.Page && !client.IsLoopback() {
		return text(w, http.StatusForbidden, "forbidden")
	}
	header(w, "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(shown)
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
