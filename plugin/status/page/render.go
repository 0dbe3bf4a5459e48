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
	"net/url"
	"strings"
	"time"

	"plexha/zones/timeline"
)

// clock is how times are written: valid in a <time> element, and to be read by people.
const clock = "2006-01-02 15:04:05Z"

// maxEvents bounds the bytes of the events in a page. What does not fit is in /events.json.
const maxEvents = 44 << 10

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
	look = digest(layout + style + script)[:12]

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
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	return Render(w, d)
}

// Render writes a page.
func Render(w io.Writer, d Doc) error {
	g, err := draw(d)
	if err != nil {
		return err
	}
	main, err := g.main()
	if err != nil {
		return err
	}
	return templates.ExecuteTemplate(w, "page", struct {
		Doc

		Title, Look, State string
		Main               template.HTML
		Style              template.CSS
		Script             template.JS
	}{d, g.title, look, g.state, main, template.CSS(style), template.JS(script)}) //nolint:gosec // they are ours
}

// drawing is a page in parts, of which a browser is sent those that have changed.
type drawing struct {
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
	g := &drawing{title: title(d)}
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
			_, _ = fmt.Fprint(sum, s.id, s.shell, s.rows)
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
	said := Trouble{c.Level, c.Headline, c.Since, c.Why}
	g.head = b.do("head", struct {
		ID, Zone string
		Level    Level
		Said     Trouble
	}{id, c.Zone, c.Level, said})
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
		g.rows = append(g.rows, part{id, b.do("row", struct {
			*Row

			ID       string
			Columns  []string
			HasForms bool
		}{&s.Rows[i], id, s.Columns, hasForms})})
	}
	g.shell = b.do("section", struct {
		*Section

		ID       string
		HasForms bool
		Rows     []template.HTML
	}{s, g.id, hasForms, slots(len(g.rows))})
	return g
}

// slot stands for the rows of a section. No template or text makes a NUL: html/template replaces it.
const slot = "\x00"

// slots returns what stands for n rows.
func slots(n int) []template.HTML {
	if n == 0 {
		return nil
	}
	return []template.HTML{slot}
}

// html returns the whole section.
func (s *sectionDrawing) html() string {
	before, after, _ := strings.Cut(s.shell, slot)
	var b strings.Builder
	b.WriteString(before)
	for _, r := range s.rows {
		b.WriteString(r.HTML)
	}
	b.WriteString(after)
	return b.String()
}

// main returns all clusters.
func (g *drawing) main() (template.HTML, error) {
	type shown struct {
		ID, Zone               string
		Head, Troubles, Events template.HTML
		Sections               []template.HTML
		IsCut                  bool
	}
	var all []shown
	for _, c := range g.clusters {
		events, isCut, err := drawEvents(c.events, maxEvents/len(g.clusters))
		if err != nil {
			return "", err
		}
		s := shown{
			ID: c.id, Zone: c.zone, Head: template.HTML(c.head), Troubles: template.HTML(c.troubles), //nolint:gosec // templates made it
			Events: template.HTML(events), IsCut: isCut, //nolint:gosec // as above
		}
		for _, section := range c.sections {
			s.Sections = append(s.Sections, template.HTML(section.html())) //nolint:gosec // as above
		}
		all = append(all, s)
	}
	b := &brush{}
	main := b.do("main", all)
	return template.HTML(main), b.err //nolint:gosec // as above
}

// drawEvents returns the newest events first, as many as fit into so many bytes.
func drawEvents(events []timeline.Event, room int) (html string, isCut bool, err error) {
	b := &brush{}
	var out strings.Builder
	for i := len(events) - 1; i >= 0; i-- {
		row := b.do("event", events[i])
		if out.Len()+len(row) > room {
			return out.String(), true, b.err
		}
		out.WriteString(row)
	}
	return out.String(), false, b.err
}

// URL returns where the form is sent.
func (f Form) URL() string {
	v := url.Values{}
	for _, field := range f.Fields {
		v.Set(field.Name, field.Value)
	}
	return f.Action + "?" + v.Encode()
}

// IsEmpty reports whether there is nothing in the cell.
func (c Cell) IsEmpty() bool { return c == Cell{} }
