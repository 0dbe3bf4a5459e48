// Package external is plexctl's commands about the external address: probe, which shows what each source says,
// and duckdns, which looks after the record by hand.
package external

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
)

// Commands are the commands.
var Commands = []command.Command{probeCommand, onceCommand, verifyCommand, clearCommand}

// options are the command line of all commands, each of which has some of it.
type options struct {
	command.Blocks

	uplink               string
	ipv4, ipv6           bool
	json, dryRun, really bool
}

// parse reads the arguments of a command whose options are in o.
func parse(args []string, define func(*flag.FlagSet)) error {
	rest, err := command.Parse(args, define)
	if err == nil && len(rest) > 0 {
		err = command.Usagef("unexpected %q", rest[0])
	}
	return err
}

// families returns those that are asked about.
func (o *options) families() []zones.Family {
	if !o.ipv4 && !o.ipv6 {
		return zones.Families()
	}
	return slices.DeleteFunc(zones.Families(), func(f zones.Family) bool {
		return f == zones.IPv4 && !o.ipv4 || f == zones.IPv6 && !o.ipv6
	})
}

// zoneOf returns the name that a block goes by, as a person writes it.
func zoneOf(cfg *corefile.Config) string { return strings.TrimSuffix(cfg.Cluster.Origins[0], ".") }

// survey asks all sources of a block once, and returns a report for each uplink in file order, those with given
// addresses included. Like plexdns it knows this host's addresses, so that it says of an IPv6 address whether it
// would be published.
func survey(ctx context.Context, cfg *corefile.Config) []wanip.Report {
	now := time.Now()
	b := board.New(probe.BoardConfig(cfg), now)
	hosts, onlink := probe.LocalAddrs()
	b.SetLocal(hosts, onlink, now)
	sources := wanip.Sources(cfg, wanip.SourceOptions{Version: corefile.Version})
	found := map[string]wanip.Report{}
	for _, r := range wanip.Survey(ctx, wanip.Options{Config: cfg, Board: b, Sources: sources}) {
		found[r.Uplink] = r
	}
	var all []wanip.Report
	for _, u := range cfg.Cluster.Uplinks {
		r, asked := found[u.Name]
		if !asked {
			r = wanip.Report{Uplink: u.Name, Published: u.Addrs}
		}
		all = append(all, r)
	}
	return all
}

// given returns the address of a family that the Corefile gives an uplink, or the zero Addr.
func given(cfg *corefile.Config, uplink string, f zones.Family) netip.Addr {
	for _, u := range cfg.Cluster.Uplinks {
		if i := slices.IndexFunc(u.Addrs, f.Has); u.Name == uplink && i >= 0 {
			return u.Addrs[i]
		}
	}
	return netip.Addr{}
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
	p.err = err
	return n, err
}

func (p *page) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

// table writes rows, the first of which are the heads, with blank lines around them. Without any other it writes
// nothing.
func (p *page) table(rows [][]string) {
	if len(rows) < 2 {
		return
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) // a Builder takes everything
	}
	_ = w.Flush()
	p.printf("\n")
	for line := range strings.Lines(text.String()) {
		p.printf("   %s\n", strings.TrimRight(line, " \n"))
	}
	p.printf("\n")
}
