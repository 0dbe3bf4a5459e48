package operate

import (
	"bytes"
	"context"
	"io"
	"time"

	"plexha/cmd/internal/socket"
	"plexha/plugin/status/page"
)

// Status returns what pages show as text, in colours or without.
func Status(colours bool, docs []page.Doc) string { return painter(colours).status(docs) }

var (
	Plain = plain
	Cut   = cut
)

// Scroll returns what shows texts one below the other.
func Scroll(out io.Writer) func(string) error { return new(statusOptions).scroll(out) }

// Screen returns what shows texts in one place of a terminal of that size.
func Screen(out io.Writer, width, height int) func(string) error {
	return (&screen{out, func() (int, int) { return width, height }}).show
}

// Count is who plays.
type Count = count

// CountOf returns one.
func CountOf(playing, paused int) Count { return count{playing: playing, paused: paused} }

// Unsettled returns what a plexproxy tells that has just started.
func Unsettled(playing int) Count { return count{playing: playing, unsettled: true} }

// Wait waits as drain does.
func Wait(ctx context.Context, out io.Writer, timeout time.Duration, ask func(context.Context) (Count, error)) error {
	ctx, cancel := limited(ctx, timeout)
	defer cancel()
	w := waiting{given: given{name: "plex1", zone: "home.test"}, p: &printer{w: out}, count: ask}
	return w.run(ctx)
}

// Follow shows the events of one instance, those that have been first.
func Follow(ctx context.Context, past []socket.Event, all bool, last int, follow func(func(socket.Event) error) error) (out, errw string) {
	var o, e bytes.Buffer
	c := socket.Client{Path: "s", Program: socket.Plexdns}
	options := &eventsOptions{all: all, last: last}
	s := &show{o: options, p: &printer{w: &o}, errw: &e, shown: map[source]mark{}}
	var events []event
	for _, p := range past {
		events = append(events, event{c, p})
	}
	s.past(events)
	s.followOne(ctx, c, follow)
	return o.String(), e.String()
}
