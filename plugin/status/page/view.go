package page

import (
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"plexha/zones/timeline"
)

// Templates are given plain strings: each function that they call costs as much as dozens of those.

// rowView is a row as its template has it.
type rowView struct {
	ID       string
	Level    string
	Head     cellView
	Cells    []cellView
	Forms    []formView
	HasForms bool
}

// cellView is a cell as its template has it.
type cellView struct {
	Label string // the column's title; empty: there is nothing in the cell
	Text  string
	Badge string
	Clock string
	Small string
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
		cell := cellView{Text: c.Text, Badge: string(c.Badge), Clock: clockText(c.Time), Small: c.Small}
		if c != (Cell{}) {
			cell.Label = columns[i]
		}
		if i == 0 {
			v.Head = cell
		} else {
			v.Cells = append(v.Cells, cell)
		}
	}
	return v
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
