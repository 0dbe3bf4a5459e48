package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plexha/cmd/internal/socket"
	"plexha/corefile"
	"plexha/e2e/standin"
)

// home is what the demo starts.
type home struct {
	Places

	outer   context.Context //nolint:containedctx // canceled when the person ends the demo
	ctx     context.Context //nolint:containedctx // the children's: canceled, with outer or a cause, to end them
	cancel  context.CancelCauseFunc
	exe     string    // this program, which is each child's as well
	dir     string    // the temporary folder
	held    io.Closer // keeps other demos from our ports
	janitor *janitor
	net     *internet
	plexdns *process
	cast    map[Member]*process
	all     []*process // that were ever started
	films   []*viewer  // likewise
}

// errClosing ends the children when the demo is over.
var errClosing = errors.New("the demo is over")

// newHome finds ports and makes the folder. It starts nobody but who tidies up, the terminal too unless it is nil.
// Close it all the same.
func newHome(ctx context.Context, terminal *os.File) (*home, error) {
	if err := checkLoopback(bindable(ctx)); err != nil {
		return nil, err
	}
	held, turn, err := takeTurn(ctx)
	if err != nil {
		return nil, err
	}
	h := &home{held: held, outer: ctx, cast: map[Member]*process{}}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	if err := h.prepare(turn, terminal); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// prepare finds what the home needs.
func (h *home) prepare(turn uint16, terminal *os.File) (err error) {
	if h.Places, err = findPlaces(h.ctx, turn); err != nil {
		return err
	}
	if h.exe, err = os.Executable(); err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if h.dir, err = os.MkdirTemp("", "plexha-demo-"); err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	h.janitor, err = hire(h.exe, h.dir, terminal)
	return err
}

func (h *home) corefile() string  { return filepath.Join(h.dir, "Corefile") }
func (h *home) rootsFile() string { return filepath.Join(h.dir, "roots.pem") }

// start starts the nodes and the proxy, then plexdns, which the first question waits for. The home ends with plexdns.
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

// furnish gives the home its external address, and writes what the programs read.
func (h *home) furnish() error {
	echoes := Echoes{Cloudflare: h.net.cloudflare, OpenDNS: h.net.openDNS, Google: h.net.google}
	text, err := Corefile(h.Places, echoes, h.net.api, h.dir)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		h.corefile(): []byte(text), h.rootsFile(): h.net.roots, tokenFile(h.dir): []byte(duckToken + "\n"),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return fmt.Errorf("furnishing the home: %w", err)
		}
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
		Ask:      ask,
		Visit:    visitor(h.Proxy, authorityFile(h.dir)),
		Play:     h.play,
		Known:    h.known,
		Headline: h.headline,
		Order:    h.order,
		Health:   h.health,
		Follow:   h.follow,
		Kill:     func(m Member) error { return h.cast[m].kill() },
		Revive:   h.revive,
		Alive:    func(m Member) bool { return !h.cast[m].hasEnded() },
		Move:     h.move,
	}
}

// play has a device play films for as long as the home is there.
func (h *home) play(d Device) Film {
	v := watchFilms(h.ctx, d, h.Proxy, authorityFile(h.dir))
	h.films = append(h.films, v)
	return v
}

// plexdnsSocket is how plexctl reaches plexdns.
func (h *home) plexdnsSocket() socket.Client { return socket.Of(corefile.State{Dir: h.dir}) }

// move gives the home another external address, and has plexdns look at once.
func (h *home) move(ctx context.Context, m Member) error {
	if err := h.moveTo(m); err != nil {
		return err
	}
	return h.plexdnsSocket().Detect(ctx, bare(zoneName))
}

// order has plexdns write an order, which both programs follow.
func (h *home) order(ctx context.Context, m Member, o Order) error {
	_, err := h.plexdnsSocket().Order(ctx, socket.Order{Zone: bare(zoneName), Name: string(m), Order: string(o), Why: "the demo"})
	return err
}

// revive starts a node or the proxy, and returns when it listens.
func (h *home) revive(ctx context.Context, m Member) error {
	if last := h.cast[m]; last != nil {
		<-last.done // it has the address for as long
	}
	args, err := h.part(m)
	if err != nil {
		return err
	}
	// Caddy writes a file or two where its user's data is.
	env := []string{"HOME=" + h.dir, "XDG_DATA_HOME=" + h.dir, "XDG_CONFIG_HOME=" + h.dir}
	p, err := h.run(string(m), args, env, nil)
	if err != nil {
		return err
	}
	h.cast[m] = p
	err = p.listens(ctx, h.of(m))
	if err == nil && m == Proxy {
		err = h.speaks(ctx)
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", m, err)
	}
	return nil
}

// speaks returns when plexproxy, which listens already, has made its certificates.
func (h *home) speaks(ctx context.Context) error {
	visit := visitor(h.Proxy, authorityFile(h.dir))
	_, err := until(ctx, look[Page]{
		what: "waiting for its certificates", pace: pagePace, want: "any page",
		see: func(ctx context.Context) (Page, error) {
			return visit(ctx, Visit{Host: bare(mainName), Path: "/.plexha/ready"})
		},
		right: func(Page) bool { return true },
	})
	return err
}

// part returns the arguments of the child that plays that member.
func (h *home) part(m Member) ([]string, error) {
	if m == Proxy {
		return []string{kindPlexproxy, "-conf", h.corefile(), "-grace", "1s"}, nil
	}
	options, err := json.Marshal(plexOptions(m))
	if err != nil {
		return nil, fmt.Errorf("writing the options of %s: %w", m, err)
	}
	return []string{kindPlex, h.of(m).String(), string(options)}, nil
}

// plexOptions returns what a node is like: a server of its own, with the films of the other one under other numbers.
func plexOptions(m Member) standin.PlexOptions {
	number := strings.TrimPrefix(string(m), "plex")
	o := standin.PlexOptions{
		Name:     string(m),
		Identity: strings.Repeat(number, 40), // hexadecimal digits, as many as a real one has
		IDBase:   1000,
		Owner:    "token-for-the-owner",
		Quiet:    true,
	}
	if m == Plex2 {
		o.IDBase = 2000
	}
	for _, d := range devices() {
		o.Devices = append(o.Devices, d.token())
	}
	return o
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
	for _, f := range h.films {
		<-f.done
	}
	for _, p := range h.all {
		<-p.done
	}
	if h.net != nil {
		h.net.close()
	}
	_ = h.held.Close() // nobody needs it any more
	err := os.RemoveAll(h.dir)
	if h.janitor != nil {
		h.janitor.dismiss()
	}
	if err != nil {
		return fmt.Errorf("removing the demo's folder: %w", err)
	}
	return nil
}
