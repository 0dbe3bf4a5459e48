package wanip_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// Addresses that the stand-ins tell.
var (
	home4 = netip.MustParseAddr("198.51.100.7")
	home6 = netip.MustParseAddr("2001:db8::7")
)

// homeOf returns what is told of a family.
func homeOf(f zones.Family) netip.Addr {
	if f == zones.IPv6 {
		return home6
	}
	return home4
}

// loopbackOf returns where stand-ins of a family listen.
func loopbackOf(f zones.Family) string {
	if f == zones.IPv6 {
		return "[::1]:0"
	}
	return "127.0.0.1:0"
}

// ask asks the one source that a `detect` line makes.
func ask(ctx context.Context, s corefile.Source, o wanip.SourceOptions, f zones.Family) (netip.Addr, error) {
	o.Version = "1.2.3"
	return wanip.Sources(&corefile.Config{Detect: []corefile.Source{s}}, o)[0].Ask(ctx, via.Path{}, f)
}

// within bounds what a stand-in that never answers is waited for.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// dnsHandler answers a question; nil: not at all.
type dnsHandler func(q *dns.Msg) *dns.Msg

// tells is a server that is asked by the family's own way, and tells the addresses in whatever form it is asked.
func tells(addrs ...netip.Addr) dnsHandler {
	return func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		for _, a := range addrs {
			m.Answer = append(m.Answer, record(q.Question[0], a.String()))
		}
		return m
	}
}

// record returns an answer to a question, of its name, class and type.
func record(q dns.Question, text string) dns.RR {
	h := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass}
	switch q.Qtype {
	case dns.TypeA:
		return &dns.A{Hdr: h, A: net.ParseIP(text)}
	case dns.TypeAAAA:
		return &dns.AAAA{Hdr: h, AAAA: net.ParseIP(text)}
	default:
		return &dns.TXT{Hdr: h, Txt: []string{text}}
	}
}

// says answers with TXT records.
func says(texts ...string) dnsHandler {
	return func(q *dns.Msg) *dns.Msg {
		m := tells()(q)
		for _, text := range texts {
			m.Answer = append(m.Answer, record(q.Question[0], text))
		}
		return m
	}
}

// refuses answers with a code.
func refuses(rcode int) dnsHandler {
	return func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, rcode) }
}

func silent(*dns.Msg) *dns.Msg { return nil }

// changed returns a handler whose answer is changed before it is sent.
func changed(h dnsHandler, change func(m *dns.Msg)) dnsHandler {
	return func(q *dns.Msg) *dns.Msg {
		m := h(q)
		change(m)
		return m
	}
}

func serveUDP(t *testing.T, at string, h dnsHandler) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	serveDNS(t, &dns.Server{PacketConn: pc}, h)
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// servePort answers over UDP in one way and, at the same port, over TCP in another.
func servePort(t *testing.T, udp, tcp dnsHandler) netip.AddrPort {
	t.Helper()
	pc, l := listenBoth(t)
	serveDNS(t, &dns.Server{PacketConn: pc}, udp)
	serveDNS(t, &dns.Server{Listener: l}, tcp)
	return addrOf(l)
}

// listenBoth listens at a port that is free for both: one that the kernel has chosen for UDP may be in use for TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		pc.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func addrOf(l net.Listener) netip.AddrPort { return l.Addr().(*net.TCPAddr).AddrPort() }

func serveDoT(t *testing.T, at string, cert tls.Certificate, h dnsHandler) netip.AddrPort {
	t.Helper()
	l, err := tls.Listen("tcp", at, &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	serveDNS(t, &dns.Server{Listener: l}, h)
	return addrOf(l)
}

func serveDNS(t *testing.T, s *dns.Server, h dnsHandler) {
	t.Helper()
	s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := h(q); m != nil {
			_ = w.WriteMsg(m)
		}
	})
	s.ReadTimeout = time.Minute // 2 s, its default, may be too short for a handshake on a machine that has much to do
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		_ = s.Shutdown()
		wg.Wait()
	})
}

// serveHTTPS serves with a certificate, over HTTP/2 too.
func serveHTTPS(t *testing.T, at string, cert tls.Certificate, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	return serveHTTPSWith(t, at, cert, h, nil)
}

// serveHTTPSWith is told of its connections' states.
func serveHTTPSWith(
	t *testing.T, at string, cert tls.Certificate, h http.HandlerFunc, state func(net.Conn, http.ConnState),
) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ConnState = state
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return addrOf(l)
}

// serveDoH answers RFC 8484's POST, and tells what it was asked with.
func serveDoH(t *testing.T, at string, cert tls.Certificate, h dnsHandler) (netip.AddrPort, <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 10)
	return serveHTTPS(t, at, cert, func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		body, _ := io.ReadAll(r.Body)
		q := new(dns.Msg)
		if err := q.Unpack(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		packed, _ := h(q).Pack()
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(packed)
	}), requests
}

// certFor returns a certificate for names, or addresses, and the pool that makes it good.
func certFor(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "stand-in"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// closedPort returns an address at which nothing listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}
