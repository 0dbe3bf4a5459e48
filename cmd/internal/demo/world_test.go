package demo_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"plexha/cmd/internal/demo"
)

const (
	noticed  = 20 * time.Millisecond   // from a kill to the answer without it
	returned = 2 * time.Second         // from a revival to the answer with it
	found    = 5 * time.Second         // from another external address to the answer with it
	told     = 5050 * time.Millisecond // and to DuckDNS's
)

// fake is a home that answers as DNS clients should see it.
type fake struct {
	mu      sync.Mutex
	node    demo.Member // the node that inside is led to while both are up
	dead    map[demo.Member]bool
	changed map[demo.Member]time.Time
	events  []string
	edit    func(demo.Question, demo.Answer) (demo.Answer, error) // what goes wrong; nil: nothing
	killErr error
	moveErr error
	wan     demo.Member // whose external address the home has
	wanWas  demo.Member // and had
	moved   time.Time
}

func newFake() *fake {
	return &fake{
		node: demo.Plex1, dead: map[demo.Member]bool{}, changed: map[demo.Member]time.Time{},
		wan: demo.Wan, wanWas: demo.Wan,
	}
}

func (f *fake) world() demo.World {
	return demo.World{
		Ask:  f.ask,
		Kill: func(m demo.Member) error { f.happen(m, "kill", true); return f.killErr },
		Revive: func(_ context.Context, m demo.Member) error {
			f.happen(m, "revive", false)
			return nil
		},
		Alive: func(m demo.Member) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return !f.dead[m]
		},
		Move: f.move,
	}
}

func (f *fake) move(_ context.Context, m demo.Member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, "move "+string(m))
	f.wan, f.wanWas, f.moved = m, f.wan, time.Now()
	return f.moveErr
}

// external is the address that is known so long after it has changed.
func (f *fake) external(since time.Duration) demo.Answer {
	if time.Since(f.moved) < since {
		return address(f.wanWas)
	}
	return address(f.wan)
}

func (f *fake) happen(m demo.Member, what string, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, what+" "+string(m))
	f.dead[m], f.changed[m] = dead, time.Now()
}

// up is what plexdns knows by now.
func (f *fake) up(m demo.Member) bool {
	since := time.Since(f.changed[m])
	if f.dead[m] {
		return since < noticed
	}
	return since >= returned
}

func (f *fake) ask(_ context.Context, q demo.Question) (demo.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.right(q)
	if f.edit != nil {
		return f.edit(q, a)
	}
	return a, nil
}

func (f *fake) right(q demo.Question) demo.Answer {
	switch {
	case q.Type == dns.TypeTXT:
		return data(f.text(demo.Plex1), f.text(demo.Plex2))
	case q.Type != dns.TypeA:
		return data()
	case q.From == demo.Outside:
		return f.external(found)
	case q.From == demo.AtDuck:
		return f.external(told)
	}
	for _, m := range []demo.Member{demo.Proxy, f.node, demo.Plex1, demo.Plex2} {
		if f.up(m) {
			return address(m)
		}
	}
	return address(demo.Proxy)
}

func (f *fake) text(m demo.Member) string {
	state := "down"
	if f.up(m) {
		state = "up"
	}
	return fmt.Sprintf("%s %s since 2026-11-22T20:00:00Z", m, state)
}

func data(d ...string) demo.Answer { return demo.Answer{Data: d} }

func address(ms ...demo.Member) demo.Answer {
	var a demo.Answer
	for _, m := range ms {
		a.Data = append(a.Data, m.Addr().String())
	}
	return a
}
