package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"

	"plexha/zones/timeline"
)

// clock is how times are written: valid in a <time> element, and to be read by people.
const clock = "2006-01-02 15:04:05Z"

// A page should have less than maxPage bytes, so that a phone has it at once; the events are given what is left of
// that, and minEvents at least. What does not fit is in /events.json.
const (
	maxPage   = 98_000
	minEvents = 8_000
)

//go:embed page.tmpl
var layout string

//go:embed page.css
var style string

//go:embed page.js
var script string

var (
	templates = template.Must(template.New("page.tmpl").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.UTC().Format(clock) },
	}).Parse(layout))

	// look tells a page whether the program that made it is still the one that answers.
	look = fmt.Sprintf("%x", sha256.Sum256([]byte(layout+style+script)))[:12]

	// policy lets the page run and show what is in it, and nothing else.
	policy = fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; connect-src 'self'; "+
		"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", digest(script), digest(style))
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Show answers with a page.
func Show(w http.ResponseWriter, d Doc) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return Render(w, d)
}

// Render writes a page.
func Render(w io.Writer, d Doc) error {
	g, err := draw(d)
	if err != nil {
		return err
	}
	b := &brush{}
	shell := b.do("page", struct {
		Doc

		Title, Look, State string
		Slot               template.HTML
		Style              template.CSS
		Script             template.JS
	}{d, g.title, look, g.state, slot, template.CSS(style), template.JS(script)}) //nolint:gosec // they are ours
	main := g.main(b)
	if b.err != nil {
		return b.err
	}
	before, after, _ := strings.Cut(shell, slot)
	for _, text := range []string{before, main, after} {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// drawing is a page in parts, of which a browser is sent those that have changed.
type drawing struct {
	at       time.Time
	title    string
	state    string // of all parts: a digest
	clusters []clusterDrawing
}

// clusterDrawing is a cluster in parts. Those of another that has the same ids can take their places.
type clusterDrawing struct {
	id, zone, head, troubles string
	sections                 []sectionDrawing
	events                   []timeline.Event
}

// sectionDrawing is a section in parts.
type sectionDrawing struct {
	id    string
	shell string // all but the rows
	rows  []part
}

// part is an element of the page that has an id.
type part struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
}

// draw makes all parts but the events, which are many and never change.
func draw(d Doc) (*drawing, error) {
	g := &drawing{at: d.At, title: title(d)}
	b := &brush{}
	for i := range d.Clusters {
		g.clusters = append(g.clusters, b.cluster(fmt.Sprintf("c%d", i), &d.Clusters[i], d.Changes))
	}
	if b.err != nil {
		return nil, fmt.Errorf("drawing the page: %w", b.err)
	}
	sum := fnv.New64a()
	for _, c := range g.clusters {
		_, _ = fmt.Fprint(sum, c.head, c.troubles, newest(c.events)) // a hash takes everything
		for _, s := range c.sections {
			_, _ = io.WriteString(sum, s.shell)
			for _, r := range s.rows {
				_, _ = io.WriteString(sum, r.HTML)
			}
		}
	}
	g.state = fmt.Sprintf("%016x", sum.Sum64())
	return g, nil
}

// title returns the headline of the worst cluster.
func title(d Doc) string {
	said := d.Program
	worst := len(ranks)
	for _, c := range d.Clusters {
		if rank := ranks[c.Level]; rank < worst {
			worst, said = rank, c.Headline+" - "+c.Zone
		}
	}
	return said
}

func newest(events []timeline.Event) uint64 {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].Seq
}

// brush executes templates, until one fails.
type brush struct {
	buf bytes.Buffer
	err error
}

func (b *brush) do(name string, data any) string {
	b.buf.Reset()
	if b.err == nil {
		b.err = templates.ExecuteTemplate(&b.buf, name, data)
	}
	return b.buf.String()
}

func (b *brush) cluster(id string, c *Cluster, changes bool) clusterDrawing {
	g := clusterDrawing{id: id, zone: c.Zone, events: c.Events}
	said := Trouble{Level: c.Level, Text: c.Headline, Since: c.Since, Why: c.Why}
	g.head = b.do("head", struct {
		ID, Zone string
		Level    Level
		Said     Trouble
		More     int
	}{id, c.Zone, c.Level, said, c.More})
	shown := c.Troubles
	if len(shown) > 0 && shown[0].Text == c.Headline {
		shown = shown[1:] // the headline has said it
	}
	g.troubles = b.do("troubles", struct {
		ID       string
		Troubles []Trouble
	}{id, shown})
	for i := range c.Sections {
		g.sections = append(g.sections, b.section(id, &c.Sections[i], changes))
	}
	return g
}

func (b *brush) section(cluster string, s *Section, changes bool) sectionDrawing {
	g := sectionDrawing{id: cluster + "-" + s.Name}
	hasForms := false
	for i := range s.Rows {
		hasForms = hasForms || changes && len(s.Rows[i].Forms) > 0
	}
	for i := range s.Rows {
		id := fmt.Sprintf("%s-%d", g.id, i)
		g.rows = append(g.rows, part{id, b.do("row", rowView(id, s.Columns, &s.Rows[i], hasForms))})
	}
	var rows template.HTML
	if len(g.rows) > 0 {
		rows = slot
	}
	g.shell = b.do("section", struct {
		*Section

		ID       string
		HasForms bool
		Slot     template.HTML
	}{s, g.id, hasForms, rows})
	return g
}

// slot stands for what is put into the text of a template afterwards, which is cheaper than to have it go through all
// of them. No text brings another one in: html/template replaces NUL.
const slot = "\x00"

// html returns the whole section.
func (s *sectionDrawing) html() string { return strings.Join(s.pieces(), "") }

// pieces returns what makes the section, one after the other.
func (s *sectionDrawing) pieces() []string {
	before, after, _ := strings.Cut(s.shell, slot)
	all := []string{before}
	for _, r := range s.rows {
		all = append(all, r.HTML)
	}
	return append(all, after)
}

// main returns all clusters.
func (g *drawing) main(b *brush) string {
	if len(g.clusters) == 0 {
		return b.do("nobody", nil)
	}
	room := max(minEvents, maxPage-len(style)-len(script)-g.size()) / len(g.clusters)
	var all []string
	for i := range g.clusters {
		c := &g.clusters[i]
		events, isCut := drawEvents(c.events, room)
		shell := b.do("article", struct {
			ID, Zone string
			Slot     template.HTML
			IsCut    bool
		}{c.id, c.zone, slot, isCut})
		before, rest, _ := strings.Cut(shell, slot)
		between, after, _ := strings.Cut(rest, slot)
		all = append(all, before)
		all = append(all, c.pieces()...)
		all = append(all, between, events, after)
	}
	return strings.Join(all, "")
}

// pieces returns what stands above the events, one after the other.
func (c *clusterDrawing) pieces() []string {
	all := []string{c.head, c.troubles}
	for i := range c.sections {
		all = append(all, c.sections[i].pieces()...)
	}
	return all
}

// size returns how many bytes all pieces have, about.
func (g *drawing) size() int {
	const frame = 2_000 // what is around them
	n := frame
	for i := range g.clusters {
		for _, piece := range g.clusters[i].pieces() {
			n += len(piece)
		}
	}
	return n
}
