package proxymain

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"plexha/cmd/internal/command"
)

// options are the command line.
type options struct {
	conf  string
	grace time.Duration
	admin string

	check, version, printConfig bool
}

// Program is plexproxy's command line.
func Program() *command.Program {
	set := flag.NewFlagSet("plexproxy", flag.ContinueOnError)
	new(options).define(set)
	return &command.Program{
		Name:    "plexproxy",
		Summary: "one HTTPS name for several Plex Media Servers, with every playback kept whole",
		Flags:   set,
		Kinds:   map[string]command.Kind{"admin": command.File},
	}
}

func (o *options) define(set *flag.FlagSet) {
	set.StringVar(&o.conf, "conf", "", "`FILE` the Corefile (default Corefile, in the working folder)")
	set.BoolVar(&o.check, "check", false, "check the Corefile, say what would be served, and end")
	set.BoolVar(&o.version, "version", false, "print versions, and end")
	set.BoolVar(&o.printConfig, "print-config", false, "print Caddy's configuration, without secrets, and end")
	set.DurationVar(&o.grace, "grace", 30*time.Second, "`DURATION` how long requests may go on after a signal to stop (default 30s)")
	set.StringVar(&o.admin, "admin", "", "`SOCKET` for Caddy's administration, for this user alone (default none)")
}

// parse reads the arguments. The error is [flag.ErrHelp] when they ask for help, which it gives.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	rest, err := command.Parse(args, o.define)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, Program().Help()) // nobody left to tell
		return o, err
	}
	if err == nil && len(rest) > 0 {
		err = command.Usagef("unexpected %q: want flags alone", rest)
	}
	if err != nil {
		return o, fmt.Errorf("%w, see -help", err)
	}
	return o, nil
}
