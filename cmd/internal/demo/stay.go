package demo

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"
)

// keysHelp says what the keys do.
const keysHelp = `Keys, each with Enter: 1, 2 and p kill or revive plex1, plex2 and the proxy, and
the answer inside is watched; q ends it all, as Ctrl-C does.`

const (
	// idlePace is the time between two looks at the answer while nothing was done to it.
	idlePace = 100 * time.Millisecond
	// settle is how long an event may take to change the answer: 2.5 s to come back, and some reserve.
	settle = 4 * time.Second
)

// Stay obeys the keys from in and tells each change of the answer inside, until in ends, a q comes, or ctx
// is canceled, which is the error then. The goroutine that reads in ends with it, not before.
func Stay(ctx context.Context, w World, in io.Reader, out io.Writer) error {
	s := &stay{world: w, page: &page{w: out}, tick: time.NewTicker(idlePace)}
	defer s.tick.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := lines(ctx, in)
	s.look(ctx)
	for s.page.err == nil {
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
		case <-s.tick.C:
			s.look(ctx)
		}
	}
	return s.page.err
}

// lines returns the lines of in, in lower case. The channel is closed when in ends or ctx does.
func lines(ctx context.Context, in io.Reader) <-chan string {
	ch := make(chan string)
	go func() {
		defer close(ch)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			select {
			case ch <- strings.ToLower(strings.TrimSpace(scan.Text())):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// stay is the part after the story.
type stay struct {
	world World
	page  *page
	tick  *time.Ticker
	shown string    // the last answer
	event time.Time // when a key last did something; zero: what it did to the answer is told
}

func (s *stay) press(ctx context.Context, key string) error {
	member, ok := map[string]Member{"1": Plex1, "2": Plex2, "p": Proxy}[key]
	switch {
	case key == "":
		return nil
	case !ok:
		s.page.printf("   no such key\n\n%s\n\n", keysHelp)
		return nil
	case s.world.Alive(member):
		s.happen(member, "killed")
		return s.world.Kill(member)
	}
	if err := s.world.Revive(ctx, member); err != nil {
		return err
	}
	s.happen(member, "revived")
	return nil
}

// happen begins the wait for what the event does to the answer.
func (s *stay) happen(m Member, what string) {
	s.page.printf("%s %s\n", m, what)
	s.event = time.Now()
	s.tick.Reset(pace)
}

// look tells a change of the answer, or that an event has changed nothing.
func (s *stay) look(ctx context.Context) {
	q := inside()
	answer, err := s.world.Ask(ctx, q)
	got := answer.String()
	if err != nil {
		got = err.Error()
	}
	changed := s.shown != "" && s.shown != got
	s.shown = got
	switch {
	case ctx.Err() != nil:
	case changed && s.event.IsZero():
		s.page.printf("   %s  %s\n", q, got)
	case changed:
		s.page.printf("   %s  %s, %s\n", q, got, after(s.event))
		s.settled()
	case !s.event.IsZero() && time.Since(s.event) > settle:
		s.page.printf("   %s  still %s\n", q, got)
		s.settled()
	}
}

func (s *stay) settled() {
	s.event = time.Time{}
	s.tick.Reset(idlePace)
}
