package certs_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// tokenText is of all accounts.
const tokenText = "12345678-9abc-4def-8123-456789abcdef"

// answer is how a domain's calls are answered.
type answer func(w http.ResponseWriter, r *http.Request)

func say(text string) answer {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// duckAPI is as much of DuckDNS's API as a call can see, each domain with its own temper, behind a tunnel
// that leads to it whoever is asked for.
type duckAPI struct {
	mu      sync.Mutex
	answers map[string]answer
	calls   map[string][]url.Values
	ended   chan struct{} // lets hanging calls go
	api     *httptest.Server
	tunnel  *httptest.Server
}

func newDuck() *duckAPI {
	return &duckAPI{answers: map[string]answer{}, calls: map[string][]url.Values{}, ended: make(chan struct{})}
}

// start returns the file of the roots to trust, and the tunnel's URL.
func (d *duckAPI) start(dir string) (roots, tunnel string) {
	d.api = httptest.NewUnstartedServer(d)
	pair, leaf := mint("www.duckdns.org")
	d.api.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	d.api.Config.ErrorLog = nil
	d.api.StartTLS()
	d.tunnel = httptest.NewServer(http.HandlerFunc(d.connect))
	roots = filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), 0o600); err != nil {
		panic(err)
	}
	return roots, d.tunnel.URL
}

func (d *duckAPI) stop() {
	close(d.ended)
	d.tunnel.Close()
	d.api.Close()
}

// connect pipes a client to the API.
func (d *duckAPI) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "www.duckdns.org:443" {
		http.Error(w, "no way", http.StatusForbidden)
		return
	}
	up, err := net.Dial("tcp", d.api.Listener.Addr().String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	down, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		defer up.Close()
		_, _ = io.Copy(up, buffered)
	}()
	defer down.Close()
	_, _ = io.Copy(down, up)
}

// domain registers a domain, named after the test.
func (d *duckAPI) domain(t *testing.T, as answer) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := fmt.Sprintf("d%d", len(d.answers))
	d.answers[name] = as
	return name
}

// ServeHTTP implements [http.Handler].
func (d *duckAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := q.Get("domains")
	d.mu.Lock()
	d.calls[name] = append(d.calls[name], q)
	as := d.answers[name]
	d.mu.Unlock()
	if as == nil {
		as = say("KO")
	}
	as(w, r)
}

// changes returns what was asked for a domain: "set TEXT" or "clear".
func (d *duckAPI) changes(name string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, q := range d.calls[name] {
		if q.Get("clear") == "true" {
			out = append(out, "clear")
		} else {
			out = append(out, "set "+q.Get("txt"))
		}
	}
	return out
}

// tokens returns the tokens that came with the calls for a domain.
func (d *duckAPI) tokens(name string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, q := range d.calls[name] {
		out = append(out, q.Get("token"))
	}
	return out
}

// serveDNS answers questions over UDP and TCP at one loopback address until the test ends.
func serveDNS(t *testing.T, handler dns.HandlerFunc) string {
	t.Helper()
	var addr string
	for _, s := range listenDNS(t) {
		s.Handler = handler
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan error, 1)
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			if err := <-done; err != nil {
				t.Errorf("serving DNS: %v", err)
			}
		})
		if s.Listener != nil {
			addr = s.Listener.Addr().String()
		}
	}
	return addr
}

// listenDNS returns servers on a TCP port and the UDP port of the same number.
func listenDNS(t *testing.T) []*dns.Server {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return []*dns.Server{{Listener: l}, {PacketConn: pc}}
		}
		_ = l.Close() // somebody has the UDP port
	}
}

// answerWith returns a handler that gives the records of a question's name and type, with authority.
func answerWith(records ...string) dns.HandlerFunc {
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
