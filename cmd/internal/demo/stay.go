package demo

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"
)

// keysHelp says what the keys do.
const keysHelp = `Keys, each with Enter: 1, 2 and p kill or revive plex1, plex2 and the proxy,
w gives the home its other external address, and the answers are watched.
DuckDNS is told once a minute at most. q ends it all, as Ctrl-C does.`

const (
	// idlePace is the time between two looks at the answer while nothing was done to it.
	idlePace = 100 * time.Millisecond
	// settle is how long an event may take to change the answer inside: 2.5 s to come back, and some reserve.
	settle = 4 * time.Second
	// settleMoved is the same outside: two rounds of questions 5 s apart, the first of which is up to 5 s after
	// the rounds before, and some reserve.
	settleMoved = 15 * time.Second
)

// Stay obeys the keys from in and tells each change of the answers, until in ends, a q comes, or ctx is
// canceled, which is the error then. The goroutine that reads in ends with it, not before.
func Stay(ctx context.Context, w World, in io.Reader, out io.Writer) error {
	s := &stay{
		world: w, page: &page{w: out}, tick: time.NewTicker(idlePace), wan: WanNew,
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

// stay is the part after the story.
type stay struct {
	world World
	page  *page
	tick  *time.Ticker
	wan   Member // Wan or WanNew, whose address the home has: WanNew at first

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
	member, ok := map[string]Member{"1": Plex1, "2": Plex2, "p": Proxy}[key]
	switch {
	case key == "":
		return nil
	case key == "w":
		return s.move(ctx)
	case !ok:
		s.page.printf("   no such key\n\n%s\n\n", keysHelp)
		return nil
	case s.world.Alive(member):
		s.happen(&s.inside, string(member)+" killed")
		return s.world.Kill(member)
	}
	if err := s.world.Revive(ctx, member); err != nil {
		return err
	}
	s.happen(&s.inside, string(member)+" revived")
	return nil
}

// move gives the home the other one of its two external addresses.
func (s *stay) move(ctx context.Context) error {
	if s.wan == Wan {
		s.wan = WanNew
	} else {
		s.wan = Wan
	}
	s.happen(&s.outside, "wan moved to "+s.wan.Addr().String())
	return s.world.Move(ctx, s.wan)
}

// happen begins the wait for what the event does to an answer.
func (s *stay) happen(v *view, what string) {
	s.page.printf("%s\n", what)
	v.event = time.Now()
	s.tick.Reset(pace)
}

// look tells each change of an answer, or that an event has changed nothing.
func (s *stay) look(ctx context.Context) {
	waits := false
	for _, v := range []*view{&s.inside, &s.outside, &s.duck} {
		s.lookAt(ctx, v)
		waits = waits || !v.event.IsZero()
	}
	if !waits {
		s.tick.Reset(idlePace)
	}
}

func (s *stay) lookAt(ctx context.Context, v *view) {
	answer, err := s.world.Ask(ctx, v.question)
	got := answer.String()
	if err != nil {
		got = err.Error()
	}
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
