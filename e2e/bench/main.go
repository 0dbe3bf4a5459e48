// Command bench is what the scripts beside it need besides the programs that they start: request targets in the
// shape of Plex's, a certificate, free ports, clients that check answers or hold them open, the table of what was
// measured, and stand-ins of what tells external addresses. For name servers: a zone and questions for it, nodes
// that flap, who asks, who floods, and who looks on. For shared folders: a library, and what a copy of it costs.
//
//	bench ports COUNT                so many free ports of loopback
//	bench cert DIR NAME...           DIR/cert.pem, key.pem and both.pem for *.NAME
//	bench targets KIND               request targets: bound, unbound, part, trickle
//	bench check -length N URL FILE   asks URL for some targets of FILE, each must be N bytes
//	bench hold -streams N URL FILE   holds N answers open until it is told to end
//	bench table FILE                 the table of the samples in FILE
//	bench world ADDRESS FILE         address echoes and DuckDNS, at ADDRESS, until it is told to end
//	bench zone [-static]             a zone file: all, or what is not made of nodes
//	bench questions                  what is asked of that zone, as dnsperf -B reads it
//	bench answers SERVER             asks them and fails if an answer is wrong
//	bench load SERVER                asks them fast, judges each answer, and counts
//	bench flood KIND SERVER          random, malformed or spoofed packets
//	bench nodes -port PORT           the zone's nodes, which may flap
//	bench watch METRICS STATUS       scrapes, and has status pages open
//	bench trend FILE                 how memory went, from lines of seconds and KiB
//	bench echo ADDRESS               sends datagrams back, until it is told to end
//	bench library -files N DIR       a folder of small files in bundles
//	bench ran -sync DIR COMMAND...   runs it: its time, that until DIR is on the disk, its CPU, its memory
//
// What is in the zone say -nodes, -names, -flapping, -spread and -outside.
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

var errUsage = errors.New("want one of ports, cert, targets, check, hold, table, world, zone, questions, answers, load, flood, " +
	"nodes, watch, trend, echo, library and ran, as their documentation has them")

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
		return runMore(ctx, name, args, stdout)
	}
}

// runMore does what scripts about name servers and shared folders need.
func runMore(ctx context.Context, name string, args []string, stdout io.Writer) error {
	switch name {
	case "zone":
		return printZone(args, stdout)
	case "questions":
		return printQuestions(args, stdout)
	case "answers":
		return answers(ctx, args)
	case "load":
		return runLoad(ctx, args, stdout)
	case "flood":
		return runFlood(ctx, args, stdout)
	case "nodes":
		return serveNodes(ctx, args, stdout)
	case "watch":
		return watch(ctx, args, stdout)
	case "trend":
		return trend(args, stdout)
	case "echo":
		return echo(ctx, args)
	case "library":
		return makeLibrary(args)
	case "ran":
		return ran(ctx, args, stdout)
	default:
		return errUsage
	}
}
