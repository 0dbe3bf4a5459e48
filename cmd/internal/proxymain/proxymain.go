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
	"time"

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

// options are the command line.
type options struct {
	conf  string
	grace time.Duration
	admin string

	check, version, printConfig bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("plexproxy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.conf, "conf", "", "the Corefile (default Corefile, in the working folder)")
	flags.BoolVar(&o.check, "check", false, "check the Corefile, say what would be served, and end")
	flags.BoolVar(&o.version, "version", false, "show versions and end")
	flags.BoolVar(&o.printConfig, "print-config", false, "show Caddy's configuration, without secrets, and end")
	flags.DurationVar(&o.grace, "grace", 30*time.Second, "how long requests may go on after a signal to stop")
	flags.StringVar(&o.admin, "admin", "", "unix socket for Caddy's administration, for this user alone (default none)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("reading the arguments: unexpected %q: want flags alone, see -help", flags.Args())
	}
	return o, nil
}

// run does what the arguments say. Serving ends with ctx.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
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
