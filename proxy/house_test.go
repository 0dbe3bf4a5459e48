package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plexha/corefile"
	"plexha/proxy"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// fakeNode is a Plex server with a name, on loopback.
type fakeNode struct {
	*httptest.Server

	name    string
	release chan struct{} // closed: /stream ends
	talks   bool          // websockets say hello for ever
	open    bool          // it shows its libraries to everybody
	broke   atomic.Bool   // /breaks/once has broken off
}

func startNode(t *testing.T, name string) *fakeNode {
	t.Helper()
	n := &fakeNode{name: name, release: make(chan struct{})}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Node", n.name)
	switch r.URL.Path {
	case "/identity":
		id := strings.Repeat(fmt.Sprintf("%02x", n.name[len(n.name)-1]), 20)
		_, _ = fmt.Fprintf(w, `<MediaContainer size="0" machineIdentifier=%q version="1.0"></MediaContainer>`, id)
	case "/library/sections":
		if !n.open {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "/stream", "/:/eventsource/notifications":
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-n.release:
			_, _ = io.WriteString(w, "last\n")
		case <-r.Context().Done():
		}
	case "/breaks/once":
		if n.broke.CompareAndSwap(false, true) {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "mended")
	case "/:/websockets/notifications":
		n.websocket(w)
	default:
		_, _ = fmt.Fprintf(w, "%s %s%s from %s", r.Method, r.Host, r.URL.Path, r.Header.Get("X-Real-Ip"))
	}
}

// websocket says hello, and stays until the other end goes.
func (n *fakeNode) websocket(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello")
	_ = rw.Flush()
	for err == nil && n.talks {
		_, err = conn.Write([]byte("\x81\x05hello"))
	}
	_, _ = io.Copy(io.Discard, rw)
}

// house is a server with its nodes.
type house struct {
	t      *testing.T
	server *proxy.Server
	dir    string
	sni    string // which host handshakes name, whatever is asked for then; empty: that

	mu  sync.Mutex
	log []string
}

// newHouse returns a server that serves nothing yet.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	s, err := proxy.New(proxy.Options{Version: "test", Grace: patience, Log: h.write})
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	return h
}

func (h *house) write(_ bool, line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, line)
}

// block returns the block of a zone with nodes, listening at any port of 127.0.0.2 with TLS and of 127.0.0.3 without.
// The nodes are asked once for each block, so that none is doubted because the machine is busy.
func (h *house) block(zone, properties string, nodes ...*fakeNode) *corefile.Config {
	h.t.Helper()
	var text strings.Builder
	text.WriteString(zone + " {\nplex {\nstorage " + filepath.Join(h.dir, "storage") + "\nstate " + h.dir + "\ninternal 127.0.0.0/24\n" + properties + "\n")
	if !strings.Contains(properties, "interval ") {
		text.WriteString("interval 1h\ntimeout 10s\n")
	}
	for _, n := range nodes {
		text.WriteString("node " + n.name + " " + strings.TrimPrefix(n.URL, "http://") + "\n")
	}
	cfg := read(h.t, text.String()+"}\n}\n")[0]
	if !strings.Contains(properties, "listen ") {
		cfg.Listen = []corefile.Listener{{Addr: tlsAddr}, {Addr: plainAddr, Plain: true}}
		if cfg.TLS.Kind == corefile.TLSOff {
			cfg.Listen = cfg.Listen[1:]
		}
	}
	if !strings.Contains(properties, "proxy_status ") {
		cfg.ProxyStatus.Addr = netip.MustParseAddrPort(statusAddr)
	}
	return cfg
}

const (
	tlsAddr    = "127.0.0.2:0"
	plainAddr  = "127.0.0.3:0"
	statusAddr = "127.0.0.1:0"
)

func (h *house) apply(blocks ...*corefile.Config) {
	h.t.Helper()
	if err := h.server.Apply(blocks); err != nil {
		h.t.Fatal(err)
	}
	h.ready(blocks[0])
}

// ready waits until the block's cluster is, and until there are certificates.
func (h *house) ready(c *corefile.Config) {
	h.t.Helper()
	origin := strings.TrimSuffix(c.Cluster.Origins[0], ".")
	for _, l := range c.Listen {
		scheme := "https"
		if l.Plain {
			scheme = "http"
		}
		for _, host := range []string{origin, c.Cluster.Main + "." + origin} {
			h.becomesReady(h.client(l.Addr), scheme+"://"+host+"/.plexha/ready")
		}
	}
}

func (h *house) becomesReady(client *http.Client, url string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if res, err := client.Get(url); err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(5 * time.Millisecond) // nobody tells clients
	}
	h.t.Fatalf("%s does not become ready", url)
}

// at returns the address that a listener has got.
func (h *house) at(addr string) string {
	h.t.Helper()
	port := h.server.Listening(addr)
	if port == 0 {
		h.t.Fatalf("nobody listens at %s", addr)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = "127.0.0.1" // fd/N
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// client returns one that goes to a listener, whatever the host, and follows no redirect.
func (h *house) client(addr string) *http.Client {
	h.t.Helper()
	to := h.at(addr)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, to)
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: h.sni}, //nolint:gosec // the authority was made just now
		ForceAttemptHTTP2: true,
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dial connects to a listener, through TLS if that is tlsAddr.
func (h *house) dial(addr string) (net.Conn, error) {
	if addr == tlsAddr {
		return tls.Dial("tcp", h.at(addr), &tls.Config{InsecureSkipVerify: true, ServerName: "plex1." + home}) //nolint:gosec // made just now
	}
	return net.Dial("tcp", h.at(addr))
}

// result is what came of a request.
type result struct {
	status int
	body   string
	header http.Header
	proto  string
}

func (h *house) get(addr, url string) result {
	h.t.Helper()
	c := h.client(addr)
	defer c.CloseIdleConnections()
	res, err := c.Get(url)
	if err != nil {
		h.t.Fatalf("GET %s: %v", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatalf("GET %s: %v", url, err)
	}
	return result{res.StatusCode, string(body), res.Header, res.Proto}
}

// stream is a request that has begun to be answered.
func (h *house) stream(addr, url string) *bufio.Reader {
	h.t.Helper()
	res, err := h.client(addr).Get(url)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = res.Body.Close() })
	r := bufio.NewReader(res.Body)
	if line, err := r.ReadString('\n'); err != nil || line != "first\n" {
		h.t.Fatalf("the stream begins with %q, %v", line, err)
	}
	return r
}

// handedOver returns a listening socket of this process, as a service manager would hand one over.
func handedOver(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
