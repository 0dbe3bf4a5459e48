package relay_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"plexha/proxy/relay"
	"plexha/zones"
)

func waits(s *stage) bool { return relay.Paused(s.relay) > 0 }

func watched(s *stage, name string) int { return relay.Watched(s.relay, name) }

func otherThan(name string) string {
	if name == "plex1" {
		return "plex2"
	}
	return "plex1"
}

func withCancel(req *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(req.Context())
	return req.WithContext(ctx), cancel
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// refusing returns an address where nothing listens.
func refusing(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// quiet is for servers that are expected to complain.
var quiet = log.New(io.Discard, "", 0)

func init() { caddy.RegisterModule(finder{}) }

// finder stands for the matcher that finds the node of a host: it takes the name from a header.
type finder struct{}

func (finder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_finder", New: func() caddy.Module { return new(finder) }}
}

func (finder) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	caddyhttp.SetVar(r.Context(), "plexha_node", zones.NodeName(r.Header.Get("X-Test-Node")))
	return next.ServeHTTP(w, r)
}

func foundHandlers() []json.RawMessage {
	return append([]json.RawMessage{json.RawMessage(`{"handler":"test_finder"}`)},
		relay.Handlers(relay.Site{Zone: zone, Found: true})...)
}
