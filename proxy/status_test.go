package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"plexha/corefile"
	"plexha/proxy"
)

// from asks as a proxy that is trusted would, for somebody else if that is not empty.
func (h *house) from(client, addr, url string) result {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	if client != "" {
		req.Header.Set("X-Forwarded-For", "192.168.1.1, "+client) // what stands further left is the client's word
	}
	c := h.client(addr)
	defer c.CloseIdleConnections()
	res, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return result{res.StatusCode, string(body), res.Header, res.Proto}
}

func TestStatus(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	first := h.block(home, "tls off\ntrusted_proxies 127.0.0.0/8", one)
	second := h.block("example.org", "tls off\ninternal 192.168.1.0/24", two)
	h.apply(first, second)
	h.becomesReady(h.client(plainAddr), "http://example.org/.plexha/ready")
	url := "http://plex." + home + "/.plexha/status.json"
	for _, tc := range []struct {
		name, client string
		status       int
		zones        string
	}{
		{"on this machine", "", http.StatusOK, home + " example.org"},
		{"in the house of one block", "192.168.1.7", http.StatusOK, "example.org"},
		{"from outside", "203.0.113.9", http.StatusForbidden, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := h.from(tc.client, plainAddr, url)
			var shown struct {
				Clusters []struct {
					Zone  string
					Ready string
					Nodes []struct{ Name, State string }
				}
			}
			err := json.Unmarshal([]byte(got.body), &shown)
			var names []string
			for _, c := range shown.Clusters {
				names = append(names, c.Zone)
				if c.Ready != "ready" || len(c.Nodes) != 1 || c.Nodes[0].State != "up" {
					t.Errorf("%s: %+v", c.Zone, c)
				}
			}
			if got.status != tc.status || strings.Join(names, " ") != tc.zones || tc.zones != "" && err != nil {
				t.Errorf("got %d, zones %q, %v\n%s", got.status, names, err, got.body)
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("it may be kept: %v", got.header)
			}
		})
	}
	if got := h.from("203.0.113.9", plainAddr, "http://plex."+home+"/.plexha/ready"); got.status != http.StatusOK || got.body != "ready\n" {
		t.Errorf("ready from outside: %+v", got)
	}
	if got := h.from("203.0.113.9", plainAddr, "http://plex1."+home+"/x"); !strings.HasSuffix(got.body, " from 203.0.113.9") {
		t.Errorf("the node is told of another client: %+v", got)
	}
}

func TestStatusPage(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	for path, want := range map[string]int{
		"/.plexha/status.json": http.StatusOK, "/.plexha/ready": http.StatusOK, "/metrics": http.StatusOK, "/": http.StatusOK,
		"/status.json": http.StatusOK, "/events.json": http.StatusOK, "/nothing": http.StatusNotFound, "/order": http.StatusMethodNotAllowed,
	} {
		if got := h.get(statusAddr, "http://localhost"+path); got.status != want {
			t.Errorf("%s: got %d, want %d", path, got.status, want)
		}
	}
}

// TestReadyIsOfTheHostAsked: where no block's host is asked, all must be ready.
func TestReadyIsOfTheHostAsked(t *testing.T) {
	down := startNode(t, "plex2")
	down.Close()
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")), h.block("example.org", "tls off", down))
	h.becomes(plainAddr, "http://plex.example.org/.plexha/ready", http.StatusServiceUnavailable, "no_node\n")
	h.becomes(plainAddr, "http://plex1."+home+"/.plexha/ready", http.StatusOK, "ready\n")
	h.becomes(plainAddr, "http://192.0.2.1/.plexha/ready", http.StatusServiceUnavailable, "no_node\n")
}

// becomes waits until an answer is as it should be.
func (h *house) becomes(addr, url string, status int, body string) {
	h.t.Helper()
	var got result
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got = h.get(addr, url); got.status == status && got.body == body {
			return
		}
	}
	h.t.Errorf("%s: got %d %q, want %d %q", url, got.status, got.body, status, body)
}

// TestFoundNodes come by themselves: Caddy's configuration knows no name of theirs.
func TestFoundNodes(t *testing.T) {
	node := startNode(t, "plex1")
	port := node.URL[strings.LastIndexByte(node.URL, ':')+1:]
	h := newHouse(t)
	h.apply(h.block(home, "tls off\nnodes p localhost "+port+" max 1"))
	h.becomes(plainAddr, "http://p1."+home+"/x", http.StatusOK, "GET p1."+home+"/x from 127.0.0.1")
	for _, host := range []string{"p2." + home, "p." + home, "p1.example.org"} {
		if got := h.get(plainAddr, "http://"+host+"/x"); got.status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

func TestPermission(t *testing.T) {
	node := startNode(t, "plex1")
	h := newHouse(t)
	h.apply(h.block(home, "tls off\nnodes p localhost "+node.URL[strings.LastIndexByte(node.URL, ':')+1:]+" max 1", startNode(t, "plex2")))
	h.becomes(plainAddr, "http://p1."+home+"/x", http.StatusOK, "GET p1."+home+"/x from 127.0.0.1")
	p := new(proxy.Permission)
	if err := p.Provision(caddyContext(t)); err != nil {
		t.Fatal(err)
	}
	for name, allowed := range map[string]bool{"p1." + home: true, "p2." + home: false, "plex2." + home: false, "x.example.org": false} {
		if err := p.CertificateAllowed(t.Context(), name); (err == nil) != allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWildcard(t *testing.T) {
	one, two := startNode(t, "plex1"), startNode(t, "plex2")
	h := newHouse(t)
	h.apply(h.block(home, "tls off\nwildcard", one, two))
	if got := h.get(plainAddr, "http://anything."+home+"/x"); got.status != http.StatusOK {
		t.Errorf("any name: %+v", got)
	}
	if got := h.get(plainAddr, "http://plex2."+home+"/x"); got.header.Get("X-Node") != "plex2" {
		t.Errorf("a node's own name: %+v", got)
	}
}

func TestHTTP3IsOffered(t *testing.T) {
	h := newHouse(t)
	c := h.block(home, "", startNode(t, "plex1"))
	h.apply(c)
	if got := h.get(tlsAddr, "https://plex."+home+"/.plexha/ready"); got.header.Get("Alt-Svc") != "" {
		t.Errorf("it is offered without h3: %v", got.header)
	}
	with := h.block(home, "", startNode(t, "plex1"))
	with.Listen = []corefile.Listener{{Addr: tlsAddr, H3: true}, {Addr: plainAddr, Plain: true}}
	h.apply(with)
	if got := h.get(tlsAddr, "https://plex."+home+"/.plexha/ready"); !strings.HasPrefix(got.header.Get("Alt-Svc"), `h3=":`) {
		t.Errorf("it is not offered: %v", got.header)
	}
	with.Cluster.Origins = append(with.Cluster.Origins, "more.test.")
	h.apply(with)
	h.mu.Lock()
	defer h.mu.Unlock()
	if log := strings.Join(h.log, "\n"); !strings.Contains(log, "connections over HTTP/3 are cut") {
		t.Errorf("nobody says what a reload does to HTTP/3:\n%s", log)
	}
}
