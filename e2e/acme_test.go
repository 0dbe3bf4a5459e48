package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// duckToken is the account's token, as a UUID. It must show nowhere but in the calls of DuckDNS.
const duckToken = "0f0f0f0f-aaaa-4bbb-8ccc-0123456789ab"

// acme is a certificate authority, pebble, and the DuckDNS that it asks. Both are in the network namespace, if
// there is one: else they are where the test is.
type acme struct {
	tb     testing.TB
	ns     string
	dir    string
	duck   *standin.DuckDNS
	names  netip.AddrPort // the name server that pebble asks
	tunnel string         // the URL of the way to www.duckdns.org
	roots  string         // the file of the certificates to trust
	pebble netip.AddrPort
	http   uint16 // where pebble looks for HTTP-01
	https  uint16 // and for TLS-ALPN-01
}

// newACME starts both, with name servers of duckdns.org at names and at others.
func newACME(tb testing.TB, ns string, names netip.AddrPort, others ...netip.AddrPort) *acme {
	tb.Helper()
	gate.Need(tb, gate.Tool("pebble"))
	a := &acme{tb: tb, ns: ns, dir: tb.TempDir(), duck: standin.NewDuckDNS(), names: names}
	a.pebble = netip.AddrPortFrom(inside, freePort(tb, inside))
	a.http, a.https = freePort(tb, inside), freePort(tb, inside)
	a.duck.Add(duckToken, "home")
	a.duck.SetRecord("home", standin.DuckRecord{IPv4: inside})
	a.duck.SetServers(names.Addr())
	for _, addr := range append(others, names) {
		a.in(func() error {
			s, err := a.duck.NameServer(addr)
			if err == nil {
				tb.Cleanup(s.Close)
			}
			return err
		})
	}
	authority, err := standin.NewAuthority()
	if err != nil {
		tb.Fatal(err)
	}
	a.roots = a.write("roots.pem", authority.PEM())
	a.startDuckDNS(authority)
	a.startPebble(authority)
	return a
}

// newACMEInWorld starts both in a network namespace, where a resolver of the world leads to DuckDNS's name server.
func newACMEInWorld(tb testing.TB) *acme {
	tb.Helper()
	n := newNetwork(tb)
	resolver, server := netip.MustParseAddrPort("1.1.1.1:53"), netip.MustParseAddrPort("192.0.2.53:53")
	for _, addr := range []netip.AddrPort{resolver, server} {
		n.ip("-n %s addr add %s/32 dev lo", n.here, addr.Addr())
	}
	return newACME(tb, n.here, server, resolver)
}

// in runs f where everything is.
func (a *acme) in(f func() error) {
	a.tb.Helper()
	if a.ns != "" {
		inNamespace(a.tb, a.ns, f)
	} else if err := f(); err != nil {
		a.tb.Fatal(err)
	}
}

func (a *acme) write(name string, content []byte) string {
	a.tb.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		a.tb.Fatal(err)
	}
	return file
}

// startDuckDNS puts DuckDNS's API at the end of a tunnel.
func (a *acme) startDuckDNS(authority *standin.Authority) {
	a.tb.Helper()
	pair, err := authority.Issue("www.duckdns.org")
	if err != nil {
		a.tb.Fatal(err)
	}
	api := httptest.NewUnstartedServer(a.duck)
	api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	api.StartTLS()
	a.tb.Cleanup(api.Close)
	a.in(func() error { // it listens there, and dials from here
		tunnel := httptest.NewServer(standin.Tunnel{"www.duckdns.org:443": api.Listener.Addr().String()})
		a.tb.Cleanup(tunnel.Close)
		a.tunnel = tunnel.URL
		return nil
	})
}

func (a *acme) startPebble(authority *standin.Authority) {
	a.tb.Helper()
	pair, err := authority.Issue("localhost")
	if err != nil {
		a.tb.Fatal(err)
	}
	certificate, key, err := standin.PairPEM(pair)
	if err != nil {
		a.tb.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress":           a.pebble.String(),
		"managementListenAddress": netip.AddrPortFrom(inside, freePort(a.tb, inside)).String(),
		"certificate":             a.write("pebble.pem", certificate),
		"privateKey":              a.write("pebble.key", key),
		"httpPort":                a.http,
		"tlsPort":                 a.https,
	}})
	if err != nil {
		a.tb.Fatal(err)
	}
	program, err := exec.LookPath("pebble")
	if err != nil {
		a.tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), program, "-config", a.write("pebble.json", config), "-dnsserver", a.names.String())
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	startProcess(a.tb, a.ns, cmd)
	eventually(a.tb, 10*time.Second, func() error {
		_, err := a.leaf(a.pebble, "localhost")
		return err
	})
}

// leaf returns the certificate that is served at an address for a name.
func (a *acme) leaf(addr netip.AddrPort, name string) (leaf *x509.Certificate, err error) {
	a.tb.Helper()
	a.in(func() error {
		dialer := &tls.Dialer{
			NetDialer: &net.Dialer{Timeout: 5 * time.Second},
			Config:    &tls.Config{ServerName: name, InsecureSkipVerify: true},
		}
		var c net.Conn
		if c, err = dialer.DialContext(a.tb.Context(), "tcp", addr.String()); err != nil {
			return nil
		}
		defer c.Close()
		leaf = c.(*tls.Conn).ConnectionState().PeerCertificates[0]
		return nil
	})
	return leaf, err
}

// startPlexproxy starts one that gets its certificates here. Its log must not hold the token.
func (a *acme) startPlexproxy(property string) *process {
	a.tb.Helper()
	lines := []string{
		"node plex1 127.0.0.1:9", "proxy 127.0.0.1", "internal 127.0.0.0/8", "uplink wan " + uplink.String(),
		"duckdns token_file " + a.write("token", []byte(duckToken+"\n")),
		"tls " + property + " ca https://" + a.pebble.String() + "/dir",
		fmt.Sprintf("listen %s:%d http://%s:%d", inside, a.https, inside, a.http),
		"state " + a.dir, "storage " + filepath.Join(a.dir, "storage"),
		"proxy_status " + netip.AddrPortFrom(inside, freePort(a.tb, inside)).String(),
	}
	corefile := fmt.Sprintf("%s {\n    plex {\n        %s\n    }\n}\n", strings.TrimSuffix(zone, "."), strings.Join(lines, "\n        "))
	cmd := exec.CommandContext(context.Background(), programs.path(a.tb, "plexproxy"), "-conf", a.write("Corefile", []byte(corefile)))
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+a.tunnel, "SSL_CERT_FILE="+a.roots)
	proc := startProcess(a.tb, a.ns, cmd)
	a.tb.Cleanup(func() {
		proc.endWell(a.tb)
		if proc.output.count(duckToken) > 0 {
			a.tb.Error("plexproxy's log holds the token of DuckDNS")
		}
	})
	return proc
}

// certified waits until the name is served with a certificate of pebble's, and returns for which names that is.
func (a *acme) certified(name string, within time.Duration) (names []string) {
	a.tb.Helper()
	eventually(a.tb, within, func() error {
		leaf, err := a.leaf(netip.AddrPortFrom(inside, a.https), name)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(leaf.Issuer.CommonName, "Pebble") {
			return fmt.Errorf("the certificate of %s is from %s", name, leaf.Issuer)
		}
		names = leaf.DNSNames
		return nil
	})
	return names
}

// changes returns what DuckDNS was asked to do, without the texts.
func (a *acme) changes() []string {
	var out []string
	for _, c := range a.duck.Calls() {
		switch {
		case c.Answer == "KO" || !c.Query.Has("txt"):
			out = append(out, fmt.Sprintf("%s: %s", c.Query.Encode(), c.Answer))
		case c.Query.Get("clear") == "true":
			out = append(out, "clear")
		default:
			out = append(out, "set")
		}
	}
	return out
}

// TestACMEByHTTP: the main name, the nodes' and the apex each get a certificate, by a look at our ports.
func TestACMEByHTTP(t *testing.T) {
	t.Parallel()
	a := newACME(t, "", netip.AddrPortFrom(inside, freePort(t, inside)))
	a.startPlexproxy("acme mail@example.com")
	for _, name := range []string{"plex.home.duckdns.org", "plex1.home.duckdns.org", "home.duckdns.org"} {
		if got := a.certified(name, time.Minute); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: certificate for %v", name, got)
		}
	}
	if got := a.changes(); len(got) > 0 {
		t.Errorf("DuckDNS was asked: %v", got)
	}
}

// TestACMEByDNS: one certificate covers the main name and the nodes', another one the apex, both by the one
// TXT record that DuckDNS has. The name servers are found and asked at the addresses that they have in the
// world.
func TestACMEByDNS(t *testing.T) {
	t.Parallel()
	a := newACMEInWorld(t)
	a.startPlexproxy("acme mail@example.com dns")
	const wildcard, apex = "plex.home.duckdns.org", "home.duckdns.org"
	if !gate.Long() {
		// Whose turn is first is open, and the other's is a minute later.
		eventually(t, time.Minute, func() error {
			for _, name := range []string{wildcard, apex} {
				if leaf, err := a.leaf(netip.AddrPortFrom(inside, a.https), name); err == nil && strings.HasPrefix(leaf.Issuer.CommonName, "Pebble") {
					return nil
				}
			}
			return errors.New("no certificate yet")
		})
		if diff := cmp.Diff([]string{"set", "clear"}, a.changes()[:2]); diff != "" {
			t.Errorf("DuckDNS was asked (-want +got):\n%s", diff)
		}
		return
	}
	if diff := cmp.Diff([]string{"*.home.duckdns.org"}, a.certified(wildcard, 3*time.Minute)); diff != "" {
		t.Errorf("%s: certificate for (-want +got):\n%s", wildcard, diff)
	}
	if diff := cmp.Diff([]string{apex}, a.certified(apex, 3*time.Minute)); diff != "" {
		t.Errorf("%s: certificate for (-want +got):\n%s", apex, diff)
	}
	if diff := cmp.Diff([]string{"set", "clear", "set", "clear"}, a.changes()); diff != "" {
		t.Errorf("DuckDNS was asked (-want +got):\n%s", diff)
	}
	if got := a.duck.Record("home"); got.TXT != "" || got.IPv4 != inside {
		t.Errorf("DuckDNS holds %+v, want the text cleared and the address left", got)
	}
}

// TestACMERefusedByDuckDNS: the log says what is wrong, and not the token.
func TestACMERefusedByDuckDNS(t *testing.T) {
	t.Parallel()
	a := newACMEInWorld(t)
	a.duck.SetFault(standin.DuckKO)
	proc := a.startPlexproxy("acme mail@example.com dns")
	eventually(t, time.Minute, func() error {
		if proc.output.count("DuckDNS refused: wrong token or domain") == 0 {
			return errors.New("the log does not say that DuckDNS refused")
		}
		return nil
	})
}
