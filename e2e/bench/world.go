package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"plexha/e2e/standin"
)

const (
	// worldToken is that of DuckDNS's stand-in.
	worldToken = "0f0f0f0f-aaaa-4bbb-8ccc-0123456789ab"
	// nameServers is how many DuckDNS has here. It has had up to five.
	nameServers = 3
	natpmpPort  = 5351
)

// defaultSet is what plexdns asks without a `detect` line. %s is where the stand-in is.
var defaultSet = []struct {
	line      string
	kind      standin.EchoKind
	transport standin.Transport
}{
	{"cloudflare dot at %s", standin.EchoCloudflare, standin.OverTLS},
	{"opendns dot at %s", standin.EchoOpenDNS, standin.OverTLS},
	{"opendns udp at %s", standin.EchoOpenDNS, standin.OverUDP},
	{"google udp at %s", standin.EchoGoogle, standin.OverUDP},
	{"akamai udp at %s", standin.EchoAkamai, standin.OverUDP},
	{"https https://api.ipify.org at %s", standin.EchoHTTPS, ""},
	{"https https://checkip.amazonaws.com at %s", standin.EchoHTTPS, ""},
	{"router natpmp", standin.EchoNATPMP, ""},
}

// world is what a plexdns needs of the Internet to find its external address and to tell DuckDNS.
type world struct {
	at        netip.Addr
	authority *standin.Authority
	echo      *standin.Echo
	closers   []func()
}

// serveWorld starts one at an address, writes the certificate to trust into a file, prints the lines of a
// Corefile that lead there, and stays until ctx ends. The token's file is beside the certificate's.
func serveWorld(ctx context.Context, addr, file string, stdout io.Writer) error {
	at, err := netip.ParseAddr(addr)
	if err != nil {
		return fmt.Errorf("reading the world's address: %w", err)
	}
	authority, err := standin.NewAuthority()
	if err != nil {
		return err
	}
	w := &world{at: at, authority: authority, echo: standin.NewEcho()}
	defer w.close()
	w.echo.SetAddress(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("203.0.113.7"))
	err = errors.Join(
		os.WriteFile(file, authority.PEM(), 0o600),
		os.WriteFile(file+".token", []byte(worldToken+"\n"), 0o600),
		w.serveEchoes(stdout),
		w.serveDuckDNS(ctx, file+".token", stdout),
	)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "# ready")
	<-ctx.Done()
	return nil
}

func (w *world) close() {
	for _, c := range w.closers {
		c()
	}
}

func (w *world) serveEchoes(stdout io.Writer) error {
	pair, err := w.authority.Issue("one.one.one.one", "dns.opendns.com", "api.ipify.org", "checkip.amazonaws.com")
	if err != nil {
		return err
	}
	for _, s := range defaultSet {
		o := standin.EchoOptions{Kind: s.kind, Transport: s.transport, Addr: netip.AddrPortFrom(w.at, 0), Certificate: &pair}
		if s.kind == standin.EchoNATPMP {
			o.Addr = netip.AddrPortFrom(w.at, natpmpPort)
		}
		server, err := w.echo.Serve(o)
		if err != nil {
			return err
		}
		w.closers = append(w.closers, server.Close)
		line := s.line
		if s.kind == standin.EchoNATPMP {
			line += " at " + w.at.String()
		} else {
			line = fmt.Sprintf(line, server.Addr())
		}
		fmt.Fprintln(stdout, "detect", line)
	}
	fmt.Fprintln(stdout, "detect allow 203.0.113.0/24")
	return nil
}

func (w *world) serveDuckDNS(ctx context.Context, token string, stdout io.Writer) error {
	duck := standin.NewDuckDNS()
	duck.Add(worldToken, "home")
	pair, err := w.authority.Issue("www.duckdns.org", w.at.String())
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", netip.AddrPortFrom(w.at, 0).String())
	if err != nil {
		return err
	}
	api := &http.Server{
		Handler: duck, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: duck.TLS(pair, pair),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = api.ServeTLS(l, "", "")
	}()
	w.closers = append(w.closers, func() {
		_ = api.Close()
		<-done
	})
	var servers []string
	for range nameServers {
		s, err := duck.NameServer(netip.AddrPortFrom(w.at, 0))
		if err != nil {
			return err
		}
		w.closers = append(w.closers, s.Close)
		servers = append(servers, s.Addr().String())
	}
	_, err = fmt.Fprintf(stdout, "duckdns home token_file %s api https://%s verify at %s\n", token, l.Addr(), strings.Join(servers, " "))
	return err
}
