package page

import (
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"plexha/zones/timeline"
)

// Templates are given as little as can be: each value that they look at costs a microsecond.

// rowView is a row as its template has it.
type rowView struct {
	ID       string
	Level    string
	Head     template.HTML
	Cells    []cellView
	Forms    []formView
	HasForms bool
}

// cellView is a cell as its template has it.
type cellView struct {
	Label string // the column's title; empty: there is nothing in the cell
	HTML  template.HTML
}

// formView is a form as its template has it.
type formView struct{ Label, Spoken, URL string }

// newRowView returns a row of a table with these columns. Cells without anything in them stay so.
func newRowView(id string, columns []string, r *Row, hasForms bool) rowView {
	v := rowView{ID: id, Level: string(r.Level), HasForms: hasForms}
	for _, f := range r.Forms {
		v.Forms = append(v.Forms, formView{f.Label, f.Label + " " + f.About, f.url()})
	}
	for i, c := range r.Cells {
		cell := cellView{HTML: c.html()}
		if cell.HTML != "" {
			cell.Label = columns[i]
		}
		if i == 0 {
			v.Head = cell.HTML
		} else {
			v.Cells = append(v.Cells, cell)
		}
	}
	return v
}

// html returns what is in the cell: text, all of which is escaped.
func (c Cell) html() template.HTML {
	out := template.HTMLEscapeString(c.Text)
	if c.Badge != "" {
		out = `<b class="` + template.HTMLEscapeString(string(c.Badge)) + `">` + out + "</b>"
	}
	if !c.Time.IsZero() {
		out += " <time>" + clockText(c.Time) + "</time>"
	}
	if c.Small != "" {
		out += "<small>" + template.HTMLEscapeString(c.Small) + "</small>"
	}
	return template.HTML(out) //nolint:gosec // what is not ours is escaped
}

// clockText returns a time as it is written; the zero Time is nothing.
func clockText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(clock)
}

// url returns where the form is sent.
func (f Form) url() string {
	v := url.Values{}
	for _, field := range f.Fields {
		v.Set(field.Name, field.Value)
	}
	return f.Action + "?" + v.Encode()
}

// eventLevels are those of the levels that are marked.
var eventLevels = map[timeline.Level]string{
	timeline.Doubt: ` class="doubt"`, timeline.Warning: ` class="warning"`, timeline.Error: ` class="error"`,
}

// drawEvents returns the newest events first, as many as fit into so many bytes. There are hundreds, which a template
// would draw in a third of the time that a page may take.
func drawEvents(events []timeline.Event, room int) (html string, isCut bool) {
	var rows []string
	for _, e := range slices.Backward(events) {
		row := "<li" + eventLevels[e.Level] + "><time>" + clockText(e.At) + "</time> " + template.HTMLEscapeString(e.Text) + "\n"
		if room -= len(row); room < 0 {
			break
		}
		rows = append(rows, row)
	}
	return strings.Join(rows, ""), len(rows) < len(events)
}
