package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// maker is who makes a proxy, and with which configuration.
type maker string

// The proxies that are compared. The last two are the same program.
const (
	ours    maker = "plexproxy"
	writeUp maker = "Caddy as in the write-up"
	tuned   maker = "Caddy tuned by hand"
)

// siteName is the cluster's main name, as clients have it.
const siteName = "plex.home.duckdns.org"

// secret stands in each request of the tests. No log may hold it.
const secret = "sesame-0123456789"

// stage is nodes that fail when asked to, with one proxy in front.
type stage struct {
	tb    testing.TB
	maker maker
	nodes []*standIn // plex1, plex2, ...
	front *front
}

// stageConfig says what is on a stage.
type stageConfig struct {
	nodes int      // 2 if zero
	lines []string // further properties of the plex block, in the place of which stock Caddy has nothing
	tls   bool     // clients come by TLS, and so by HTTP/2; only with plexproxy
	lean  bool     // plexproxy as it is released, and without an access log: to be measured beside others
}

// newStage starts nodes and the proxy, and returns when a request comes through.
func newStage(tb testing.TB, m maker, c stageConfig) *stage {
	tb.Helper()
	s := &stage{tb: tb, maker: m}
	for i := range max(c.nodes, 2) {
		s.nodes = append(s.nodes, startFaultyNode(tb, 1+i))
	}
	if m == ours {
		h := &home{tb: tb, nodes: s.nodes}
		p := newPlexproxy(tb, h)
		p.lines, p.lean = c.lines, c.lean
		if p.tls = c.tls; p.tls {
			p.front.useTLS()
		}
		p.start()
		s.front = p.front
	} else {
		s.front = startStockCaddy(tb, m, s.nodes)
	}
	eventually(tb, 20*time.Second, func() error {
		if a := s.front.get("/"); a.status != http.StatusOK {
			return fmt.Errorf("%s: %s", m, a)
		}
		return nil
	})
	return s
}

// compare runs a scenario on a stage of each maker's, all at once, and logs what came of them beside each other.
func compare[T fmt.Stringer](t *testing.T, c stageConfig, scenario func(t *testing.T, s *stage) T, makers ...maker) map[maker]T {
	t.Helper()
	var mu sync.Mutex
	results := map[maker]T{}
	t.Run("on", func(t *testing.T) { // returns when all that is in it has ended
		for _, m := range makers {
			t.Run(strings.ReplaceAll(string(m), " ", "-"), func(t *testing.T) {
				t.Parallel()
				result := scenario(t, newStage(t, m, c))
				mu.Lock()
				defer mu.Unlock()
				results[m] = result
			})
		}
	})
	if len(results) < len(makers) {
		t.FailNow()
	}
	var table strings.Builder
	for _, m := range makers {
		fmt.Fprintf(&table, "\n    %-26s %s", m, results[m])
	}
	t.Log(table.String())
	return results
}

// front is a proxy as its clients see it.
type front struct {
	tb     testing.TB
	addr   netip.AddrPort
	scheme string // http or https
	client *http.Client
	proc   *process
	// reload gives it another configuration that means the same, and returns when that is in force.
	reload func(tb testing.TB, n int)
}

func newFront(tb testing.TB) *front {
	tb.Helper()
	f := &front{tb: tb, addr: netip.AddrPortFrom(inside, freePort(tb, inside)), scheme: "http"}
	f.client = &http.Client{Transport: f.transport()}
	tb.Cleanup(f.client.CloseIdleConnections)
	return f
}

// transport returns one whose every connection leads to the proxy, whatever the host.
func (f *front) transport() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, f.addr.String())
		},
		DisableCompression: true, // a request is sent as the test has made it
		MaxIdleConns:       0,
		IdleConnTimeout:    time.Minute,
	}
}

// url returns the main name's URL.
func (f *front) url() string { return f.scheme + "://" + siteName }

// useTLS makes its clients come by HTTP/2 over TLS. Their certificates' issuer is not asked for.
func (f *front) useTLS() {
	t := f.transport()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the authority is made anew for each test
	t.ForceAttemptHTTP2 = true
	f.scheme, f.client = "https", &http.Client{Transport: t}
	f.tb.Cleanup(f.client.CloseIdleConnections)
}

// answer is what became of a request.
type answer struct {
	status int // 0: no answer
	proto  string
	header http.Header
	body   []byte
	whole  bool          // the body came to its end
	err    error         // why not, or why there is no answer
	first  time.Duration // until the first byte of the body
	took   time.Duration
}

// node returns which node has answered; empty: none.
func (a answer) node() string { return a.header.Get(headerNode) }

// seen returns what the node that answered has seen.
func (a answer) seen(tb testing.TB) seen {
	tb.Helper()
	var s seen
	if err := json.Unmarshal(a.body, &s); err != nil {
		tb.Fatalf("%s: %v", a, err)
	}
	return s
}

// String says it in words.
func (a answer) String() string {
	switch {
	case a.status == 0:
		return fmt.Sprintf("no answer after %s (%v)", a.took.Round(time.Millisecond), a.err)
	case !a.whole:
		return fmt.Sprintf("%d, cut after %d bytes", a.status, len(a.body))
	case a.node() == "":
		return fmt.Sprintf("%d of its own after %s", a.status, a.took.Round(time.Millisecond))
	default:
		return fmt.Sprintf("%d from %s after %s", a.status, a.node(), a.took.Round(time.Millisecond))
	}
}

// edit changes a request before it is sent.
type edit func(*http.Request)

// with asks the node for a fault.
func with(f fault) edit {
	j, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return header(headerFault, string(j))
}

func header(key, value string) edit { return func(r *http.Request) { r.Header.Add(key, value) } }

// by makes it a request of that client, whose token is the client's own.
func by(client string) edit {
	return func(r *http.Request) {
		r.Header.Set("X-Plex-Client-Identifier", client)
		r.Header.Set("X-Plex-Token", secret+client)
	}
}

// within makes the client leave after that time.
func within(d time.Duration) edit {
	return func(r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), d, errors.New("the client's patience has ended"))
		context.AfterFunc(ctx, cancel) // not before its end: the answer's body is read under it
		*r = *r.WithContext(ctx)
	}
}

func (f *front) get(path string, edits ...edit) answer {
	return f.do(http.MethodGet, path, http.NoBody, edits...)
}

func (f *front) post(path string, size int, edits ...edit) answer {
	return f.do(http.MethodPost, path, bytes.NewReader(content(size)), edits...)
}

// request returns one for the main name. No client of the tests waits longer than two minutes.
func (f *front) request(method, path string, body io.Reader, edits ...edit) *http.Request {
	r, err := http.NewRequestWithContext(f.tb.Context(), method, f.url()+path, body)
	if err != nil {
		panic(err)
	}
	within(2 * time.Minute)(r)
	r.Header.Set("User-Agent", userAgent)
	for _, e := range edits {
		e(r)
	}
	return r
}

func (f *front) do(method, path string, body io.Reader, edits ...edit) answer {
	return f.send(f.client, f.request(method, path, body, edits...))
}

// send sends a request and reads the answer to its end.
func (f *front) send(c *http.Client, r *http.Request) (a answer) {
	began := time.Now()
	defer func() { a.took = time.Since(began) }()
	res, err := c.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer res.Body.Close()
	a.status, a.proto, a.header = res.StatusCode, res.Proto, res.Header
	var one [1]byte
	n, err := io.ReadFull(res.Body, one[:])
	a.first = time.Since(began)
	if err == nil {
		a.body, err = io.ReadAll(res.Body)
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	a.body = append(one[:n:n], a.body...)
	a.whole, a.err = err == nil, err
	return a
}

// pathOn returns a path that the node answers to whom is bound to no node.
func (f *front) pathOn(node string) string {
	f.tb.Helper()
	for i := range 200 {
		path := fmt.Sprintf("/library/sections/%d/all?for=%s", i, node)
		if f.get(path).node() == node {
			return path
		}
	}
	f.tb.Fatalf("no path leads to %s", node)
	return ""
}

// clientOn returns a client that plexproxy keeps on the node.
func (f *front) clientOn(node string) string {
	f.tb.Helper()
	for i := range 200 {
		client := fmt.Sprintf("client-%d-of-%s", i, node)
		if f.get("/", by(client)).node() == node {
			return client
		}
	}
	f.tb.Fatalf("no client is on %s", node)
	return ""
}

// startStockCaddy starts a Caddy as it is released, with one of the configurations.
func startStockCaddy(tb testing.TB, m maker, nodes []*standIn) *front {
	tb.Helper()
	f := newFront(tb)
	dir := tb.TempDir()
	admin := netip.AddrPortFrom(inside, freePort(tb, inside))
	var dials []string
	for _, n := range nodes {
		dials = append(dials, n.addr.String())
	}
	caddyfile := func(n int) string {
		return fmt.Sprintf("{\n\tadmin %s\n}\nhttp://%s:%d {\n\tbind %s\n\theader X-Reload %d\n\treverse_proxy %s {\n%s\t}\n}\n",
			admin, siteName, f.addr.Port(), f.addr.Addr(), n, strings.Join(dials, " "), caddyfiles[m])
	}
	file := filepath.Join(dir, "Caddyfile")
	writeFile(tb, file, caddyfile(0))
	cmd := exec.CommandContext(context.Background(), programs.path(tb, "stockcaddy"), "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	f.proc = startProcess(tb, "", cmd)
	f.reload = func(tb testing.TB, n int) {
		tb.Helper()
		loadCaddyfile(tb, admin, caddyfile(n))
	}
	return f
}

// loadCaddyfile gives a running Caddy another configuration.
func loadCaddyfile(tb testing.TB, admin netip.AddrPort, caddyfile string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://"+admin.String()+"/load", strings.NewReader(caddyfile))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		tb.Fatalf("loading a Caddyfile: %s: %s", res.Status, body)
	}
}

// caddyfiles are the insides of the reverse_proxy of the main name.
var caddyfiles = map[maker]string{
	// Line by line the write-up's, with a prefix in the place of its y.y.y.0/24.
	writeUp: `
		lb_policy uri_hash
		lb_try_duration 5s
		lb_try_interval 250ms

		fail_duration 10s
		max_fails 1
		unhealthy_status 5xx
		unhealthy_latency 5s
		unhealthy_request_count 1

		trusted_proxies 127.0.0.0/24

		header_up Host {host}
		header_up X-Real-IP {remote}
		header_up X-Forwarded-Host {hostport}
		header_up X-Forwarded-For {remote}
		header_up X-Forwarded-Proto {scheme}
`,
	// What its directives can do at best for Plex.
	tuned: `
		lb_policy uri_hash
		lb_try_duration 5s
		lb_try_interval 50ms

		health_uri /identity
		health_interval 1s
		health_timeout 1s
		health_fails 3
		fail_duration 10s
		max_fails 3

		flush_interval -1
		stream_close_delay 5m
		transport http {
			response_header_timeout 15s
			compression off
		}
`,
}
