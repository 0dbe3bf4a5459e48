package duckdns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	library "github.com/libdns/duckdns"
	"github.com/libdns/libdns"

	"plexha/corefile"
	"plexha/corefile/token"
	"plexha/plugin/resolve"
)

const (
	ownAPI = "https://www.duckdns.org"
	// pushTimeout bounds one push, look-up and TLS included. DuckDNS answers within a second; a minute's gap
	// lies between two pushes.
	pushTimeout = 20 * time.Second
	// placeholder is what the library takes for the token: it insists on the length, and its errors show the
	// URL that it thinks it has called.
	placeholder = "the-token-stays-out-of-the-library.."
)

// PublishOptions say how DuckDNS is reached. The zero value is right outside tests.
//
// A proxy that the environment names (HTTPS_PROXY, NO_PROXY) is used, and found by the system's resolver.
type PublishOptions struct {
	Resolver *resolve.Resolver // finds DuckDNS; nil: one that asks the system's resolver last
	Roots    *x509.CertPool    // vouch for DuckDNS; nil: the system's
	Timeout  time.Duration     // of one push; 0: 20 s
}

// publisher pushes by the library, which it keeps from the token and from the network: see [call].
type publisher struct {
	cfg  *corefile.DuckDNS
	opts PublishOptions
	base *url.URL
}

// NewPublisher returns the publisher of a domain's record. It reads the token at each push, and keeps nothing
// open between them.
func NewPublisher(cfg *corefile.DuckDNS, o PublishOptions) Publisher { return newPublisher(cfg, o) }

func newPublisher(cfg *corefile.DuckDNS, o PublishOptions) *publisher {
	if o.Resolver == nil {
		o.Resolver = resolve.With(resolve.Options{System: true})
	}
	if o.Timeout == 0 {
		o.Timeout = pushTimeout
	}
	base, err := url.Parse(cfg.API)
	if err != nil || base.Host == "" {
		base, _ = url.Parse(ownAPI)
	}
	return &publisher{cfg, o, base}
}

// Publish implements [Publisher].
func (p *publisher) Publish(ctx context.Context, addr netip.Addr) (Reply, error) {
	addr = addr.Unmap().WithZone("")
	reply, err := p.update(ctx, (*library.Provider).SetRecords, libdns.Address{Name: p.cfg.Name, IP: addr}, &call{addr: addr})
	if err != nil {
		return Reply{}, fmt.Errorf("pushing %s to DuckDNS: %w", addr, err)
	}
	return reply, nil
}

// Clear takes the addresses of a domain away, of both families: DuckDNS knows no other way. It is for the
// operator's own hand.
func Clear(ctx context.Context, cfg *corefile.DuckDNS, o PublishOptions) error {
	// DuckDNS ignores the address, but the library can't do without.
	record := libdns.Address{Name: cfg.Name, IP: netip.IPv4Unspecified()}
	_, err := newPublisher(cfg, o).update(ctx, (*library.Provider).DeleteRecords, record, &call{clears: true})
	if err != nil {
		return fmt.Errorf("clearing %s at DuckDNS: %w", cfg.Name, err)
	}
	return nil
}

// change is what the library does with records.
type change func(*library.Provider, context.Context, string, []libdns.Record) ([]libdns.Record, error)

// update makes one call. The library's provider is made anew for each: its mutex would let a call wait for
// another one beyond its deadline. What it returns is not looked at: the call itself knows more.
func (p *publisher) update(ctx context.Context, do change, record libdns.Record, c *call) (Reply, error) {
	secret, err := token.Of(p.cfg)
	if err != nil {
		return Reply{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.Timeout, timeoutError(p.opts.Timeout))
	defer cancel()
	c.token, c.base, c.transport = secret, p.base, p.transport(ctx)
	_, err = do(&library.Provider{APIToken: placeholder}, context.WithValue(ctx, callKey{}, c), duckDNS, []libdns.Record{record})
	if !c.made {
		return Reply{}, c.told(ctx, err)
	}
	return c.reply, c.err
}

// transport returns one for a single call, whose connections end with ctx.
func (p *publisher) transport(ctx context.Context) *http.Transport {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// Its own context would outlive the call: Go lets a connection go on for the next one.
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := p.dial(ctx, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		},
		TLSClientConfig:        &tls.Config{RootCAs: p.opts.Roots, MinVersion: tls.VersionTLS12},
		Protocols:              http1,
		DisableKeepAlives:      true,
		DisableCompression:     true, // or a short answer could be a long one
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// dial connects to DuckDNS, or to the proxy that leads there, which only the system's resolver may know.
func (p *publisher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, _, _ := net.SplitHostPort(address); host == p.base.Hostname() {
		return p.opts.Resolver.Dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// timeoutError says how long nobody has answered.
type timeoutError time.Duration

// Error implements error.
func (e timeoutError) Error() string { return "no answer within " + time.Duration(e).String() }

// Is makes it a [context.DeadlineExceeded].
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
