// Package completion completes command lines in shells: a small script for each hands the words to plexctl, which knows
// what may follow.
package completion

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"plexha/cmd/internal/command"
)

// Candidate is what may stand in the place of the last word.
type Candidate struct {
	Word  string
	About string // one line; may be empty
}

// files is what is printed where the name of a file is wanted: the shells know those.
const files = ":files"

// Values returns the words of a kind, from the Corefile of that name, or the usual one if it is empty.
type Values func(kind command.Kind, conf string) []string

// Complete returns what may stand in the place of the last word, and whether the name of a file may.
func Complete(p *command.Program, words []string, values Values) (found []Candidate, file bool) {
	if len(words) == 0 {
		return nil, false
	}
	l := line{values: values, last: words[len(words)-1]}
	if len(p.Commands) == 0 {
		l.set, l.kind = p.Flags, p.Kind
		return l.complete(words[:len(words)-1])
	}
	c, rest := find(p, words[:len(words)-1])
	if c == nil {
		return matching(names(p, words[:len(words)-1]), l.last), false
	}
	l.set, l.kind, l.args = c.Set(), c.Kind, c.Kinds
	return l.complete(rest)
}

// find returns the command that words begin with, and those behind it.
func find(p *command.Program, words []string) (*command.Command, []string) {
	for n := min(2, len(words)); n > 0; n-- {
		for i := range p.Commands {
			if c := &p.Commands[i]; c.Name == strings.Join(words[:n], " ") {
				return c, words[n:]
			}
		}
	}
	return nil, nil
}

// names returns the commands' words that may follow, those of a group behind its own.
func names(p *command.Program, before []string) []Candidate {
	var out []Candidate
	for _, c := range p.Shown() {
		word, rest, grouped := strings.Cut(c.Name, " ")
		switch {
		case len(before) == 0 && grouped:
			if len(out) == 0 || out[len(out)-1].Word != word {
				out = append(out, Candidate{Word: word})
			}
		case len(before) == 0:
			out = append(out, Candidate{word, c.Summary})
		case len(before) == 1 && grouped && before[0] == word:
			out = append(out, Candidate{rest, c.Summary})
		}
	}
	help := len(before) == 1 && before[0] == "help"
	switch {
	case help:
		return names(p, nil)
	case len(before) == 0:
		out = append(out, Candidate{"help", "print the commands, or all of one"})
	}
	return out
}

// line is what follows a command.
type line struct {
	values Values
	set    *flag.FlagSet
	kind   func(flag string) command.Kind
	args   []command.Kind
	last   string // the word that is completed
	conf   string // -conf
}

// complete returns what may stand behind these words.
func (l *line) complete(before []string) (found []Candidate, file bool) {
	args, open, ended := 0, "", false
	for _, word := range before {
		switch {
		case open != "":
			l.note(open, word)
			open = ""
		case word == "--" && !ended:
			ended = true
		case !ended && len(word) > 1 && word[0] == '-':
			open = l.flag(word)
		default:
			args++
		}
	}
	switch {
	case open != "":
		return l.ofKind(l.kind(open))
	case !ended && strings.HasPrefix(l.last, "-"):
		return matching(l.flags(), l.last), false
	case len(l.args) == 0:
		return nil, false
	default:
		return l.ofKind(l.args[min(args, len(l.args)-1)])
	}
}

// flag returns the name of the flag that a word is, if the next word is its value.
func (l *line) flag(word string) (open string) {
	name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
	f := l.set.Lookup(name)
	switch {
	case given:
		l.note(name, value)
		return ""
	case f == nil || isBool(f):
		return ""
	default:
		return name
	}
}

func (l *line) note(flag, value string) {
	if flag == "conf" {
		l.conf = value
	}
}

// isBool reports whether a flag has no value (see [flag.Value]).
func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func (l *line) flags() []Candidate {
	var out []Candidate
	l.set.VisitAll(func(f *flag.Flag) {
		_, usage := command.ValueOf(f)
		out = append(out, Candidate{"-" + f.Name, usage})
	})
	return out
}

// ofKind returns the words of a kind.
func (l *line) ofKind(kind command.Kind) (found []Candidate, file bool) {
	words := kind.Words()
	switch kind {
	case command.File:
		return nil, true
	case command.Node, command.Zone:
		words = l.values(kind, l.conf)
	}
	var out []Candidate
	for _, word := range words {
		out = append(out, Candidate{Word: word})
	}
	return matching(out, l.last), false
}

// matching returns those that begin with what is typed.
func matching(all []Candidate, typed string) []Candidate {
	return slices.DeleteFunc(all, func(c Candidate) bool { return !strings.HasPrefix(c.Word, typed) })
}

//go:embed scripts
var scripts embed.FS

// shells are those that there is a script for.
var shells = []string{"bash", "zsh", "fish"}

// Inner is the command that the scripts call: with the name of a program, and its words up to that which is completed.
const Inner = "__complete"

// Commands returns the commands that complete the command lines of some programs.
func Commands(programs func() []*command.Program, values Values) []command.Command {
	return []command.Command{
		{
			Name: "completion", Args: strings.Join(shells, "|"), Summary: "print the script that completes command lines in a shell",
			About: `The script completes the commands, flags, nodes and zones of plexctl, plexdns
and plexproxy. It asks plexctl, which must be in PATH.

bash  plexctl completion bash >/etc/bash_completion.d/plexctl
zsh   plexctl completion zsh >/usr/local/share/zsh/site-functions/_plexctl
fish  plexctl completion fish >~/.config/fish/completions/plexctl.fish`,
			Kinds: []command.Kind{command.Kind(strings.Join(shells, "|"))},
			Run:   script,
		},
		{
			Name: Inner, Hidden: true,
			Run: func(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
				return write(out, programs(), args, values)
			},
		},
	}
}

func script(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
	rest, err := command.Parse(args, func(*flag.FlagSet) {})
	if err != nil {
		return err
	}
	if len(rest) != 1 || !slices.Contains(shells, rest[0]) {
		return command.Usagef("want one of %s", strings.Join(shells, " "))
	}
	text, err := scripts.ReadFile("scripts/plexctl." + rest[0])
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// write writes one candidate a line, with what it is behind a tab.
func write(out io.Writer, programs []*command.Program, args []string, values Values) error {
	i := slices.IndexFunc(programs, func(p *command.Program) bool { return len(args) > 0 && p.Name == args[0] })
	if i < 0 {
		return errors.New("completing: want the name of a program and its words")
	}
	found, file := Complete(programs[i], args[1:], values)
	if file {
		found = []Candidate{{Word: files}}
	}
	var text strings.Builder
	for _, c := range found {
		text.WriteString(strings.TrimRight(c.Word+"\t"+c.About, "\t") + "\n")
	}
	_, err := io.WriteString(out, text.String())
	if err != nil {
		return fmt.Errorf("completing: %w", err)
	}
	return nil
}
