package demo

import (
	"context"
	"fmt"
	"io"
	"net"

	"plexha/e2e/standin"
)

// What a child may be, as its second argument says.
const (
	kindPlexdns   = "plexdns"
	kindPlexproxy = "plexproxy"
	kindPlex      = "plex"
	kindJanitor   = "janitor"
)

// Program is a program's main function: it takes the arguments after the program's name and returns the
// exit code.
type Program func(args []string, stdout, stderr io.Writer) int

// Programs are those of plexha that the demo runs.
type Programs struct{ Plexdns, Plexproxy Program }

// of returns the program that a child is to be; nil for a stand-in.
func (p Programs) of(kind string) Program {
	switch kind {
	case kindPlexdns:
		return p.Plexdns
	case kindPlexproxy:
		return p.Plexproxy
	default:
		return nil
	}
}

// Child is this program as a child of the demo, to be called with the arguments after [ChildCommand]: plexdns or
// plexproxy with the further arguments, a stand-in, `plex ADDRESS OPTIONS`, or who tidies up, `janitor FOLDER`. It
// returns the exit code when that ends, or when in does, because the demo has ended.
func Child(ctx context.Context, args []string, in io.Reader, out, errw io.Writer, p Programs) int {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	if len(args) > 0 && args[0] == kindJanitor {
		return tidy(ctx, args[1:], out)
	}
	if len(args) > 0 {
		if program := p.of(args[0]); program != nil {
			return runProgram(ctx, program, args[1:], out, errw)
		}
	}
	if err := standIn(ctx, args); err != nil {
		_, _ = fmt.Fprintf(errw, "%v\n", err) // nobody left to tell
		return 1
	}
	return 0
}

// runProgram returns the program's exit code, or 0 once ctx has ended: it lives no longer than this process.
func runProgram(ctx context.Context, program Program, args []string, out, errw io.Writer) int {
	code := make(chan int, 1)
	go func() { code <- program(args, out, errw) }()
	select {
	case c := <-code:
		return c
	case <-ctx.Done():
		return 0
	}
}

// standIn serves until ctx is canceled.
func standIn(ctx context.Context, args []string) error {
	if len(args) != 3 || args[0] != kindPlex {
		return fmt.Errorf("being a child: unexpected %q: only plexctl demo starts children", args)
	}
	options, err := standin.ParsePlexOptions(args[2])
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", args[1])
	if err != nil {
		return err
	}
	return standin.NewPlexServer(options).Serve(ctx, l)
}
