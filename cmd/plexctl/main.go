// Plexctl is the person's tool for a plexha cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"plexha/cmd/internal/demo"
	"plexha/cmd/internal/dnsmain"
	"plexha/cmd/internal/external"
	plex "plexha/plugin"
)

const usage = `usage: plexctl COMMAND [-h]

  demo [-script]             show on this machine, with stand-ins, how answers follow health
  probe                      show what each source says of the external address
  duckdns once|verify|clear  look after the record at DuckDNS by hand
  version                    print plexctl's version and Go's
  help                       print this
`

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == demo.ChildCommand {
		os.Exit(demo.Child(context.Background(), args[1:], os.Stdin, os.Stdout, os.Stderr, dnsmain.Main))
	}
	// SIGHUP: the terminal was closed. SIGPIPE: whoever read our output has gone.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "plexctl: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) error {
	if len(args) == 0 {
		return errors.New("no command: see plexctl help")
	}
	switch args[0] {
	case "demo":
		return demo.Run(ctx, args[1:], in, out, errw)
	case "probe":
		return external.Probe(ctx, args[1:], out)
	case "duckdns":
		return external.DuckDNS(ctx, args[1:], out)
	case "version":
		_, err := fmt.Fprintf(out, "plexctl-%s\n%s/%s, %s\n", plex.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		return err
	case "help", "-h", "-help", "--help":
		_, err := io.WriteString(out, usage)
		return err
	default:
		return fmt.Errorf("unknown command %q: see plexctl help", args[0])
	}
}
