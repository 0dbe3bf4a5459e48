package proxy_test

import (
	"net/http"
	"testing"
)

const home = "home.duckdns.org"

func TestSites(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "", one, two))
	tlsPort := h.at(tlsAddr)[len("127.0.0.2:"):]
	for _, tc := range []struct {
		name, addr, url string
		status          int
		body, location  string
	}{
		{"a node's own name", tlsAddr, "https://plex2." + home + "/x", 200, "GET plex2.home.duckdns.org/x from 127.0.0.1", ""},
		{"the apex leads to the main name", tlsAddr, "https://" + home + "/x?y=1", 308, "", "https://plex." + home + ":" + tlsPort + "/x?y=1"},
		{"an unknown node", tlsAddr, "https://plex3." + home + "/", 421, "421 Misdirected Request: this proxy does not serve that name\n", ""},
		{"without TLS", plainAddr, "http://plex." + home + ":81/x?y=1", 308, "", "https://plex." + home + ":" + tlsPort + "/x?y=1"},
		{"a node without TLS", plainAddr, "http://plex1." + home + "/", 308, "", "https://plex1." + home + ":" + tlsPort + "/"},
		{"another's name without TLS", plainAddr, "http://www.example.org/", 421, "421 Misdirected Request: this proxy does not serve that name\n", ""},
		{"ready", tlsAddr, "https://plex." + home + "/.plexha/ready", 200, "ready\n", ""},
		{"ready by address", tlsAddr, "https://127.0.0.2/.plexha/ready", 200, "ready\n", ""},
		{"ready without TLS", plainAddr, "http://192.0.2.1/.plexha/ready", 200, "ready\n", ""},
		{"what is ours and does not exist", tlsAddr, "https://plex1." + home + "/.plexha/x", 404, "not_found\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := h.get(tc.addr, tc.url)
			if got.status != tc.status || got.body != tc.body || got.header.Get("Location") != tc.location {
				t.Errorf("got %d %q to %q, want %d %q to %q", got.status, got.body, got.header.Get("Location"), tc.status, tc.body, tc.location)
			}
		})
	}
}

// TestHostDecides: HTTP/2 asks for any name that the connection's certificate has, and for others by mistake.
func TestHostDecides(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "", one, two))
	h.sni = "plex1." + home
	if got := h.get(tlsAddr, "https://plex2."+home+"/x"); got.header.Get("X-Node") != "plex2" || got.proto != "HTTP/2.0" {
		t.Errorf("plex2 on plex1's connection: %+v", got)
	}
	if got := h.get(tlsAddr, "https://www.example.org/"); got.status != http.StatusMisdirectedRequest {
		t.Errorf("another's name: %+v", got)
	}
	if got := h.get(tlsAddr, "https://plex."+home+"/web/index.html"); got.status != http.StatusOK {
		t.Errorf("the main name: %+v", got)
	}
}
