package demo_test

import (
	"context"
	"fmt"
	"net/http"
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
	broke    = 5 * time.Second         // from a kill to the film from elsewhere
)

// fake is a home that answers as clients should see it.
type fake struct {
	mu      sync.Mutex
	node    demo.Member // the node that inside is led to while both are up, and the tv's
	dead    map[demo.Member]bool
	changed map[demo.Member]time.Time
	drained demo.Member // empty: none
	films   map[demo.Device]*fakeFilm
	events  []string
	wan     demo.Member // whose external address the home has
	wanWas  demo.Member // and had
	moved   time.Time

	// What goes wrong; nil: nothing.
	edit     func(demo.Question, demo.Answer) (demo.Answer, error)
	show     func(demo.Visit, demo.Page) (demo.Page, error)
	headline func(demo.Reporter, string) string
	watch    func(demo.Device, demo.Seen) demo.Seen
	know     func(demo.Known) demo.Known
	killErr  error
	moveErr  error
	orderErr error
}

func newFake() *fake {
	return &fake{
		node: demo.Plex1, dead: map[demo.Member]bool{}, changed: map[demo.Member]time.Time{},
		films: map[demo.Device]*fakeFilm{}, wan: demo.Wan, wanWas: demo.Wan,
	}
}

func (f *fake) world() demo.World {
	return demo.World{
		Ask: f.ask, Visit: f.visit, Play: f.play, Known: f.known, Headline: f.say, Order: f.order,
		Health: f.health, Follow: f.follow,
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

func (f *fake) order(_ context.Context, m demo.Member, o demo.Order) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, string(o)+" "+string(m))
	f.drained = ""
	if o == demo.Drain {
		f.drained = m
	}
	return f.orderErr
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

// up is what is known by now.
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

// home returns the node of a device: guests with an even number are at home where the tv is.
func (f *fake) home(d demo.Device) demo.Member {
	if d == "" || d == demo.TV || d[len(d)-1]%2 == 0 && d != demo.Tablet {
		return f.node
	}
	return other(f.node)
}

func other(m demo.Member) demo.Member {
	if m == demo.Plex1 {
		return demo.Plex2
	}
	return demo.Plex1
}

func (f *fake) visit(_ context.Context, v demo.Visit) (demo.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := demo.Page{Status: http.StatusOK, Node: f.home(v.By)}
	named := demo.Member(v.Host[:len(demo.Plex1)])
	switch {
	case named != "plex." && !f.up(named):
		page = demo.Page{Status: http.StatusServiceUnavailable, Title: string(named) + " is down."}
	case named == demo.Plex1, named == demo.Plex2:
		page.Node = named
	case !f.up(page.Node), v.By != "" && f.drained == page.Node:
		page.Node = other(page.Node)
	}
	if f.show != nil {
		return f.show(v, page)
	}
	return page, nil
}

func (f *fake) say(_ context.Context, r demo.Reporter) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	words := "all is well since 2026-11-22 20:00:00Z"
	for _, m := range []demo.Member{demo.Proxy, demo.Plex1, demo.Plex2} {
		if !f.up(m) {
			words = string(m) + " is down since 2026-11-22 20:00:00Z: connection refused"
		}
	}
	if f.headline != nil {
		words = f.headline(r, words)
	}
	return words, nil
}

func (f *fake) known(_ context.Context, m demo.Member) (demo.Known, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := demo.Known{Name: m, State: "up"}
	if !f.up(m) {
		k.State = "down"
	}
	if f.drained == m {
		k.Order = demo.Drain
	}
	for _, film := range f.films {
		if film.seen().Node == m {
			k.Playbacks++
		}
	}
	if f.know != nil {
		k = f.know(k)
	}
	return k, nil
}

func (f *fake) health(context.Context) ([]demo.Health, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []demo.Health
	for _, m := range []demo.Member{demo.Plex1, demo.Plex2, demo.Proxy} {
		h := demo.Health{State: "up", Since: f.changed[m]}
		if !f.up(m) {
			h.State, h.Why = "down", "connection refused"
		}
		if f.drained == m {
			h.Order = "drain"
		}
		all = append(all, h)
	}
	return all, nil
}

// follow tells of a node that has come up, and then of what is done.
func (f *fake) follow(ctx context.Context, tell func(demo.Event)) error {
	tell(demo.Event{At: time.Now(), Text: "node plex1 is up"})
	for told := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		f.mu.Lock()
		events := f.events[told:]
		told = len(f.events)
		f.mu.Unlock()
		for _, e := range events {
			tell(demo.Event{At: time.Now(), Text: e})
		}
	}
}

// play begins a film at the node of the device.
func (f *fake) play(d demo.Device) demo.Film {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, "play "+string(d))
	f.films[d] = &fakeFilm{fake: f, device: d, began: time.Now()}
	return f.films[d]
}

// fakeFilm has ten pieces a second.
type fakeFilm struct {
	fake   *fake
	device demo.Device
	began  time.Time
}

func (m *fakeFilm) seen() demo.Seen {
	home := m.fake.home(m.device)
	pieces := int(time.Since(m.began) / (100 * time.Millisecond))
	if !m.fake.dead[home] {
		return demo.Seen{Node: home, Pieces: pieces, Since: pieces}
	}
	since := time.Since(m.fake.changed[home])
	if since < broke {
		pieces -= int(since / (100 * time.Millisecond))
		return demo.Seen{Node: home, Pieces: pieces, Since: pieces}
	}
	return demo.Seen{Node: other(home), Pieces: pieces, Again: 1, Since: int((since - broke) / (100 * time.Millisecond))}
}

func (m *fakeFilm) Seen() demo.Seen {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	if m.fake.watch != nil {
		return m.fake.watch(m.device, m.seen())
	}
	return m.seen()
}

func (m *fakeFilm) Stop() {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	m.fake.events = append(m.fake.events, "stop "+string(m.device))
	delete(m.fake.films, m.device)
}

func data(d ...string) demo.Answer { return demo.Answer{Data: d} }

func address(ms ...demo.Member) demo.Answer {
	var a demo.Answer
	for _, m := range ms {
		a.Data = append(a.Data, m.Addr().String())
	}
	return a
}
