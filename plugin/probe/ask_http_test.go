package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/zones"
	"plexha/zones/board"
)

const container = `<?xml version="1.0" encoding="UTF-8"?>
<MediaContainer size="0" claimed="1" machineIdentifier="` + machineID + `" version="1.43.3.10861-abc">
</MediaContainer>`

// newPlex serves body at /identity and returns where.
func newPlex(tb testing.TB, body string) netip.AddrPort {
	tb.Helper()
	return serve(tb, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/identity" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	})
}

func serve(tb testing.TB, h http.HandlerFunc) netip.AddrPort {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return addrOf(s.Listener)
}

func serveTLS(tb testing.TB, h http.HandlerFunc) (netip.AddrPort, *x509.Certificate) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = discard
	s.StartTLS()
	tb.Cleanup(s.Close)
	return addrOf(s.Listener), s.Certificate()
}

// serveRaw does with each connection what handle does, and closes it then.
func serveRaw(tb testing.TB, handle func(*net.TCPConn)) netip.AddrPort {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return addrOf(l)
}

func addrOf(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

// closedPort returns an address at which nothing listens.
func closedPort(tb testing.TB) netip.AddrPort {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return addrOf(l)
}

// patient is a config with a timeout that no loaded machine makes a probe miss.
func patient() *corefile.Config {
	cfg := config()
	cfg.Timeout = 10 * time.Second
	return cfg
}

// finding is what a probe says.
type finding struct {
	Result   board.Result
	Identity string
	Why      string
}

// askNode asks a node at an address that its HOST does not tell.
func askNode(t *testing.T, cfg *corefile.Config, n zones.Node, at netip.AddrPort) finding {
	t.Helper()
	a := probe.NodeAsker(probe.Options{Config: cfg, Version: "1.2.3"}, n, at)
	defer a.Close()
	return findingOf(t, cfg, a)
}

func findingOf(t *testing.T, cfg *corefile.Config, a probe.Asker) finding {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), cfg.Timeout, fmt.Errorf("no answer within %v", cfg.Timeout))
	defer cancel()
	var f finding
	f.Result, f.Identity, f.Why = a.Ask(ctx, false).Finding()
	return f
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const maintenance = `<?xml version="1.0" encoding="UTF-8"?>
<Response code="503" title="Maintenance" status="Plex Media Server is currently running startup maintenance tasks."/>`

func TestPlexProbe(t *testing.T) {
	const slow = "no answer within 100ms"
	overTLS, _ := serveTLS(t, answering(http.StatusOK, container))
	elsewhere := http.RedirectHandler("https://app.plex.tv/desktop?X-Plex-Token=secret", http.StatusFound)
	for _, tc := range []struct {
		name string
		at   netip.AddrPort
		want finding
	}{
		{
			"healthy", newPlex(t, container),
			finding{Identity: machineID},
		},
		{
			"healthy, in JSON", newPlex(t, `{"MediaContainer":{"machineIdentifier":"`+machineID+`"}}`),
			finding{Identity: machineID},
		},
		{
			"healthy, with far more than it should say", newPlex(t, container+strings.Repeat(" ", 1<<20)),
			finding{Identity: machineID},
		},
		{
			"in maintenance", serve(t, answering(http.StatusServiceUnavailable, maintenance)),
			finding{Result: board.Starting, Why: "in maintenance"},
		},
		{
			"overloaded", serve(t, answering(http.StatusServiceUnavailable, "")),
			finding{Result: board.Failed, Why: "answers 503 Service Unavailable"},
		},
		{
			"another web server", serve(t, answering(http.StatusOK, "It works!")),
			finding{Result: board.Failed, Why: "answers, but not as a Plex server"},
		},
		{
			"nothing listens", closedPort(t),
			finding{Result: board.Failed, Why: "connection refused"},
		},
		{
			"hangs after accept", serveRaw(t, drain),
			finding{Result: board.Failed, Why: slow},
		},
		{
			"hangs within the body", serveRaw(t, func(c *net.TCPConn) {
				readRequest(c)
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n<MediaContainer")
				drain(c)
			}),
			finding{Result: board.Failed, Why: slow},
		},
		{
			"resets the connection", serveRaw(t, reset),
			finding{Result: board.Failed, Why: "connection reset by peer"},
		},
		{
			"closes the connection, as with Secure connections set to Required", serveRaw(t, readRequest),
			finding{Result: board.Failed, Why: "needs https: add `https`, or set Secure connections to Preferred"},
		},
		{
			"answers with a TLS alert",
			serveRaw(t, func(c *net.TCPConn) {
				readRequest(c)
				c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46\r\n"))
			}),
			finding{Result: board.Failed, Why: "needs https: add `https`, or set Secure connections to Preferred"},
		},
		{
			"a TLS server that says so in plain words", overTLS,
			finding{Result: board.Failed, Why: "needs https: add `https`, or set Secure connections to Preferred"},
		},
		{
			"sends us elsewhere", serve(t, elsewhere.ServeHTTP),
			finding{Result: board.Failed, Why: "redirects to https://app.plex.tv/desktop"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := patient()
			if tc.want.Why == slow {
				cfg.Timeout = 100 * time.Millisecond
			}
			if diff := cmp.Diff(tc.want, askNode(t, cfg, node("plex1", "docker1", tc.at.Port()), tc.at)); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
}

func drain(c *net.TCPConn) { io.Copy(io.Discard, c) }

func reset(c *net.TCPConn) {
	readRequest(c)
	c.SetLinger(0)
}

func readRequest(c *net.TCPConn) { c.Read(make([]byte, 4096)) }

// A server that has answered in plain HTTP does not need https because it dies.
func TestClosedConnectionOfAServerThatIsKnown(t *testing.T) {
	var n atomic.Int32
	at := serveRaw(t, func(c *net.TCPConn) {
		readRequest(c)
		if n.Add(1) == 1 {
			fmt.Fprintf(c, "HTTP/1.0 200 OK\r\n\r\n%s", container)
		}
	})
	cfg := patient()
	a := probe.NodeAsker(probe.Options{Config: cfg}, node("plex1", "docker1", at.Port()), at)
	defer a.Close()
	if got := findingOf(t, cfg, a); got.Result != board.OK {
		t.Fatalf("first answer: %+v", got)
	}
	want := finding{Result: board.Failed, Why: "the connection was closed without an answer"}
	if diff := cmp.Diff(want, findingOf(t, cfg, a)); diff != "" {
		t.Errorf("second answer (-want +got):\n%s", diff)
	}
}

func TestWhatANodeIsAsked(t *testing.T) {
	var got *http.Request
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		fmt.Fprint(w, container)
	})
	askNode(t, patient(), node("plex1", "docker1", at.Port()), at)
	if want := fmt.Sprintf("docker1:%d", at.Port()); got.Host != want {
		t.Errorf("Host %q, want %q", got.Host, want)
	}
	if ua := got.UserAgent(); ua != "plexha/1.2.3" {
		t.Errorf("User-Agent %q", ua)
	}
}

func TestHTTPSNode(t *testing.T) {
	var sni string
	at, cert := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		sni = r.TLS.ServerName
		fmt.Fprint(w, container)
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	ask := func(n zones.Node) finding {
		cfg := patient()
		a := probe.NodeAsker(probe.Options{Config: cfg}.Trusting(roots), n, at)
		defer a.Close()
		return findingOf(t, cfg, a)
	}
	secure := func(host string, verify bool) zones.Node {
		n := node("plex1", host, at.Port())
		n.HTTPS, n.Verify = true, verify
		return n
	}
	for _, tc := range []struct {
		name string
		node zones.Node
		want finding
	}{
		{"any certificate without verify", secure("docker1", false), finding{Identity: machineID}},
		{"the right name with verify", secure("example.com", true), finding{Identity: machineID}},
		{"the right address with verify", secure("127.0.0.1", true), finding{Identity: machineID}},
		{"a wrong name with verify", secure("docker1", true), finding{
			Result: board.Failed,
			Why: "tls: failed to verify certificate: x509: certificate is valid for example.com, " +
				"*.example.com, not docker1",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(tc.node)
			// Only the start of x509's words is theirs to keep.
			if len(got.Why) > 60 && strings.HasPrefix(tc.want.Why, got.Why[:60]) {
				got.Why = tc.want.Why
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
	ask(secure("example.com", false))
	if sni != "example.com" {
		t.Errorf("SNI %q, want the name of HOST", sni)
	}
	ask(secure("127.0.0.1", false))
	if sni != "" {
		t.Errorf("SNI %q of an address, want none", sni)
	}
}

func TestHTTPSProbeOfAPlainServer(t *testing.T) {
	at := newPlex(t, container)
	n := node("plex1", "docker1", at.Port())
	n.HTTPS = true
	want := finding{Result: board.Failed, Why: "speaks http, not https: remove `https`"}
	if diff := cmp.Diff(want, askNode(t, patient(), n, at)); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

func TestHTTPProbe(t *testing.T) {
	var rounds atomic.Int32
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.String() {
		case "/ok", "/ok?deep=1":
			fmt.Fprintf(w, "all %s", "well")
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusMovedPermanently)
		case "/round":
			rounds.Add(1)
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/big":
			w.Write(make([]byte, 1<<20))
		default:
			http.NotFound(w, r)
		}
	})
	for _, tc := range []struct {
		name  string
		probe corefile.Probe
		want  finding
	}{
		{"status in the range", corefile.Probe{Path: "/ok"}, finding{}},
		{"with a query", corefile.Probe{Path: "/ok?deep=1"}, finding{}},
		{"status out of it", corefile.Probe{Path: "/no"}, finding{Result: board.Failed, Why: "answers 404 Not Found"}},
		{"status that is meant", corefile.Probe{Path: "/no", StatusMin: 404, StatusMax: 404}, finding{}},
		{"body matches", corefile.Probe{Path: "/ok", Body: regexp.MustCompile("w.ll")}, finding{}},
		{
			"body does not",
			corefile.Probe{Path: "/ok", Body: regexp.MustCompile("ill")},
			finding{Result: board.Failed, Why: `its answer does not match "ill"`},
		},
		{"more than 64 KiB", corefile.Probe{Path: "/big"}, finding{}},
		{"a redirect within is followed", corefile.Probe{Path: "/moved", Body: regexp.MustCompile("well")}, finding{}},
		{
			"but not for ever",
			corefile.Probe{Path: "/round"},
			finding{Result: board.Failed, Why: "redirects to itself, more than 3 times"},
		},
		{"unless it is what is asked for", corefile.Probe{Path: "/moved", StatusMin: 301, StatusMax: 308}, finding{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := patient()
			cfg.Probe = tc.probe
			cfg.Probe.Kind = corefile.ProbeHTTP
			if cfg.Probe.StatusMin == 0 {
				cfg.Probe.StatusMin, cfg.Probe.StatusMax = 200, 399
			}
			if diff := cmp.Diff(tc.want, askNode(t, cfg, node("plex1", "docker1", at.Port()), at)); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
	if n := rounds.Load(); n != 4 {
		t.Errorf("%d requests to a place that redirects to itself, want one and 3 more", n)
	}
}

func TestTCPProbe(t *testing.T) {
	cfg := patient()
	cfg.Probe.Kind = corefile.ProbeTCP
	open := serveRaw(t, drain)
	if got := askNode(t, cfg, node("plex1", "docker1", open.Port()), open); got != (finding{}) {
		t.Errorf("open port: %+v", got)
	}
	shut := closedPort(t)
	want := finding{Result: board.Failed, Why: "connection refused"}
	if got := askNode(t, cfg, node("plex1", "docker1", shut.Port()), shut); got != want {
		t.Errorf("closed port: %+v, want %+v", got, want)
	}
}

func TestConnections(t *testing.T) {
	var made atomic.Int32
	s := httptest.NewUnstartedServer(answering(http.StatusOK, container))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	at := addrOf(s.Listener)
	a := probe.NodeAsker(probe.Options{Config: config()}, node("plex1", "docker1", at.Port()), at)
	defer a.Close()
	for range 5 {
		a.Ask(t.Context(), false)
	}
	if n := made.Load(); n != 1 {
		t.Errorf("%d connections for 5 steady probes, want 1", n)
	}
	a.Ask(t.Context(), true)
	a.Ask(t.Context(), true)
	if n := made.Load(); n != 3 {
		t.Errorf("%d connections after two confirming probes, want 3", n)
	}
}

func TestRefusedIsTold(t *testing.T) {
	at := closedPort(t)
	for _, kind := range []corefile.ProbeKind{corefile.ProbePlex, corefile.ProbeHTTP, corefile.ProbeTCP} {
		cfg := patient()
		cfg.Probe = corefile.Probe{Kind: kind, Path: "/"}
		a := probe.NodeAsker(probe.Options{Config: cfg}, node("plex1", "docker1", at.Port()), at)
		if !a.Ask(t.Context(), true).Refused() {
			t.Errorf("probe kind %d: a refused connection is not told", kind)
		}
		a.Close()
	}
}

func TestProxyProbe(t *testing.T) {
	var host, sni, path string
	status, body := http.StatusOK, "ok"
	at, _ := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		host, sni, path = r.Host, r.TLS.ServerName, r.URL.Path
		w.WriteHeader(status)
		fmt.Fprintln(w, body)
	})
	cfg := patient()
	var said collected[string]
	ask := func() finding {
		a := probe.ProxyAsker(probe.Options{Config: cfg, Warn: said.add}, at)
		defer a.Close()
		for range 2 {
			findingOf(t, cfg, a)
		}
		return findingOf(t, cfg, a)
	}
	if got := ask(); got != (finding{}) {
		t.Errorf("ready: %+v", got)
	}
	if want := fmt.Sprintf("plex.home.duckdns.org:%d", at.Port()); host != want || path != "/.plexha/ready" {
		t.Errorf("asked %s%s, want %s/.plexha/ready", host, path, want)
	}
	if sni != "plex.home.duckdns.org" {
		t.Errorf("SNI %q", sni)
	}
	want := []string{fmt.Sprintf(`proxy %s: its certificate is for "example.com *.example.com 127.0.0.1 ::1", `+
		`not for "plex.home.duckdns.org"`, at)}
	if diff := cmp.Diff(want, said.all()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}

	status, body = http.StatusServiceUnavailable, "no-node"
	notReady := finding{Result: board.Failed, Why: "answers 503 Service Unavailable: no-node"}
	if got := ask(); got != notReady {
		t.Errorf("not ready: %+v, want %+v", got, notReady)
	}
	body = "<html>Bad luck</html>"
	notReady.Why = "answers 503 Service Unavailable"
	if got := ask(); got != notReady {
		t.Errorf("not ready, in other words: %+v, want %+v", got, notReady)
	}
}

func TestProxyProbeWithTLSOff(t *testing.T) {
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.plexha/ready" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	cfg := patient()
	a := probe.ProxyAsker(probe.Options{Config: cfg}, at)
	want := finding{Result: board.Failed, Why: "speaks http, not https: does its Corefile say `tls off`?"}
	if got := findingOf(t, cfg, a); got != want {
		t.Errorf("with tls on: %+v, want %+v", got, want)
	}
	a.Close()
	cfg.TLS.Kind = corefile.TLSOff
	a = probe.ProxyAsker(probe.Options{Config: cfg}, at)
	defer a.Close()
	if got := findingOf(t, cfg, a); got != (finding{}) {
		t.Errorf("with tls off: %+v", got)
	}
}

// Clients name the port only where it is not their scheme's own.
func TestHostOfAProxyProbe(t *testing.T) {
	for at, want := range map[string]string{
		"192.168.1.2:443":  "plex.home.duckdns.org",
		"192.168.1.2:8443": "plex.home.duckdns.org:8443",
	} {
		a := probe.ProxyAsker(probe.Options{Config: config()}, netip.MustParseAddrPort(at))
		if got := probe.HostHeader(a); got != want {
			t.Errorf("proxy at %s: Host %q, want %q", at, got, want)
		}
	}
}

func TestCertificateIsWarnedOfOnceAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said collected[string]
		look, stale := probe.CertWatch("plex.home.duckdns.org", said.add)
		see := func(name string) {
			state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{
				DNSNames: []string{name}, NotAfter: time.Now().AddDate(1, 0, 0),
			}}}
			if err := look(state); err != nil {
				t.Errorf("a certificate for %s fails the probe: %v", name, err)
			}
		}
		for _, name := range []string{"x", "x", "y", "plex.home.duckdns.org", "x"} {
			see(name)
		}
		words := func(name string) string {
			return `proxy invalid AddrPort: its certificate is for "` + name + `", not for "plex.home.duckdns.org"`
		}
		if diff := cmp.Diff([]string{words("x"), words("y"), words("x")}, said.all()); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		if stale(time.Now().Add(59 * time.Minute)) {
			t.Error("stale within the hour")
		}
		if hour := time.Now().Add(time.Hour); !stale(hour) || stale(hour) {
			t.Error("not stale once after an hour")
		}
	})
}

func TestCertificateWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cert := func(days int, names ...string) *x509.Certificate { // of those that live for 90 days
		return &x509.Certificate{DNSNames: names, NotBefore: now.AddDate(0, 0, days-90), NotAfter: now.AddDate(0, 0, days)}
	}
	hours := func(left int) *x509.Certificate { // of those that live for 12 hours
		end := now.Add(time.Duration(left) * time.Hour)
		return &x509.Certificate{DNSNames: []string{"plex.home.duckdns.org"}, NotBefore: end.Add(-12 * time.Hour), NotAfter: end}
	}
	for _, tc := range []struct {
		name string
		cert *x509.Certificate
		want string
	}{
		{"good", cert(60, "plex.home.duckdns.org"), ""},
		{"a wildcard", cert(60, "*.home.duckdns.org"), ""},
		{"another name", cert(60, "x"), `its certificate is for "x", not for "plex.home.duckdns.org"`},
		{"ends soon", cert(13, "plex.home.duckdns.org"), "its certificate ends 2026-12-05"},
		{"lives for hours", hours(4), ""},
		{"lives for hours and was not renewed", hours(2), "its certificate ends 2026-11-22"},
		{"has ended", cert(-1, "plex.home.duckdns.org"), "its certificate ended 2026-11-21"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := probe.CertWords(tc.cert, "plex.home.duckdns.org", now); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	at := serveRaw(t, drain)
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			n := node("plex1", "docker1", at.Port())
			n.HTTPS = secure
			a := probe.NodeAsker(probe.Options{Config: config()}, n, at)
			defer a.Close()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(errors.New("enough")) })
			if got := a.Ask(ctx, false).Why(); got != "enough" {
				t.Errorf("got %q, want the cause", got)
			}
		})
	}
}
