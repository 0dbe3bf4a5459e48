// Plexctl is the person's tool for a plexha cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/demo"
	"plexha/cmd/internal/dnsmain"
	"plexha/cmd/internal/proxymain"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == demo.ChildCommand {
		programs := demo.Programs{Plexdns: dnsmain.Main, Plexproxy: proxymain.Main}
		os.Exit(demo.Child(context.Background(), args[1:], os.Stdin, os.Stdout, os.Stderr, programs))
	}
	// SIGHUP: the terminal was closed. Not SIGPIPE, which any connection that breaks would bring then: as it is, it ends
	// who writes to a reader that has gone, and nobody else.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second one ends what does not heed the first
	err := program().Run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if exit, ok := errors.AsType[*command.ExitError](err); err != nil && (!ok || exit.Err != nil) {
		fmt.Fprintf(os.Stderr, "plexctl: %v\n", err)
	}
	os.Exit(command.Code(err))
}
