// Command bench is what proxy.sh and external.sh need besides the programs that they start: request targets in
// the shape of Plex's, a certificate, free ports, clients that check answers or hold them open, the table of what
// was measured, and stand-ins of what tells external addresses.
//
//	bench ports COUNT                so many free ports of loopback
//	bench cert DIR NAME...           DIR/cert.pem, key.pem and both.pem for *.NAME
//	bench targets KIND               request targets: bound, unbound, part, trickle
//	bench check -length N URL FILE   asks URL for some targets of FILE, each must be N bytes
//	bench hold -streams N URL FILE   holds N answers open until it is told to end
//	bench table FILE                 the table of the samples in FILE
//	bench world ADDRESS FILE         address echoes and DuckDNS, at ADDRESS, until it is told to end
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("want one of ports, cert, targets, check, hold, table and world, as their documentation has them")

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch {
	case name == "ports" && len(args) == 1:
		return ports(ctx, args[0], stdout)
	case name == "cert" && len(args) > 1:
		return cert(args[0], args[1:])
	case name == "targets" && len(args) == 1:
		return targets(args[0], stdout)
	case name == "check":
		return check(ctx, args)
	case name == "hold":
		return hold(ctx, args, stdout)
	case name == "table" && len(args) == 1:
		return table(args[0], stdout)
	case name == "world" && len(args) == 2:
		return serveWorld(ctx, args[0], args[1], stdout)
	default:
		return errUsage
	}
}
