// Package operate is plexctl's commands for every day: status, events, and the orders that take a node out of service
// and back.
package operate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/socket"
	"plexha/corefile"
)

// Commands are the commands.
var Commands = []command.Command{statusCommand, drainCommand, undrainCommand, orderCommand, eventsCommand}

// where are the flags that say who is asked.
type where struct {
	command.Blocks

	at places
}

func (w *where) define(set *flag.FlagSet) {
	w.Define(set)
	set.Var(&w.at, "at", "`PLACE` ask there, not here: a socket, a state folder or http://HOST:PORT; may be repeated")
}

// kinds are what the values of these flags are.
var kinds = map[string]command.Kind{"at": command.File}

// places is a flag that may be repeated.
type places []string

// String implements [flag.Value].
func (p *places) String() string { return strings.Join(*p, " ") }

// Set implements [flag.Value].
func (p *places) Set(place string) error {
	*p = append(*p, place)
	return nil
}

// origin returns the zone that is asked for, as a person writes it; empty: all.
func (w *where) origin() string { return spoken(strings.ToLower(w.Zone)) }

// spoken returns a zone as a person writes it.
func spoken(zone string) string { return strings.TrimSuffix(zone, ".") }

// zoneOf returns the name that a block goes by.
func zoneOf(cfg *corefile.Config) string { return spoken(cfg.Cluster.Origins[0]) }

// blocks returns the blocks of the Corefile that are meant. Without a Corefile there are none, unless it is named.
func (w *where) blocks() ([]*corefile.Config, error) {
	blocks, err := w.Load()
	if errors.Is(err, command.ErrNoCorefile) {
		return nil, nil
	}
	return blocks, err
}

// clients returns who is asked: those of -at, else the plexdns and plexproxy that use a state folder of the Corefile,
// or the usual one.
func (w *where) clients() ([]socket.Client, error) {
	var all []socket.Client
	for _, place := range w.at {
		clients, err := socket.At(place)
		if err != nil {
			return nil, err
		}
		all = append(all, clients...)
	}
	if all != nil {
		return all, nil
	}
	blocks, err := w.blocks()
	if err != nil {
		return nil, err
	}
	states := []corefile.State{{}}
	if blocks != nil {
		states = nil
	}
	for _, cfg := range blocks {
		states = append(states, cfg.State)
	}
	for _, s := range states {
		for _, c := range []socket.Client{socket.Of(s), socket.ProxyOf(s)} {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// sighting is what one instance has told.
type sighting struct {
	socket.Client

	report *socket.Report // nil: err
	err    error
}

// look asks all at the same time.
func look(ctx context.Context, clients []socket.Client) []sighting {
	seen := make([]sighting, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			seen[i].Client = c
			seen[i].report, seen[i].err = c.Report(ctx)
			if seen[i].report != nil {
				seen[i].Program = seen[i].report.Program()
			}
		})
	}
	wg.Wait()
	return seen
}

// answered returns those that have told something. The error says why nobody has, or that somebody is there and did
// not; that one of several does not run is none, unless it was named.
func (w *where) answered(seen []sighting) ([]sighting, error) {
	var told []sighting
	var errs, nobody []error
	for _, s := range seen {
		switch {
		case s.err == nil:
			told = append(told, s)
		case errors.Is(s.err, socket.ErrNone) && w.at == nil:
			nobody = append(nobody, s.err)
		default:
			errs = append(errs, s.err)
		}
	}
	if told == nil && errs == nil {
		errs = nobody
	}
	return told, errors.Join(errs...)
}

// printer tells a person. It keeps the first error, so that not every line needs a look at it.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
