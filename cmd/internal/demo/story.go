package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Play tells the story in w to out, and returns an error with the first step that does not hold.
func Play(ctx context.Context, w World, out io.Writer) error {
	p := &play{world: w, page: &page{w: out}}
	defer p.endFilms()
	steps := []func(context.Context) error{
		p.allUp, p.overHTTPS, p.kept, p.drained, p.undrained, p.nodeKilled, p.nodeBack, p.proxyKilled, p.proxyBack, p.moved,
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
	node  Member // the tv's

	tv, tablet Film // nil: nothing plays there
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

func (p *play) overHTTPS(ctx context.Context) error {
	p.title("The proxy speaks HTTPS under all names, with an authority of its own.")
	for _, n := range []struct {
		visit Visit
		want  wantPage
	}{
		{Visit{By: TV, Host: bare(mainName), Path: "/identity"}, comesFrom(Plex1, Plex2)}, // else it depends on the ports
		{Visit{Host: hostOf(Plex1), Path: "/identity"}, comesFrom(Plex1)},
		{Visit{Host: hostOf(Plex2), Path: "/identity"}, comesFrom(Plex2)},
	} {
		if err := p.visit(ctx, time.Time{}, n.visit, n.want); err != nil {
			return err
		}
	}
	return nil
}

// kept has two devices ask for the same thing again and again.
func (p *play) kept(ctx context.Context) error {
	const times = 20
	p.title("Each device stays with its node, request after request.")
	for _, d := range []Device{TV, Tablet} {
		v := Visit{By: d, Host: bare(mainName), Path: "/"}
		first, err := p.see(ctx, v, comesFrom(Plex1, Plex2))
		if err != nil {
			return err
		}
		for range times - 1 {
			if _, err := p.see(ctx, v, comesFrom(first.Node)); err != nil {
				return err
			}
		}
		if d == TV {
			p.node = first.Node
		}
		p.line(string(d), fmt.Sprintf("%d requests", times), string(first.Node))
	}
	return nil
}

func (p *play) drained(ctx context.Context) error {
	p.title("A film plays on the tv. Its node is drained, as by plexctl drain %s.", p.node)
	p.tv = p.world.Play(TV)
	seen, err := p.plays(ctx, TV, p.tv, Seen{}, p.node)
	if err != nil {
		return err
	}
	p.line("tv", "plays", "from "+string(p.node))
	if err := p.order(ctx, Drain, Drain); err != nil {
		return err
	}
	if err := p.place(ctx, Guests(1), p.other()); err != nil {
		return err
	}
	if _, err := p.plays(ctx, TV, p.tv, seen, p.node); err != nil {
		return err
	}
	p.line("tv", "plays on", "from "+string(p.node))
	return p.stopped(ctx)
}

func (p *play) undrained(ctx context.Context) error {
	p.title("The order is taken back, as by plexctl undrain %s.", p.node)
	if err := p.order(ctx, Undrain, ""); err != nil {
		return err
	}
	return p.place(ctx, Guests(2), Plex1, Plex2)
}

// order tells plexdns, and waits until plexproxy has read it.
func (p *play) order(ctx context.Context, o, then Order) error {
	event := time.Now()
	if err := p.world.Order(ctx, p.node, o); err != nil {
		return err
	}
	err := p.known(ctx, fmt.Sprintf("order %q", then), func(k Known) bool { return k.Order == then })
	if err == nil {
		p.line("proxy", "follows the order", after(event))
	}
	return err
}

// place has new devices come, who must go to these nodes, and to each of them.
func (p *play) place(ctx context.Context, guests []Device, to ...Member) error {
	met := map[Member]bool{}
	for _, d := range guests {
		page, err := p.see(ctx, Visit{By: d, Host: bare(mainName), Path: "/"}, comesFrom(to...))
		if err != nil {
			return err
		}
		met[page.Node] = true
	}
	for _, m := range to {
		if !met[m] {
			return fmt.Errorf("placing %d new devices: none is at %s", len(guests), m)
		}
	}
	p.line("others", fmt.Sprintf("%d new devices", len(guests)), strings.ReplaceAll(oneOf(to), " or ", " and "))
	return nil
}

// stopped ends the tv's film, and waits until the proxy sees nobody at its node.
func (p *play) stopped(ctx context.Context) error {
	event := time.Now()
	p.tv.Stop()
	p.tv = nil
	err := p.known(ctx, "0 playbacks", func(k Known) bool { return k.Playbacks == 0 })
	if err == nil {
		p.line("tv", "stops", fmt.Sprintf("none is left on %s, %s", p.node, after(event)))
	}
	return err
}

func (p *play) nodeKilled(ctx context.Context) error {
	p.title("Films play from both. %s is killed (SIGKILL): the others go on.", p.node)
	p.tv, p.tablet = p.world.Play(TV), p.world.Play(Tablet)
	tv, err := p.plays(ctx, TV, p.tv, Seen{}, p.node)
	if err != nil {
		return err
	}
	tablet, err := p.plays(ctx, Tablet, p.tablet, Seen{}, p.other())
	if err != nil {
		return err
	}
	event := time.Now()
	if err := p.world.Kill(p.node); err != nil {
		return err
	}
	if err := p.states(ctx, event, map[Member]string{p.node: "down", p.other(): "up"}); err != nil {
		return err
	}
	if err := p.visit(ctx, event, Visit{Host: bare(mainName), Path: "/identity"}, comesFrom(p.other())); err != nil {
		return err
	}
	if err := p.visit(ctx, event, Visit{Host: hostOf(p.node), Path: "/"}, saysDown(p.node)); err != nil {
		return err
	}
	return p.nodeMissed(ctx, event, tv, tablet)
}

// nodeMissed shows what viewers notice of a node's death, and the operator.
func (p *play) nodeMissed(ctx context.Context, event time.Time, tv, tablet Seen) error {
	if _, err := p.plays(ctx, Tablet, p.tablet, tablet, p.other()); err != nil {
		return err
	}
	p.line("tablet", "plays on", "from "+string(p.other()))
	tv.Again++
	if _, err := p.plays(ctx, TV, p.tv, tv, p.other()); err != nil {
		return err
	}
	p.line("tv", "begins its film again", fmt.Sprintf("from %s, %s", p.other(), after(event)))
	return p.headline(ctx, Plexdns, string(p.node)+" is down")
}

func (p *play) nodeBack(ctx context.Context) error {
	p.endFilms()
	p.title("%s is revived.", p.node)
	event := time.Now()
	if err := p.world.Revive(ctx, p.node); err != nil {
		return err
	}
	if err := p.states(ctx, event, map[Member]string{Plex1: "up", Plex2: "up"}); err != nil {
		return err
	}
	if err := p.visit(ctx, event, Visit{Host: hostOf(p.node), Path: "/identity"}, comesFrom(p.node)); err != nil {
		return err
	}
	return p.headline(ctx, Plexdns, allIsWell)
}

func (p *play) proxyKilled(ctx context.Context) error {
	p.title("The proxy is killed: inside gets a node, and outside nothing changes.")
	event := time.Now()
	if err := p.world.Kill(Proxy); err != nil {
		return err
	}
	if err := p.await(ctx, event, inside(), leadsTo(Plex1, Plex2)); err != nil {
		return err
	}
	if err := p.outside(ctx); err != nil {
		return err
	}
	return p.headline(ctx, Plexdns, "is down")
}

func (p *play) proxyBack(ctx context.Context) error {
	p.title("It is revived, and knows where everybody was.")
	event := time.Now()
	if err := p.world.Revive(ctx, Proxy); err != nil {
		return err
	}
	if err := p.await(ctx, event, inside(), leadsTo(Proxy)); err != nil {
		return err
	}
	v := Visit{By: Tablet, Host: bare(mainName), Path: "/"}
	if err := p.visit(ctx, time.Time{}, v, comesFrom(p.other())); err != nil {
		return err
	}
	return p.headline(ctx, Plexproxy, allIsWell)
}

// moved has the provider change the external address.
func (p *play) moved(ctx context.Context) error {
	p.title("The external address changes: once echoes agree for 5 s, DuckDNS is told.")
	event := time.Now()
	if err := p.world.Move(ctx, WanNew); err != nil {
		return err
	}
	if err := p.await(ctx, event, outside(), leadsTo(WanNew)); err != nil {
		return err
	}
	if err := p.await(ctx, event, atDuck(), leadsTo(WanNew)); err != nil {
		return err
	}
	return p.headline(ctx, Plexdns, allIsWell)
}

// allIsWell is what a status page says when it is so.
const allIsWell = "all is well"

// other returns the node that p.node is not.
func (p *play) other() Member {
	if p.node == Plex1 {
		return Plex2
	}
	return Plex1
}

// hostOf returns a node's own name.
func hostOf(m Member) string { return string(m) + "." + bare(zoneName) }

func inside() Question  { return Question{Inside, mainName, dns.TypeA} }
func outside() Question { return Question{Outside, mainName, dns.TypeA} }
func atDuck() Question  { return Question{AtDuck, mainName, dns.TypeA} }

// endFilms ends what still plays.
func (p *play) endFilms() {
	for _, f := range []*Film{&p.tv, &p.tablet} {
		if *f != nil {
			(*f).Stop()
			*f = nil
		}
	}
}
