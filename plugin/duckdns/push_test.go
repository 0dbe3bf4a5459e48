package duckdns_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
)

var (
	v4 = netip.MustParseAddr("192.0.2.1")
	v6 = netip.MustParseAddr("2001:db8::1")
)

const updated = "OK\n192.0.2.1\n\nUPDATED"

// TestPublish: what DuckDNS gets, and what is made of its answer.
func TestPublish(t *testing.T) {
	tests := []struct {
		name   string
		addr   netip.Addr
		answer string
		sent   string // the parameter of the address
		want   duckdns.Reply
	}{
		{"a new IPv4 address", v4, updated, "ip=192.0.2.1", duckdns.Reply{Changed: true}},
		{"the same again", v4, "OK\n192.0.2.1\n\nNOCHANGE", "ip=192.0.2.1", duckdns.Reply{}},
		{"an IPv6 address", v6, "OK\n\n2001:db8::1\nUPDATED", "ipv6=2001:db8::1", duckdns.Reply{Changed: true}},
		{"repeated in another spelling", v6, "OK\n\n2001:DB8:0::1\nUPDATED", "ipv6=2001:db8::1", duckdns.Reply{Changed: true}},
		{"beside the other family's", v4, "OK\n192.0.2.1\n2001:db8::7\nUPDATED", "ip=192.0.2.1", duckdns.Reply{Changed: true}},
		{"an IPv4 address in IPv6's clothes", netip.MustParseAddr("::ffff:192.0.2.1"), updated, "ip=192.0.2.1", duckdns.Reply{Changed: true}},
		{"an address with a zone", netip.MustParseAddr("2001:db8::1%lo"), "OK\n\n2001:db8::1\nUPDATED", "ipv6=2001:db8::1", duckdns.Reply{Changed: true}},
		{"lines of another system", v4, "OK\r\n192.0.2.1\r\n\r\nUPDATED\r\n", "ip=192.0.2.1", duckdns.Reply{Changed: true}},
		{"blanks", v4, " OK \n192.0.2.1 \n \nNOCHANGE \n", "ip=192.0.2.1", duckdns.Reply{}},
		{"not verbose", v4, "OK\r\n", "ip=192.0.2.1", duckdns.Reply{Changed: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuck(t, say(tt.answer))
			got, err := d.publisher().Publish(t.Context(), tt.addr)
			if got != tt.want || err != nil {
				t.Errorf("%+v, %v, want %+v", got, err, tt.want)
			}
			var seen []string
			for _, r := range d.requests() {
				query, err := url.QueryUnescape(r.URL.RawQuery)
				seen = append(seen, r.Method+" "+r.URL.Path+"?"+query)
				if err != nil || r.Header.Get("User-Agent") != "plexha/"+corefile.Version || r.Header.Get("Referer") != "" {
					t.Errorf("%v, header %v", err, r.Header)
				}
			}
			want := []string{"GET /update?domains=home.duckdns.org&" + tt.sent + "&token=" + tokenText + "&verbose=true"}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("DuckDNS got (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPublishFails: each fault of DuckDNS, or of the way there, has its error, and none holds the token.
func TestPublishFails(t *testing.T) {
	status := func(code int, after time.Duration) error {
		return &duckdns.StatusError{Status: code, RetryAfter: after}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error // by [errors.Is], or equal to a [*duckdns.StatusError]; nil: only words
		words   string
	}{
		{"KO", say("KO"), duckdns.ErrRefused, ""},
		{"KO and more", say("KO\r\n\r\n"), duckdns.ErrRefused, ""},
		{"another address repeated", say("OK\n192.0.2.9\n\nUPDATED"), duckdns.ErrEcho, ""},
		{"no address repeated", say("OK\n\n\nUPDATED"), duckdns.ErrEcho, ""},
		{"only the other family's", say("OK\n\n2001:db8::1\nNOCHANGE"), duckdns.ErrEcho, ""},
		{"neither UPDATED nor NOCHANGE", say("OK\n192.0.2.1\n\n"), duckdns.ErrForeign, ""},
		{"no address where one should be", say("OK\nhello\n\nUPDATED"), duckdns.ErrForeign, ""},
		{"an empty body", say(""), duckdns.ErrForeign, ""},
		{"a captive portal", page(200), duckdns.ErrForeign, ""},
		{"a body without end", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, updated, strings.Repeat(" ", 5000))
		}, duckdns.ErrForeign, ""},
		{"Jetty's page", page(404), status(404, 0), ""},
		{"a bad gateway", page(502), status(502, 0), ""},
		{"OK with 500", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, updated)
		}, status(500, 0), ""},
		{"too many requests", page(429, "Retry-After: 120"), status(429, 2*time.Minute), ""},
		{"slow headers", hang, context.DeadlineExceeded, "no answer within 200ms"},
		{"a slow body", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "OK\n192.0.2.1\n")
			w.(http.Flusher).Flush()
			hang(w, r)
		}, context.DeadlineExceeded, "no answer within 200ms"},
		{"a body that ends too soon", raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nOK\n"), nil, "unexpected EOF"},
		{"a reset", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_ = conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SetLinger(0)
			_ = conn.(interface{ NetConn() net.Conn }).NetConn().Close()
		}, nil, "connection reset by peer"},
		{"no HTTP, quoting us", raw("URL\r\n\r\n"), nil, `malformed HTTP response "/update?[redacted]"`},
		{"a wrong status, quoting us", raw("HTTP/1.1 URL OK\r\n\r\n"), nil, `malformed HTTP status code "/update?[redacted]"`},
		{"the token in a header", raw("HTTP/1.1 200 OK\r\n" + tokenText + "\r\n\r\n"), nil, "malformed MIME header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuck(t, tt.handler)
			p := d.publisher(func(_ *corefile.DuckDNS, o *duckdns.PublishOptions) {
				if tt.want == context.DeadlineExceeded { //nolint:errorlint // the row says it
					o.Timeout = 200 * time.Millisecond
				}
			})
			got, err := p.Publish(t.Context(), v4)
			if err == nil || got != (duckdns.Reply{}) {
				t.Fatalf("%+v, %v, want an error", got, err)
			}
			checkSecretless(t, err)
			if want, ok := errors.AsType[*duckdns.StatusError](tt.want); ok {
				if got, _ := errors.AsType[*duckdns.StatusError](err); got == nil || *got != *want {
					t.Errorf("%v, want %+v", err, want)
				}
			} else if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "pushing 192.0.2.1 to DuckDNS: ") || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%v, want %q", err, tt.words)
			}
			// On a busy machine a short time may be over before the request has arrived.
			if n := len(d.requests()); n > 1 || n == 0 && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

// checkSecretless looks at an error and all that it wraps, however it is printed.
func checkSecretless(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		if strings.Contains(text, tokenText) || strings.Contains(text, "domains=") || strings.Contains(text, duckdns.Placeholder) {
			t.Errorf("%T tells %q", err, text)
		}
	}
	if _, ok := err.(*url.Error); ok { //nolint:errorlint // this very one
		t.Errorf("%#v holds the URL", err)
	}
	switch wrapper := err.(type) { //nolint:errorlint // one after the other
	case interface{ Unwrap() error }:
		checkSecretless(t, wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range wrapper.Unwrap() {
			checkSecretless(t, e)
		}
	}
}

// TestPublishFollowsNobody: a redirect ends the push, and whom it leads to sees nothing of it.
func TestPublishFollowsNobody(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			other := newDuck(t, say(updated))
			d := newDuck(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.URL+r.URL.String(), code)
			})
			d.roots.AddCert(other.Certificate())
			_, err := d.publisher().Publish(t.Context(), v4)
			if got, ok := errors.AsType[*duckdns.StatusError](err); !ok || got.Status != code {
				t.Errorf("%v, want a %d", err, code)
			}
			checkSecretless(t, err)
			if seen := other.requests(); len(seen) > 0 {
				t.Errorf("the other one got %v", seen[0].URL)
			}
		})
	}
}

// TestPublishTLS: the token goes to nobody else than the one that the certificate names.
func TestPublishTLS(t *testing.T) {
	d := newDuck(t, say(updated)) // its certificate is for example.com
	_, port, _ := net.SplitHostPort(d.Listener.Addr().String())
	public := nameServer(t, zone("example.com. 60 IN A 127.0.0.1", "www.duckdns.org. 60 IN A 127.0.0.1"))
	push := func(host string, change func(*duckdns.PublishOptions)) error {
		p := d.publisher(func(cfg *corefile.DuckDNS, o *duckdns.PublishOptions) {
			cfg.API = "https://" + net.JoinHostPort(host, port)
			o.Resolver = resolve.With(resolve.Options{Servers: []resolve.Server{{Plain: public}}})
			change(o)
		})
		_, err := p.Publish(t.Context(), v4)
		checkSecretless(t, err)
		return err
	}
	same := func(*duckdns.PublishOptions) {}
	if err := push("www.duckdns.org", same); err == nil || !strings.Contains(err.Error(), "certificate is valid for example.com and 3 more, not www.duckdns.org") {
		t.Errorf("another one's certificate: %v", err)
	}
	if err := push("example.com", func(o *duckdns.PublishOptions) { o.Roots = nil }); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("an unknown authority: %v", err)
	}
	if n := len(d.requests()); n != 0 {
		t.Fatalf("%d requests came through", n)
	}
	if err := push("example.com", same); err != nil {
		t.Errorf("the right one, found by the resolver: %v", err)
	}
}

// TestPublishNobodyThere: the way to DuckDNS is broken.
func TestPublishNobodyThere(t *testing.T) {
	d := newDuck(t, say(updated))
	l, pc := twin(t)
	_, _ = l.Close(), pc.Close()
	for api, words := range map[string]string{
		"https://" + l.Addr().String(): "connection refused",
		"https://nowhere.example":      "looking up nowhere.example: no server is given",
	} {
		_, err := d.publisher(func(cfg *corefile.DuckDNS, _ *duckdns.PublishOptions) { cfg.API = api }).Publish(t.Context(), v4)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", api, err, words)
		}
		checkSecretless(t, err)
	}
}

// TestPublishEnds: who cancels says why, and nothing goes on. A server that is silent before TLS holds nobody up.
func TestPublishEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			cancel(gone)
			_, err = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
		ended <- err
	}()
	d := newDuck(t, say(updated))
	p := d.publisher(func(cfg *corefile.DuckDNS, _ *duckdns.PublishOptions) { cfg.API = "https://" + l.Addr().String() })
	if _, err := p.Publish(ctx, v4); !errors.Is(err, gone) {
		t.Errorf("%v, want %v", err, gone)
	}
	if err := <-ended; err != nil {
		t.Errorf("the connection: %v", err)
	}
}

// TestPublishReadsTheToken: at each push anew, so that a file that was mended is enough.
func TestPublishReadsTheToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	d := newDuck(t, say(updated))
	p := d.publisher(func(cfg *corefile.DuckDNS, _ *duckdns.PublishOptions) {
		cfg.Token, cfg.TokenFile = corefile.Secret{}, file
	})
	if _, err := p.Publish(t.Context(), v4); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that of a missing file", err)
	}
	other := strings.Replace(tokenText, "1", "2", 1)
	for _, content := range []string{tokenText, other} {
		if err := os.WriteFile(file, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(t.Context(), v4); err != nil {
			t.Errorf("%v", err)
		}
	}
	var got []string
	for _, r := range d.requests() {
		got = append(got, r.URL.Query().Get("token"))
	}
	if diff := cmp.Diff([]string{tokenText, other}, got); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

// TestClear: both families go, and only by this way.
func TestClear(t *testing.T) {
	d := newDuck(t, say("OK\n\n\nUPDATED"))
	cfg, o := d.options()
	if err := duckdns.Clear(t.Context(), cfg, o); err != nil {
		t.Error(err)
	}
	if q := d.requests()[0].URL.Query(); q.Get("clear") != "true" || q.Get("domains") != "home.duckdns.org" || q.Has("txt") {
		t.Errorf("DuckDNS got %v", q)
	}
	d = newDuck(t, say("KO"))
	cfg, o = d.options()
	err := duckdns.Clear(t.Context(), cfg, o)
	if !errors.Is(err, duckdns.ErrRefused) || err.Error() != "clearing home at DuckDNS: "+duckdns.ErrRefused.Error() {
		t.Errorf("%v, want %v", err, duckdns.ErrRefused)
	}
	checkSecretless(t, err)
}

// TestCallSendsUpdatesOnly: whatever the library might want, a push touches no text and clears nothing.
func TestCallSendsUpdatesOnly(t *testing.T) {
	for _, query := range []string{"txt=", "txt=x&ip=192.0.2.1", "clear=true", "clear="} {
		ctx := duckdns.WithCall(t.Context(), transport(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s was sent", r.URL)
			return nil, errors.New("none")
		}))
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://www.duckdns.org/update?"+query, http.NoBody)
		if _, err := http.DefaultClient.Do(r); err == nil || !strings.Contains(err.Error(), "it is not sent") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestManyPushes: many at once do not wait for each other, nor mix their tokens; and others who use the same
// client of net/http do not notice.
func TestManyPushes(t *testing.T) {
	const many = 20
	var waiting sync.WaitGroup
	waiting.Add(many)
	d := newDuck(t, func(w http.ResponseWriter, r *http.Request) {
		waiting.Done()
		waiting.Wait() // until all are here
		say("OK\n"+r.URL.Query().Get("ip")+"\n\nUPDATED")(w, r)
	})
	plain := httptest.NewServer(say("hello"))
	defer plain.Close()
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			own := fmt.Sprintf("%08d-9abc-4def-8123-456789abcdef", i)
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			p := d.publisher(func(cfg *corefile.DuckDNS, _ *duckdns.PublishOptions) { cfg.Token = corefile.NewSecret(own) })
			if got, err := p.Publish(t.Context(), addr); err != nil || !got.Changed {
				t.Errorf("%+v, %v", got, err)
			}
		})
		wg.Go(func() {
			if body, err := get(plain.URL); body != "hello" {
				t.Errorf("another one's request: %q, %v", body, err)
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	for _, r := range d.requests() {
		q := r.URL.Query()
		if got, want := q.Get("ip")+" "+q.Get("token")[:8], fmt.Sprintf("192.0.2.%[1]d %08[1]d", last(q.Get("ip"))); got != want {
			t.Errorf("%s came with the token of another", got)
		}
	}
}

func last(addr string) int { return int(netip.MustParseAddr(addr).As4()[3]) }

func get(target string) (string, error) {
	resp, err := http.Get(target)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestOthersUntouched: all but our calls go where they would go without us, wherever that is at that time.
func TestOthersUntouched(t *testing.T) {
	before := http.DefaultTransport
	if _, ok := before.(*http.Transport); !ok {
		t.Errorf("http.DefaultTransport is a %T", before)
	}
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("mine " + r.URL.Path))}, nil
	})
	if body, err := get("http://other.example/x"); body != "mine /x" {
		t.Errorf("%q, %v, want what http.DefaultTransport says now", body, err)
	}
}

// TestIdleConnections: those of others can be closed by the client, as without us.
func TestIdleConnections(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(say("hello"))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	defer s.Close()
	if _, err := get(s.URL); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is left open")
	}
}

// TestPublishByProxy: with nothing but the environment, in a process of its own, the zero options lead through
// the operator's proxy to the operator's own authority's certificate for DuckDNS's own name.
func TestPublishByProxy(t *testing.T) {
	const child = "PLEXHA_TEST_PUSH"
	if name := os.Getenv(child); name != "" {
		got, err := duckdns.NewPublisher(&corefile.DuckDNS{Name: name, Token: corefile.NewSecret(tokenText)}, duckdns.PublishOptions{}).
			Publish(t.Context(), v4)
		checkSecretless(t, err)
		fmt.Printf("pushed: %+v %v\n", got, err)
		return
	}
	d := newDuckNamed(t, "www.duckdns.org", say(updated))
	tunnel, seen := newTunnel(t, d)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPublishByProxy$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=home", "HTTPS_PROXY="+tunnel, "NO_PROXY=", "SSL_CERT_FILE="+roots)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "pushed: {Changed:true} <nil>") {
		t.Errorf("%v, %s", err, out)
	}
	if diff := cmp.Diff([]string{"CONNECT www.duckdns.org:443"}, seen()); diff != "" {
		t.Errorf("the proxy was asked (-want +got):\n%s", diff)
	}
	if seen := d.requests(); len(seen) != 1 || seen[0].URL.Query().Get("token") != tokenText || seen[0].Host != "www.duckdns.org" {
		t.Errorf("DuckDNS got %v", seen)
	}
}

// TestRetryAfter: seconds, or a date; never more than a day, nor less than nothing.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	for field, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"1000000000000":                 24 * time.Hour,
		"Sun, 22 Nov 2026 20:05:00 GMT": 5 * time.Minute,
		"Sun, 22 Nov 2026 19:00:00 GMT": 0,
		"Mon, 22 Nov 2027 20:00:00 GMT": 24 * time.Hour,
	} {
		if got := duckdns.RetryAfter(field, now); got != want {
			t.Errorf("%q: %s, want %s", field, got, want)
		}
	}
}

// FuzzReplyIn: whatever a body holds, an answer counts only if it begins with OK and repeats nothing else than
// the address; and no error quotes it.
func FuzzReplyIn(f *testing.F) {
	for _, body := range []string{"OK", "KO", updated, "OK\r\n\r\n2001:db8::1\r\nNOCHANGE", "<html>", "", "OK\n192.0.2.9\n\nUPDATED", "OK\nUPDATED"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, sent := range []netip.Addr{v4, v6, {}} {
			_, err := duckdns.ReplyIn(body, sent)
			lines := strings.Fields(body)
			switch {
			case err != nil:
				if !errors.Is(err, duckdns.ErrRefused) && !errors.Is(err, duckdns.ErrEcho) && !errors.Is(err, duckdns.ErrForeign) {
					t.Errorf("%q: %v", body, err)
				}
			case lines[0] != "OK":
				t.Errorf("%q is an OK", body)
			case len(lines) > 1 && sent.IsValid():
				addr, err := netip.ParseAddr(lines[1])
				if err != nil || addr.Unmap().Is4() == sent.Is4() && addr.Unmap() != sent {
					t.Errorf("%q repeats %s", body, sent)
				}
			}
		}
	})
}

// BenchmarkPublish: what a push costs, with the connection and the handshake that each one has of its own.
func BenchmarkPublish(b *testing.B) {
	p := newDuck(b, say(updated)).publisher()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Publish(b.Context(), v4); err != nil {
			b.Fatal(err)
		}
	}
}
