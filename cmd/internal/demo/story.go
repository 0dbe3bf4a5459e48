package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is how long a right answer may take. With plexdns's defaults (interval 2s, rise 2) a member
	// that comes back needs about 2.5 s, an external address 5 s to 10 s, all else here milliseconds.
	patience = 20 * time.Second
	// pace is the time between two questions while a right answer is awaited: the resolution of the times.
	pace = time.Millisecond
)

var errPatience = fmt.Errorf("no right answer within %s", patience)

// Play tells the story in w to out, and returns an error with the first step that does not hold.
func Play(ctx context.Context, w World, out io.Writer) error {
	p := &play{world: w, page: &page{w: out}}
	steps := []func(context.Context) error{
		p.allUp, p.proxyKilled, p.nodeKilled, p.status, p.allKilled, p.allBack, p.missingType, p.moved,
	}
	for i, step := range steps {
		p.step = i + 1
		err := step(ctx)
		if err == nil {
			err = p.page.err
		}
		if err != nil {
			return fmt.Errorf("playing step %d: %w", p.step, err)
		}
	}
	p.page.printf("\nEvery step held.\n")
	return p.page.err
}

// play is the story while it is told.
type play struct {
	world World
	page  *page
	step  int
	node  Member // the one that inside is led to once the proxy is dead
}

func (p *play) allUp(ctx context.Context) error {
	p.title("All are up: inside gets the proxy, outside the external address.")
	if err := p.expect(ctx, inside(), leadsTo(Proxy)); err != nil {
		return err
	}
	if err := p.outside(ctx); err != nil {
		return err
	}
	return p.expect(ctx, atDuck(), leadsTo(Wan))
}

func (p *play) proxyKilled(ctx context.Context) error {
	p.title("The proxy is killed (SIGKILL): inside gets a node.")
	answer, err := p.kill(ctx, Proxy, leadsTo(Plex1, Plex2))
	if err != nil {
		return err
	}
	p.node = Plex1
	if answer.only(Plex2) {
		p.node = Plex2
	}
	return p.outside(ctx)
}

func (p *play) nodeKilled(ctx context.Context) error {
	p.title("That node, %s, is killed: inside gets the other one.", p.node)
	if _, err := p.kill(ctx, p.node, leadsTo(p.other())); err != nil {
		return err
	}
	return p.outside(ctx)
}

func (p *play) status(ctx context.Context) error {
	p.title("What is known of the nodes, and since when.")
	states := map[Member]string{p.node: "down", p.other(): "up"}
	return p.expect(ctx, Question{Inside, statusName, dns.TypeTXT}, tells(
		fmt.Sprintf("%s %s since ", Plex1, states[Plex1]),
		fmt.Sprintf("%s %s since ", Plex2, states[Plex2]),
	))
}

func (p *play) allKilled(ctx context.Context) error {
	p.title("The last one, %s, is killed: inside gets the proxy as a last resort.", p.other())
	if _, err := p.kill(ctx, p.other(), leadsTo(Proxy)); err != nil {
		return err
	}
	return p.outside(ctx)
}

// allBack revives the nodes and looks for one before it revives the proxy: the last resort was the proxy's
// address already.
func (p *play) allBack(ctx context.Context) error {
	p.title("All are revived: inside gets its node again, and then the proxy.")
	for _, m := range []Member{Plex1, Plex2} {
		if err := p.world.Revive(ctx, m); err != nil {
			return err
		}
	}
	if _, err := p.await(ctx, time.Now(), inside(), leadsTo(p.node)); err != nil {
		return err
	}
	if err := p.world.Revive(ctx, Proxy); err != nil {
		return err
	}
	if _, err := p.await(ctx, time.Now(), inside(), leadsTo(Proxy)); err != nil {
		return err
	}
	return p.outside(ctx)
}

func (p *play) missingType(ctx context.Context) error {
	p.title("A type that is not there (no IPv6 in this home) does not deny the name.")
	return p.expect(ctx, Question{Inside, mainName, dns.TypeAAAA}, noData())
}

// moved has the provider change the external address.
func (p *play) moved(ctx context.Context) error {
	p.title("The external address changes: once echoes agree for 5 s, DuckDNS is told.")
	event := time.Now()
	if err := p.world.Move(ctx, WanNew); err != nil {
		return err
	}
	if _, err := p.await(ctx, event, outside(), leadsTo(WanNew)); err != nil {
		return err
	}
	_, err := p.await(ctx, event, atDuck(), leadsTo(WanNew))
	return err
}

// other returns the node that p.node is not.
func (p *play) other() Member {
	if p.node == Plex1 {
		return Plex2
	}
	return Plex1
}

func inside() Question  { return Question{Inside, mainName, dns.TypeA} }
func outside() Question { return Question{Outside, mainName, dns.TypeA} }
func atDuck() Question  { return Question{AtDuck, mainName, dns.TypeA} }

// outside expects what is answered there whoever lives.
func (p *play) outside(ctx context.Context) error {
	return p.expect(ctx, outside(), leadsTo(Wan))
}

func (p *play) title(format string, args ...any) {
	p.page.printf("\n%d. %s\n\n", p.step, fmt.Sprintf(format, args...))
}

// kill kills m and shows what inside is led to then, and after which time.
func (p *play) kill(ctx context.Context, m Member, w want) (Answer, error) {
	event := time.Now()
	if err := p.world.Kill(m); err != nil {
		return Answer{}, err
	}
	return p.await(ctx, event, inside(), w)
}

// expect shows the answer once it is right.
func (p *play) expect(ctx context.Context, q Question, w want) error {
	answer, err := p.ask(ctx, q, w)
	if err == nil {
		p.show(q, answer, "")
	}
	return err
}

// await shows the answer once it is right, and the time since the event.
func (p *play) await(ctx context.Context, event time.Time, q Question, w want) (Answer, error) {
	answer, err := p.ask(ctx, q, w)
	if err == nil {
		p.show(q, answer, ", "+after(event))
	}
	return answer, err
}

// after is the time since the event, in whole milliseconds and never none.
func after(event time.Time) string {
	return fmt.Sprintf("after %d ms", max(1, time.Since(event).Round(time.Millisecond).Milliseconds()))
}

// show prints an answer, one of several texts below its question.
func (p *play) show(q Question, a Answer, suffix string) {
	if q.Type != dns.TypeTXT {
		p.page.printf("   %-35s  %s%s\n", q, a, suffix)
		return
	}
	p.page.printf("   %s\n", q)
	for _, text := range a.Data {
		p.page.printf("            %s\n", text)
	}
}

// ask asks until the answer is right.
func (p *play) ask(ctx context.Context, q Question, w want) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		answer, err := p.world.Ask(ctx, q)
		if err == nil && w.holds(answer) {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return Answer{}, unanswered(context.Cause(ctx), q, w, answer, err)
		case <-tick.C:
		}
	}
}

// unanswered says why there was no right answer: cause is what ended the wait, err how asking failed last.
func unanswered(cause error, q Question, w want, last Answer, err error) error {
	switch {
	case !errors.Is(cause, errPatience):
		return cause
	case err != nil:
		return fmt.Errorf("asking %s for %s %s: %w: %w", q.From, bare(q.Name), dns.TypeToString[q.Type], cause, err)
	default:
		return fmt.Errorf("asking %s for %s %s: %w: got %s, want %s",
			q.From, bare(q.Name), dns.TypeToString[q.Type], cause, last, w.words)
	}
}
