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
	"plexha/cmd/internal/operate"
	"plexha/cmd/internal/proxymain"
	"plexha/cmd/internal/resolver"
	"plexha/corefile"
)

// program is plexctl's command line.
func program() *command.Program {
	p := &command.Program{Name: "plexctl", Summary: "the person's tool for a plexha cluster"}
	p.Commands = slices.Concat(
		[]command.Command{demo.Command, check.Command},
		operate.Commands,
		[]command.Command{resolver.Command},
		external.Commands,
		completion.Commands(programs, operate.Values),
		[]command.Command{versionCommand},
	)
	return p
}

// programs are those whose command lines are described.
func programs() []*command.Program {
	return []*command.Program{program(), dnsmain.Program(), proxymain.Program()}
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
