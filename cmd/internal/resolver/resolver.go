// Package resolver is `plexctl resolver`: the lines with which the resolver of a house asks plexdns for our zones.
package resolver

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"text/tabwriter"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/plugin/probe"
)

// Command is `plexctl resolver`.
var Command = command.Command{
	Name:    "resolver",
	Args:    "[NAME]",
	Summary: "print the lines that have the house's resolver ask plexdns",
	About: `Prints what to write into the configuration of a resolver, filled in from the
Corefile: its zones, and where plexdns answers for them. The lines can be taken
as they are; comments say where they go, how they are taken over, and what else
keeps an old or an empty answer from the clients: protection against rebinding,
DNSSEC, caches that do not heed a TTL.

Without NAME it lists the resolvers that it knows. Without -at plexdns is where
the server block's bind line and the addresses of the ns lines say, else at this
machine's addresses in the internal prefixes.`,
	Kinds: []command.Kind{command.Kind(strings.Join(names(), "|"))},
	Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).define(set) }},
	Run:   run,
}

// options are the command line.
type options struct {
	command.Blocks
	at addresses
}

func (o *options) define(set *flag.FlagSet) {
	o.Define(set)
	set.Var(&o.at, "at", "`ADDRESS` where plexdns answers, with :PORT if the Corefile's is another; several for several")
}

// addresses are a flag that may stand several times: ADDRESS or ADDRESS:PORT.
type addresses []netip.AddrPort

// String returns what was read, for package flag.
func (a *addresses) String() string { return fmt.Sprint(*a) }

// Set reads one more.
func (a *addresses) Set(text string) error {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		addr, addrErr := netip.ParseAddr(strings.Trim(text, "[]"))
		if addrErr != nil {
			return fmt.Errorf("want an address, or ADDRESS:PORT: %w", err)
		}
		at = netip.AddrPortFrom(addr, 0) // the Corefile's port
	}
	if at.Addr().IsUnspecified() || at.Addr().Zone() != "" {
		return fmt.Errorf("want an address at which other machines reach plexdns, not %s", at.Addr())
	}
	*a = append(*a, at)
	return nil
}

// machine is the one that we run on: what its network says of where plexdns answers.
type machine struct {
	local func() (hosts []netip.Addr, onlink []netip.Prefix) // its addresses, and the prefixes that `onlink` stands for
	named func(name string) ([]net.Addr, error)              // the addresses of an interface
}

var thisMachine = machine{local: probe.LocalAddrs, named: addrsOf}

func addrsOf(name string) ([]net.Addr, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	return ifc.Addrs()
}

func run(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	return thisMachine.run(args, out)
}

func (m machine) run(args []string, out io.Writer) error {
	var o options
	rest, err := command.Parse(args, o.define)
	switch {
	case err != nil:
		return err
	case len(rest) == 0:
		return list(out)
	case len(rest) > 1:
		return command.Usagef("unexpected %q", rest[1])
	}
	r, err := find(rest[0])
	if err != nil {
		return err
	}
	found, err := m.zones(&o)
	if err != nil {
		return err
	}
	text, err := r.lines(found)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text)
	return err
}

func find(name string) (kind, error) {
	for _, k := range kinds {
		if strings.EqualFold(k.name, name) {
			return k, nil
		}
	}
	meant := ""
	if near := corefile.Nearest(strings.ToLower(name), names()); near != "" {
		meant = fmt.Sprintf(": did you mean %q?", near)
	}
	return kind{}, command.Usagef("unknown resolver %q: want one of %s%s", name, strings.Join(names(), " "), meant)
}

func list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, k := range kinds {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", k.name, k.title); err != nil {
			return err
		}
	}
	return w.Flush()
}
