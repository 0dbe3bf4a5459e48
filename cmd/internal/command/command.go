// Package command describes the commands of a program once: its help, its completion and its man page are made of one
// table.
package command

import (
	"context"
	"flag"
	"io"
	"slices"
	"strings"
)

// Program is a program with its commands.
type Program struct {
	Name     string
	Summary  string        // one line, lower case, without a period
	About    string        // paragraphs for the man page, in Markdown
	Flags    *flag.FlagSet // of a program without commands; nil: none
	Kinds    map[string]Kind
	Commands []Command
}

// Command is one command of a program.
type Command struct {
	Name    string // "drain", or "duckdns once" for one of a group
	Args    string // "NODE", "[FILE]"
	Summary string // one line, lower case, without a period
	About   string // paragraphs below the usage, wrapped at 80 columns
	Kinds   []Kind // what the arguments are, for completion; the last one repeats
	Flags   *Flags // nil: it has none
	Exits   []Exit // the exit codes beyond 0 and 1
	Hidden  bool   // for programs alone: in no help, completion or man page
	// Run does it. It may hand on what [Parse] and [Usagef] return.
	Run func(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) error
}

// Exit is an exit code.
type Exit struct {
	Code    int
	Meaning string
}

// Kind is what an argument or the value of a flag is.
type Kind string

// The kinds. Any other one is a list of words with | between them.
const (
	File Kind = "FILE"
	Node Kind = "NODE" // a node, proxy or uplink of the Corefile
	Zone Kind = "ZONE"
	Text Kind = "TEXT" // nothing to complete
)

// Words returns the words of a kind that is a list of them.
func (k Kind) Words() []string {
	if k == "" || k == File || k == Node || k == Zone || k == Text {
		return nil
	}
	return strings.Split(string(k), "|")
}

// Flags are the flags of a command. They are those of a flag.FlagSet, with what their values are.
//
// The usage of a flag with a value begins with the value's name in back quotes.
type Flags struct {
	Define func(*flag.FlagSet)
	Kinds  map[string]Kind // by flag; those without one are not completed
}

// Set returns the flags of a command as a new set, which is silent about mistakes.
func (c *Command) Set() *flag.FlagSet {
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	if c.Flags != nil {
		c.Flags.Define(set)
	}
	return set
}

// Kind returns what the value of a flag is.
func (c *Command) Kind(flag string) Kind {
	if c.Flags == nil {
		return Text
	}
	return kindOf(flag, c.Flags.Kinds)
}

// Kind returns what the value of a flag of the program's own is.
func (p *Program) Kind(flag string) Kind { return kindOf(flag, p.Kinds) }

func kindOf(flag string, kinds map[string]Kind) Kind {
	if k, ok := kinds[flag]; ok {
		return k
	}
	switch flag {
	case confFlag:
		return File
	case zoneFlag:
		return Zone
	default:
		return Text
	}
}

// Shown returns the commands that people are told of.
func (p *Program) Shown() []Command {
	return slices.DeleteFunc(slices.Clone(p.Commands), func(c Command) bool { return c.Hidden })
}
