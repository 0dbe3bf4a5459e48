package relay_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"testing"

	"plexha/proxy/relay"
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
