package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// helpWords ask for help in the place of a command.
var helpWords = []string{"help", "-h", "-help", "--help"}

// Run does what the arguments say. The error names the program's help if they are the mistake.
func (p *Program) Run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command: see %s help", p.Name)
	}
	if slices.Contains(helpWords, args[0]) {
		return p.help(args[1:], out)
	}
	c, rest := p.find(args)
	if c == nil {
		return p.runGroup(args, out)
	}
	err := c.Run(ctx, rest, in, out, errw)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(out, p.HelpOf(c.Name))
		return err
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return fmt.Errorf("%w: see %s %s -h", err, p.Name, c.Name)
	}
	return err
}

// find returns the command that arguments begin with, and those behind it. One of two words is meant before one
// that is the first of them.
func (p *Program) find(args []string) (*Command, []string) {
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		if i := slices.IndexFunc(p.Commands, func(c Command) bool { return c.Name == name }); i >= 0 {
			return &p.Commands[i], args[n:]
		}
	}
	return nil, nil
}

// runGroup shows the help of a group of commands, or says what there is.
func (p *Program) runGroup(args []string, out io.Writer) error {
	group := p.group(args[0])
	if len(group) == 0 {
		return p.unknown(args[0])
	}
	if len(args) == 1 || slices.Contains(helpWords, args[1]) {
		_, err := io.WriteString(out, p.HelpOf(args[0]))
		return err
	}
	var words []string
	for _, c := range group {
		words = append(words, strings.TrimPrefix(c.Name, args[0]+" "))
	}
	return fmt.Errorf("unknown command %q%s: see %s %s -h", args[0]+" "+args[1], meant(args[0]+" ", args[1], words), p.Name, args[0])
}

func (p *Program) unknown(name string) error {
	words := []string{"help"}
	for _, c := range p.Shown() {
		group, _, _ := strings.Cut(c.Name, " ")
		words = append(words, c.Name, group)
	}
	return fmt.Errorf("unknown command %q%s: see %s help", name, meant("", name, words), p.Name)
}

// help prints the help of the program, of a command or of a group.
func (p *Program) help(args []string, out io.Writer) error {
	name := strings.Join(args, " ")
	c, rest := p.find(args)
	switch {
	case name == "":
		_, err := io.WriteString(out, p.Help())
		return err
	case c == nil && len(p.group(name)) == 0, len(rest) > 0:
		return p.unknown(name)
	default:
		_, err := io.WriteString(out, p.HelpOf(name))
		return err
	}
}
