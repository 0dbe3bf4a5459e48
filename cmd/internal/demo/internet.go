package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"plexha/e2e/standin"
)

// duckName is the home's domain at DuckDNS, and duckToken its owner's token, which opens nothing.
const (
	duckName  = "home"
	duckToken = "12345678-9abc-4def-8123-456789abcdef" //nolint:gosec // the stand-in's
)

// loopback is where all packets of the demo come from.
var loopback = netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)

// internet is what there is outside of the home: stand-ins for the echoes, which tell who asks them from where
// that comes, and for DuckDNS. They run in this process, since it is not they that fail in this story.
type internet struct {
	roots []byte // whoever trusts these certificates trusts the echoes
	world *standin.Echo
	duck  *standin.DuckDNS

	cloudflare, openDNS, google netip.AddrPort // cloudflare's is not valid where programs cannot be told whom to trust
	api                         string         // DuckDNS's, as a URL
	closers                     []func()
}

// openInternet starts it, with a name server of DuckDNS at that address. It must be closed.
func openInternet(ctx context.Context, names netip.AddrPort) (*internet, error) {
	n := &internet{world: standin.NewEcho(), duck: standin.NewDuckDNS()}
	n.duck.Add(duckToken, duckName)
	if err := errors.Join(n.openEchoes(), n.openDuckDNS(ctx, names)); err != nil {
		n.close()
		return nil, fmt.Errorf("starting the Internet's stand-ins: %w", err)
	}
	return n, nil
}

func (n *internet) openEchoes() error {
	authority, err := standin.NewAuthority()
	if err != nil {
		return err
	}
	n.roots = authority.PEM()
	pair, err := authority.Issue()
	if err != nil {
		return err
	}
	if trustsByFile(runtime.GOOS) {
		n.cloudflare, err = n.openEcho(standin.EchoCloudflare, standin.OverTLS, &pair)
	}
	var errs [2]error
	n.openDNS, errs[0] = n.openEcho(standin.EchoOpenDNS, standin.OverUDP, nil)
	n.google, errs[1] = n.openEcho(standin.EchoGoogle, standin.OverUDP, nil)
	return errors.Join(err, errs[0], errs[1])
}

func (n *internet) openEcho(kind standin.EchoKind, over standin.Transport, pair *tls.Certificate) (netip.AddrPort, error) {
	s, err := n.world.Serve(standin.EchoOptions{
		Kind: kind, Transport: over, Certificate: pair, Addr: netip.AddrPortFrom(Inside.Addr(), 0),
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	n.closers = append(n.closers, s.Close)
	return s.Addr(), nil
}

// trustsByFile reports whether Go programs trust what SSL_CERT_FILE names there. On the others the system knows.
func trustsByFile(goos string) bool {
	switch goos {
	case "darwin", "ios", "windows", "plan9":
		return false
	default:
		return true
	}
}

func (n *internet) openDuckDNS(ctx context.Context, names netip.AddrPort) error {
	s, err := n.duck.NameServer(names)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, s.Close)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(Inside.Addr(), 0).String())
	if err != nil {
		return err
	}
	n.api = "http://" + l.Addr().String()
	srv := &http.Server{Handler: n.duck, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l) // until it is closed
	}()
	n.closers = append(n.closers, func() { _ = srv.Close(); <-ended })
	return nil
}

// move has all packets come from another external address, as the provider of a home does.
func (n *internet) move(addr netip.Addr) { n.world.SetAddress(loopback, addr) }

// close ends it, and waits for that.
func (n *internet) close() {
	for _, f := range n.closers {
		f()
	}
}
