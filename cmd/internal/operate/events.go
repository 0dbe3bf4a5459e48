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
	"sync"
	"time"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/socket"
	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

var eventsCommand = command.Command{
	Name: "events", Summary: "show what has happened",
	About: `Shows the last events that the plexdns and the plexproxy that run here remember,
oldest first: states of nodes, proxies and uplinks, orders, external addresses,
pushes to DuckDNS, Corefiles. Each program has its own probes, so that both may
tell of one thing. Without -all what was confirmed or refuted within a second is
left out.`,
	Flags: &command.Flags{Define: func(set *flag.FlagSet) { new(eventsOptions).define(set) }, Kinds: kinds},
	Run:   showEvents,
}

type eventsOptions struct {
	where

	follow, json, all bool
	last              int
}

func (o *eventsOptions) define(set *flag.FlagSet) {
	o.where.define(set)
	set.BoolVar(&o.follow, "f", false, "go on, and show those that come")
	set.IntVar(&o.last, "n", 50, "`NUMBER` of those to show that have been (default 50)")
	set.BoolVar(&o.json, "json", false, "one JSON object a line")
	set.BoolVar(&o.all, "all", false, "those in doubt too")
}

func (o *eventsOptions) parse(args []string) error {
	rest, err := command.Parse(args, o.define)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return command.Usagef("unexpected %q", rest[0])
	case o.last < 0:
		return command.Usagef("-n %d: want 0 or more", o.last)
	default:
		return nil
	}
}

func showEvents(ctx context.Context, args []string, _ io.Reader, out, errw io.Writer) error {
	var o eventsOptions
	if err := o.parse(args); err != nil {
		return err
	}
	clients, err := o.clients()
	if err != nil {
		return err
	}
	told, err := o.answered(look(ctx, clients))
	if told == nil {
		return err
	}
	s := &show{
		o: &o, p: &printer{w: out}, errw: errw, paint: paints(out),
		labels: labels(told), zones: inSeveralZones(told), shown: map[source]mark{},
	}
	var all []event
	errs := []error{err}
	for _, one := range told {
		events, err := one.Events(ctx, o.origin())
		errs = append(errs, err)
		for _, e := range events {
			all = append(all, event{one.Client, e})
		}
	}
	s.past(all)
	err = errors.Join(append(errs, s.p.err)...)
	if !o.follow || err != nil {
		return err
	}
	s.follow(ctx, told)
	return s.p.err
}

// labels returns what tells the instances apart: nothing, their programs, or where they are.
func labels(told []sighting) map[socket.Client]string {
	out := map[socket.Client]string{}
	programs := map[socket.Program]int{}
	for _, s := range told {
		programs[s.Program]++
	}
	for _, s := range told {
		switch {
		case len(told) == 1:
		case len(programs) == len(told):
			out[s.Client] = string(s.Program)
		default:
			out[s.Client] = s.String()
		}
	}
	return out
}

// inSeveralZones reports whether there is more than one zone that events can be of.
func inSeveralZones(told []sighting) bool {
	zones := map[string]bool{}
	for _, s := range told {
		for _, c := range s.report.Page().Clusters {
			zones[c.Zone] = true
		}
	}
	return len(zones) > 1
}

// event is one that an instance has told.
type event struct {
	by socket.Client

	socket.Event
}

// source is whose events have ascending numbers, until the instance is another process.
type source struct {
	by   socket.Client
	zone string
}

// mark is how far a source has been shown.
type mark struct {
	seq uint64
	at  time.Time
}

// show shows each event once.
type show struct {
	o      *eventsOptions
	paint  painter
	labels map[socket.Client]string
	zones  bool // there are several
	errw   io.Writer

	mu    sync.Mutex
	p     *printer
	shown map[source]mark
}

// past shows the last ones of those that have been.
func (s *show) past(all []event) {
	slices.SortStableFunc(all, func(a, b event) int { return a.At.Compare(b.At) })
	hidden := 0
	for _, e := range all {
		if s.isShown(e) {
			hidden++
		}
	}
	hidden -= s.o.last
	for _, e := range all {
		if isNew := s.advance(e); !isNew || !s.isShown(e) {
			continue
		}
		if hidden--; hidden < 0 {
			s.write(e)
		}
	}
}

func (s *show) isShown(e event) bool { return s.o.all || e.Level != timeline.Doubt }

// advance reports whether an event has not been seen yet, and remembers it.
func (s *show) advance(e event) bool {
	from := source{e.by, e.Zone}
	last, known := s.shown[from]
	if known && e.Seq <= last.seq && !e.At.After(last.at) {
		return false
	}
	if last.at.After(e.At) {
		e.At = last.at
	}
	s.shown[from] = mark{e.Seq, e.At}
	return true
}

// comeBack is how long after a lost connection the next one is tried.
const comeBack = time.Second

// follow shows what comes until ctx ends, over restarts of the programs.
func (s *show) follow(ctx context.Context, told []sighting) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, one := range told {
		wg.Go(func() {
			defer cancel() // that nothing more can be shown ends it for all
			s.followOne(ctx, one.Client, func(do func(socket.Event) error) error {
				return one.Follow(ctx, s.o.origin(), do)
			})
		})
	}
}

// followOne follows one instance. It says once that it is lost, until it has told something again.
func (s *show) followOne(ctx context.Context, c socket.Client, follow func(do func(socket.Event) error) error) {
	lost := false
	for {
		err := follow(func(e socket.Event) error {
			lost = false
			return s.add(event{c, e})
		})
		if ctx.Err() != nil || s.isBroken() {
			return
		}
		if !lost {
			lost = true
			_, _ = fmt.Fprintf(s.errw, "plexctl: %v: trying again\n", plain(err.Error())) // nobody left to tell
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(comeBack):
		}
	}
}

// isBroken reports whether nothing more can be shown.
func (s *show) isBroken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p.err != nil
}

// add shows an event that is new.
func (s *show) add(e event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.advance(e) && s.isShown(e) {
		s.write(e)
	}
	return s.p.err
}

// colourOf returns in whose colour an event is shown.
var colourOf = map[timeline.Level]page.Level{timeline.Doubt: page.Quiet, timeline.Warning: page.Poor, timeline.Error: page.Bad}

func (s *show) write(e event) {
	if s.o.json {
		s.writeJSON(e)
		return
	}
	words := []string{clock(e.At)}
	if label := s.labels[e.by]; label != "" {
		words = append(words, fmt.Sprintf("%-9s", label))
	}
	if s.zones {
		words = append(words, plain(e.Zone))
	}
	words = append(words, s.paint.paint(colourOf[e.Level], plain(e.Text)))
	s.p.printf("%s\n", strings.Join(words, "  "))
}

func (s *show) writeJSON(e event) {
	line, err := json.Marshal(struct {
		Program socket.Program `json:"program"`

		socket.Event
	}{e.by.Program, e.Event})
	if err != nil {
		s.p.err = err
		return
	}
	s.p.printf("%s\n", line)
}
