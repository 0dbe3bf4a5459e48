package duckdns

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"plexha/corefile"
)

// Placeholder is what the library takes for the token.
const Placeholder = placeholder

// ReplyIn reads the answer to an update.
func ReplyIn(body string, sent netip.Addr) (Reply, error) { return replyIn(body, sent) }

// RetryAfter reads the header field of that name.
func RetryAfter(field string, now time.Time) time.Duration { return retryAfter(field, now) }

// WithCall returns a context whose requests are those of a call that may not clear anything, by the transport.
func WithCall(ctx context.Context, transport http.RoundTripper) context.Context {
	c := &call{token: corefile.NewSecret("12345678-9abc-4def-8123-456789abcdef"), base: &url.URL{}, transport: transport}
	return context.WithValue(ctx, callKey{}, c)
}
