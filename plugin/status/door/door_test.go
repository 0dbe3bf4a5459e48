package door_test

import (
	"context"
	"errors"
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
	"testing/synctest"
	"time"

	"plexha/plugin/status/door"
)

// house is a door with a page, a change that is refused for name=nobody, and a stream.
func house() *door.Door {
	return &door.Door{
		Line: "status",
		Routes: map[string]door.Route{
			"/": {Show: func(w http.ResponseWriter, _ *http.Request, local bool) error {
				return door.WriteJSON(w, map[string]bool{"local": local})
			}},
			"/order": {Change: func(r *http.Request) (int, any, error) {
				if name := r.Form.Get("name"); strings.HasPrefix(name, "nobody") {
					return 0, nil, door.Refuse(http.StatusNotFound, "there is no %q", name)
				}
				return http.StatusAccepted, map[string]string{"name": r.Form.Get("name")}, nil
			}},
			"/live": {Stream: true, Show: func(w http.ResponseWriter, r *http.Request, _ bool) error {
				w.WriteHeader(http.StatusOK)
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				<-r.Context().Done()
				return nil
			}},
		},
	}
}

// request is one that somebody makes of a house.
type request struct {
	method, path, body string
	from               string
	header             map[string]string
}

func (q request) do(t *testing.T, d *door.Door) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), q.method, "http://localhost"+q.path, strings.NewReader(q.body))
	r.RemoteAddr = q.from
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

const (
	here  = "127.0.0.1:5000"
	there = "192.168.1.7:5000"
)

// TestChanges: what a form gets in return.
func TestChanges(t *testing.T) {
	for _, tc := range []struct {
		name         string
		path, body   string
		status       int
		kind, answer string
	}{
		{"a form", "/order", "name=plex1", 202, "application/json", `"name": "plex1"`},
		{"a query", "/order?name=plex1", "", 202, "application/json", `"name": "plex1"`},
		{"one of the page", "/order?name=plex1", "back=1", 303, "", ""},
		{"one that is refused", "/order?name=nobody", "", 404, "application/json", `{
  "error": "there is no \"nobody\""
}`},
		{"one of the page that is refused", "/order?name=nobody<b>", "back=1", 404, "text/html; charset=utf-8", `<p>Not done: there is no &#34;nobody&lt;b&gt;&#34;.<p><a href="/">back</a>`},
		{"one that is none", "/order?name=%zz", "", 400, "application/json", "reading the form"},
		{"one without an end", "/order", "name=" + strings.Repeat("x", 64<<10), 400, "application/json", "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := request{method: http.MethodPost, path: tc.path, body: tc.body, from: here}.do(t, house())
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.answer) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tc.status, tc.answer)
			}
			if kind := w.Header().Get("Content-Type"); tc.kind != "" && kind != tc.kind {
				t.Errorf("it is %s", kind)
			}
			if to := w.Header().Get("Location"); tc.status == http.StatusSeeOther && to != "/" {
				t.Errorf("it leads to %q", to)
			}
		})
	}
}

// TestWhoIsLetIn: a door whose Public is not given is this machine's.
func TestWhoIsLetIn(t *testing.T) {
	closed, open, socket := house(), house(), house()
	open.Public = func() bool { return true }
	socket.Socket = true
	for _, tc := range []struct {
		name   string
		door   *door.Door
		q      request
		status int
		want   string
	}{
		{"this machine", closed, request{method: "GET", path: "/", from: here}, 200, `"local": true`},
		{"another one", closed, request{method: "GET", path: "/", from: there}, 403, "`status ADDRESS public` shows it to others"},
		{"another one, where it is public", open, request{method: "GET", path: "/", from: there}, 200, `"local": false`},
		{"which changes nothing", open, request{method: "POST", path: "/order", from: there}, 403, "changes are made on the machine itself"},
		{"a socket's client has no address", socket, request{method: "POST", path: "/order", body: "name=plex1", from: "@"}, 202, "plex1"},
		{"and may call us what it wants", socket, request{method: "GET", path: "/", from: "@", header: map[string]string{"Via": "ssh"}}, 200, `"local": true`},
		{"an address that is none", closed, request{method: "GET", path: "/", from: "@"}, 403, "shown on the machine itself"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if w := tc.q.do(t, tc.door); w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tc.status, tc.want)
			}
		})
	}
}

// TestHeaders: nothing is kept, guessed at, or embedded elsewhere.
func TestHeaders(t *testing.T) {
	w := request{method: http.MethodGet, path: "/", from: here}.do(t, house())
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// shortDir is a folder for sockets: t.TempDir is named after the test, which makes too long a path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serve serves a house at a socket, until the test ends or end is called.
func serve(t *testing.T, d *door.Door) (c *http.Client, end func()) {
	t.Helper()
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	l, err := door.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := door.NewServer(d)
	var served sync.WaitGroup
	served.Go(func() {
		if err := srv.Serve(l); err != nil {
			t.Error(err)
		}
	})
	end = sync.OnceFunc(func() {
		srv.Close()
		served.Wait()
	})
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		end()
		if err := os.Remove(dir); err != nil {
			t.Errorf("it leaves something: %v", err)
		}
	})
	return &http.Client{Transport: tr}, end
}

func get(t *testing.T, c *http.Client, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://socket"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// TestStreamsAreBounded: who comes too late is told to come again, and when one goes another may come.
func TestStreamsAreBounded(t *testing.T) {
	d := house()
	begun := make(chan struct{}, door.Streams+2)
	d.Routes["/live"] = door.Route{Stream: true, Show: func(_ http.ResponseWriter, r *http.Request, _ bool) error {
		begun <- struct{}{}
		<-r.Context().Done()
		return nil
	}}
	listen := func() (end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/live", http.NoBody)
		r.RemoteAddr = here
		var ended sync.WaitGroup
		ended.Go(func() { d.ServeHTTP(httptest.NewRecorder(), r) })
		<-begun
		return func() {
			cancel()
			ended.Wait()
		}
	}
	var ends []func()
	for range door.Streams {
		ends = append(ends, listen())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nobody waits for it if it is let in
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/live", http.NoBody)
	r.RemoteAddr = here
	late := httptest.NewRecorder()
	d.ServeHTTP(late, r)
	if late.Code != http.StatusServiceUnavailable || late.Header().Get("Retry-After") == "" || !strings.Contains(late.Body.String(), "64 listen already") {
		t.Errorf("one more is answered with %d %s", late.Code, late.Body)
	}
	if w := (request{method: http.MethodGet, path: "/", from: here}).do(t, d); w.Code != http.StatusOK {
		t.Errorf("the page is answered with %d", w.Code)
	}
	ends[0]()
	ends[0] = listen()
	for _, end := range ends {
		end()
	}
}

func TestCloseEndsStreams(t *testing.T) {
	d := house()
	d.Socket = true
	c, end := serve(t, d)
	res := get(t, c, "/live")
	end()
	if _, err := io.ReadAll(res.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// pipes is a listener within the process, for a test in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.close(); return nil }

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	theirs, ours := net.Pipe()
	p.conns <- ours
	return theirs, nil
}

// TestCloseEndsStreamsAtOnce: they are not waited for until they are cut off, and end as they should.
func TestCloseEndsStreamsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := house(), newPipes()
		d.Socket = true
		srv := door.NewServer(d)
		var underWay sync.WaitGroup
		underWay.Go(func() {
			if err := srv.Serve(l); err != nil {
				t.Error(err)
			}
		})
		res := get(t, &http.Client{Transport: &http.Transport{DialContext: l.dial}}, "/live")
		underWay.Go(func() {
			if _, err := io.ReadAll(res.Body); err != nil {
				t.Errorf("the stream ends with %v", err)
			}
		})
		begin := time.Now()
		srv.Close()
		underWay.Wait()
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// TestNames: which hosts nobody else can give this machine.
func TestNames(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8053": true, "[::1]:8053": true, "[::1]": true, "192.168.1.2:80": true, "localhost": true,
		"LocalHost.:8053": true, "home.duckdns.org": false, "localhost.evil.test": false, "": false, "127.0.0.1.evil.test:8053": false,
	} {
		if got := door.IsNamed(host); got != want {
			t.Errorf("%q: got %t", host, got)
		}
	}
}

// FuzzForm: whatever is sent, it is answered, and in one of the ways that there are.
func FuzzForm(f *testing.F) {
	f.Add("name=plex1&order=drain", "back=1")
	f.Add("name=nobody", "back=1")
	f.Add("%zz", "")
	f.Add("", "name=plex1;order=drain")
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/order", strings.NewReader(body))
		r.URL = &url.URL{Path: "/order", RawQuery: query}
		r.RemoteAddr = here
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		house().ServeHTTP(w, r)
		switch w.Code {
		case http.StatusAccepted, http.StatusSeeOther, http.StatusBadRequest, http.StatusNotFound:
		default:
			t.Error(fmt.Sprint("got ", w.Code, " ", w.Body))
		}
	})
}
