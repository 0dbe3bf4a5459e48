package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// asking makes a request one for that host, wherever its connection leads.
func asking(host string) edit { return func(r *http.Request) { r.Host = host } }

// TestNodesHaveNamesOfTheirOwn: under its own name a node answers, and no other in its place.
func TestNodesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	f := h.startProxy(t, "retry 500ms every 100ms").front
	ask := func(host, path string, edits ...edit) answer { return f.get(path, append(edits, asking(host))...) }
	const plex1, plex2 = "plex1.home.duckdns.org", "plex2.home.duckdns.org"

	for i := range 10 {
		c := h.viewer(standin.TVApp, i)
		for _, path := range []string{"/", "/identity", "/library/sections", fmt.Sprintf("/web/index.html?%d", i)} {
			f.get(path, asClient(c)) // its pin is at one of them
			for host, want := range map[string]string{plex1: "plex1", strings.ToUpper(plex2) + ":80": "plex2"} {
				if a := ask(host, path, asClient(c)); a.status != http.StatusOK || a.header.Get("X-Backend") != want {
					t.Errorf("%s%s: %d from %q, want 200 from %s", host, path, a.status, a.header.Get("X-Backend"), want)
				}
			}
		}
	}

	h.nodes[0].kill()
	eventually(t, 10*time.Second, func() error {
		a := ask(plex1, "/identity")
		if a.status != http.StatusServiceUnavailable {
			return fmt.Errorf("plex1 is down: %s", a)
		}
		return nil
	})
	for _, path := range []string{"/", "/identity", "/library/sections", "/web/index.html"} {
		if a := ask(plex1, path); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s%s while it is down: %s, Retry-After %q", plex1, path, a, a.header.Get("Retry-After"))
		}
	}
	if a := ask(plex1, "/web/index.html", header("Accept", "text/html")); !strings.Contains(string(a.body), "<h1>plex1 is down.</h1>") {
		t.Errorf("who looks at plex1 while it is down reads %s", a.body)
	}
	for i := range 10 {
		c := h.viewer(standin.TVApp, i)
		for _, host := range []string{siteName, plex2} {
			if a := ask(host, "/", asClient(c)); a.status != http.StatusOK || a.header.Get("X-Backend") != "plex2" {
				t.Errorf("%s/ while plex1 is down: %s from %q", host, a, a.header.Get("X-Backend"))
			}
		}
	}

	h.nodes[0].start(t)
	eventually(t, 10*time.Second, func() error {
		if a := ask(plex1, "/identity"); a.status != http.StatusOK || a.header.Get("X-Backend") != "plex1" {
			return fmt.Errorf("plex1 is back: %s", a)
		}
		return nil
	})
}

// TestFoundNodesHaveNames: nodes that a name leads to, in place of a line for each, are numbered, and have names and
// clients as the others have.
func TestFoundNodesHaveNames(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 2), newCLI(t)
	listed, found := &house{tb: t, nodes: h.nodes[:1]}, h.nodes[1]
	// It is in every hosts file, perhaps with an IPv6 address too, at which nobody listens.
	c.write(c.plainBlock(listed, fmt.Sprintf("nodes found localhost %d", found.addr.Port())))
	c.start()
	f := &front{tb: t, addr: c.plain, scheme: "http"}
	f.client = &http.Client{Transport: f.transport()}
	t.Cleanup(f.client.CloseIdleConnections)
	eventually(t, 10*time.Second, func() error {
		for i := range 2 {
			if a := f.get("/identity", asking(fmt.Sprintf("found%d.home.duckdns.org", 1+i))); a.header.Get("X-Backend") == "plex2" {
				return nil
			}
		}
		return errors.New("no found node has a name")
	})
	if a := f.get("/", asking("found9.home.duckdns.org")); a.status != http.StatusMisdirectedRequest {
		t.Errorf("the name of a node that was not found: %s, want 421", a)
	}
	shares := share{}
	for _, r := range f.play(patient(t), h.viewers(standin.TVApp, 30)) {
		shares[h.whole(t, r)]++
	}
	shares.check(t, 2, 30)
}

// TestOtherNames: who asks for a name that nobody has is told so, and who asks for the domain is led to the main name.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	f := newHouse(t, 2).startProxy(t).front
	noRedirects := f.device()
	noRedirects.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, host := range []string{
		"plex3.home.duckdns.org", "other.home.duckdns.org", "a.plex.home.duckdns.org", "plex.home.duckdns.org.example", "example.org",
		"duckdns.org", "127.0.0.1", f.addr.String(), "[::1]:80", "plex",
	} {
		for _, path := range []string{"/", "/web/index.html", "/library/sections?X-Plex-Token=" + secret} {
			if a := f.get(path, asking(host)); a.status != http.StatusMisdirectedRequest || a.header.Get("X-Backend") != "" {
				t.Errorf("%s%s: %d from %q, want 421 of its own", host, path, a.status, a.header.Get("X-Backend"))
			}
		}
	}
	a := f.send(noRedirects, f.request(http.MethodPost, "/playQueues?uri=a%2Fb&own=1", http.NoBody, asking("home.duckdns.org")))
	want := fmt.Sprintf("http://plex.home.duckdns.org:%d/playQueues?uri=a%%2Fb&own=1", f.addr.Port())
	if got := a.header.Get("Location"); a.status != http.StatusPermanentRedirect || got != want {
		t.Errorf("the domain: %d to %q, want 308 to %s", a.status, got, want)
	}
}

// TestReadyTellsEverybody: one word, under any name, from anywhere.
func TestReadyTellsEverybody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	f := h.startProxy(t, "trusted_proxies 127.0.0.1").front
	check := func(when string, status int, word string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			for _, host := range []string{siteName, "plex1.home.duckdns.org", "home.duckdns.org", "example.org", "127.0.0.1"} {
				a := f.get("/.plexha/ready", asking(host), header("X-Forwarded-For", "203.0.113.99"))
				if a.status != status || strings.TrimSpace(string(a.body)) != word {
					return fmt.Errorf("%s, under %s: %d %q, want %d %q", when, host, a.status, a.body, status, word)
				}
			}
			return nil
		})
	}
	check("two nodes up", http.StatusOK, "ready")
	h.nodes[0].kill()
	eventually(t, 10*time.Second, func() error {
		if a := f.get("/", asking("plex1.home.duckdns.org")); a.status != http.StatusServiceUnavailable {
			return fmt.Errorf("plex1 is down: %s", a)
		}
		return nil
	})
	check("one node up", http.StatusOK, "ready")
	h.nodes[1].kill()
	check("none up", http.StatusServiceUnavailable, "no_node")
	h.nodes[1].start(t)
	check("one up again", http.StatusOK, "ready")
	h.nodes[1].SetMode(standin.Starting)
	check("one starts", http.StatusServiceUnavailable, "maintenance")
}

// TestStatusIsForTheHouse: how the nodes are is nobody's business outside.
func TestStatusIsForTheHouse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	f := h.startProxy(t, "trusted_proxies 127.0.0.1", "internal 192.168.1.0/24", "external 192.168.1.128/25").front
	for _, tc := range []struct {
		from string
		want int
	}{
		{"", http.StatusOK}, // this machine
		{"192.168.1.20", http.StatusOK},
		{"192.168.1.200", http.StatusForbidden}, // the guests' network
		{"203.0.113.99", http.StatusForbidden},
		{"fd00::1", http.StatusForbidden},
	} {
		var edits []edit
		if tc.from != "" {
			edits = append(edits, header("X-Forwarded-For", tc.from))
		}
		a := f.get("/.plexha/status.json", edits...)
		if a.status != tc.want {
			t.Errorf("from %q: %s, want %d", tc.from, a, tc.want)
		}
		if shown := strings.Contains(string(a.body), "plex1"); shown != (tc.want == http.StatusOK) {
			t.Errorf("from %q: %s", tc.from, a.body)
		}
		if a.status == http.StatusOK && !json.Valid(a.body) {
			t.Errorf("from %q: no JSON: %s", tc.from, a.body)
		}
	}
	// Whom nobody trusts can't say where he is.
	untrusting := h.startProxy(t)
	if a := untrusting.front.get("/.plexha/status.json", header("X-Forwarded-For", "203.0.113.99")); a.status != http.StatusOK {
		t.Errorf("from this machine, which claims to be elsewhere: %s, want 200", a)
	}
}
