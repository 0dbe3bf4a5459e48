package dnsmain

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"plexha/cmd/internal/command"
)

// usages say what CoreDNS's own flags do.
var usages = map[string]string{
	"conf":       "`FILE` the Corefile (default Corefile, in the working folder)",
	"dns.port":   "`PORT` of the server blocks whose keys have none (default 53)",
	"log-format": "`FORMAT` of the log: text or json (default text)",
	"p":          "`PORT` the same as -dns.port",
	"pidfile":    "`FILE` where to write the process's number",
	"plugins":    "list the plugins that are built in, and end",
	"quiet":      "do not print versions at the start",
	"version":    "print versions, and end",
}

// Program is plexdns's command line.
func Program() *command.Program {
	set := flag.NewFlagSet("plexdns", flag.ContinueOnError)
	define(set)
	return &command.Program{
		Name:    "plexdns",
		Summary: "name server of a cluster of Plex Media Servers, with answers that follow health",
		Flags:   set,
		Kinds:   map[string]command.Kind{"pidfile": command.File, "log-format": "text|json"},
	}
}

// define adds CoreDNS's own flags, which its packages register on the command line's set.
func define(set *flag.FlagSet) {
	for name, usage := range usages {
		set.Var(flag.Lookup(name).Value, name, usage)
	}
}

// parseFlags takes over the arguments. The error is [flag.ErrHelp] when they ask for help, which it gives.
func parseFlags(args []string, stdout io.Writer) error {
	rest, err := command.Parse(args, define)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, Program().Help()) // nobody left to tell
		return err
	}
	if err == nil && len(rest) > 0 {
		err = command.Usagef("unexpected %q: want flags alone", rest)
	}
	if err != nil {
		return fmt.Errorf("%w, see -help", err)
	}
	return nil
}

func flagged(name string) bool { return flag.Lookup(name).Value.String() == "true" }
