package resolve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"plexha/plugin/resolve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const certName = "dns.example"

// standIn is a public resolver on loopback, over UDP, TCP and TLS.
type standIn struct {
	plain, tls netip.AddrPort
	roots      *x509.CertPool
	conns      atomic.Int32  // connections that were made over TLS
	closed     chan struct{} // gets one for each of them that has ended
	asked      atomic.Int32  // questions over any transport
}

// server returns where the stand-in is asked.
func (s *standIn) server() resolve.Server {
	return resolve.Server{Name: certName, TLS: s.tls, Plain: s.plain}
}

// start runs a stand-in until the test ends.
func start(t testing.TB, handler dns.HandlerFunc) *standIn {
	t.Helper()
	s := &standIn{roots: x509.NewCertPool(), closed: make(chan struct{}, 100)}
	pair, root := mint(t, certName)
	s.roots.AddCert(root)
	tcp, udp := twin(t)
	secure := listen(t)
	s.plain, s.tls = addrOf(tcp), addrOf(secure)
	counting := func(w dns.ResponseWriter, q *dns.Msg) {
		s.asked.Add(1)
		handler(w, q)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	serve(t, &dns.Server{Listener: tcp, Handler: dns.HandlerFunc(counting)})
	serve(t, &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(counting)})
	serve(t, &dns.Server{Listener: tls.NewListener(counted{secure, s}, config), Handler: dns.HandlerFunc(counting)})
	return s
}

// counted counts the connections of a stand-in.
type counted struct {
	net.Listener

	s *standIn
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.conns.Add(1)
	return &countedConn{Conn: c, s: l.s}, nil
}

type countedConn struct {
	net.Conn

	s    *standIn
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.s.closed <- struct{}{} })
	return c.Conn.Close()
}

func serve(t testing.TB, s *dns.Server) {
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

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// twin returns sockets on a TCP port and the UDP port of the same number.
func twin(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for {
		l := listen(t)
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		_ = l.Close() // somebody has the UDP port
	}
}

// nobody returns an address where nobody listens.
func nobody(t testing.TB) netip.AddrPort {
	t.Helper()
	tcp, udp := twin(t)
	_, _ = tcp.Close(), udp.Close()
	return addrOf(tcp)
}

func addrOf(l net.Listener) netip.AddrPort { return netip.MustParseAddrPort(l.Addr().String()) }

// mint returns a certificate that vouches for itself.
func mint(t testing.TB, name string) (tls.Certificate, *x509.Certificate) {
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
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf
}

// zone answers with those of the records that the question is for, and with what a CNAME record among them
// leads to. A record's owner comes back in the question's letters.
func zone(records ...string) dns.HandlerFunc {
	var all []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		all = append(all, rr)
	}
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		for _, rr := range all {
			owner := rr.Header().Name
			alias, isAlias := rr.(*dns.CNAME)
			if !strings.EqualFold(owner, name) || !isAlias && rr.Header().Rrtype != q.Question[0].Qtype {
				continue
			}
			rr = dns.Copy(rr)
			rr.Header().Name = name
			m.Answer = append(m.Answer, rr)
			if isAlias {
				name = alias.Target
			}
		}
		_ = w.WriteMsg(m)
	}
}

func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, code)) }
}

// silent never answers.
func silent(dns.ResponseWriter, *dns.Msg) {}

// overUDP answers questions that come over UDP in one way, and all others in another.
func overUDP(udp, other dns.HandlerFunc) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
			udp(w, q)
			return
		}
		other(w, q)
	}
}
