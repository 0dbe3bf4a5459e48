package demo

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// visitTimeout bounds one visit. A request whose node has just died is tried for 5 s, as `retry` says.
const visitTimeout = 10 * time.Second

// maxPage bounds what is read of an answer: a status page is less than 100 kB.
const maxPage = 1 << 20

// Device is what somebody in the home has in his hand. It is one that its owner has signed in with.
type Device string

// The devices. Their tokens' hashes place the first two on different nodes.
const (
	TV     Device = "tv"
	Tablet Device = "tablet"
)

// Guests returns devices that nobody has seen before: the nth group of ten.
func Guests(n int) []Device {
	var all []Device
	for i := range 10 {
		all = append(all, Device(fmt.Sprintf("guest-%d-%d", n, i)))
	}
	return all
}

// devices returns all that there are.
func devices() []Device { return slices.Concat([]Device{TV, Tablet}, Guests(1), Guests(2)) }

// token returns the token that the owner's account gave to the device, which opens nothing.
func (d Device) token() string { return "token-for-" + string(d) }

// Visit is a request for a page over HTTPS.
type Visit struct {
	By   Device // empty: a browser that has signed in nowhere
	Host string
	Path string
}

// String returns it as the story shows it.
func (v Visit) String() string {
	return fmt.Sprintf("%-7s  https://%s", cmp.Or(v.By, "inside"), v.Host)
}

// Page is what a visit brought.
type Page struct {
	Status int
	Node   Member // who answered; empty: plexproxy itself
	Title  string // the page's, if it is one
}

// String returns it on one line.
func (p Page) String() string {
	switch {
	case p.Node != "":
		return fmt.Sprintf("%d from %s", p.Status, p.Node)
	case p.Title != "":
		return fmt.Sprintf("%d %q", p.Status, p.Title)
	default:
		return fmt.Sprintf("%d %s", p.Status, http.StatusText(p.Status))
	}
}

// wantPage is what a page should be.
type wantPage struct {
	words string
	holds func(Page) bool
}

// comesFrom wants a page of one of these nodes.
func comesFrom(ms ...Member) wantPage {
	return wantPage{
		words: "200 from " + oneOf(ms),
		holds: func(p Page) bool { return p.Status == http.StatusOK && slices.Contains(ms, p.Node) },
	}
}

// saysDown wants the page that says so of a node.
func saysDown(m Member) wantPage {
	title := string(m) + " is down."
	return wantPage{
		words: fmt.Sprintf("503 %q", title),
		holds: func(p Page) bool { return p.Status == http.StatusServiceUnavailable && p.Title == title },
	}
}

// visitor returns a function that visits plexproxy at that address, which the authority in the file signs for.
func visitor(place netip.AddrPort, authority string) func(context.Context, Visit) (Page, error) {
	client := &http.Client{Transport: newWay(place, authority), Timeout: visitTimeout}
	return func(ctx context.Context, v Visit) (Page, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+v.Host+v.Path, http.NoBody)
		if err != nil {
			return Page{}, err
		}
		req.Header.Set("Accept", "text/html")
		if v.By != "" {
			req.Header.Set("X-Plex-Client-Identifier", string(v.By))
			req.Header.Set("X-Plex-Token", v.By.token())
		}
		resp, err := client.Do(req)
		if err != nil {
			return Page{}, err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		page := Page{Status: resp.StatusCode, Node: Member(resp.Header.Get("X-Backend")), Title: wordsIn(heading, text)}
		return page, err
	}
}

// way is how a client in the home reaches plexproxy, whatever name it asks for.
type way struct {
	place     netip.AddrPort
	authority string // the file of whose certificates it trusts

	mu        sync.Mutex
	transport *http.Transport // nil: plexproxy has not made its authority yet
}

func newWay(place netip.AddrPort, authority string) *way {
	return &way{place: place, authority: authority}
}

// RoundTrip implements [http.RoundTripper].
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	t, err := w.open()
	if err != nil {
		return nil, err
	}
	return t.RoundTrip(r)
}

// CloseIdleConnections is for [http.Client].
func (w *way) CloseIdleConnections() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.transport != nil {
		w.transport.CloseIdleConnections()
	}
}

func (w *way) open() (*http.Transport, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.transport != nil {
		return w.transport, nil
	}
	text, err := os.ReadFile(w.authority)
	if err != nil {
		return nil, fmt.Errorf("reading plexproxy's authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading plexproxy's authority: no certificate in %s", w.authority)
	}
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(Inside.Addr(), 0))}
	w.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", w.place.String())
		},
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	return w.transport, nil
}

// Where a page's words stand: its first heading, and what a status page says above all else.
var (
	heading  = regexp.MustCompile(`(?s)<h1[^>]*>(.*?)</h1>`)
	headline = regexp.MustCompile(`(?s)<p class="headline">(.*?)</p>`)
	element  = regexp.MustCompile(`(?s)<[^>]*>`)
)

// wordsIn returns the text of what the pattern's group finds in a page.
func wordsIn(pattern *regexp.Regexp, text []byte) string {
	found := pattern.FindSubmatch(text)
	if found == nil {
		return ""
	}
	words := html.UnescapeString(element.ReplaceAllString(string(found[1]), ""))
	return strings.Join(strings.Fields(words), " ")
}
