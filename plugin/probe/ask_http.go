package probe

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
	"strings"
	"sync/atomic"
	"time"

	"plexha/corefile"
	"plexha/zones"
	"plexha/zones/board"
)

const (
	// maxBody is as much of an answer's body as is read. /identity has a few hundred bytes.
	maxBody = 64 << 10
	// maxRedirects bounds how often a place may send us on within itself.
	maxRedirects = 3
	// identityPath needs no token, touches no library and answers 503 in maintenance.
	identityPath = "/identity"
	// readyPath is where a plexproxy says whether it has a node that is up.
	readyPath = "/.plexha/ready"
)

// httpAsker puts one GET and judges its answer.
type httpAsker struct {
	request *http.Request
	steady  *http.Client // keeps its connection
	fresh   *http.Client // makes a new one each time
	judge   judge
	plain   string      // what to say of TLS, or of an unexplained end, on a plain connection
	tls     string      // what to say of plain HTTP on a TLS connection
	spoke   atomic.Bool // it has answered once, so its scheme is right
	cert    *certWatch  // nil: nobody cares
}

// judge tells what an HTTP answer means.
type judge func(status int, body []byte) answer

func newNodeAsker(opts *Options, n zones.Node, at place) *httpAsker {
	probe := opts.Config.Probe
	u := url.URL{Scheme: "http", Host: hostPort(n.Host, n.Port), Path: identityPath}
	j, last := judge(judgePlex), redirectsInside
	if probe.Kind == corefile.ProbeHTTP {
		path, query, _ := strings.Cut(probe.Path, "?")
		u.Path, u.RawQuery = path, query
		j = judgeHTTP(probe)
		if probe.StatusMin >= http.StatusMultipleChoices {
			last = redirectsNot
		}
	}
	var config *tls.Config
	if n.HTTPS {
		u.Scheme = "https"
		// Without `verify` a certificate for another name, or a self-made one, is what the operator expects.
		config = &tls.Config{InsecureSkipVerify: !n.Verify, RootCAs: opts.roots} //nolint:gosec // as configured
	}
	a := newHTTPAsker(opts, &u, at.at, config, last)
	a.judge = j
	a.plain = "needs https: add `https`, or set Secure connections to Preferred"
	a.tls = "speaks http, not https: remove `https`"
	return a
}

func newProxyAsker(opts *Options, at place) *httpAsker {
	name := mainName(&opts.Config.Cluster)
	u := url.URL{Scheme: "https", Host: hostPort(name, at.at.Port()), Path: readyPath}
	cert := &certWatch{place: at, name: name, warn: opts.Warn}
	// Its certificate may be of an internal CA that this host does not know; cert looks at the rest of it.
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: cert.look} //nolint:gosec // see above
	if opts.Config.TLS.Kind == corefile.TLSOff {
		u.Scheme, config, cert = "http", nil, nil
	}
	a := newHTTPAsker(opts, &u, at.at, config, redirectsInside)
	if at.at.Port() == (corefile.TLS{Kind: opts.Config.TLS.Kind}).ProxyPort() {
		a.request.Host = name
	}
	a.judge, a.cert = judgeProxy, cert
	a.plain = "speaks https, not http as with `tls off`"
	a.tls = "speaks http, not https: does its Corefile say `tls off`?"
	return a
}

func newHTTPAsker(opts *Options, u *url.URL, at netip.AddrPort, config *tls.Config, last redirectPolicy) *httpAsker {
	client := func(keep bool) *http.Client {
		return &http.Client{CheckRedirect: last, Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				d := net.Dialer{Timeout: opts.Config.Timeout, KeepAlive: -1}
				return d.DialContext(ctx, network, at.String())
			},
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    opts.Config.Timeout,
			DisableKeepAlives:      !keep,
			DisableCompression:     true,
			MaxIdleConns:           1,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: maxBody,
		}}
	}
	return &httpAsker{
		request: &http.Request{
			Method: http.MethodGet, URL: u, Host: u.Host,
			Header: http.Header{"User-Agent": {"plexha/" + opts.Version}},
		},
		steady: client(true),
		fresh:  client(false),
	}
}

func (a *httpAsker) ask(ctx context.Context, fresh bool) answer {
	client := a.steady
	if fresh {
		client = a.fresh
	}
	if a.cert.stale(time.Now()) {
		a.steady.CloseIdleConnections()
	}
	resp, err := client.Do(a.request.WithContext(ctx))
	if err != nil {
		return a.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return answerError(ctx, err)
	}
	if a.request.URL.Scheme == "http" && isPlainToTLS(resp.StatusCode, body) {
		return answerFailed(a.plain)
	}
	a.spoke.Store(true)
	return a.judge(resp.StatusCode, body)
}

func (a *httpAsker) close() {
	a.steady.CloseIdleConnections()
	a.fresh.CloseIdleConnections()
}

// unanswered finds the words for a question that got no HTTP answer, above all those for the wrong scheme.
func (a *httpAsker) unanswered(ctx context.Context, err error) answer {
	got := answerError(ctx, err)
	if elsewhere, ok := errors.AsType[*redirectError](err); ok {
		return answerFailed(elsewhere.Error())
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, http.ErrSchemeMismatch):
		got.why = a.tls
	case a.request.URL.Scheme == "https" || a.spoke.Load():
	case errors.Is(err, io.EOF) || isTLSRecord(err):
		got.why = a.plain
	}
	return got
}

// isTLSRecord reports whether a plain HTTP client stumbled over a TLS alert (RFC 8446, 5.1: type 21, then the
// version 3.x). net/http tells the first line in its message only.
func isTLSRecord(err error) bool {
	return strings.Contains(err.Error(), `malformed HTTP response "\x15\x03`)
}

// isPlainToTLS reports whether a TLS server told a plain client so in plain words, as those of Go
// ("Client sent an HTTP request to an HTTPS server.") and nginx ("The plain HTTP request was sent to HTTPS
// port") do.
func isPlainToTLS(status int, body []byte) bool {
	return status == http.StatusBadRequest &&
		(bytes.Contains(body, []byte("HTTPS server")) || bytes.Contains(body, []byte("HTTPS port")))
}

func statusWords(status int) string {
	return strings.TrimSpace(fmt.Sprintf("answers %d %s", status, http.StatusText(status)))
}

func judgePlex(status int, body []byte) answer {
	switch {
	case status == http.StatusOK:
		id, ok := parseIdentity(body)
		if !ok {
			return answerFailed("answers, but not as a Plex server")
		}
		return answer{result: board.OK, identity: id}
	case status == http.StatusServiceUnavailable && bytes.Contains(body, []byte(`title="Maintenance"`)):
		return answer{result: board.Starting, why: "in maintenance"}
	default:
		return answerFailed(statusWords(status))
	}
}

func judgeHTTP(p corefile.Probe) judge {
	return func(status int, body []byte) answer {
		switch {
		case status < p.StatusMin || status > p.StatusMax:
			return answerFailed(statusWords(status))
		case p.Body != nil && !p.Body.Match(body):
			return answerFailed(fmt.Sprintf("its answer does not match %q", p.Body))
		default:
			return answer{result: board.OK}
		}
	}
}

// maxWord bounds how much of a proxy's word is repeated.
const maxWord = 40

func judgeProxy(status int, body []byte) answer {
	if status == http.StatusOK {
		return answer{result: board.OK}
	}
	why := statusWords(status)
	if word := bytes.TrimSpace(body); len(word) > 0 && len(word) <= maxWord && bytes.IndexFunc(word, notWord) < 0 {
		why += ": " + string(word)
	}
	return answerFailed(why)
}

func notWord(r rune) bool {
	return (r < 'a' || r > 'z') && r != '-' && r != '_' && r != ' '
}

// redirectPolicy is a CheckRedirect of net/http.
type redirectPolicy = func(to *http.Request, via []*http.Request) error

// redirectError says where a place sends us that is not itself.
type redirectError struct{ to string }

func (e *redirectError) Error() string { return "redirects to " + e.to }

// redirectsInside follows a place as long as it stays the same: scheme, host and port.
func redirectsInside(to *http.Request, via []*http.Request) error {
	if first := via[0].URL; to.URL.Scheme != first.Scheme || to.URL.Host != first.Host {
		return &redirectError{to.URL.Scheme + "://" + to.URL.Host + to.URL.Path}
	}
	if len(via) > maxRedirects {
		return &redirectError{fmt.Sprintf("itself, more than %d times", maxRedirects)}
	}
	return nil
}

// redirectsNot is for a probe that wants to see a redirect.
func redirectsNot(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
