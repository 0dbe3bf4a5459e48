package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

func (p *play) title(format string, args ...any) {
	p.page.printf("\n%d. %s\n\n", p.step, fmt.Sprintf(format, args...))
}

// line shows what a device does, and what comes of it.
func (p *play) line(who, what, got string) { p.page.printf("   %-7s  %-30s  %s\n", who, what, got) }

// outside expects what is answered there whoever lives.
func (p *play) outside(ctx context.Context) error { return p.expect(ctx, outside(), leadsTo(Wan)) }

// expect shows the answer once it is right.
func (p *play) expect(ctx context.Context, q Question, w want) error {
	return p.await(ctx, time.Time{}, q, w)
}

// await shows the answer once it is right, and the time since the event if there is one.
func (p *play) await(ctx context.Context, event time.Time, q Question, w want) error {
	answer, err := p.ask(ctx, q, w)
	if err == nil {
		p.page.printf("   %-39s  %s%s\n", q, answer, since(event))
	}
	return err
}

// ask asks until the answer is right.
func (p *play) ask(ctx context.Context, q Question, w want) (Answer, error) {
	return until(ctx, look[Answer]{
		what: fmt.Sprintf("asking %s for %s %s", q.From, bare(q.Name), dns.TypeToString[q.Type]), want: w.words,
		see:   func(ctx context.Context) (Answer, error) { return p.world.Ask(ctx, q) },
		right: w.holds,
	})
}

// states shows what plexdns tells of the nodes once it is that.
func (p *play) states(ctx context.Context, event time.Time, states map[Member]string) error {
	q := Question{Inside, statusName, dns.TypeTXT}
	answer, err := p.ask(ctx, q, tells(
		fmt.Sprintf("%s %s since ", Plex1, states[Plex1]),
		fmt.Sprintf("%s %s since ", Plex2, states[Plex2]),
	))
	if err != nil {
		return err
	}
	p.page.printf("   %s%s\n", q, since(event))
	for _, text := range answer.Data {
		p.page.printf("            %s\n", text)
	}
	return nil
}

// visit shows the page once it is right, and the time since the event if there is one.
func (p *play) visit(ctx context.Context, event time.Time, v Visit, w wantPage) error {
	page, err := p.see(ctx, v, w)
	if err == nil {
		p.page.printf("   %-39s  %s%s\n", v, page, since(event))
	}
	return err
}

// see visits until the page is right.
func (p *play) see(ctx context.Context, v Visit, w wantPage) (Page, error) {
	return until(ctx, look[Page]{
		what: fmt.Sprintf("visiting https://%s%s", v.Host, v.Path), want: w.words, pace: pagePace,
		see:   func(ctx context.Context) (Page, error) { return p.world.Visit(ctx, v) },
		right: w.holds,
	})
}

// plays waits until a film has gone on for some pieces since before, from that node, without a break since.
func (p *play) plays(ctx context.Context, d Device, f Film, before Seen, from Member) (Seen, error) {
	const pieces = 5
	return until(ctx, look[Seen]{
		what: "watching a film on the " + string(d), want: fmt.Sprintf("%d more from %s", pieces, from),
		see: func(context.Context) (Seen, error) {
			seen := f.Seen()
			if seen.Again > before.Again {
				return seen, errors.New("the film broke off once more")
			}
			return seen, nil
		},
		right: func(s Seen) bool {
			return s.Again == before.Again && s.Node == from && s.Since >= 1 && s.Pieces >= before.Pieces+pieces
		},
	})
}

// known waits until plexproxy knows that of the tv's node.
func (p *play) known(ctx context.Context, want string, right func(Known) bool) error {
	_, err := until(ctx, look[Known]{
		what: fmt.Sprintf("asking plexproxy about %s", p.node), want: want, pace: pagePace,
		see:   func(ctx context.Context) (Known, error) { return p.world.Known(ctx, p.node) },
		right: right,
	})
	return err
}

// headline shows what a program's status page says above all else once these words are in it.
func (p *play) headline(ctx context.Context, r Reporter, words string) error {
	got, err := until(ctx, look[string]{
		what: fmt.Sprintf("reading the status page of %s", r), want: fmt.Sprintf("%q", words), pace: pagePace,
		see:   func(ctx context.Context) (string, error) { return p.world.Headline(ctx, r) },
		right: func(got string) bool { return strings.Contains(got, words) },
	})
	if err == nil {
		p.page.printf("   the status page of %s\n            %s\n", r, got)
	}
	return err
}

// since is the time since an event as the end of a line; nothing without one.
func since(event time.Time) string {
	if event.IsZero() {
		return ""
	}
	return ", " + after(event)
}

// after is the time since the event, in whole milliseconds and never none.
func after(event time.Time) string {
	return fmt.Sprintf("after %d ms", max(1, time.Since(event).Round(time.Millisecond).Milliseconds()))
}
