package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"plexha/cmd/internal/socket"
	"plexha/corefile"
)

// The ports that are tried first. Up to portTries above them are tried where they are taken, as 32400 is on a
// machine that runs Plex. The status pages of a real plexdns and plexproxy are at 8053 and 8054, and no block may
// have one address for both of its own.
const (
	dnsPort    uint16 = 5300
	plexPort   uint16 = 32400
	proxyPort  uint16 = 8080
	duckPort   uint16 = 5400
	statusPort uint16 = 8055
	portTries  uint16 = 100
)

//go:embed Corefile.tmpl
var corefileText string

// Places is where the demo's parts listen.
type Places struct {
	DNS, Status         netip.AddrPort // plexdns
	Plex1, Plex2, Proxy netip.AddrPort
	Names               netip.AddrPort // DuckDNS's name server
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

// Corefile returns the Corefile of plexdns, with its state in the folder dir, which tells DuckDNS by that API.
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
	}{p, e, bare(zoneName), dir, routerFile(dir), api, duckToken, wans})
	if err != nil {
		return "", fmt.Errorf("writing the Corefile: %w", err)
	}
	return sb.String(), nil
}

// home is what the demo starts.
type home struct {
	Places

	outer   context.Context //nolint:containedctx // canceled when the person ends the demo
	ctx     context.Context //nolint:containedctx // the children's: canceled, with outer or a cause, to end them
	cancel  context.CancelCauseFunc
	exe     string // this program, which is each child's as well
	dir     string // the temporary folder
	net     *internet
	plexdns *process
	cast    map[Member]*process
	all     []*process // that were ever started
}

// errClosing ends the children when the demo is over.
var errClosing = errors.New("the demo is over")

// newHome finds ports and makes the folder. It starts nothing; close it all the same.
func newHome(ctx context.Context) (*home, error) {
	if err := checkLoopback(bindable(ctx)); err != nil {
		return nil, err
	}
	places, err := findPlaces(ctx)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "plexha-demo-")
	if err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	h := &home{Places: places, outer: ctx, exe: exe, dir: dir, cast: map[Member]*process{}}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	return h, nil
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

// findPlaces finds a free port for each part.
func findPlaces(ctx context.Context) (Places, error) {
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
	} {
		var err error
		if *part.place, err = freePlace(ctx, part.addr, part.port); err != nil {
			return Places{}, err
		}
	}
	return p, nil
}

// freePlace returns the first port from first on that is free at addr, for TCP and UDP.
func freePlace(ctx context.Context, addr netip.Addr, first uint16) (netip.AddrPort, error) {
	var last error
	for port := first; port < first+portTries; port++ {
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

func (h *home) corefile() string  { return filepath.Join(h.dir, "Corefile") }
func (h *home) rootsFile() string { return filepath.Join(h.dir, "roots.pem") }

// routerFile returns the file in which a router tells its external address.
func routerFile(dir string) string { return filepath.Join(dir, "address") }

// start starts the stand-ins, then plexdns, which the first question waits for. The home ends with plexdns.
func (h *home) start() (err error) {
	if h.net, err = openInternet(h.ctx, h.Names); err != nil {
		return err
	}
	if err := h.furnish(); err != nil {
		return err
	}
	for _, m := range []Member{Plex1, Plex2, Proxy} {
		if err := h.revive(h.ctx, m); err != nil {
			return err
		}
	}
	env := []string{"SSL_CERT_FILE=" + h.rootsFile()}
	h.plexdns, err = h.run("plexdns", []string{kindPlexdns, "-conf", h.corefile()}, env, func(err error) {
		h.cancel(fmt.Errorf("running plexdns: it has ended: %w", err))
	})
	return err
}

// furnish gives the home its external address, and writes what plexdns reads.
func (h *home) furnish() error {
	echoes := Echoes{Cloudflare: h.net.cloudflare, OpenDNS: h.net.openDNS, Google: h.net.google}
	text, err := Corefile(h.Places, echoes, h.net.api, h.dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.corefile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the Corefile: %w", err)
	}
	if err := os.WriteFile(h.rootsFile(), h.net.roots, 0o600); err != nil {
		return fmt.Errorf("writing whom to trust: %w", err)
	}
	if err := h.moveTo(Wan); err != nil {
		return err
	}
	return remember(h.dir, h.net, Wan.Addr())
}

// moveTo gives the home another external address, which plexdns does not know yet.
func (h *home) moveTo(m Member) error {
	h.net.move(m.Addr())
	if err := os.WriteFile(routerFile(h.dir), []byte(m.Addr().String()), 0o600); err != nil {
		return fmt.Errorf("writing the router's address: %w", err)
	}
	return nil
}

// run starts a child of that name, with that in its environment. Ended, if it is not nil, is told how it ended.
func (h *home) run(name string, args, env []string, ended func(error)) (*process, error) {
	if h.ctx.Err() != nil {
		return nil, context.Cause(h.ctx)
	}
	p, err := start(h.ctx, h.exe, args, env, ended)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	h.all = append(h.all, p)
	return p, nil
}

// world returns what the story is played in.
func (h *home) world() World {
	plexdns, duck := asker(h.DNS), asker(h.Names)
	ask := func(ctx context.Context, q Question) (Answer, error) {
		if q.From == AtDuck {
			return duck(ctx, q)
		}
		return plexdns(ctx, q)
	}
	return World{
		Ask:    ask,
		Kill:   func(m Member) error { return h.cast[m].kill() },
		Revive: h.revive,
		Alive:  func(m Member) bool { return !h.cast[m].hasEnded() },
		Move:   h.move,
	}
}

// move gives the home another external address, and has plexdns look at once.
func (h *home) move(ctx context.Context, m Member) error {
	if err := h.moveTo(m); err != nil {
		return err
	}
	return socket.Of(corefile.State{Dir: h.dir}).Detect(ctx, bare(zoneName))
}

// revive starts a stand-in and returns when it listens.
func (h *home) revive(ctx context.Context, m Member) error {
	args := []string{kindProxy, h.of(m).String()}
	if m != Proxy {
		args = []string{kindPlex, h.of(m).String(), identity(m)}
	}
	p, err := h.run(string(m), args, nil, nil)
	if err != nil {
		return err
	}
	h.cast[m] = p
	if err := p.listens(ctx, h.of(m)); err != nil {
		return fmt.Errorf("starting %s: %w", m, err)
	}
	return nil
}

// identity returns the machineIdentifier of a node's stand-in, 40 hexadecimal digits as a real one has.
func identity(m Member) string {
	return strings.Repeat(strings.TrimPrefix(string(m), "plex"), 40)
}

// listens returns when something accepts connections at addr, or an error once that cannot happen any more.
func (p *process) listens(ctx context.Context, addr netip.AddrPort) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not listening at %s within %s", addr, patience))
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		var d net.Dialer
		if c, err := d.DialContext(ctx, "tcp", addr.String()); err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.done:
			return fmt.Errorf("it has ended: %w: %s", p.err, strings.TrimSpace(p.log.String()))
		case <-tick.C:
		}
	}
}

// close ends all children and removes the folder.
func (h *home) close() error {
	h.cancel(errClosing)
	for _, p := range h.all {
		<-p.done
	}
	if h.net != nil {
		h.net.close()
	}
	if err := os.RemoveAll(h.dir); err != nil {
		return fmt.Errorf("removing the demo's folder: %w", err)
	}
	return nil
}
