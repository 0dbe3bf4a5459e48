package e2e_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forwarded is what a node is told of the client.
var forwarded = []string{"X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Proto", "X-Forwarded-Host"}

// told returns those of a request's headers that the test is about. A header that came twice shows.
func told(h http.Header) map[string][]string {
	m := map[string][]string{}
	for _, name := range forwarded {
		if v := h.Values(name); len(v) > 0 {
			m[name] = v
		}
	}
	return m
}

// claims are what anybody can write into a request.
var claims = []edit{
	header("X-Forwarded-For", "198.51.100.66, 203.0.113.9"), header("X-Real-IP", "198.51.100.66"),
	header("X-Forwarded-Proto", "https"), header("X-Forwarded-Host", "claimed.example"),
}

// TestForwardedHeaders: a node is told who asks, and cannot be lied to by whom the operator does not trust.
func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	client := map[string][]string{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"},
		"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {siteName},
	}
	tests := []struct {
		name  string
		lines []string
		edits []edit
		want  map[string][]string
	}{
		{"nothing is claimed", nil, nil, client},
		{"claims of somebody", nil, claims, client},
		{"claims of somebody, and others are trusted", []string{"trusted_proxies 192.0.2.0/24"}, claims, client},
		{
			"claims through a proxy that is trusted",
			[]string{"trusted_proxies 127.0.0.0/8"},
			claims,
			map[string][]string{
				// The client is the last one that no trusted proxy is: all before it may be made up.
				"X-Forwarded-For": {"198.51.100.66, 203.0.113.9, 127.0.0.1"}, "X-Real-Ip": {"203.0.113.9"},
				"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"claimed.example"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, ours, stageConfig{lines: tt.lines})
			got := s.front.get("/library/sections", tt.edits...).seen(t)
			if diff := cmp.Diff(tt.want, told(got.Header)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Host != siteName {
				t.Errorf("Host %q, want %q", got.Host, siteName)
			}
		})
	}
}

// TestWriteUpsForwardedHeaders shows what the write-up's lines tell instead: an address with a port.
func TestWriteUpsForwardedHeaders(t *testing.T) {
	t.Parallel()
	s := newStage(t, writeUp, stageConfig{})
	got := s.front.get("/library/sections").seen(t)
	t.Logf("the write-up's Caddy tells: %v", told(got.Header))
	if xff := got.Header.Get("X-Forwarded-For"); xff == "127.0.0.1" {
		t.Errorf("X-Forwarded-For %q: no longer the fault that it was", xff)
	}
}

// TestRequestStaysAsItIs: nothing is added that would change the answer.
func TestRequestStaysAsItIs(t *testing.T) {
	t.Parallel()
	s := newStage(t, ours, stageConfig{})
	const uri = "/hubs/search?query=a%20b+c%2Fd&X-Plex-Container-Start=0&empty=&;odd"
	got := s.front.get(uri, by("a client"), header("X-Plex-Features", "external-media,indirect-media"), header("Range", "bytes=0-")).seen(t)
	if got.URI != uri {
		t.Errorf("asked for %q, want %q", got.URI, uri)
	}
	want := http.Header{
		"User-Agent": {userAgent}, "Range": {"bytes=0-"}, "X-Plex-Features": {"external-media,indirect-media"},
		"X-Plex-Client-Identifier": {"a client"}, "X-Plex-Token": {secret + "a client"},
	}
	for _, name := range append(forwarded, "Via") {
		got.Header.Del(name)
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
