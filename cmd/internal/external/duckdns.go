package external

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/socket"
	"plexha/corefile"
	"plexha/corefile/token"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

var (
	onceCommand = command.Command{
		Name: "duckdns once", Summary: "push the external address, if DuckDNS shows another one",
		About: `Finds the external address, and pushes it if DuckDNS shows another one. A
plexdns that runs here is asked to do it; else plexctl does, and believes what
has a quorum in one round.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineDry(set) }},
		Run:   forEach(once, (*options).defineDry),
	}
	verifyCommand = command.Command{
		Name: "duckdns verify", Summary: "show what DuckDNS's name servers show",
		About: `Shows what each of DuckDNS's name servers shows, beside the external address.
Exit code 1 if they differ.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).Define(set) }},
		Run:   forEach(verify, func(o *options, set *flag.FlagSet) { o.Define(set) }),
	}
	clearCommand = command.Command{
		Name: "duckdns clear", Summary: "take the addresses away from DuckDNS",
		About: `Takes the addresses away, of BOTH families: DuckDNS cannot clear one alone, and
clients outside find nothing until one is pushed again.`,
		Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineClear(set) }},
		Run:   forEach(clearBoth, (*options).defineClear),
	}
)

func (o *options) defineDry(set *flag.FlagSet) {
	o.Define(set)
	set.BoolVar(&o.dryRun, "n", false, "only show what would be sent, without the token")
}

func (o *options) defineClear(set *flag.FlagSet) {
	o.defineDry(set)
	set.BoolVar(&o.really, "yes", false, "do it")
}

// task is what a subcommand does for a block.
type task func(ctx context.Context, o *options, cfg *corefile.Config, p *page) error

// forEach runs a task for each block that is asked about and has a record.
func forEach(do task, define func(*options, *flag.FlagSet)) func(context.Context, []string, io.Reader, io.Writer, io.Writer) error {
	return func(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
		var o options
		if err := parse(args, func(set *flag.FlagSet) { define(&o, set) }); err != nil {
			return err
		}
		blocks, err := o.kept()
		if err != nil {
			return err
		}
		p := &page{w: out}
		var errs []error
		for _, cfg := range blocks {
			errs = append(errs, do(ctx, &o, cfg, p))
		}
		return errors.Join(append(errs, p.err)...)
	}
}

// kept returns the blocks that are asked about and have a record.
func (o *options) kept() ([]*corefile.Config, error) {
	blocks, err := o.Load()
	if err != nil {
		return nil, err
	}
	blocks = slices.DeleteFunc(blocks, func(cfg *corefile.Config) bool { return cfg.DuckDNS == nil })
	if len(blocks) == 0 {
		return nil, errors.New("there is no record to look after: no block that is asked about has a duckdns line")
	}
	return blocks, nil
}

// recordOf returns the name that DuckDNS has for a block.
func recordOf(cfg *corefile.Config) string { return cfg.DuckDNS.Name + ".duckdns.org" }

// families returns those whose record is looked after.
func families(d *corefile.DuckDNS) []zones.Family {
	return slices.DeleteFunc(zones.Families(), func(f zones.Family) bool {
		return f == zones.IPv4 && d.NoIPv4 || f == zones.IPv6 && d.NoIPv6
	})
}

// wanted is what a record should hold.
type wanted struct {
	addr netip.Addr // the zero Addr: it is not known
	why  string     // who says so, or why nobody does
	path via.Path   // of the uplink whose it is
}

// wants returns the address of the first uplink that has one. The reports are those of the block's uplinks, in
// file order.
func wants(cfg *corefile.Config, reports []wanip.Report, f zones.Family) wanted {
	why := "no address that can be believed is found (see plexctl probe)"
	for i := range reports {
		s := surveyed{cfg, reports[i]}
		if at := slices.IndexFunc(s.report.Published, f.Has); at >= 0 {
			addr := s.report.Published[at]
			sentence, _ := s.verdict(f)
			if found := s.shown(f).Address; found.IsValid() && found != addr {
				sentence = fmt.Sprintf("%s is the address: the prefix of %s with the Corefile's suffix", addr, found)
			}
			path := via.Path{Interface: cfg.Uplinks[i].Via}
			return wanted{addr, fmt.Sprintf("uplink %s: %s", s.report.Uplink, sentence), path}
		}
		if f == zones.IPv6 && s.report.NoIPv6 != "" {
			why = s.report.NoIPv6
		}
		if _, good := s.verdict(f); good && !s.exists(f) {
			why = fmt.Sprintf("there is no %s here", f)
		}
	}
	return wanted{why: why}
}

// sight is what DuckDNS's name servers show of one family.
type sight struct {
	family zones.Family
	shown  []duckdns.Shown
	err    error // they could not be found
}

// observe asks all sources, and DuckDNS's name servers at the same time: a network that swallows packets makes each
// of them wait for the end of its time.
func observe(ctx context.Context, cfg *corefile.Config) ([]wanip.Report, []sight) {
	var sights []sight
	for _, f := range families(cfg.DuckDNS) {
		sights = append(sights, sight{family: f})
	}
	verifier := duckdns.NewVerifier(cfg.DuckDNS, nil)
	var wg sync.WaitGroup
	for i := range sights {
		s := &sights[i]
		wg.Go(func() { s.shown, s.err = verifier.Look(ctx, s.family) })
	}
	reports := survey(ctx, cfg)
	wg.Wait()
	return reports, sights
}

// once pushes what differs.
func once(ctx context.Context, o *options, cfg *corefile.Config, p *page) error {
	p.printf("%s\n", recordOf(cfg))
	if !o.dryRun {
		err := handOver(ctx, socket.Of(cfg.State), zoneOf(cfg), p)
		if !errors.Is(err, socket.ErrNone) {
			return err
		}
	}
	if warning := token.Loose(cfg.DuckDNS); warning != "" {
		p.printf("%s\n", warning)
	}
	if _, err := token.Of(cfg.DuckDNS); err != nil {
		return err
	}
	reports, sights := observe(ctx, cfg)
	var errs []error
	known := false
	for _, s := range sights {
		w := wants(cfg, reports, s.family)
		if !w.addr.IsValid() {
			p.printf("%s: nothing to push: %s\n", s.family, w.why)
			continue
		}
		known = true
		p.printf("%s: %s\n", s.family, w.why)
		errs = append(errs, pushIfNew(ctx, o, cfg.DuckDNS, s, w, p))
	}
	if !known {
		errs = append(errs, errNoAddress(recordOf(cfg)))
	}
	return errors.Join(errs...)
}

func errNoAddress(record string) error {
	return fmt.Errorf("%s: no external address is known: see plexctl probe", record)
}

// pushIfNew pushes an address that DuckDNS's name servers do not all show. That nobody could look is no reason
// not to.
func pushIfNew(ctx context.Context, o *options, d *corefile.DuckDNS, s sight, w wanted, p *page) error {
	if l := lookOf(s.shown, w.addr); s.err == nil && l.same == len(s.shown) {
		p.printf("%s: all %d name servers show it already: nothing is pushed\n", s.family, len(s.shown))
		return nil
	}
	if o.dryRun {
		p.printf("%s: would send GET %s\n", s.family, call(d, w.addr))
		return nil
	}
	by := resolve.With(resolve.Options{Path: w.path, System: true})
	reply, err := duckdns.NewPublisher(d, duckdns.PublishOptions{Resolver: by}).Publish(ctx, w.addr)
	switch {
	case errors.Is(err, duckdns.ErrRefused):
		return fmt.Errorf("%w: is %s a name of the account whose token that is?", err, d.Name)
	case err != nil:
		return err
	case reply.Changed:
		p.printf("%s: DuckDNS took %s (UPDATED)\n", s.family, w.addr)
	default:
		p.printf("%s: DuckDNS had %s already (NOCHANGE)\n", s.family, w.addr)
	}
	return nil
}

// call returns the URL that a push asks for, without the token. The zero Addr stands for a clear.
func call(d *corefile.DuckDNS, addr netip.Addr) string {
	api := d.API
	if api == "" {
		api = "https://www.duckdns.org"
	}
	what := "ip=" + addr.String()
	switch {
	case !addr.IsValid():
		what = "clear=true"
	case zones.IPv6.Has(addr):
		what = "ipv6=" + addr.String()
	}
	return fmt.Sprintf("%s/update?domains=%s&token=[redacted]&verbose=true&%s", api, d.Name, what)
}

// look counts what name servers show.
type look struct {
	same, other int // one address: the one that is wanted, and something else
	none        int // no record
	silent      int // no answer that counts
}

func lookOf(shown []duckdns.Shown, addr netip.Addr) look {
	var l look
	for _, s := range shown {
		switch {
		case s.Err != nil:
			l.silent++
		case len(s.Addrs) == 0:
			l.none++
		case addr.IsValid() && slices.Equal(s.Addrs, []netip.Addr{addr}):
			l.same++
		default:
			l.other++
		}
	}
	return l
}

// verify shows each name server's answer beside the external address.
func verify(ctx context.Context, _ *options, cfg *corefile.Config, p *page) error {
	reports, sights := observe(ctx, cfg)
	var errs []error
	for _, s := range sights {
		if s.err != nil { // there is no more to say of the other family
			return errors.Join(append(errs, fmt.Errorf("%s: %w", recordOf(cfg), s.err))...)
		}
		p.printf("%s, %s\n", recordOf(cfg), s.family)
		p.table(servers(s.shown))
		w := wants(cfg, reports, s.family)
		sentence, good := lookOf(s.shown, w.addr).judge(w.addr)
		p.printf("%s\n%s\n", w.why, sentence)
		if !good {
			errs = append(errs, fmt.Errorf("the %s record of %s is not as it should be", s.family, recordOf(cfg)))
		}
	}
	return errors.Join(errs...)
}

func servers(shown []duckdns.Shown) [][]string {
	rows := [][]string{{"NAME SERVER", "ADDRESS", "SHOWS"}}
	for _, s := range shown {
		var shows []string
		for _, a := range s.Addrs {
			shows = append(shows, a.String())
		}
		says := strings.Join(shows, " ")
		switch {
		case s.Err != nil:
			says = s.Err.Error()
		case says == "":
			says = "no record"
		}
		rows = append(rows, []string{strings.TrimSuffix(s.Server.Name, "."), s.Server.Addr.String(), says})
	}
	return rows
}

// judge says in a sentence how the record is, and whether that is good.
func (l look) judge(addr netip.Addr) (sentence string, good bool) {
	all := l.same + l.other + l.none + l.silent
	answers := all - l.silent
	switch {
	case answers == 0:
		return fmt.Sprintf("none of the %d name servers gives an answer that counts", all), false
	case !addr.IsValid() && l.other == 0:
		return "there is no record, and none is wanted", true
	case !addr.IsValid():
		return "there is a record, which nothing here bears out", false
	case l.same == answers:
		return fmt.Sprintf("%d of %d name servers show it", l.same, all), true
	default:
		return fmt.Sprintf("%d of %d name servers show it: plexctl duckdns once pushes it", l.same, all), false
	}
}

// clearBoth takes both addresses away.
func clearBoth(ctx context.Context, o *options, cfg *corefile.Config, p *page) error {
	p.printf("%s: this takes the addresses of BOTH families away, IPv4 and IPv6: DuckDNS cannot clear one alone\n", recordOf(cfg))
	switch {
	case o.dryRun:
		p.printf("would send GET %s\n", call(cfg.DuckDNS, netip.Addr{}))
		return nil
	case !o.really:
		return errors.New("nothing is cleared without -yes")
	}
	if err := duckdns.Clear(ctx, cfg.DuckDNS, duckdns.PublishOptions{}); err != nil {
		return err
	}
	p.printf("DuckDNS has cleared both\n")
	if _, err := socket.Of(cfg.State).Status(ctx); err == nil {
		p.printf("a plexdns runs here, which will push again: take the duckdns line out of the Corefile to prevent it\n")
	}
	return nil
}
