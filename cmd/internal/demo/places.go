package demo

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"text/template"
)

// The ports that the first demo of a machine tries first, at least portSpan apart where the address is the same. The
// status pages of a real plexdns and plexproxy are at 8053 and 8054.
const (
	dnsPort         uint16 = 5300
	duckPort        uint16 = 5500
	plexPort        uint16 = 32400
	proxyPort       uint16 = 8443
	statusPort      uint16 = 8055
	proxyStatusPort uint16 = 8255
	// Each demo has a turn of its own, and tries every turns-th port from there on, of portSpan.
	turns    uint16 = 20
	portSpan uint16 = 200
)

//go:embed Corefile.tmpl
var corefileText string

// Places is where the demo's parts listen.
type Places struct {
	DNS, Status        netip.AddrPort // plexdns
	Proxy, ProxyStatus netip.AddrPort // plexproxy
	Plex1, Plex2       netip.AddrPort
	Names              netip.AddrPort // DuckDNS's name server
}

// Echoes is where those listen that tell external addresses.
type Echoes struct {
	Cloudflare netip.AddrPort // not valid: plexdns is to read the address in a file instead
	OpenDNS    netip.AddrPort
	Google     netip.AddrPort
}

// of returns where a node or the proxy listens.
func (p Places) of(m Member) netip.AddrPort {
	return map[Member]netip.AddrPort{Plex1: p.Plex1, Plex2: p.Plex2, Proxy: p.Proxy}[m]
}

// Corefile returns the Corefile of both programs, with their state in the folder dir, whose DuckDNS has that API.
func Corefile(p Places, e Echoes, api, dir string) (string, error) {
	t, err := template.New("Corefile").Parse(corefileText)
	if err != nil {
		return "", fmt.Errorf("reading the embedded Corefile: %w", err)
	}
	var sb strings.Builder
	err = t.Execute(&sb, struct {
		Places
		Echoes

		Zone, Dir, Router, API, Token string
		Wans                          netip.Prefix
	}{p, e, bare(zoneName), dir, routerFile(dir), api, tokenFile(dir), wans})
	if err != nil {
		return "", fmt.Errorf("writing the Corefile: %w", err)
	}
	return sb.String(), nil
}

// checkLoopback returns an error that says what to do if this system lacks addresses that the demo uses.
// Bind returns why an address cannot be used.
func checkLoopback(bind func(netip.Addr) error) error {
	var missing []string
	var last error
	for _, a := range []netip.Addr{Inside.Addr(), Plex1.Addr(), Plex2.Addr(), Proxy.Addr(), Outside.Addr()} {
		if err := bind(a); err != nil {
			missing, last = append(missing, a.String()), err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("using loopback addresses: %w: this system lacks %s; on macOS, for each of them: "+
		"sudo ifconfig lo0 alias %s", last, strings.Join(missing, ", "), missing[0])
}

// bindable returns a function for checkLoopback.
func bindable(ctx context.Context) func(netip.Addr) error {
	return func(a netip.Addr) error {
		var lc net.ListenConfig
		c, err := lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(a, 0).String())
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// takeTurn returns what no other demo has until it is closed: two that begin at once would find the same ports free.
func takeTurn(ctx context.Context) (held io.Closer, turn uint16, err error) {
	var lc net.ListenConfig
	for turn := range turns {
		held, err = lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(Outside.Addr(), dnsPort+turn).String())
		if err == nil {
			return held, turn, nil
		}
	}
	return nil, 0, fmt.Errorf("taking one of %d turns: %w", turns, err)
}

// findPlaces finds a free port for each part.
func findPlaces(ctx context.Context, turn uint16) (Places, error) {
	var p Places
	for _, part := range []struct {
		place *netip.AddrPort
		addr  netip.Addr
		port  uint16
	}{
		{&p.DNS, Inside.Addr(), dnsPort},
		{&p.Plex1, Plex1.Addr(), plexPort},
		{&p.Plex2, Plex2.Addr(), plexPort},
		{&p.Proxy, Proxy.Addr(), proxyPort},
		{&p.Names, Inside.Addr(), duckPort},
		{&p.Status, Inside.Addr(), statusPort},
		{&p.ProxyStatus, Inside.Addr(), proxyStatusPort},
	} {
		var err error
		if *part.place, err = freePlace(ctx, part.addr, part.port+turn); err != nil {
			return Places{}, err
		}
	}
	return p, nil
}

// freePlace returns the first port of a turn, which begins with that one, that is free at addr, for TCP and UDP.
func freePlace(ctx context.Context, addr netip.Addr, first uint16) (netip.AddrPort, error) {
	var last error
	for port := first; port < first+portSpan; port += turns {
		place := netip.AddrPortFrom(addr, port)
		if last = isFree(ctx, place); last == nil {
			return place, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("looking for a free port from %d on: %w", first, last)
}

func isFree(ctx context.Context, place netip.AddrPort) error {
	var lc net.ListenConfig
	tcp, err := lc.Listen(ctx, "tcp", place.String())
	if err != nil {
		return err
	}
	defer tcp.Close()
	udp, err := lc.ListenPacket(ctx, "udp", place.String())
	if err != nil {
		return err
	}
	return udp.Close()
}

// routerFile returns the file in which a router tells its external address.
func routerFile(dir string) string { return filepath.Join(dir, "address") }

// tokenFile returns the file that holds DuckDNS's token.
func tokenFile(dir string) string { return filepath.Join(dir, "duckdns.token") }

// authorityFile returns where plexproxy keeps the certificate of its authority.
func authorityFile(dir string) string {
	return filepath.Join(dir, "storage", "pki", "authorities", "local", "root.crt")
}
