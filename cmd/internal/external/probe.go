package external

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
)

var probeCommand = command.Command{
	Name: "probe", Summary: "show what each source says of the external address",
	About: `Asks each source of the external address once, and shows side by side what they
say and why what they say is refused. Nothing is written, and nobody is told.

Exit code 0 if a quorum stands behind an address of each family that there is:
two operators who say the same, one of them by a transport that nobody on the
way can meddle with.`,
	Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(options).defineProbe(set) }},
	Run:   probeSources,
}

func (o *options) defineProbe(set *flag.FlagSet) {
	o.Define(set)
	set.StringVar(&o.uplink, "uplink", "", "`NAME` this uplink alone (default all)")
	set.BoolVar(&o.ipv4, "4", false, "IPv4 alone")
	set.BoolVar(&o.ipv6, "6", false, "IPv6 alone")
	set.BoolVar(&o.json, "json", false, "as status.json shows it")
}

// surveyed is one uplink of a block after a round.
type surveyed struct {
	cfg    *corefile.Config
	report wanip.Report
}

func probeSources(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o options
	if err := parse(args, o.defineProbe); err != nil {
		return err
	}
	all, err := o.surveys(ctx)
	if err != nil {
		return err
	}
	if o.json {
		err = writeJSON(out, all)
	} else {
		err = write(out, all, o.families())
	}
	return errors.Join(err, lacking(all, o.families()))
}

// surveys asks about the uplinks that are meant, one block after the other.
func (o *options) surveys(ctx context.Context) ([]surveyed, error) {
	blocks, err := o.Load()
	if err != nil {
		return nil, err
	}
	var all []surveyed
	var names []string
	for _, cfg := range blocks {
		for _, u := range cfg.Uplinks {
			names = append(names, u.Name)
		}
		if cfg = o.narrow(cfg); len(cfg.Uplinks) == 0 {
			continue
		}
		for _, r := range survey(ctx, cfg) {
			all = append(all, surveyed{cfg, r})
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case len(names) == 0:
		return nil, errors.New("there is no uplink to ask about: add a line `uplink wan auto`")
	case len(all) == 0:
		return nil, fmt.Errorf("there is no uplink %q: want one of %s", o.uplink, strings.Join(names, " "))
	default:
		return all, nil
	}
}

// narrow returns the block with the uplinks and families alone that are asked about.
func (o *options) narrow(cfg *corefile.Config) *corefile.Config {
	c := *cfg
	c.Cluster.Uplinks, c.Uplinks = nil, nil
	for i, u := range cfg.Uplinks {
		if o.uplink == "" || o.uplink == u.Name {
			u.NoIPv6 = u.NoIPv6 || !slices.Contains(o.families(), zones.IPv6)
			c.Cluster.Uplinks = append(c.Cluster.Uplinks, cfg.Cluster.Uplinks[i])
			c.Uplinks = append(c.Uplinks, u)
		}
	}
	return &c
}

// shownUplink is one uplink of the JSON.
type shownUplink struct {
	Zone     string           `json:"zone"`
	Uplink   string           `json:"uplink"`
	External *status.External `json:"external"`
}

func writeJSON(out io.Writer, all []surveyed) error {
	var shown []shownUplink
	for _, s := range all {
		shown = append(shown, shownUplink{zoneOf(s.cfg), s.report.Uplink, status.RenderExternal(&s.report)})
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(shown)
}

// write writes a table and a verdict for each family of each uplink.
func write(out io.Writer, all []surveyed, families []zones.Family) error {
	p := &page{w: out}
	first := true
	for _, s := range all {
		for _, f := range families {
			if !first {
				p.printf("\n")
			}
			first = false
			p.printf("%s, uplink %s, %s\n", zoneOf(s.cfg), s.report.Uplink, f)
			s.table(p, f)
			verdict, _ := s.verdict(f)
			p.printf("%s\n", verdict)
			if trouble := s.found(f).Trouble; trouble != "" {
				p.printf("%s\n", trouble)
			}
		}
	}
	return p.err
}

// table shows what each source has said.
func (s *surveyed) table(p *page, f zones.Family) {
	rows := [][]string{{"SOURCE", "OPERATOR", "SECURE", "SAYS", "TOOK", ""}}
	findings := s.shown(f).Findings
	for i := range findings {
		rows = append(rows, cells(&findings[i]))
	}
	p.table(rows)
}

func cells(f *status.Finding) []string {
	secure, says := "no", "-"
	if f.Secure {
		secure = "yes"
	}
	if f.Address.IsValid() {
		says = f.Address.String()
	}
	took := time.Duration(f.Took * float64(time.Second)).Round(time.Millisecond)
	note := f.Error
	if f.Refused != "" {
		note = "refused: " + f.Refused
	}
	return []string{f.Source, f.Operator, secure, says, took.String(), strings.Join(strings.Fields(note), " ")}
}

func (s *surveyed) found(f zones.Family) wanip.FamilyReport {
	if f == zones.IPv6 {
		return s.report.IPv6
	}
	return s.report.IPv4
}

// shown returns the same as it is shown.
func (s *surveyed) shown(f zones.Family) status.Family {
	shown := status.RenderExternal(&s.report)
	if f == zones.IPv6 {
		return shown.IPv6
	}
	return shown.IPv4
}

// verdict says in a sentence what is known of a family, and whether that is what it should be.
func (s *surveyed) verdict(f zones.Family) (sentence string, good bool) {
	fixed, known := given(s.cfg, s.report.Uplink, f), s.shown(f)
	switch {
	case fixed.IsValid():
		return fmt.Sprintf("%s is the address: the Corefile gives it", fixed), true
	case known.Address.IsValid():
		say := "say"
		if len(known.By) == 1 {
			say = "says"
		}
		sentence = fmt.Sprintf("%s is the address: %s %s so", known.Address, strings.Join(known.By, ", "), say)
		if f == zones.IPv6 && s.report.NoIPv6 != "" {
			sentence += "\n" + s.report.NoIPv6
		}
		return sentence, true
	case !s.exists(f):
		return fmt.Sprintf("there is no %s here", f), true
	case !s.said(f, false):
		return "no source tells an address", false
	case !s.said(f, true):
		return "what the sources tell is refused", false
	case !slices.ContainsFunc(s.cfg.Detect, func(src corefile.Source) bool { return !src.OwnWord() }):
		return "the sources do not agree", false
	default:
		return "no address has a quorum: it takes two operators who say the same, one of them over a secure transport", false
	}
}

// exists reports whether the uplink may have an address of a family: no source that could tell has said that
// there is none.
func (s *surveyed) exists(f zones.Family) bool {
	return slices.ContainsFunc(s.found(f).Findings, func(f wanip.Finding) bool {
		return !errors.Is(f.Err, wanip.ErrNothing)
	})
}

// said reports whether a source has told an address, or one that was not refused.
func (s *surveyed) said(f zones.Family, good bool) bool {
	return slices.ContainsFunc(s.found(f).Findings, func(f wanip.Finding) bool {
		return f.Addr.IsValid() && (f.Refused == "" || !good)
	})
}

// lacking returns as an error which families have no address though they should, or that none has.
func lacking(all []surveyed, families []zones.Family) error {
	var missing []string
	for _, s := range all {
		found := false
		for _, f := range families {
			_, good := s.verdict(f)
			if !good {
				missing = append(missing, fmt.Sprintf("uplink %s: no %s address that can be believed", s.report.Uplink, f))
			}
			found = found || !good || s.exists(f) || given(s.cfg, s.report.Uplink, f).IsValid()
		}
		if !found {
			missing = append(missing, fmt.Sprintf("uplink %s: no address at all", s.report.Uplink))
		}
	}
	if missing == nil {
		return nil
	}
	return errors.New(strings.Join(missing, "; "))
}
