package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// framePace is the time between two frames while no key is pressed and nothing happens.
const framePace = 250 * time.Millisecond

// What a terminal does (ECMA-48).
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	upLines    = "\x1b[%dA" // CUU
	clearRight = "\x1b[K"   // EL
	clearBelow = "\x1b[J"   // ED
)

// Terminal is where a view is drawn and keys come from: in raw mode, so that they come one by one and lines begin
// where they are told to.
type Terminal struct {
	In   io.Reader
	Out  io.Writer
	Size func() (cols, rows int)
}

// Screen shows the home in place on a terminal and obeys its keys, until a q or Ctrl-C comes, the keys end, or ctx is
// canceled, which is the error then. The goroutine that reads keys ends with them, not before.
func Screen(ctx context.Context, w World, t Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &screen{pilot: newPilot(w), terminal: t, page: &page{w: t.Out}}
	s.page.printf(hideCursor)
	defer func() { _, _ = io.WriteString(t.Out, showCursor) }() // whatever went wrong before
	keys, events := typed(ctx, t.In), happenings(ctx, w)
	tick := time.NewTicker(framePace)
	defer tick.Stop()
	for s.page.err == nil {
		s.draw(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case key, ok := <-keys:
			if !ok || key == "q" {
				return nil
			}
			if err := s.press(ctx, key); err != nil {
				return err
			}
		case s.events = <-events:
		case <-tick.C:
		}
	}
	return s.page.err
}

// screen is a view that is redrawn in place.
type screen struct {
	pilot    *pilot
	terminal Terminal
	page     *page
	events   []Event
	done     string // by the last key
	drawn    int    // lines of the last frame
}

func (s *screen) press(ctx context.Context, key string) error {
	done, err := s.pilot.press(ctx, key)
	if done != "" {
		s.done = done
	}
	return err
}

// draw draws the home as it is over the last frame.
func (s *screen) draw(ctx context.Context) {
	f := s.look(ctx)
	cols, rows := s.terminal.Size()
	var out strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&out, upLines, s.drawn)
	}
	lines := f.draw(cols-1, rows-1)
	for _, line := range lines {
		out.WriteString("\r" + line + clearRight + "\r\n")
	}
	out.WriteString(clearBelow)
	s.drawn = len(lines)
	s.page.printf("%s", out.String())
}

// look asks everybody. Who does not answer is left out of this frame.
func (s *screen) look(ctx context.Context) *frame {
	w := s.pilot.world
	f := &frame{At: time.Now(), Wan: s.pilot.wan, Events: s.events, Done: s.done}
	f.Health, _ = w.Health(ctx)
	for _, m := range []Member{Plex1, Plex2} {
		if k, err := w.Known(ctx, m); err == nil {
			f.Known = append(f.Known, k)
		}
	}
	for _, q := range []Question{inside(), outside(), atDuck()} {
		words := "no answer"
		if a, err := w.Ask(ctx, q); err == nil {
			words = a.String()
		}
		f.Answers = append(f.Answers, words)
	}
	f.Films = []Seen{s.pilot.tv.Seen(), s.pilot.tablet.Seen()}
	return f
}

// What a terminal in raw mode sends for keys that would be signals, or the end of a file.
const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// typed returns the keys that are pressed, in lower case; those that end it all are q. The channel is closed when in
// ends or ctx does.
func typed(ctx context.Context, in io.Reader) <-chan string {
	ch := make(chan string)
	go func() {
		defer close(ch)
		buf := make([]byte, 1)
		for {
			if _, err := io.ReadFull(in, buf); err != nil {
				return
			}
			key := strings.ToLower(string(buf))
			if key == ctrlC || key == ctrlD {
				key = "q"
			}
			select {
			case ch <- key:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// happenings returns what has happened so far, the oldest first, each time that more has.
func happenings(ctx context.Context, w World) <-chan []Event {
	const again = time.Second // until plexdns is asked again that has hung up
	ch := make(chan []Event)
	go func() {
		for ctx.Err() == nil {
			var all []Event
			_ = w.Follow(ctx, func(e Event) { // it is asked again
				all = append(all[max(0, len(all)+1-maxEvents):len(all):len(all)], e)
				select {
				case ch <- all:
				case <-ctx.Done():
				}
			})
			select {
			case <-time.After(again):
			case <-ctx.Done():
			}
		}
	}()
	return ch
}
