package man

import (
	"regexp"
	"strings"
)

// pages are the man pages of the manuals that the others refer to.
var pages = map[string]string{"plugin/README.md": "**coredns-plex**(7)", "proxy/README.md": "**plexproxy**(8)"}

var (
	// title is a manual's first line, which the page's title replaces.
	title = regexp.MustCompile(`\A# .*\n`)
	// name is its name in its first section, before a sentence: a man page has a phrase there.
	name = regexp.MustCompile(`(?m)\A(\s*## Name\n\n)\*[a-z]+\* - (.*)\.$`)
	// section is the head of one.
	section = regexp.MustCompile(`(?m)^## (.*)$`)
	// link leads to another file of the source.
	link = regexp.MustCompile(`\[([^\]]+)\]\((?:\.\./)*([^):]+)\)`)
)

// adapt returns a manual in Markdown as the text of a man page of that title.
func adapt(manual, as string) string {
	manual = title.ReplaceAllString(manual, "")
	manual = name.ReplaceAllString(manual, "${1}"+as+" - ${2}")
	var out, table []string
	fence := ""
	for line := range strings.SplitSeq(manual, "\n") {
		switch mark := strings.TrimSpace(line); {
		case fence != "":
			if mark == fence {
				fence = ""
			}
		case strings.HasPrefix(mark, "~~~"), strings.HasPrefix(mark, "```"):
			fence, line = mark[:3], mark[:3]
		case strings.HasPrefix(line, "|"):
			table = append(table, line)
			continue
		default:
			line = indent(adaptLine(line))
		}
		if table != nil {
			out, table = append(out, list(table)...), nil
		}
		out = append(out, line)
	}
	return strings.Join(append(out, list(table)...), "\n")
}

// adaptLine makes a section of a heading, and a page's name of a link.
func adaptLine(line string) string {
	if m := section.FindStringSubmatch(line); m != nil {
		return "# " + strings.ToUpper(m[1])
	}
	return link.ReplaceAllStringFunc(line, func(l string) string {
		m := link.FindStringSubmatch(l)
		if page := pages[m[2]]; page != "" {
			return m[1] + ", " + page
		}
		return m[1]
	})
}

// indent indents what continues a list's item by a multiple of 4, as Markdown in its first form has it.
func indent(line string) string {
	text := strings.TrimLeft(line, " ")
	n := len(line) - len(text)
	return strings.Repeat(" ", (n+3)/4*4) + text
}

// list returns a table as a list: the first column's cells with what the others say of them. Wide tables do not fit
// on a terminal.
func list(table []string) []string {
	if len(table) < 2 {
		return table
	}
	heads := cells(table[0])
	out := []string{""}
	for _, line := range table[2:] { // behind the heads and the rule
		row := cells(line)
		var says []string
		for i := 1; i < len(row); i++ {
			switch {
			case row[i] == "":
			case len(heads) > 2 && i < len(heads):
				says = append(says, heads[i]+": "+row[i])
			default:
				says = append(says, row[i])
			}
		}
		out = append(out, "* "+adaptLine(row[0])+": "+adaptLine(strings.Join(says, "; ")))
	}
	return append(out, "")
}

// cells splits a table's line. A bar with a backslash before it is part of a cell.
func cells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(strings.TrimSpace(line), `\|`, bar)
	var out []string
	for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(cell), bar, "|"))
	}
	return out
}
