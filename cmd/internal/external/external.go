// Package external is plexctl's commands about the external address: probe, which shows what each source says,
// and duckdns, which looks after the record by hand.
package external

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
)

// options are the command line of both commands.
type options struct {
	conf, zone, uplink   string
	ipv4, ipv6           bool
	json, dryRun, really bool
}

// flags returns the flags that a command has.
func (o *options) flags(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.conf, "conf", "", "")
	flags.StringVar(&o.zone, "zone", "", "")
	if command == "probe" {
		flags.StringVar(&o.uplink, "uplink", "", "")
		flags.BoolVar(&o.ipv4, "4", false, "")
		flags.BoolVar(&o.ipv6, "6", false, "")
		flags.BoolVar(&o.json, "json", false, "")
		return flags
	}
	flags.BoolVar(&o.dryRun, "n", false, "")
	if command == "duckdns clear" {
		flags.BoolVar(&o.really, "yes", false, "")
	}
	return flags
}

// parse reads the arguments of a command. The error is [flag.ErrHelp] if they ask for it.
func parse(command string, args []string) (options, error) {
	var o options
	flags := o.flags(command)
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		program, _, _ := strings.Cut(command, " ")
		err = fmt.Errorf("reading the arguments: %w: see plexctl %s -h", err, program)
	}
	if !o.ipv4 && !o.ipv6 {
		o.ipv4, o.ipv6 = true, true
	}
	return o, err
}

// families returns those that are asked about.
func (o *options) families() []zones.Family {
	return slices.DeleteFunc(zones.Families(), func(f zones.Family) bool {
		return f == zones.IPv4 && !o.ipv4 || f == zones.IPv6 && !o.ipv6
	})
}

// blocks reads the Corefile, and returns the blocks that are asked about.
func (o *options) blocks() ([]*corefile.Config, error) {
	// As plexdns looks for it, then where packages put it.
	conf, err := find(o.conf, "Corefile", "/etc/plexha/Corefile")
	if err != nil {
		return nil, err
	}
	all, err := corefile.Load(conf)
	if err != nil {
		return nil, err
	}
	zone := strings.ToLower(strings.TrimSuffix(o.zone, ".")) + "."
	if zone == "." {
		return all, nil
	}
	var names []string
	for _, cfg := range all {
		if slices.Contains(cfg.Cluster.Origins, zone) {
			return []*corefile.Config{cfg}, nil
		}
		names = append(names, zoneOf(cfg))
	}
	return nil, fmt.Errorf("there is no zone %q in %s: want one of %s", o.zone, conf, strings.Join(names, " "))
}

// find returns the Corefile: the one that is named, else the first of the usual ones that exists.
func find(conf string, usual ...string) (string, error) {
	if conf != "" {
		return conf, nil
	}
	for _, file := range usual {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			return file, nil
		}
	}
	return "", errors.New("there is no Corefile: name one with -conf FILE")
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
