// Package command describes the commands of a program once, for its help, its completion and its man page.
package command

import (
	"context"
	"flag"
	"io"
)

// Program is a program with its commands.
type Program struct {
	Name     string
	Summary  string        // one line, lower case, without a period
	About    string        // paragraphs for the man page, in Markdown
	Flags    *flag.FlagSet // of a program without commands; nil: none
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
	Run     func(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) error
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

// Flags are the flags of a command. They are those of a flag.FlagSet, with what their values are.
type Flags struct {
	Define func(*flag.FlagSet)
	Kinds  map[string]Kind // by flag; those without one are not completed
}
