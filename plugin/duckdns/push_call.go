package duckdns

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"plexha/corefile"
	"plexha/plugin/resolve"
)

const (
	maxBody = 4 << 10 // DuckDNS's answers have less than 100 bytes
	// maxRetryAfter bounds what an answer may ask for: more is a mistake of somebody's, or an attack.
	maxRetryAfter = 24 * time.Hour
)

// callKey is where a context carries a [call].
type callKey struct{}

// init makes a way into the library, which calls by [http.DefaultClient], whoever uses it: a request whose
// context carries a [call] is that call's, and all others go where they went before. It is done once, before
// anything runs: to exchange the client while somebody uses it would be a race. [http.DefaultTransport] is left
// alone, since CoreDNS asserts its type.
func init() {
	//nolint:forbidigo // the library has no other way in
	http.DefaultClient.Transport = &fork{http.DefaultClient.Transport}
}

// fork is a transport that knows whose a request is.
type fork struct{ before http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (f *fork) RoundTrip(r *http.Request) (*http.Response, error) {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return c.RoundTrip(r)
	}
	return f.others().RoundTrip(r)
}

// CloseIdleConnections is that of [http.Client], which asks its transport.
func (f *fork) CloseIdleConnections() {
	if t, ok := f.others().(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// others returns the transport of all but the calls, as [http.Client] would choose it now.
func (f *fork) others() http.RoundTripper {
	if f.before != nil {
		return f.before
	}
	return http.DefaultTransport //nolint:forbidigo // whoever sets it must find that it works
}

// call is one update. The library believes to send it: it makes the URL, with a placeholder for the token, and
// gets nothing back but DuckDNS's OK, or an error that it may print.
type call struct {
	token     corefile.Secret
	base      *url.URL
	transport http.RoundTripper
	addr      netip.Addr // the one that is pushed; the zero Addr: none is
	clears    bool

	made  bool // the library has sent it
	reply Reply
	err   error // holds neither the token nor a part of the URL
}

// RoundTrip implements [http.RoundTripper].
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	c.made = true
	c.reply, c.err = c.send(r)
	if c.err != nil {
		return nil, c.err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answerOK)), Request: r,
	}, nil
}

// send puts the token on the wire, and judges the answer. A redirect is refused like all that is not a 200:
// the client would send our URL along, as the Referer.
func (c *call) send(r *http.Request) (Reply, error) {
	out, err := c.request(r)
	if err != nil {
		return Reply{}, err
	}
	resp, err := c.transport.RoundTrip(out)
	if err != nil {
		return Reply{}, c.told(r.Context(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Reply{}, &StatusError{resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return Reply{}, c.told(r.Context(), err)
	case len(body) > maxBody:
		return Reply{}, ErrForeign
	default:
		return replyIn(string(body), c.addr)
	}
}

// request returns the library's request as it goes out.
func (c *call) request(r *http.Request) (*http.Request, error) {
	query := r.URL.Query()
	if query.Has("txt") || query.Has("clear") != c.clears {
		return nil, errors.New("the library asks for more than an update of addresses: it is not sent")
	}
	query.Set("token", c.token.Reveal())
	target := c.base.JoinPath("update")
	target.RawQuery = query.Encode()
	out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, c.told(r.Context(), err)
	}
	out.Header.Set("User-Agent", "plexha/"+corefile.Version)
	return out, nil
}

// networkError is what the network, or the library, has to say. It wraps nothing: what it is made of may hold
// the token.
type networkError struct {
	text    string
	timeout bool
}

// Error implements error.
func (e *networkError) Error() string { return e.text }

// Is makes a timeout a [context.DeadlineExceeded].
func (e *networkError) Is(target error) bool { return e.timeout && target == context.DeadlineExceeded }

// queries and users are the parts of URLs that may hold a secret. A proxy's URL is HTTPS_PROXY's.
var (
	queries = regexp.MustCompile(`\?[^\s"']*`)
	users   = regexp.MustCompile(`//[^\s/"']*@`)
)

// told returns an error without the token, and without the queries and users of URLs: a server that answers nonsense is quoted,
// and may quote us. The end of the context is told as its cause.
func (c *call) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := strings.ReplaceAll(resolve.ShortCertificate(err).Error(), c.token.Reveal(), c.token.String())
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	text = queries.ReplaceAllString(text, "?"+c.token.String())
	text = users.ReplaceAllString(text, "//"+c.token.String()+"@")
	return &networkError{text, ok && timeout.Timeout()}
}

// retryAfter reads the header field of that name: seconds, or a date (RFC 9110, section 10.2.3). It returns 0
// for what is in the past or cannot be read.
func retryAfter(field string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(field); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter.Seconds()))) * time.Second
	} else if date, err := http.ParseTime(field); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
