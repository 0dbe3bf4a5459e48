package page

import (
	"context"
	"net/http"
	"time"

	"plexha/zones/timeline"
)

// pause is how long it is between two messages to a page, so that what changes without a pause costs little. The first
// change goes out at once.
const pause = 100 * time.Millisecond

// message is what a page is told. What is left out is as it was.
type message struct {
	At     time.Time `json:"at"` // of the clock that all times in the page are of
	Title  string    `json:"title,omitempty"`
	Main   *string   `json:"main,omitempty"`   // everything, where parts do not do
	Parts  []part    `json:"parts,omitempty"`  // in the place of those with the same ids
	Events []part    `json:"events,omitempty"` // before what is in the lists with these ids
}

func (m *message) isEmpty() bool {
	return m.Title == "" && m.Main == nil && len(m.Parts) == 0 && len(m.Events) == 0
}

// Live tells a page what changes, until the request ends. News holds a value whenever the page may be another one.
func (st *Studio) Live(w http.ResponseWriter, r *http.Request, news <-chan struct{}) error {
	s, err := newStream(w)
	if err != nil || r.Method == http.MethodHead {
		return err
	}
	if r.FormValue("look") != look {
		return s.tell(event{name: "reload", data: nil})
	}
	has := r.Header.Get("Last-Event-Id") // after the connection was lost
	if has == "" {
		has = r.FormValue("state")
	}
	g, err := st.draw()
	if err != nil {
		return err
	}
	if err := s.first(g, has); err != nil {
		return err
	}
	return s.follow(r.Context(), news, st, g)
}

// first brings a page up to date that was drawn some time ago.
func (s *stream) first(g *drawing, has string) error {
	m := message{At: g.at}
	if has != g.state {
		b := &brush{}
		m.Title, m.Main = g.title, new(g.main(b))
		if b.err != nil {
			return b.err
		}
	}
	return s.tell(event{name: "news", id: g.state, data: m})
}

// follow tells what makes g the newest drawing, again and again.
func (s *stream) follow(ctx context.Context, news <-chan struct{}, st *Studio, g *drawing) error {
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for {
		isBeat := false
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-ticks.C:
			isBeat = true
		}
		next, err := st.draw()
		if err != nil {
			return err
		}
		m, err := changes(g, next)
		if err != nil {
			return err
		}
		m.At, g = next.at, next
		if m.isEmpty() && !isBeat {
			continue
		}
		if err := s.tell(event{name: "news", id: g.state, data: m}); err != nil {
			return err
		}
		rest(ctx)
	}
}

// rest waits until the next message may go out.
func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// changes returns what makes one drawing of a page the next one.
func changes(old, next *drawing) (message, error) {
	var m message
	if old.title != next.title {
		m.Title = next.title
	}
	if !isAlike(old, next) {
		b := &brush{}
		m.Main = new(next.main(b))
		return m, b.err
	}
	for i := range next.clusters {
		m.cluster(&old.clusters[i], &next.clusters[i])
	}
	return m, nil
}

// isAlike reports whether parts of one drawing can take the places of the other's.
func isAlike(a, b *drawing) bool {
	if len(a.clusters) != len(b.clusters) {
		return false
	}
	for i := range a.clusters {
		x, y := &a.clusters[i], &b.clusters[i]
		if len(x.sections) != len(y.sections) || newest(x.events) > newest(y.events) {
			return false
		}
		for j := range x.sections {
			if x.sections[j].id != y.sections[j].id {
				return false
			}
		}
	}
	return true
}

func (m *message) cluster(old, next *clusterDrawing) {
	m.part(part{next.id + "-head", next.head}, old.head)
	m.part(part{next.id + "-troubles", next.troubles}, old.troubles)
	for i := range next.sections {
		m.section(&old.sections[i], &next.sections[i])
	}
	if html, _ := drawEvents(after(next.events, newest(old.events)), maxPage); html != "" {
		m.Events = append(m.Events, part{next.id + "-events", html})
	}
}

func (m *message) part(p part, old string) {
	if p.HTML != old {
		m.Parts = append(m.Parts, p)
	}
}

func (m *message) section(old, next *sectionDrawing) {
	if old.shell != next.shell || len(old.rows) != len(next.rows) {
		m.Parts = append(m.Parts, part{next.id, next.html()})
		return
	}
	for i, r := range next.rows {
		m.part(r, old.rows[i].HTML)
	}
}

// after returns the events after the one of that number.
func after(events []timeline.Event, seq uint64) []timeline.Event {
	for i := range events {
		if events[i].Seq > seq {
			return events[i:]
		}
	}
	return nil
}
