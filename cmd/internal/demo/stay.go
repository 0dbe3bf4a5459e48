package demo

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// idlePace is the time between two looks at the answer while nothing was done to it.
	idlePace = 100 * time.Millisecond
	// settle is how long an event may take to change the answer inside: 2.5 s to come back, and some reserve.
	settle = 4 * time.Second
	// settleMoved is the same outside: two rounds of questions 5 s apart, the first of which is up to 5 s after
	// the rounds before, and some reserve.
	settleMoved = 15 * time.Second
)

// Stay obeys the keys from in, each on a line of its own, and tells each change of the answers, until in ends, a q
// comes, or ctx is canceled, which is the error then. The goroutine that reads in ends with it, not before.
func Stay(ctx context.Context, w World, in io.Reader, out io.Writer) error {
	s := &stay{
		pilot: newPilot(w), page: &page{w: out}, tick: time.NewTicker(idlePace),
		inside:  view{question: inside(), settle: settle},
		outside: view{question: outside(), settle: settleMoved},
		duck:    view{question: atDuck()},
	}
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

// stay is a home that tells its changes line by line.
type stay struct {
	pilot *pilot
	page  *page
	tick  *time.Ticker

	inside, outside, duck view
}

// view is one answer that is watched.
type view struct {
	question Question
	settle   time.Duration // how long an event may take to change it
	shown    string        // the last answer
	event    time.Time     // when a key last did something; zero: what it did to the answer is told
}

func (s *stay) press(ctx context.Context, key string) error {
	if key == "" {
		return nil
	}
	event := time.Now()
	done, err := s.pilot.press(ctx, key)
	if err != nil {
		return err
	}
	switch {
	case done == "":
		s.page.printf("   no such key\n\n%s\n\n", keysHelp)
		return nil
	case key == "w":
		s.outside.event = event
	case key != "d": // that changes nobody's answer
		s.inside.event = event
	}
	s.page.printf("%s\n", done)
	s.tick.Reset(pace)
	return nil
}

// look tells each change of an answer, or that an event has changed nothing.
func (s *stay) look(ctx context.Context) {
	views := []*view{&s.inside, &s.outside, &s.duck}
	seen := make([]string, len(views))
	for i, v := range slices.Backward(views) { // what follows first: none is told before what it follows
		seen[i] = s.ask(ctx, v)
	}
	waits := false
	for i, v := range views {
		s.tell(ctx, v, seen[i])
		waits = waits || !v.event.IsZero()
	}
	if !waits {
		s.tick.Reset(idlePace)
	}
}

func (s *stay) ask(ctx context.Context, v *view) string {
	answer, err := s.pilot.world.Ask(ctx, v.question)
	if err != nil {
		return err.Error()
	}
	return answer.String()
}

func (s *stay) tell(ctx context.Context, v *view, got string) {
	changed := v.shown != "" && v.shown != got
	v.shown = got
	switch {
	case ctx.Err() != nil:
	case changed && v.event.IsZero():
		s.page.printf("   %s  %s\n", v.question, got)
	case changed:
		s.page.printf("   %s  %s, %s\n", v.question, got, after(v.event))
		v.event = time.Time{}
	case !v.event.IsZero() && time.Since(v.event) > v.settle:
		s.page.printf("   %s  still %s\n", v.question, got)
		v.event = time.Time{}
	}
}
