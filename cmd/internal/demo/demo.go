// Package demo shows on loopback, with stand-ins for all but plexdns and plexproxy, how answers follow health and the
// external address, and how films go on.
//
// It needs no root and no network. All that it starts are children of its own executable, or servers in this
// process, and all that it writes is in one temporary folder; nothing of it outlives [Run].
package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os/signal"
	"strings"
	"syscall"

	"plexha/cmd/internal/command"
)

// Command is `plexctl demo`.
var Command = command.Command{
	Name:    "demo",
	Summary: "show on this machine, with stand-ins, how all of it follows health",
	About: `Starts two stand-ins for Plex servers, one for DuckDNS, some for the echoes that
tell external addresses, and the real plexdns and plexproxy, all on loopback
addresses. Then it is yours: kill and revive them, drain a node, give the home
another external address, and watch the answers and the films follow. It says
what to try with dig, curl and a browser.

Needs no root and no network, and leaves nothing behind.`,
	Flags: &command.Flags{Define: func(f *flag.FlagSet) { new(options).define(f) }},
	Run:   Run,
}

// options are the flags.
type options struct{ script bool }

func (o *options) define(f *flag.FlagSet) {
	f.BoolVar(&o.script, "script", false, "tell a story with all of that, and end; the exit code is 0 if every step held")
}

// Run is `plexctl demo` with these arguments. A canceled ctx ends it, as does the end of in; what was started has
// ended when it returns. If something does not hold, the programs' logs go to errw.
func Run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) (err error) {
	var o options
	rest, err := command.Parse(args, o.define)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return command.Usagef("unexpected %q", rest[0])
	}
	// Connections to a proxy that is killed break, which is no reason to end. Whoever reads our output and is gone
	// shows in the error of the next write.
	signal.Ignore(syscall.SIGPIPE)
	var terminal *tty
	if !o.script {
		terminal = terminalOf(in, out)
	}
	h, err := newHome(ctx, terminal.file())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(out); err != nil {
		h.showLogs(errw)
		return err
	}
	if o.script {
		err = Play(h.ctx, h.world(), out)
	} else {
		err = h.stay(terminal, in, out)
	}
	if err != nil {
		h.showLogs(errw)
	}
	if !o.script && ctx.Err() != nil {
		return nil // that is how it ends
	}
	return err
}

// page is what is told. It keeps the first error, so that not every line needs a look at it.
type page struct {
	w   io.Writer
	err error
}

// Write implements [io.Writer].
func (p *page) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.w.Write(b)
	if err != nil {
		p.err = fmt.Errorf("telling the story: %w", err)
	}
	return n, p.err
}

func (p *page) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

// open says what there is, and starts it.
func (h *home) open(out io.Writer) error {
	p := &page{w: out}
	h.introduce(p)
	if p.err != nil {
		return p.err
	}
	return h.start()
}

// stay leaves all of it to a person.
func (h *home) stay(t *tty, in io.Reader, out io.Writer) error {
	w, p := h.world(), &page{w: out}
	if err := w.settle(h.ctx); err != nil {
		return err
	}
	h.invite(p)
	if p.err != nil {
		return p.err
	}
	if t == nil {
		p.printf("Each key with Enter:\n\n%s\n\n", keysHelp)
		return errors.Join(p.err, Stay(h.ctx, w, in, out))
	}
	restore, err := t.raw()
	if err != nil {
		return err
	}
	defer restore()
	return Screen(h.ctx, w, Terminal{In: in, Out: out, Size: t.size})
}

// introduce says what there is.
func (h *home) introduce(p *page) {
	p.printf("A home on loopback addresses, made for this demo and gone when it ends:\n\n")
	row := func(what, where, meaning string) { p.printf("   %-13s  %-20s  %s\n", what, where, meaning) }
	row("plexdns", portOf(h.DNS), "the real one"+taken(h.DNS, dnsPort))
	row("plexproxy", portOf(h.Proxy), "the real one"+taken(h.Proxy, proxyPort))
	row("plex1, plex2", fmt.Sprintf("%s, %s", Plex1.Addr(), Plex2.Addr()), "stand-ins for two Plex servers")
	row("wan", Wan.Addr().String(), "the uplink's external address")
	row("echoes", Inside.Addr().String(), "stand-ins for those that tell it")
	row("DuckDNS", Inside.Addr().String(), "a stand-in, name server and all")
	p.printf("\n%s asks as a client inside the home, %s as one outside.\n", Inside.Addr(), Outside.Addr())
	p.printf("plexdns and DuckDNS know the external address already, as if from an hour ago.\n")
	p.printf("Times are from the event to the first right answer.\n")
}

func portOf(place netip.AddrPort) string {
	return fmt.Sprintf("%s port %d", place.Addr(), place.Port())
}

// taken says why a port is not the usual one.
func taken(place netip.AddrPort, usual uint16) string {
	if place.Port() == usual {
		return ""
	}
	return fmt.Sprintf(" (port %d is taken)", usual)
}

// showLogs shows what the programs said, unless it is the person who has ended the demo.
func (h *home) showLogs(errw io.Writer) {
	if h.outer.Err() != nil {
		return
	}
	showLog(errw, Plexdns, h.plexdns)
	showLog(errw, Plexproxy, h.cast[Proxy])
}

// showLog shows what a program said, if it was started.
func showLog(errw io.Writer, r Reporter, p *process) {
	if p == nil {
		return
	}
	_, _ = fmt.Fprintf(errw, "\nthe log of %s:\n", r) // nobody left to tell
	for line := range strings.Lines(p.log.String()) {
		_, _ = fmt.Fprintf(errw, "   %s", line)
	}
}

// bare is a name without its final dot, as people write it.
func bare(name string) string { return strings.TrimSuffix(name, ".") }
