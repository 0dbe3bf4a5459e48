package duckdns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
)

const tokenText = "12345678-9abc-4def-8123-456789abcdef"

// duckStandIn is a server that takes updates over TLS, with a certificate for example.com and 127.0.0.1.
type duckStandIn struct {
	*httptest.Server

	roots *x509.CertPool

	mu   sync.Mutex
	seen []*http.Request
}

func newDuck(t testing.TB, handler http.HandlerFunc) *duckStandIn {
	d := unstarted(handler)
	d.start(t)
	return d
}

func unstarted(handler http.HandlerFunc) *duckStandIn {
	d := &duckStandIn{roots: x509.NewCertPool()}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.seen = append(d.seen, r)
		d.mu.Unlock()
		handler(w, r)
	}))
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	return d
}

func (d *duckStandIn) start(t testing.TB) {
	d.StartTLS()
	t.Cleanup(d.Close)
	d.roots.AddCert(d.Certificate())
}

// requests returns what came so far.
func (d *duckStandIn) requests() []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.seen)
}

// publisher returns one for the domain home, whose updates come here.
func (d *duckStandIn) publisher(change ...func(*corefile.DuckDNS, *duckdns.PublishOptions)) duckdns.Publisher {
	cfg, o := d.options()
	for _, c := range change {
		c(cfg, &o)
	}
	return duckdns.NewPublisher(cfg, o)
}

func (d *duckStandIn) options() (*corefile.DuckDNS, duckdns.PublishOptions) {
	return &corefile.DuckDNS{Name: "home", Token: corefile.NewSecret(tokenText), API: d.URL},
		duckdns.PublishOptions{Roots: d.roots, Resolver: resolve.With(resolve.Options{Servers: []resolve.Server{}})}
}

// say answers with a text, as DuckDNS does.
func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		w.Header().Add("Set-Cookie", "AWSALB=none")
		w.(http.Flusher).Flush() // chunked
		_, _ = io.WriteString(w, text)
	}
}

// page answers with a status and some HTML.
func page(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "<html><title>%d</title><p>%s</p></html>", status, r.URL)
	}
}

// raw answers with bytes that need not be HTTP, and closes the connection.
func raw(format string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, strings.ReplaceAll(format, "URL", r.URL.String()))
		_ = conn.Close()
	}
}

// hang answers nothing until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// nameServer answers questions over UDP and TCP at one loopback address until the test ends.
func nameServer(t testing.TB, handler dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	l, pc := twin(t)
	for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: pc, Handler: handler}} {
		started, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			if err := <-done; err != nil {
				t.Errorf("serving DNS: %v", err)
			}
		})
	}
	return netip.MustParseAddrPort(l.Addr().String())
}

// twin returns sockets on a TCP port and the UDP port of the same number.
func twin(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		_ = l.Close() // somebody has the UDP port
	}
}

// zone answers with authority with those of the records that the question is for.
func zone(records ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		for _, r := range records {
			rr, err := dns.NewRR(r)
			if err != nil {
				panic(err)
			}
			if strings.EqualFold(rr.Header().Name, q.Question[0].Name) && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	}
}

// changed answers as another handler does, with a change.
func changed(handler dns.HandlerFunc, change func(*dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { handler(changer{w, change}, q) }
}

type changer struct {
	dns.ResponseWriter

	change func(*dns.Msg)
}

func (c changer) WriteMsg(m *dns.Msg) error {
	c.change(m)
	return c.ResponseWriter.WriteMsg(m)
}

// newDuckNamed is a stand-in whose certificate is for another name.
func newDuckNamed(t testing.TB, name string, handler http.HandlerFunc) *duckStandIn {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	d := unstarted(handler)
	d.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	d.start(t)
	return d
}

// newTunnel returns the URL of a proxy that leads to the stand-in whoever is asked for, and what it was asked.
func newTunnel(t testing.TB, d *duckStandIn) (proxy string, seen func() []string) {
	var (
		mu    sync.Mutex
		asked []string
		pipes sync.WaitGroup
	)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.Host)
		mu.Unlock()
		up, err := net.Dial("tcp", d.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		down, buffered, _ := w.(http.Hijacker).Hijack()
		defer down.Close()
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		pipes.Go(func() {
			defer up.Close()
			_, _ = io.Copy(up, buffered)
		})
		_, _ = io.Copy(down, up)
	}))
	t.Cleanup(func() {
		s.Close()
		pipes.Wait()
	})
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}
