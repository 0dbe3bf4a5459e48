package operate

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
	"plexha/cmd/internal/socket"
	"plexha/plugin/status/page"
)

// exitUnwell is the exit code of `status -check` when something is not well, and of `drain -wait` when playbacks go on.
const exitUnwell = 3

var statusCommand = command.Command{
	Name: "status", Summary: "show what is up, what answers go out and why",
	About: `Shows what the plexdns and the plexproxy that run here know: nodes, proxies and
uplinks, what each name leads to, DuckDNS's record, who plays where. The first
lines say whether all is well, and if not, what is wrong since when.

With -json it is one object: version, and instances, each with its place and its
status, which is what that instance's status.json says, or an error.

Colours are shown on a terminal, and nowhere if NO_COLOR is set.`,
	Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(statusOptions).define(set) }, Kinds: kinds},
	Exits: []command.Exit{{Code: exitUnwell, Meaning: "with -check: something is wrong, whether clients feel it or not yet"}},
	Run:   showStatus,
}

type statusOptions struct {
	where

	watch, json, check bool
}

func (o *statusOptions) define(set *flag.FlagSet) {
	o.where.define(set)
	set.BoolVar(&o.watch, "watch", false, "go on, and show each change: in place on a terminal, else below")
	set.BoolVar(&o.json, "json", false, "for programs")
	set.BoolVar(&o.check, "check", false, "exit code 3 if not all is well, for scripts")
}

func (o *statusOptions) parse(args []string) error {
	rest, err := command.Parse(args, o.define)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return command.Usagef("unexpected %q", rest[0])
	case o.watch && (o.json || o.check):
		return command.Usagef("-watch goes with neither -json nor -check")
	default:
		return nil
	}
}

func showStatus(ctx context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	var o statusOptions
	if err := o.parse(args); err != nil {
		return err
	}
	clients, err := o.clients()
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(ctx, clients, out)
	}
	seen := look(ctx, clients)
	told, err := o.present(seen)
	if o.json {
		return errors.Join(writeStatus(out, seen), err)
	}
	docs := o.docs(told)
	p := &printer{w: out}
	p.printf("%s%s", paints(out).status(docs), o.missing(seen, docs))
	if err == nil && o.check && !isWell(docs) {
		err = &command.ExitError{Code: exitUnwell}
	}
	return errors.Join(p.err, err)
}

// present is answered, with an error as well for who was killed here: the other one may say that all is well.
func (o *statusOptions) present(seen []sighting) ([]sighting, error) {
	told, err := o.answered(seen)
	if told == nil || o.at != nil {
		return told, err // which says all
	}
	for _, s := range seen {
		if errors.Is(s.err, socket.ErrKilled) {
			err = errors.Join(err, s.err)
		}
	}
	return told, err
}

// missing says who does not run here while another one does: it may run elsewhere, or should be here. A cluster
// without proxies wants no plexproxy.
func (o *statusOptions) missing(seen []sighting, docs []page.Doc) string {
	if docs == nil || o.at != nil {
		return "" // the error says it
	}
	var out strings.Builder
	for _, s := range seen {
		wanted := s.Program == socket.Plexdns || slices.ContainsFunc(docs, hasProxies)
		if wanted && errors.Is(s.err, socket.ErrNone) && !errors.Is(s.err, socket.ErrKilled) {
			fmt.Fprintf(&out, "\n%s\n", plain(s.err.Error()))
		}
	}
	return out.String()
}

func hasProxies(d page.Doc) bool {
	isProxies := func(s page.Section) bool { return s.Name == "proxies" }
	return slices.ContainsFunc(d.Clusters, func(c page.Cluster) bool { return slices.ContainsFunc(c.Sections, isProxies) })
}

// docs returns what the instances show on their pages, of the zone that is asked for.
func (o *statusOptions) docs(told []sighting) []page.Doc {
	var docs []page.Doc
	for _, s := range told {
		d := s.report.Page()
		var asked []page.Cluster
		for _, c := range d.Clusters {
			if o.Zone == "" || c.Zone == o.origin() {
				asked = append(asked, c)
			}
		}
		if d.Clusters = asked; asked != nil {
			docs = append(docs, d)
		}
	}
	return docs
}

// isWell reports whether nothing is wrong.
func isWell(docs []page.Doc) bool {
	for i := range docs {
		for j := range docs[i].Clusters {
			if l := docs[i].Clusters[j].Level; l == page.Poor || l == page.Bad {
				return false
			}
		}
	}
	return true
}

// status shows all of it.
func (p painter) status(docs []page.Doc) string {
	var out strings.Builder
	out.WriteString(p.headlines(docs))
	for i := range docs {
		for j := range docs[i].Clusters {
			out.WriteString(p.cluster(docs[i].Program, &docs[i].Clusters[j]))
		}
	}
	return out.String()
}

// instance is what `status -json` shows of one.
type instance struct {
	Place  string          `json:"place"`
	Status json.RawMessage `json:"status,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func writeStatus(out io.Writer, seen []sighting) error {
	shown := struct {
		Version   int        `json:"version"`
		Instances []instance `json:"instances"`
	}{Version: 1}
	for _, s := range seen {
		i := instance{Place: s.String()}
		if s.err != nil {
			i.Error = s.err.Error()
		} else {
			i.Status = s.report.Raw
		}
		shown.Instances = append(shown.Instances, i)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(shown)
}

// lookEvery is how often a status that is watched is asked for.
const lookEvery = time.Second

// follow shows the status until ctx ends.
func (o *statusOptions) follow(ctx context.Context, clients []socket.Client, out io.Writer) error {
	show, end := o.scroll(out), func() {}
	if isTerminal(out) {
		s := newScreen(out)
		show, end = s.show, s.end
	}
	defer end()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		seen := look(ctx, clients)
		told, err := o.present(seen)
		if ctx.Err() != nil {
			return nil
		}
		docs := o.docs(told)
		text := paints(out).status(docs) + o.missing(seen, docs)
		if err != nil {
			text += fmt.Sprintf("\n%s\n", plain(err.Error()))
		}
		if err := show(text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// scroll shows below what is another text than before.
func (o *statusOptions) scroll(out io.Writer) func(string) error {
	before := ""
	return func(text string) error {
		if text == before {
			return nil
		}
		rule := ""
		if before != "" {
			rule = "\n" + strings.Repeat("-", len(time.DateTime)) + "\n"
		}
		before = text
		_, err := fmt.Fprintf(out, "%s%s\n%s", rule, clock(time.Now()), text)
		return err
	}
}
