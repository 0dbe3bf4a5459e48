package man

import (
	_ "embed" // see aboutPlexdns
	"flag"
	"fmt"
	"regexp"
	"strings"

	"plexha/cmd/internal/command"
)

//go:embed plexdns.md
var aboutPlexdns string

// plexdns returns the page of plexdns.
func (s *Sources) plexdns() string {
	before, after, _ := strings.Cut(aboutPlexdns, "OPTIONS\n")
	return fmt.Sprintf("# NAME\n\nplexdns - %s\n\n# SYNOPSIS\n\n%s\n%s# OPTIONS\n\n%s%s",
		s.Plexdns.Summary, synopsis("plexdns", new(command.Command), s.Plexdns.Flags), before, flags(s.Plexdns.Flags), after)
}

// plexctl returns the page of plexctl.
func (s *Sources) plexctl() string {
	p := s.Plexctl
	var out strings.Builder
	fmt.Fprintf(&out, "# NAME\n\nplexctl - %s\n\n# SYNOPSIS\n\n**plexctl** *COMMAND* [*flags*] [*arguments*]\n\n", p.Summary)
	fmt.Fprintf(&out, "# DESCRIPTION\n\n%s\n\n# COMMANDS\n\n", p.About)
	for _, c := range p.Shown() {
		set := c.Set()
		fmt.Fprintf(&out, "### %s\n\n%s\n%s\n\n", c.Name, synopsis("plexctl", &c, set), command.Sentence(c.Summary))
		out.WriteString(prose(c.About) + flags(set))
		for _, e := range c.Exits {
			fmt.Fprintf(&out, "Exit code %d: %s.\n\n", e.Code, escape(e.Meaning))
		}
	}
	out.WriteString(`# EXIT STATUS

0 if it is done, 1 with an error, which is told; others as the commands say.

# ENVIRONMENT

**NO_COLOR**
:   Set to anything: no colours.

**XDG_STATE_HOME**
:   The folder of the state folder for those who may not write to /var/lib/plexha.

# FILES

**Corefile**, **/etc/plexha/Corefile**
:   The one file to edit.

**/var/lib/plexha**
:   The state folder, unless the Corefile names another one: orders, serials, addresses, pins, and the sockets
    **plexdns.sock** and **plexproxy.sock**.

# SEE ALSO

**plexdns**(8), **plexproxy**(8), **coredns-plex**(7)
`)
	return out.String()
}

// synopsis returns a program's or a command's flags and arguments.
func synopsis(program string, c *command.Command, set *flag.FlagSet) string {
	words := []string{"**" + strings.TrimSpace(program+" "+c.Name) + "**"}
	for _, row := range command.FlagRows(set) {
		name, value, _ := strings.Cut(row[0], " ")
		words = append(words, "[**"+escape(name)+"**"+italic(" ", value)+"]")
	}
	if c.Args != "" {
		words = append(words, escape(c.Args))
	}
	return strings.Join(words, " ") + "\n"
}

// flags returns a list of flags.
func flags(set *flag.FlagSet) string {
	var out strings.Builder
	for _, row := range command.FlagRows(set) {
		name, value, _ := strings.Cut(row[0], " ")
		fmt.Fprintf(&out, "**%s**%s\n:   %s\n\n", escape(name), italic(" ", value), escape(row[1]))
	}
	return out.String()
}

// italic returns the name of a value behind a gap, or nothing.
func italic(gap, value string) string {
	if value == "" {
		return ""
	}
	return gap + "*" + escape(value) + "*"
}

// markup are the characters that mean something in Markdown.
var markup = regexp.MustCompile("[\\\\`*_{}\\[\\]<>|]")

// escape returns text that means itself in Markdown.
func escape(s string) string { return markup.ReplaceAllString(s, `\$0`) }

// inColumns finds lines whose words stand in columns.
var inColumns = regexp.MustCompile(`(?m)^\S.*\S {2,}\S`)

// prose returns a command's text: paragraphs whose words stand in columns stay as they are.
func prose(about string) string {
	var out strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(about), "\n\n") {
		switch {
		case paragraph == "":
		case strings.HasPrefix(paragraph, "    "):
			out.WriteString(paragraph + "\n\n")
		case inColumns.MatchString(paragraph):
			out.WriteString("    " + strings.ReplaceAll(paragraph, "\n", "\n    ") + "\n\n")
		default:
			out.WriteString(escape(paragraph) + "\n\n")
		}
	}
	return out.String()
}
