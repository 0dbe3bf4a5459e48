package plugin_test

import (
	"context"
	"testing"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
)

func TestMetadata(t *testing.T) {
	spread := newHouse(t, twoNodes...)
	proxied := newHouse(t, with(oneProxy, "wildcard")...)
	chosen := map[string]string{"192.168.1.11": "plex1", "192.168.1.12": "plex2"}[spread.ask(inside, "plex."+zone+" A")]
	tests := []struct {
		what       string
		h          *house
		from, name string
		view, node string
	}{
		{"the main name, spread", spread, inside, "PLEX.home.duckdns.org.", "internal", chosen},
		{"the apex, spread", spread, inside, "home.duckdns.org.", "internal", chosen},
		{"the main name outside", spread, outside, "plex.home.duckdns.org.", "external", ""},
		{"a node", spread, inside, "plex2.home.duckdns.org.", "internal", "plex2"},
		{"a node, outside", spread, outside, "plex2.home.duckdns.org.", "external", "plex2"},
		{"a node of proxies", proxied, inside, "plex2.home.duckdns.org.", "internal", "plex2"},
		{"the main name of proxies", proxied, inside, "plex.home.duckdns.org.", "internal", ""},
		{"a name server", spread, inside, "ns1.home.duckdns.org.", "internal", ""},
		{"a name that nobody has", spread, inside, "none.home.duckdns.org.", "internal", ""},
		{"not ours", spread, inside, "example.org.", "", ""},
	}
	for _, tt := range tests {
		state := request.Request{W: &test.ResponseWriter{RemoteIP: tt.from}, Req: question(t, tt.name+" A")}
		ctx := tt.h.Metadata(metadata.ContextWithMetadata(context.Background()), state)
		for label, want := range map[string]string{"plex/view": tt.view, "plex/node": tt.node} {
			got := ""
			if f := metadata.ValueFunc(ctx, label); f != nil {
				got = f()
			}
			if got != want {
				t.Errorf("%s: %s is %q, want %q", tt.what, label, got, want)
			}
		}
	}
}
