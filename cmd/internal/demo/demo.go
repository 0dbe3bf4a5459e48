// Package demo shows on loopback, with stand-ins for all but plexdns, how answers follow health and the external
// address.
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
	"strings"
)

// Usage is what `plexctl demo -h` prints.
const Usage = `usage: plexctl demo [-script]

Starts two stand-ins for Plex servers, one for a proxy, one for DuckDNS, some for
the echoes that tell external addresses, and the real plexdns on loopback
addresses. Kills and revives them, gives the home another external address, and
shows how the answers follow. Needs no root and no network, and leaves nothing
behind.

  -script  end when the story is told, with exit code 0 if all of it held
`

// Run is `plexctl demo` with these arguments. A canceled ctx ends it, as does the end of in once the story
// is told; what was started has ended when it returns. If a step of the story does not hold, plexdns's log
// goes to errw.
func Run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) (err error) {
	script, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(out, Usage)
		return err
	}
	if err != nil {
		return err
	}
	h, err := newHome(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.tell(out); err != nil {
		h.showLog(errw)
		return err
	}
	if script {
		return nil
	}
	if err := h.stay(in, out); err != nil && ctx.Err() == nil {
		h.showLog(errw)
		return err
	}
	return nil // a canceled ctx is how it ends
}

// parse returns whether to end with the story.
func parse(args []string) (script bool, err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&script, "script", false, "")
	err = flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = fmt.Errorf("reading the arguments: %w: see plexctl demo -h", err)
	}
	return script, err
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

// tell starts all that there is and plays the story.
func (h *home) tell(out io.Writer) error {
	p := &page{w: out}
	h.introduce(p)
	if p.err != nil {
		return p.err
	}
	if err := h.start(); err != nil {
		return err
	}
	return Play(h.ctx, h.world(), out)
}

// stay leaves all of it to a person.
func (h *home) stay(in io.Reader, out io.Writer) error {
	p := &page{w: out}
	h.invite(p)
	if p.err != nil {
		return p.err
	}
	return Stay(h.ctx, h.world(), in, out)
}

// introduce says what there is.
func (h *home) introduce(p *page) {
	p.printf("A home on loopback addresses, made for this demo and gone when it ends:\n\n")
	row := func(what, where, meaning string) { p.printf("   %-13s  %-20s  %s\n", what, where, meaning) }
	row("plex1, plex2", fmt.Sprintf("%s, %s", Plex1.Addr(), Plex2.Addr()), "stand-ins for two Plex servers")
	row("proxy", Proxy.Addr().String(), "a stand-in for plexproxy")
	row("wan", Wan.Addr().String(), "the uplink's external address")
	row("echoes", Inside.Addr().String(), "stand-ins for those that tell it")
	row("DuckDNS", Inside.Addr().String(), "a stand-in, name server and all")
	row("plexdns", fmt.Sprintf("%s port %d", h.DNS.Addr(), h.DNS.Port()), "the real one"+h.dnsPortWhy())
	p.printf("\n%s asks it as a client inside the home, %s as one outside.\n", Inside.Addr(), Outside.Addr())
	p.printf("It and DuckDNS know the external address already, as if from an hour ago.\n")
	p.printf("Times are from the event to the first right answer.\n")
}

func (h *home) dnsPortWhy() string {
	if h.DNS.Port() == dnsPort {
		return ""
	}
	return fmt.Sprintf(" (port %d is taken)", dnsPort)
}

// invite says what a person can do now.
func (h *home) invite(p *page) {
	p.printf("\nAll of it goes on running. Ask it yourself, as one inside, as one outside:\n\n")
	for _, q := range []string{
		fmt.Sprintf("-b %s %s", Inside.Addr(), bare(mainName)),
		fmt.Sprintf("-b %s %s", Outside.Addr(), bare(mainName)),
		fmt.Sprintf("-b %s %s TXT", Inside.Addr(), bare(statusName)),
	} {
		p.printf("   dig @%s -p %d %s\n", h.DNS.Addr(), h.DNS.Port(), q)
	}
	p.printf("   dig @%s -p %d %s  # DuckDNS\n", h.Names.Addr(), h.Names.Port(), bare(mainName))
	p.printf("   curl http://%s/status.json\n", h.Status)
	p.printf("\nThe Corefile, taken over within 2 s of a change:\n\n   %s\n", h.corefile())
	p.printf("\n%s\n\n", keysHelp)
}

// showLog shows what plexdns said, unless it is the person who has ended the demo.
func (h *home) showLog(errw io.Writer) {
	if h.plexdns == nil || h.outer.Err() != nil {
		return
	}
	_, _ = fmt.Fprintln(errw, "\nthe log of plexdns:") // nobody left to tell
	for line := range strings.Lines(h.plexdns.log.String()) {
		_, _ = fmt.Fprintf(errw, "   %s", line)
	}
}

// bare is a name without its final dot, as people write it.
func bare(name string) string { return strings.TrimSuffix(name, ".") }
