package command

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// width is that of a terminal on which the help is readable.
const width = 80

// Help returns what `PROGRAM help` prints: the commands, or the flags of a program without any.
func (p *Program) Help() string {
	if len(p.Commands) == 0 {
		c := Command{Name: "", About: Sentence(p.Summary)}
		return c.help(p.Name, p.Flags)
	}
	return fmt.Sprintf("usage: %s COMMAND [-h]\n\n%s", p.Name, columns(append(commandRows(p.Shown()), helpRow)))
}

// helpRow is beside the commands of a program.
var helpRow = [2]string{"help [COMMAND]", "print this, or all of a command, as COMMAND -h does"}

// HelpOf returns what `PROGRAM NAME -h` prints, of a command or of a group of them.
func (p *Program) HelpOf(name string) string {
	if i := slices.IndexFunc(p.Commands, func(c Command) bool { return c.Name == name }); i >= 0 {
		c := &p.Commands[i]
		return c.help(p.Name, c.Set())
	}
	return fmt.Sprintf("usage: %s %s COMMAND [-h]\n\n%s", p.Name, name, columns(commandRows(p.group(name))))
}

// group returns the commands whose names begin with a word.
func (p *Program) group(word string) []Command {
	return slices.DeleteFunc(p.Shown(), func(c Command) bool { return !strings.HasPrefix(c.Name, word+" ") })
}

func commandRows(commands []Command) [][2]string {
	var rows [][2]string
	for _, c := range commands {
		rows = append(rows, [2]string{strings.TrimSpace(c.Name + " " + c.Args), c.Summary})
	}
	return rows
}

// help returns the usage, the text, the flags and the exit codes.
func (c *Command) help(program string, set *flag.FlagSet) string {
	out := Usage(program, c, set) + "\n"
	if c.About != "" {
		out += "\n" + strings.TrimSpace(c.About) + "\n"
	}
	if rows := FlagRows(set); rows != nil {
		out += "\n" + columns(rows)
	}
	if c.Exits != nil {
		rows := [][2]string{{"exit code 0", "done"}, {"1", "an error, which is told"}}
		for _, e := range c.Exits {
			rows = append(rows, [2]string{fmt.Sprint(e.Code), e.Meaning})
		}
		out += "\n" + columns(rows)
	}
	return out
}

// Usage returns the line of a command that shows its flags and arguments, wrapped.
func Usage(program string, c *Command, set *flag.FlagSet) string {
	words := []string{program}
	if c.Name != "" {
		words = append(words, c.Name)
	}
	for _, row := range FlagRows(set) {
		words = append(words, "["+row[0]+"]")
	}
	if c.Args != "" {
		words = append(words, c.Args)
	}
	lines := wrap(words, width-len("usage: "))
	return "usage: " + strings.Join(lines, "\n       ")
}

// FlagRows returns each flag with its value's name, and what it does.
func FlagRows(set *flag.FlagSet) [][2]string {
	if set == nil {
		return nil
	}
	var rows [][2]string
	set.VisitAll(func(f *flag.Flag) {
		value, usage := ValueOf(f)
		rows = append(rows, [2]string{strings.TrimSpace("-" + f.Name + " " + value), usage})
	})
	return rows
}

// ValueOf returns the name of a flag's value, none for one that is on or off, and its usage without it.
func ValueOf(f *flag.Flag) (value, usage string) {
	value, usage = flag.UnquoteUsage(f)
	if strings.HasPrefix(f.Usage, "`") {
		return value, strings.TrimPrefix(usage, value+" ")
	}
	return strings.ToUpper(value), usage
}

// widest bounds the left column: what is longer has its text in the next line.
const widest = 18

// columns sets rows in two columns, the right one wrapped.
func columns(rows [][2]string) string {
	left := 0
	for _, row := range rows {
		if len(row[0]) <= widest {
			left = max(left, len(row[0]))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		text := wrap(strings.Fields(row[1]), width-left-4)
		if len(row[0]) > left {
			text = append([]string{""}, text...)
		}
		for i, line := range text {
			head := ""
			if i == 0 {
				head = row[0]
			}
			out.WriteString(strings.TrimRight(fmt.Sprintf("  %-*s  %s", left, head, line), " ") + "\n")
		}
	}
	return out.String()
}

// wrap fills lines of at most so many characters with words.
func wrap(words []string, most int) []string {
	var lines []string
	for _, word := range words {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+1+len(word) <= most {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// Sentence returns a summary as a sentence.
func Sentence(summary string) string {
	if summary == "" {
		return ""
	}
	return strings.ToUpper(summary[:1]) + summary[1:] + "."
}
