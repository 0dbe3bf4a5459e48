package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"

	"plexha/cmd/internal/check"
	"plexha/cmd/internal/command"
	"plexha/cmd/internal/completion"
	"plexha/cmd/internal/demo"
	"plexha/cmd/internal/dnsmain"
	"plexha/cmd/internal/external"
	"plexha/cmd/internal/man"
	"plexha/cmd/internal/operate"
	"plexha/cmd/internal/proxymain"
	"plexha/cmd/internal/resolver"
	"plexha/cmd/internal/share"
	"plexha/cmd/internal/unit"
	"plexha/corefile"
	plex "plexha/plugin"
	"plexha/proxy"
)

// about is plexctl's man page in short.
const about = `Plexctl shows how a cluster of Plex Media Servers is, and changes it: it asks the **plexdns**(8) and the
**plexproxy**(8) that run, over the sockets in their state folder, and reads the Corefile that they read.

Those of other machines are asked with -at: at their status pages, which show and change nothing, or at a socket that is
forwarded, as by

    ssh -L ./other.sock:/var/lib/plexha/plexdns.sock HOST

Flags may stand before and behind the arguments.`

// program is plexctl's command line.
func program() *command.Program {
	p := &command.Program{Name: "plexctl", Summary: "the person's tool for a plexha cluster", About: about}
	p.Commands = slices.Concat(
		[]command.Command{demo.Command, check.Command},
		operate.Commands,
		[]command.Command{resolver.Command},
		external.Commands,
		[]command.Command{unit.Command},
		share.Commands,
		completion.Commands(programs, operate.Values),
		[]command.Command{man.Command(manuals), versionCommand},
	)
	return p
}

// programs are those whose command lines are described.
func programs() []*command.Program {
	return []*command.Program{program(), dnsmain.Program(), proxymain.Program()}
}

// manuals are the texts of the man pages.
func manuals() *man.Sources {
	return &man.Sources{
		Version: corefile.Version, Plexctl: program(), Plexdns: dnsmain.Program(), Plexproxy: proxymain.Program(),
		Plugin: plex.Readme, Proxy: proxy.Readme,
	}
}

var versionCommand = command.Command{
	Name: "version", Summary: "print plexctl's version and Go's",
	Run: func(_ context.Context, args []string, _ io.Reader, out, _ io.Writer) error {
		rest, err := command.Parse(args, func(*flag.FlagSet) {})
		if err == nil && len(rest) > 0 {
			err = command.Usagef("unexpected %q", rest[0])
		}
		if err == nil {
			_, err = fmt.Fprintf(out, "plexctl-%s\n%s/%s, %s\n", corefile.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		}
		return err
	},
}
