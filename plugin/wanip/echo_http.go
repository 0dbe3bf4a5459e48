package wanip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

const (
	// maxEcho bounds the body of an HTTPS echo: an address and what some put around it.
	maxEcho = 64
	// maxTrace bounds the body of Cloudflare's trace, which has about 300 bytes.
	maxTrace = 4 << 10
	// maxHeader bounds the header of any answer.
	maxHeader = 16 << 10
	// tracePath is where every site at Cloudflare tells about the request.
	tracePath = "/cdn-cgi/trace"
	// dnsMessage is the media type of RFC 8484.
	dnsMessage = "application/dns-message"
)

// fetch does one HTTP request at one server, on a connection of its own, and returns the body of its 200. A
// redirect is refused like any other status: it is a captive portal's. No proxy of the environment is used: what
// is seen through it is the proxy's address.
func fetch(path via.Path, server netip.AddrPort, config *tls.Config, req *http.Request, limit int64) ([]byte, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	t := &http.Transport{
		// Over HTTP/2 a connection outlives a request that was called off, and so does one that is being made.
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			conn, err := path.Dial(ctx, "tcp", server.String())
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(statusWords(resp))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("answers a page of more than %d bytes", limit)
	}
	return body, nil
}

// statusWords says what another status than 200 is about, without what an URL may hold.
func statusWords(resp *http.Response) string {
	if to, err := resp.Location(); err == nil {
		return "redirects to " + to.Hostname()
	}
	return strings.TrimSpace(fmt.Sprintf("answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// askDoH asks by RFC 8484's POST.
func askDoH(
	ctx context.Context, path via.Path, server netip.AddrPort, q *dns.Msg, config *tls.Config, version string,
) (*dns.Msg, error) {
	q.Id = 0 // RFC 8484, 4.1
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "https", Host: config.ServerName, Path: dohPath}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Type": {dnsMessage}, "Accept": {dnsMessage}, "User-Agent": {userAgent(version)}}
	body, err := fetch(path, server, config, req, dns.MaxMsgSize)
	if err != nil {
		return nil, err
	}
	answer := new(dns.Msg)
	if err := answer.Unpack(body); err != nil {
		return nil, fmt.Errorf("answers no DNS message: %w", err)
	}
	if !answers(answer, q) {
		return nil, errOtherQuestion
	}
	return answer, nil
}

func userAgent(version string) string { return "plexha/" + version }

// httpEcho asks a page whose body is the address.
type httpEcho struct {
	url     *url.URL
	at      []netip.AddrPort
	tls     tlsFor
	version string
	lookup  func(ctx context.Context, path via.Path, host string) ([]netip.Addr, error)
}

func newHTTPEcho(s corefile.Source, o SourceOptions) *httpEcho {
	u, err := url.Parse(s.Args[0])
	if err != nil {
		panic(err) // the Corefile was checked
	}
	return &httpEcho{
		url: u, at: s.At, version: o.Version, lookup: o.Resolve,
		tls: tlsFor{roots: o.Roots, name: u.Hostname(), orAddr: s.At != nil},
	}
}

func (e *httpEcho) ask(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
	servers := e.at
	if servers == nil {
		port := e.url.Port()
		if port == "" {
			port = "443"
		}
		var err error
		if servers, err = lookUp(ctx, e.lookup, path, e.url.Hostname(), port, f); err != nil {
			return netip.Addr{}, err
		}
	}
	return askServers(ctx, servers, f, false, func(ctx context.Context, server netip.AddrPort) (netip.Addr, error) {
		return e.get(ctx, path, server)
	})
}

func (e *httpEcho) get(ctx context.Context, path via.Path, server netip.AddrPort) (netip.Addr, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url.String(), http.NoBody)
	if err != nil {
		return netip.Addr{}, err
	}
	req.Header = http.Header{"Accept": {"text/plain"}, "User-Agent": {userAgent(e.version)}}
	limit, parse := int64(maxEcho), parseEcho
	if strings.HasSuffix(e.url.Path, tracePath) {
		limit, parse = maxTrace, parseTrace
	}
	body, err := fetch(path, server, e.tls.config(server), req, limit)
	if err != nil {
		return netip.Addr{}, err
	}
	return parse(body)
}

// parseEcho takes a body that is one address: nothing is searched for in a page.
func parseEcho(body []byte) (netip.Addr, error) { return parseAddr(string(bytes.TrimSpace(body))) }

// parseTrace finds the line "ip=ADDRESS" in Cloudflare's trace.
func parseTrace(body []byte) (netip.Addr, error) {
	for line := range strings.Lines(string(body)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "ip="); ok {
			return parseAddr(text)
		}
	}
	return netip.Addr{}, errors.New("answers without a line ip=ADDRESS")
}

// lookUp returns where a host of one family is. The error of resolve says whom it has looked up.
func lookUp(
	ctx context.Context, resolve func(context.Context, via.Path, string) ([]netip.Addr, error),
	path via.Path, host, port string, f zones.Family,
) ([]netip.AddrPort, error) {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", port, err)
	}
	addrs := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, literal)
	} else if addrs, err = resolve(ctx, path, host); err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, addr := range addrs {
		if f.Has(addr) {
			out = append(out, netip.AddrPortFrom(addr.Unmap(), uint16(number)))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no %s address", ErrNothing, host, f)
	}
	return out, nil
}
