// Package proxymain is plexproxy's command line.
package proxymain

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"

	"plexha/corefile"
	"plexha/proxy"
	"plexha/proxy/redact"
)

// Exit codes, as plexdns has them.
const (
	exitOK      = 0
	exitFailure = 1
	exitForced  = 2 // a second signal did not wait for the first
)

// gcPercent lets the heap grow further between collections than Go does by itself: a tenth less CPU per request, for
// a few dozen megabytes. Streams hold little.
const gcPercent = 400

// Main runs plexproxy with the arguments after the program's name until a signal ends it, and returns the exit
// code. It is for one call per process: Caddy keeps its configuration in package variables.
func Main(args []string, stdout, stderr io.Writer) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals...)
	go func() {
		stop(signalled{<-signals})
		<-signals
		os.Exit(exitForced)
	}()
	err := run(ctx, args, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	_, _ = fmt.Fprintf(redact.Writer(stderr), "plexproxy: %v\n", err) // nobody left to tell
	return exitFailure
}

// signalled is why the process ends.
type signalled struct{ os.Signal }

// Error implements error.
func (s signalled) Error() string { return s.String() }

// run does what the arguments say. Serving ends with ctx.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if o.version {
		_, err := io.WriteString(stdout, versions())
		return err
	}
	if o.conf, err = find(o.conf); err != nil {
		return err
	}
	blocks, err := corefile.Load(o.conf)
	if err != nil {
		return err
	}
	switch {
	case o.printConfig:
		return printConfig(stdout, blocks, o)
	case o.check:
		return check(stdout, blocks)
	default:
		return serve(ctx, blocks, o, stderr)
	}
}

// find returns the Corefile: the one that is named, else that of the working folder.
func find(conf string) (string, error) {
	if conf != "" {
		return conf, nil
	}
	const standard = "Corefile"
	if _, err := os.Stat(standard); errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is no Corefile: name one with -conf FILE")
	}
	return standard, nil
}

// versions names ours, Caddy's and Go's.
func versions() string {
	version, _ := caddy.Version()
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			if m.Path == caddy.ImportPath {
				version = m.Version
			}
		}
	}
	return fmt.Sprintf("plexproxy-%s\nCaddy-%s\n%s/%s, %s\n", corefile.Version, version, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// printConfig shows what Caddy would run, with addresses where the sockets would be.
func printConfig(stdout io.Writer, blocks []*corefile.Config, o options) error {
	text, err := proxy.Build(blocks, proxy.Settings{Grace: o.grace, Admin: o.admin})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(redact.Writer(stdout), string(text))
	return err
}
