package wanip_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

const portalPage = `<!DOCTYPE html><html><head><title>Welcome to the hotel</title></head><body>198.51.100.7</body></html>`

// page answers with a body.
func page(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// A body that is one address is taken; nothing is searched for in any other.
func TestHTTPAnswers(t *testing.T) {
	const plain, trace = "https://echo.example/ip", "https://echo.example/cdn-cgi/trace"
	for _, tc := range []struct {
		name, url string
		answer    http.HandlerFunc
		want      string
	}{
		{"an address", plain, page(200, "198.51.100.7"), home4.String()},
		{"an address in a line", plain, page(200, "198.51.100.7\r\n"), home4.String()},
		{"a captive portal's page", plain, page(200, portalPage), "answers a page of more than 64 bytes"},
		{"a short page", plain, page(200, "<p>198.51.100.7</p>"), `answers "<p>198.51.100.7</p>", which is no address`},
		{"a captive portal's redirect", plain, redirect("https://portal.example/login?to=198.51.100.7"), "redirects to portal.example"},
		{"a redirect to itself", plain, redirect("/ip/"), "redirects to echo.example"},
		{"a limit", plain, page(429, "198.51.100.7"), "answers 429 Too Many Requests"},
		{"a fault", plain, page(502, "198.51.100.7"), "answers 502 Bad Gateway"},
		{"no content", plain, page(204, ""), "answers 204 No Content"},
		{"nothing", plain, page(200, ""), `answers "", which is no address`},
		{"two addresses", plain, page(200, "198.51.100.7\n198.51.100.8\n"), `answers "198.51.100.7\n198.51.100.8", which is no address`},
		{"JSON", plain, page(200, `{"ip":"198.51.100.7"}`), `answers "{\"ip\":\"198.51.100.7\"}", which is no address`},
		{"far too much", plain, page(200, strings.Repeat(" ", 1<<20)+"198.51.100.7"), "answers a page of more than 64 bytes"},
		{"the other family's", plain, page(200, "2001:db8::7"), "tells an ipv6 address over ipv4"},
		{"an address with a zone", plain, page(200, "fe80::1%eth0"), `answers "fe80::1%eth0", which is no address`},
		{"a trace", trace, page(200, "fl=1f1\nh=echo.example\nip=198.51.100.7\nts=1\n"), home4.String()},
		{"a trace without it", trace, page(200, "fl=1f1\nh=echo.example\n"), "answers without a line ip=ADDRESS"},
		{"a page for a trace", trace, page(200, portalPage), "answers without a line ip=ADDRESS"},
		{"a trace that never ends", trace, page(200, strings.Repeat("fl=1f1\n", 1000)), "answers a page of more than 4096 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, roots := certFor(t, "echo.example")
			at := serveHTTPS(t, "127.0.0.1:0", cert, tc.answer)
			s := corefile.Source{Kind: "https", Args: []string{tc.url}, At: []netip.AddrPort{at}}
			got, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
			if text := outcome(got, err); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

// An echo learns no more than it must: no cookie, no proxy of the environment, whatever came before.
func TestHTTPRequest(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://"+closedPort(t).String())
	requests := make(chan *http.Request, 2)
	cert, roots := certFor(t, "echo.example")
	at := serveHTTPS(t, "[::1]:0", cert, func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		http.SetCookie(w, &http.Cookie{Name: "who", Value: "you"})
		fmt.Fprintln(w, home6)
	})
	s := corefile.Source{Kind: "https", Args: []string{"https://echo.example/ip?format=text"}, At: []netip.AddrPort{at}}
	source := wanip.Sources(&corefile.Config{Detect: []corefile.Source{s}}, wanip.SourceOptions{Roots: roots, Version: "1.2.3"})[0]
	for range 2 {
		if got, err := source.Ask(t.Context(), via.Path{}, zones.IPv6); err != nil || got != home6 {
			t.Fatalf("got %v, %v; want %v", got, err, home6)
		}
		r := <-requests
		if r.Method != http.MethodGet || r.Host != "echo.example" || r.URL.String() != "/ip?format=text" {
			t.Errorf("asked %s %s%s", r.Method, r.Host, r.URL)
		}
		want := http.Header{"Accept": {"text/plain"}, "User-Agent": {"plexha/1.2.3"}}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("the header (-want +got)\n%s", diff)
		}
	}
}

// Rounds are a minute apart and longer: no connection is kept for the next one, whatever the answer was.
func TestHTTPConnectionEnds(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"an address": page(200, home4.String()), "a fault": page(500, ""), "far too much": page(200, strings.Repeat(" ", 1<<20)),
		"none": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := func(w http.ResponseWriter, r *http.Request) {
				if name == "none" {
					cancel()
				}
				h(w, r)
			}
			cert, roots := certFor(t, "echo.example")
			at := serveHTTPSWith(t, "127.0.0.1:0", cert, asked, func(_ net.Conn, s http.ConnState) {
				if s == http.StateClosed {
					close(closed)
				}
			})
			s := corefile.Source{Kind: "https", Args: []string{"https://echo.example/"}, At: []netip.AddrPort{at}}
			_, _ = ask(ctx, s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
			select {
			case <-closed:
			case <-time.After(10 * time.Second):
				t.Error("the connection stays open")
			}
		})
	}
}

// The host is looked up by the resolver that we are given, and asked over the family that is wanted.
func TestHTTPLookUp(t *testing.T) {
	cert, roots := certFor(t, "echo.example")
	at := serveHTTPS(t, "127.0.0.1:0", cert, page(200, home4.String()))
	url := fmt.Sprintf("https://echo.example:%d/", at.Port())
	for _, tc := range []struct {
		name  string
		addrs []netip.Addr
		err   error
		want  string
	}{
		{"both families", []netip.Addr{netip.MustParseAddr("::1"), at.Addr()}, nil, home4.String()},
		{"no IPv4", []netip.Addr{netip.MustParseAddr("::1")}, nil, wanip.ErrNothing.Error() + ": echo.example has no ipv4 address"},
		{"no answer", nil, errors.New("looking up echo.example: no answer"), "looking up echo.example: no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := wanip.SourceOptions{Roots: roots, Resolve: func(_ context.Context, _ via.Path, host string) ([]netip.Addr, error) {
				if host != "echo.example" {
					t.Errorf("looked up %s", host)
				}
				return tc.addrs, tc.err
			}}
			got, err := ask(t.Context(), corefile.Source{Kind: "https", Args: []string{url}}, o, zones.IPv4)
			if text := outcome(got, err); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

// A certificate must be for the URL's host, or for the address that `at` gives.
func TestHTTPCertificates(t *testing.T) {
	for _, tc := range []struct{ name, certificate, wantErr string }{
		{"the host's", "echo.example", ""},
		{"the address's", "127.0.0.1", ""},
		{"a captive portal's", "portal.example", "certificate is valid for portal.example, not echo.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, roots := certFor(t, tc.certificate)
			at := serveHTTPS(t, "127.0.0.1:0", cert, page(200, home4.String()))
			s := corefile.Source{Kind: "https", Args: []string{"https://echo.example/"}, At: []netip.AddrPort{at}}
			_, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("got %v, want %q", err, tc.wantErr)
			}
		})
	}
}

// Without `at` an address that was looked up vouches for nothing: the certificate must be the host's.
func TestHTTPCertificateOfAddress(t *testing.T) {
	cert, roots := certFor(t, "127.0.0.1")
	at := serveHTTPS(t, "127.0.0.1:0", cert, page(200, home4.String()))
	o := wanip.SourceOptions{Roots: roots, Resolve: func(context.Context, via.Path, string) ([]netip.Addr, error) {
		return []netip.Addr{at.Addr()}, nil
	}}
	s := corefile.Source{Kind: "https", Args: []string{fmt.Sprintf("https://echo.example:%d/", at.Port())}}
	if got, err := ask(t.Context(), s, o, zones.IPv4); err == nil {
		t.Errorf("took %v", got)
	}
}

// The look-up is part of the question's 5 s.
func TestHTTPLookUpSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := wanip.SourceOptions{Resolve: func(ctx context.Context, _ via.Path, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		begin := time.Now()
		_, err := ask(t.Context(), corefile.Source{Kind: "https", Args: []string{"https://echo.example/"}}, o, zones.IPv4)
		const want = "no answer within 5s"
		if err == nil || err.Error() != want || time.Since(begin) != 5*time.Second {
			t.Errorf("got %v after %v, want %s", err, time.Since(begin), want)
		}
	})
}

func TestHTTPSilent(t *testing.T) {
	cert, roots := certFor(t, "echo.example")
	at := serveHTTPS(t, "127.0.0.1:0", cert, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := corefile.Source{Kind: "https", Args: []string{"https://echo.example/"}, At: []netip.AddrPort{at}}
	_, err := ask(within(t, 300*time.Millisecond), s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
	if got := outcome(netip.Addr{}, err); got != "no answer in time" {
		t.Errorf("got %s", got)
	}
}

// DNS over HTTPS is RFC 8484's: a POST of the message, with id 0, which a cache may share.
func TestDoHRequest(t *testing.T) {
	cert, roots := certFor(t, "cloudflare-dns.com")
	ids := make(chan uint16, 1)
	at, requests := serveDoH(t, "127.0.0.1:0", cert, func(q *dns.Msg) *dns.Msg {
		ids <- q.Id
		return says(home4.String())(q)
	})
	s := corefile.Source{Kind: "cloudflare", Transport: "doh", At: []netip.AddrPort{at}}
	if got, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, zones.IPv4); err != nil || got != home4 {
		t.Fatalf("got %v, %v; want %v", got, err, home4)
	}
	r := <-requests
	got := []string{r.Method, r.Proto, r.Host, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("User-Agent"), fmt.Sprint(<-ids)}
	want := []string{"POST", "HTTP/2.0", "cloudflare-dns.com", "/dns-query", "application/dns-message", "plexha/1.2.3", "0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the request (-want +got)\n%s", diff)
	}
}

func TestDoHAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"a captive portal's page", page(200, portalPage), "answers no DNS message: "},
		{"a captive portal's redirect", redirect("https://portal.example/login"), "redirects to portal.example"},
		{"a fault", page(500, ""), "answers 500 Internal Server Error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, roots := certFor(t, "cloudflare-dns.com")
			at := serveHTTPS(t, "127.0.0.1:0", cert, tc.answer)
			s := corefile.Source{Kind: "cloudflare", Transport: "doh", At: []netip.AddrPort{at}}
			got, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
			if text := outcome(got, err); !strings.HasPrefix(text, tc.want) {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}
