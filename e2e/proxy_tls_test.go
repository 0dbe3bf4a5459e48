package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// authority signs certificates for the tests. Their clients trust it, and nobody else.
type authority struct {
	tb testing.TB
	*standin.Authority
	roots *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a, err := standin.NewAuthority()
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM())
	return &authority{tb, a, roots}
}

// pair is the files of a certificate and its key.
type pair struct{ cert, key string }

// issue writes a new certificate for the names into the files, one after the other, each by a rename, and returns its
// serial number.
func (a *authority) issue(p pair, names ...string) (serial string) {
	a.tb.Helper()
	made, err := a.Issue(names...)
	if err != nil {
		a.tb.Fatal(err)
	}
	cert, key, err := standin.PairPEM(made)
	if err != nil {
		a.tb.Fatal(err)
	}
	writeFile(a.tb, p.cert, string(cert))
	writeFile(a.tb, p.key, string(key))
	return made.Leaf.SerialNumber.String()
}

// newPair names two files in a folder.
func newPair(dir, name string) pair {
	return pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
}

// shaken is what a handshake has come to.
type shaken struct {
	leaf     *x509.Certificate
	protocol string // by ALPN
	version  uint16 // of TLS
}

// shake shakes hands at an address, and hangs up. The certificate must be one of roots for the name; with nil roots
// it is not looked at.
func shake(tb testing.TB, addr netip.AddrPort, name string, roots *x509.CertPool, alpn ...string) (shaken, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{
		ServerName: name, RootCAs: roots, NextProtos: alpn,
		InsecureSkipVerify: roots == nil, //nolint:gosec // it is what the test looks at
	}}
	c, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return shaken{}, err
	}
	defer c.Close()
	state := c.(*tls.Conn).ConnectionState()
	return shaken{state.PeerCertificates[0], state.NegotiatedProtocol, state.Version}, nil
}

// tlsClient returns an HTTP client whose every connection leads to the address.
func tlsClient(tb testing.TB, addr netip.AddrPort, roots *x509.CertPool) *http.Client {
	tb.Helper()
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr.String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, //nolint:gosec // Go's lowest version is fine
	}
	tb.Cleanup(t.CloseIdleConnections)
	return &http.Client{
		Transport: t, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask sends a GET and returns the answer, read to its end.
func ask(tb testing.TB, c *http.Client, url string) (*http.Response, string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res, string(body)
}

// TestCertificateFilesAreReadAgain: a renewed certificate is served without a reload, and what can't be used is not.
func TestCertificateFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	h, a, c := newHouse(t, 2), newAuthority(t), newCLI(t)
	files := newPair(c.dir, "site")
	names := []string{"home.duckdns.org", "*.home.duckdns.org"}
	first := a.issue(files, names...)
	c.write(c.block(h, "tls files "+files.cert+" "+files.key, "listen "+c.tls.String()))
	c.start()

	served := func() (string, error) {
		s, err := shake(t, c.tls, siteName, a.roots)
		if err != nil {
			return "", err
		}
		return s.leaf.SerialNumber.String(), nil
	}
	becomes := func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			got, err := served()
			if err == nil && got != want {
				err = fmt.Errorf("certificate %s is served, want %s", got, want)
			}
			return err
		})
	}
	becomes(first)
	kept := tlsClient(t, c.tls, a.roots)
	ask(t, kept, "https://"+siteName+"/identity")

	second := a.issue(files, names...)
	becomes(second)
	if s, err := shake(t, c.tls, "", nil); err != nil || s.leaf.SerialNumber.String() != second {
		t.Errorf("who knows the address alone, and so names nobody: %+v, %v, want certificate %s", s.leaf, err, second)
	}

	// Half of a pair, or none: the one before goes on, and the log says why, once.
	const says = "going on with the certificate before"
	before := c.proc.output.count(says)
	writeFile(t, files.cert, string(a.PEM()))
	eventually(t, 10*time.Second, func() error {
		if got, err := served(); err != nil || got != second {
			t.Fatalf("while the files are no pair: certificate %s, %v, want %s", got, err, second)
		}
		if c.proc.output.count(says) == before {
			return errors.New("the log does not say that the files are no pair")
		}
		return nil
	})
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	if got, err := served(); err != nil || got != second {
		t.Errorf("without a key: certificate %s, %v, want %s", got, err, second)
	}
	becomes(a.issue(files, names...))
	if n := c.proc.output.count(says); n > before+2 {
		t.Errorf("the log tells of the bad files %d times", n-before)
	}
	if c.proc.output.count("taken over") > 0 {
		t.Error("it has reloaded for that")
	}
	if res, _ := ask(t, kept, "https://"+siteName+"/identity"); res.StatusCode != http.StatusOK {
		t.Errorf("through the connection of the first certificate: %s", res.Status)
	}
}

// TestBadCertificateFiles: with a pair that can't be used it does not start, and says which file is to blame.
func TestBadCertificateFiles(t *testing.T) {
	t.Parallel()
	h, a, c := newHouse(t, 1), newAuthority(t), newCLI(t)
	good, other, none := newPair(c.dir, "good"), newPair(c.dir, "other"), newPair(c.dir, "none")
	a.issue(good, siteName)
	a.issue(other, siteName)
	writeFile(t, filepath.Join(c.dir, "text"), "no certificate\n")
	for name, files := range map[string]pair{
		"files that are not there": none,
		"another's key":            {good.cert, other.key},
		"no certificate":           {filepath.Join(c.dir, "text"), good.key},
		"no key":                   {good.cert, filepath.Join(c.dir, "text")},
	} {
		c.write(c.block(h, "tls files "+files.cert+" "+files.key, "listen "+c.tls.String()))
		for _, args := range [][]string{{"-check"}, nil} {
			r := c.run(args...)
			if r.code != 1 || !strings.Contains(r.stderr, files.cert) && !strings.Contains(r.stderr, files.key) {
				t.Errorf("%s, plexproxy %q: code %d, %s", name, args, r.code, r.stderr)
			}
		}
	}
}

// TestInternalCertificates: our own authority signs one certificate for all names below the domain, and one for the
// domain. Whoever trusts its root trusts them.
func TestInternalCertificates(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 2), newCLI(t)
	c.write(c.block(h, "tls internal", "listen "+c.tls.String()+" http://"+c.plain.String()))
	c.start()
	const refused = "which TVs and phones refuse"
	c.says(refused) // it serves before it looks for what may be meant otherwise
	if n := c.proc.output.count(refused); n != 1 {
		t.Errorf("it says %d times that TVs and phones refuse its certificates", n)
	}
	roots := x509.NewCertPool()
	eventually(t, 10*time.Second, func() error {
		root, err := os.ReadFile(filepath.Join(c.dir, "storage", "pki", "authorities", "local", "root.crt"))
		if err == nil && !roots.AppendCertsFromPEM(root) {
			err = errors.New("no certificate")
		}
		return err
	})
	for name, covered := range map[string]string{
		siteName: "*.home.duckdns.org", "plex1.home.duckdns.org": "*.home.duckdns.org", "home.duckdns.org": "home.duckdns.org",
	} {
		eventually(t, 10*time.Second, func() error {
			_, err := shake(t, c.tls, name, roots)
			return err
		})
		s, err := shake(t, c.tls, name, roots, "h2", "http/1.1")
		if err != nil || !slices.Equal(s.leaf.DNSNames, []string{covered}) || s.protocol != "h2" || s.version < tls.VersionTLS12 {
			t.Errorf("%s: %+v, %v, want HTTP/2 with a certificate for %s", name, s, err, covered)
		}
	}
	for _, alpn := range [][]string{{"http/1.1"}, nil} {
		if s, err := shake(t, c.tls, siteName, roots, alpn...); err != nil || s.protocol == "h2" {
			t.Errorf("who offers %q: %+v, %v", alpn, s, err)
		}
	}
	client := tlsClient(t, c.tls, roots)
	if res, _ := ask(t, client, "https://plex2.home.duckdns.org/identity"); res.Proto != "HTTP/2.0" || res.Header.Get("X-Backend") != "plex2" {
		t.Errorf("plex2: %s %s from %q", res.Proto, res.Status, res.Header.Get("X-Backend"))
	}
	// A browser uses one connection for all names of its certificate.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+siteName+"/identity", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "plex1.home.duckdns.org"
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("X-Backend") != "plex1" {
		t.Errorf("plex1 by a connection to %s: %s from %q", siteName, res.Status, res.Header.Get("X-Backend"))
	}
}

// TestPlainHTTPLeadsToHTTPS: with TLS, the listener without it serves nobody.
func TestPlainHTTPLeadsToHTTPS(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 1), newCLI(t)
	c.write(c.block(h, "tls internal", "listen "+c.tls.String()+" http://"+c.plain.String()))
	c.start()
	client := tlsClient(t, c.plain, nil)
	for _, host := range []string{siteName, "plex1.home.duckdns.org", "home.duckdns.org"} {
		res, _ := ask(t, client, "http://"+host+"/library/sections?X-Plex-Token=a%2Fb")
		want := fmt.Sprintf("https://%s/library/sections?X-Plex-Token=a%%2Fb", net.JoinHostPort(host, strconv.Itoa(int(c.tls.Port()))))
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != want {
			t.Errorf("%s: %s to %q, want 308 to %s", host, res.Status, got, want)
		}
	}
	if res, _ := ask(t, client, "http://plex2.home.duckdns.org/"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a name that nobody has: %s, want 421", res.Status)
	}
	if res, body := ask(t, client, "http://"+siteName+"/.plexha/ready"); res.StatusCode != http.StatusOK {
		t.Errorf("ready: %s %q", res.Status, body)
	}
}

// TestBlocksHaveTheirOwnCertificates: one Corefile, one process, three clusters: each name is served with what its
// block says, by its block's nodes.
func TestBlocksHaveTheirOwnCertificates(t *testing.T) {
	t.Parallel()
	h, a, c := newHouse(t, 3), newAuthority(t), newCLI(t)
	files := newPair(c.dir, "site")
	serial := a.issue(files, "plex.lan.test", "plex1.lan.test", "lan.test")
	at := func(i int) *house { return &house{tb: t, nodes: h.nodes[i : i+1]} }
	shared := "listen " + c.tls.String()
	c.write(c.block(at(0), "tls internal", shared) +
		c.blockOf("lan.test", at(1), "tls files "+files.cert+" "+files.key, shared) +
		c.blockOf("plain.test", at(2), "tls off", "listen http://"+c.plain.String()))
	c.start()

	eventually(t, 10*time.Second, func() error {
		_, err := shake(t, c.tls, siteName, nil)
		return err
	})
	s, err := shake(t, c.tls, "plex.lan.test", a.roots)
	if err != nil || s.leaf.SerialNumber.String() != serial {
		t.Errorf("plex.lan.test: %+v, %v, want the certificate of the files", s, err)
	}
	for _, name := range []string{siteName, ""} { // who names nobody gets that of the first block
		if s, err := shake(t, c.tls, name, nil); err != nil || !strings.Contains(s.leaf.Issuer.CommonName, "plexha") {
			t.Errorf("%q: %+v, %v, want a certificate of our own authority", name, s, err)
		}
	}
	if s, err := shake(t, c.tls, "plex.example.org", nil); err == nil {
		t.Errorf("plex.example.org, which nobody has: a certificate for %q", s.leaf.DNSNames)
	}

	res, _ := ask(t, tlsClient(t, c.tls, a.roots), "https://plex.lan.test/identity")
	if res.Header.Get("X-Backend") != "plex2" {
		t.Errorf("plex.lan.test: %s from %q, want plex2", res.Status, res.Header.Get("X-Backend"))
	}
	plain := tlsClient(t, c.plain, nil)
	if res, _ := ask(t, plain, "http://plex.plain.test/identity"); res.Header.Get("X-Backend") != "plex3" {
		t.Errorf("plex.plain.test: %s from %q, want plex3", res.Status, res.Header.Get("X-Backend"))
	}
	if res, _ := ask(t, plain, "http://plex.lan.test/identity"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("plex.lan.test where another block listens: %s, want 421", res.Status)
	}
}
