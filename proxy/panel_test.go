package proxy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy"
	"plexha/proxy/status"
)

// call asks at an address with a method, a host and header fields.
func (h *house) call(addr, method, host, path string, header map[string]string) result {
	h.t.Helper()
	c := h.client(addr)
	defer c.CloseIdleConnections()
	return h.ask(c, method, host, path, header)
}

func (h *house) ask(c *http.Client, method, host, path string, header map[string]string) result {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+host+path, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
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

// short moves the state folder to one whose name a socket can have.
func (h *house) short() string {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h.dir = dir
	return filepath.Join(dir, proxy.SocketName)
}

// atSocket returns a client of a Unix socket.
func atSocket(t *testing.T, path string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// shown returns the zones and the nodes' states and orders of a document.
func shown(t *testing.T, r result) []string {
	t.Helper()
	var d status.Document
	if err := json.Unmarshal([]byte(r.body), &d); err != nil {
		t.Fatalf("%v: %d %s", err, r.status, r.body)
	}
	if d.Version != status.Version || d.Plexproxy != "test" || d.At.IsZero() {
		t.Errorf("the document is version %d of plexproxy %s at %v", d.Version, d.Plexproxy, d.At)
	}
	var out []string
	for _, c := range d.Clusters {
		for i := range c.Nodes {
			n := &c.Nodes[i]
			out = append(out, strings.TrimSpace(c.Zone+" "+string(n.Name)+" "+n.State+" "+n.Order))
		}
	}
	return out
}

// Who may see and change what at the page of a block.
func TestTheDoorOfTheStatusPage(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	order := "/order?name=plex1&order=drain"
	for name, tt := range map[string]struct {
		method, host, path string
		header             map[string]string
		want               int
	}{
		"the page":                   {"GET", "localhost", "/", nil, http.StatusOK},
		"by address":                 {"GET", "127.0.0.1:8054", "/", nil, http.StatusOK},
		"a name made up elsewhere":   {"GET", "evil.example", "/", nil, http.StatusMisdirectedRequest},
		"and its document":           {"GET", "evil.example", "/status.json", nil, http.StatusMisdirectedRequest},
		"ready is answered all same": {"GET", "evil.example", "/.plexha/ready", nil, http.StatusOK},
		"status.json is not":         {"GET", "evil.example", "/.plexha/status.json", nil, http.StatusMisdirectedRequest},
		"under our name":             {"GET", "plex." + home, "/.plexha/status.json", nil, http.StatusOK},
		"nor are metrics":            {"GET", "evil.example", "/metrics", nil, http.StatusMisdirectedRequest},
		"nginx hands it on":          {"GET", "localhost", "/.plexha/status.json", map[string]string{"X-Forwarded-For": "192.0.2.1"}, http.StatusForbidden},
		"and metrics":                {"GET", "localhost", "/metrics", map[string]string{"X-Forwarded-For": "192.0.2.1"}, http.StatusForbidden},
		"and ready":                  {"GET", "localhost", "/.plexha/ready", map[string]string{"X-Forwarded-For": "192.0.2.1"}, http.StatusOK},
		"an order":                   {"POST", "localhost", order, nil, http.StatusOK},
		"one by GET":                 {"GET", "localhost", order, nil, http.StatusMethodNotAllowed},
		"one of another site":        {"POST", "localhost", order, map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		"one that a proxy hands on":  {"POST", "localhost", order, map[string]string{"X-Forwarded-For": "192.0.2.1"}, http.StatusForbidden},
		"one under a made up name":   {"POST", "evil.example", order, nil, http.StatusMisdirectedRequest},
		"one on nobody":              {"POST", "localhost", "/order?name=plex9&order=drain", nil, http.StatusBadRequest},
		"one that is none":           {"POST", "localhost", "/order?name=plex1&order=sleep", nil, http.StatusBadRequest},
		"what is handed on by nginx": {"GET", "localhost", "/", map[string]string{"X-Forwarded-For": "192.0.2.1"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if got := h.call(statusAddr, tt.method, tt.host, tt.path, tt.header); got.status != tt.want {
				t.Errorf("got %d, want %d: %s", got.status, tt.want, got.body)
			}
		})
	}
	if got := shown(t, h.get(statusAddr, "http://localhost/status.json")); !slices.Equal(got, []string{home + " plex1 up drain"}) {
		t.Errorf("after the order there are %q", got)
	}
}

// TestPublicMetrics are for whoever asks, by whatever name.
func TestPublicMetrics(t *testing.T) {
	h := newHouse(t)
	cfg := h.block(home, "tls off", startNode(t, "plex1"))
	cfg.ProxyStatus.Public = true
	h.apply(cfg)
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/.plexha/status.json": http.StatusMisdirectedRequest} {
		if got := h.call(statusAddr, "GET", "docker1", path, map[string]string{"X-Forwarded-For": "192.0.2.1"}); got.status != want {
			t.Errorf("%s: got %d, want %d", path, got.status, want)
		}
	}
}

func TestThePageIsOneThatBrowsersTrust(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	got := h.get(statusAddr, "http://localhost/")
	if !strings.Contains(got.body, "<!doctype html>") && !strings.Contains(got.body, "<!DOCTYPE html>") || !strings.Contains(got.body, "plex1") {
		t.Errorf("the page is %s", got.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("it may do anything: %v", got.header)
	}
}

// TestAPageShowsItsBlocks: those whose lines name its address.
func TestAPageShowsItsBlocks(t *testing.T) {
	h := newHouse(t)
	first := h.block(home, "tls off", startNode(t, "plex1"))
	second := h.block("example.org", "tls off\nproxy_status 127.0.0.2:1 public", startNode(t, "plex2"))
	second.ProxyStatus.Addr = netip.MustParseAddrPort("127.0.0.2:0")
	h.apply(first, second)
	h.becomesReady(h.client(plainAddr), "http://example.org/.plexha/ready")
	for addr, want := range map[string][]string{
		statusAddr: {home + " plex1 up"}, "127.0.0.2:0": {"example.org plex2 up"},
	} {
		for _, path := range []string{"/status.json", "/.plexha/status.json"} {
			if diff := cmp.Diff(want, shown(t, h.get(addr, "http://localhost"+path))); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", addr, path, diff)
			}
		}
	}
}

// TestStatusUnderNamesThatAreNotOurs: a page elsewhere, open in the house, could let its own name lead here and read.
func TestStatusUnderNamesThatAreNotOurs(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	for host, want := range map[string]int{
		"plex." + home: http.StatusOK, home: http.StatusOK, "localhost": http.StatusOK, "127.0.0.3:80": http.StatusOK,
		"evil.example": http.StatusForbidden,
	} {
		if got := h.call(plainAddr, "GET", host, "/.plexha/status.json", nil); got.status != want {
			t.Errorf("%s: got %d, want %d", host, got.status, want)
		}
	}
}

func TestSocket(t *testing.T) {
	h := newHouse(t)
	path := h.short()
	cfg := h.block(home, "tls off", startNode(t, "plex1"))
	other := h.block("example.org", "tls off", startNode(t, "plex2"))
	h.apply(cfg, other)
	h.becomesReady(h.client(plainAddr), "http://example.org/.plexha/ready")
	c := atSocket(t, path)
	if got := shown(t, h.ask(c, "GET", "any", "/status.json", nil)); !slices.Equal(got, []string{home + " plex1 up", "example.org plex2 up"}) {
		t.Errorf("it shows %q", got)
	}
	for _, want := range []string{"/.plexha/ready", "/.plexha/status.json", "/", "/events.json"} {
		if got := h.ask(c, "GET", "any", want, nil); got.status != http.StatusOK {
			t.Errorf("%s: %+v", want, got)
		}
	}
	if got := h.ask(c, "POST", "any", "/order?name=plex2&order=drain&why=new+disk", nil); got.status != http.StatusOK || !strings.Contains(got.body, "example.org") {
		t.Errorf("an order: %+v", got)
	}

	changed := h.block(home, "tls off\nmax_requests 7", startNode(t, "plex1"))
	h.apply(changed, other)
	if got := shown(t, h.ask(c, "GET", "any", "/status.json", nil)); !slices.Contains(got, "example.org plex2 up drain") {
		t.Errorf("after a reload it shows %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	h.apply(cfg, other)
	if got := h.ask(atSocket(t, path), "GET", "any", "/status.json", nil); got.status != http.StatusOK {
		t.Errorf("after it was taken away and a reload: %+v", got)
	}
	h.dir = t.TempDir()
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with another state folder the socket is still there: %v", err)
	}
}

func TestASocketThatCannotBeIsWarnedOf(t *testing.T) {
	h := newHouse(t)
	h.dir = filepath.Join(t.TempDir(), strings.Repeat("x", 108))
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	h.mu.Lock()
	defer h.mu.Unlock()
	if log := strings.Join(h.log, "\n"); !strings.Contains(log, "plexctl cannot reach plexproxy") {
		t.Errorf("the log says\n%s", log)
	}
}

// follow begins to read a stream, and returns a channel that is closed when it ends.
func (h *house) follow(c *http.Client, path string) <-chan struct{} {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		h.t.Fatalf("%s is %s", path, kind)
	}
	in := bufio.NewReader(res.Body)
	if _, err := in.ReadString('\n'); err != nil {
		h.t.Fatalf("%s: %v", path, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in) // until it breaks off
		_ = res.Body.Close()
	}()
	return ended
}

// TestStreamsHoldUpNothing: neither a reload nor the end waits for who looks.
func TestStreamsHoldUpNothing(t *testing.T) {
	h := newHouse(t)
	path := h.short()
	node := startNode(t, "plex1")
	h.apply(h.block(home, "tls off", node))
	ends := func(what string, streams ...<-chan struct{}) {
		t.Helper()
		late := time.After(patience)
		for _, s := range streams {
			select {
			case <-s:
			case <-late:
				t.Fatalf("after %s a stream goes on", what)
			}
		}
	}
	page, socket := h.client(statusAddr), atSocket(t, path)
	live, events := h.follow(page, "/live"), h.follow(page, "/events")
	atSocket := h.follow(socket, "/events")
	h.apply(h.block(home, "tls off\nwildcard", node))
	ends("a reload", live, events)
	select {
	case <-atSocket:
		t.Error("a reload ends the streams of the socket")
	default:
	}
	page = h.client(statusAddr)
	live, events = h.follow(page, "/live"), h.follow(page, "/events")
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Errorf("the end: %v", err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("the end takes %v", took)
	}
	ends("the end", live, events, atSocket)
}

func TestRefusedIsShown(t *testing.T) {
	h := newHouse(t)
	h.apply(h.block(home, "tls off", startNode(t, "plex1")))
	h.server.Refused(errors.New("Corefile:3: unknown property"))
	if got := h.get(statusAddr, "http://localhost/events.json"); !strings.Contains(got.body, "Corefile:3: unknown property") {
		t.Errorf("the events are %s", got.body)
	}
}

func TestCertificatesAreShown(t *testing.T) {
	certificates := func(h *house) []string {
		t.Helper()
		var d status.Document
		if err := json.Unmarshal([]byte(h.get(statusAddr, "http://localhost/status.json").body), &d); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range d.Clusters[0].Certificates {
			if c.Issuer != "" && !c.NotAfter.After(c.NotBefore) {
				t.Errorf("%+v", c)
			}
			out = append(out, strings.Join(c.Hosts, " ")+" by "+c.Issuer+c.Trouble)
		}
		return out
	}
	for name, tt := range map[string]struct {
		tls  string
		want []string
	}{
		"tls off": {"tls off", nil},
		"tls internal": {"tls internal", []string{
			"plex." + home + " plex1." + home + " by plexha - ECC Intermediate",
			home + " by plexha - ECC Intermediate",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.apply(h.block(home, tt.tls, startNode(t, "plex1")))
			if diff := cmp.Diff(tt.want, certificates(h)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("tls files", func(t *testing.T) {
		cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
		pair(t, cert, key, home, "*."+home)
		h := newHouse(t)
		h.apply(h.block(home, "tls files "+cert+" "+key, startNode(t, "plex1")))
		got := certificates(h)
		if len(got) != 1 || !strings.HasPrefix(got[0], "plex."+home+" "+home+" plex1."+home+" by ") {
			t.Errorf("got %q", got)
		}
		if err := os.WriteFile(cert, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := certificates(h); len(got) != 1 || !strings.Contains(got[0], "it holds no certificate") {
			t.Errorf("of an empty file: %q", got)
		}
	})
}

// pair writes a certificate that signs itself, and its key.
func pair(t *testing.T, certFile, keyFile string, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, Subject: pkix.Name{CommonName: "ours"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: raw}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
