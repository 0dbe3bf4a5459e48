package page

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"plexha/zones/timeline"
)

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
	hasForms := changes && slices.ContainsFunc(s.Rows, func(r Row) bool { return len(r.Forms) > 0 })
	for i := range s.Rows {
		id := fmt.Sprintf("%s-%d", g.id, i)
		g.rows = append(g.rows, part{id, b.do("row", newRowView(id, s.Columns, &s.Rows[i], hasForms))})
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
