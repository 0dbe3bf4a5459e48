package operate

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"plexha/plugin/status/page"
)

// clock shows a time as a person here reads it.
func clock(t time.Time) string { return t.Local().Format(time.DateTime) }

// plain returns words of others without what a terminal would obey.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	return strings.TrimSpace(s)
}

// colours are those of levels, as ECMA-48 has them (SGR).
var colours = map[page.Level]string{page.Good: "32", page.Quiet: "2", page.Doubt: "33", page.Poor: "33", page.Bad: "1;31"}

// painter colours words, or leaves them.
type painter bool

// paints reports whether out takes colours: a terminal does, unless its user wants none (https://no-color.org).
func paints(out io.Writer) painter {
	return painter(isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor fits
}

func (p painter) paint(level page.Level, s string) string {
	colour := colours[level]
	if !p || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// cell is one of a table.
type cell struct {
	text  string
	level page.Level // of a word that is coloured
}

// table sets cells in columns below their heads, without the columns in which nobody has anything.
func (p painter) table(heads []string, rows [][]cell) string {
	widths := make([]int, len(heads))
	for _, row := range rows {
		for i, c := range row {
			if c.text != "" {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text), utf8.RuneCountInString(heads[i]))
			}
		}
	}
	top := make([]cell, len(heads))
	for i, head := range heads {
		top[i].text = strings.ToUpper(head)
	}
	var out strings.Builder
	for _, row := range slices.Insert(rows, 0, top) {
		var line strings.Builder
		line.WriteString("  ")
		for i, c := range row {
			if widths[i] == 0 {
				continue
			}
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			line.WriteString(" " + p.paint(c.level, c.text) + gap + " ")
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}

// headlines says of each cluster in one line whether all is well.
func (p painter) headlines(docs []page.Doc) string {
	var out strings.Builder
	for i := range docs {
		for j := range docs[i].Clusters {
			c := &docs[i].Clusters[j]
			said := sentence(page.Trouble{Text: c.Headline, Since: c.Since, Why: c.Why})
			if c.More > 0 {
				said += fmt.Sprintf("; and %d more", c.More)
			}
			fmt.Fprintf(&out, "%s: %s (%s)\n", plain(c.Zone), p.paint(c.Level, said), docs[i].Program)
		}
	}
	return out.String()
}

// sentence says what is not well, since when and why.
func sentence(t page.Trouble) string {
	s := plain(t.Text)
	if !t.Since.IsZero() {
		s += " since " + clock(t.Since)
	}
	if t.Why != "" {
		s += ": " + plain(t.Why)
	}
	return s
}

// cluster shows all that one program knows of a cluster.
func (p painter) cluster(program string, c *page.Cluster) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s, %s\n", plain(c.Zone), program)
	out.WriteString(p.troubles(c))
	for i := range c.Sections {
		out.WriteString(p.section(&c.Sections[i]))
	}
	return out.String()
}

// troubles lists what is not well, but for what the headline says.
func (p painter) troubles(c *page.Cluster) string {
	said := page.Trouble{Level: c.Level, Text: c.Headline, Since: c.Since, Why: c.Why}
	var out strings.Builder
	for _, t := range c.Troubles {
		if t == said {
			continue
		}
		if out.Len() == 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "   %s\n", p.paint(t.Level, sentence(t)))
	}
	return out.String()
}

func (p painter) section(s *page.Section) string {
	if len(s.Rows) == 0 {
		return ""
	}
	var rows [][]cell
	for i := range s.Rows {
		var cells []cell
		for _, c := range s.Rows[i].Cells {
			cells = append(cells, cellOf(c))
		}
		rows = append(rows, cells)
	}
	return fmt.Sprintf("\n%s\n%s", plain(s.Title), p.table(s.Columns, rows))
}

// cellOf returns a cell of the page as text in one line.
func cellOf(c page.Cell) cell {
	var words []string
	if s := plain(c.Text); s != "" {
		words = append(words, s)
	}
	if !c.Time.IsZero() {
		words = append(words, clock(c.Time))
	}
	if s := plain(c.Small); s != "" {
		words = append(words, "("+s+")")
	}
	return cell{strings.Join(words, " "), c.Badge}
}
