// Package dnsmain is plexdns: a lean CoreDNS with the plugin `plex`.
package dnsmain

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	plex "plexha/plugin"
)

const serverType = "dns"

// Exit codes, as CoreDNS has them.
const (
	exitOK       = 0
	exitFailure  = 1
	exitForced   = 2 // a second interrupt did not wait for the first
	exitStopping = 3 // the servers did not stop as they should
)

// Directives returns the plugins of the binary in the order in which a query meets them: CoreDNS's own order,
// with ours right after `transfer`, so that a transfer is tried before we refuse it.
func Directives() []string {
	left := []string{
		"acl", "any", "auto", "bind", "bufsize", "cache", "cancel", "chaos", "debug", "dnssec", "errors",
		"file", "forward", "header", "health", "hosts", "https", "loadbalance", "log", "loop", "metadata",
		"minimal", "multisocket", "nsid", "pprof", "prometheus", "quic", "ready", "reload", "rewrite", "root",
		"secondary", "shed", "sign", "template", "timeouts", "tls", "transfer", "tsig", "view", "whoami",
	}
	var out []string
	for _, d := range dnsserver.Directives {
		if !slices.Contains(left, d) {
			continue
		}
		out = append(out, d)
		if d == "transfer" {
			out = append(out, "plex")
		}
	}
	return out
}

// Main runs plexdns with the arguments after the program's name until a signal ends it, and returns the
// exit code. It is for one call per process: CoreDNS keeps its flags and servers in package variables.
func Main(args []string, stdout, stderr io.Writer) int {
	err := run(args, stdout)
	var code exitCode
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &code):
		return int(code)
	default:
		_, _ = fmt.Fprintf(stderr, "plexdns: %v\n", err) // nobody left to tell
		return exitFailure
	}
}

// exitCode is an end that has been explained already.
type exitCode int

// Error implements error.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func run(args []string, stdout io.Writer) error {
	caddy.AppName, caddy.AppVersion = "plexdns", plex.Version
	if err := dnsserver.SetDirectives(Directives()); err != nil {
		return fmt.Errorf("ordering the plugins: %w", err)
	}
	if err := parseFlags(args, stdout); err != nil {
		return err
	}
	if flagged("version") {
		_, err := io.WriteString(stdout, versions())
		return err
	}
	if flagged("plugins") {
		_, err := fmt.Fprintln(stdout, strings.Join(Directives(), "\n"))
		return err
	}
	if err := setUpLog(); err != nil {
		return err
	}
	return serve(stdout)
}

func setUpLog() error {
	if format := flag.Lookup("log-format").Value.String(); format != "text" {
		if err := clog.Configure(format, os.Stdout); err != nil {
			return fmt.Errorf("reading -log-format: %w", err)
		}
	}
	clog.SetOutput(os.Stdout)
	if !clog.IsJSON() {
		log.SetFlags(coremain.LogFlags)
	}
	return nil
}

// versions names ours, CoreDNS's and Go's.
func versions() string {
	return fmt.Sprintf("plexdns-%s\nCoreDNS-%s\n%s/%s, %s\n",
		plex.Version, coremain.CoreVersion, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// serve starts the servers and handles signals until one of them ends the process.
func serve(stdout io.Writer) error {
	signals := trapSignals()
	corefile, err := load()
	if err != nil {
		return err
	}
	instance, err := caddy.Start(corefile)
	if err != nil {
		return explained(err)
	}
	if !dnsserver.Quiet {
		_, _ = io.WriteString(stdout, versions())
	}
	warnOfSharers(instance)
	go func() {
		instance.Wait()
		close(signals.stopped)
	}()
	defer signals.watch()()
	tell(signals.manager.Ready)
	err = signals.handle()
	for _, atExit := range caddy.OnProcessExit {
		atExit() // removes the pid file
	}
	return err
}

// load reads the Corefile that -conf names, else the one in the working folder. Without either CoreDNS would
// serve a `whoami` to everybody.
func load() (caddy.Input, error) {
	file := flag.Lookup("conf").Value.String()
	if file == "" {
		file = caddy.DefaultConfigFile
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no Corefile: name one with -conf FILE")
		}
	}
	if file != "stdin" {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("reading the Corefile: %w", err)
		}
	}
	input, err := caddy.LoadCaddyfile(serverType)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	if len(input.Body()) == 0 {
		return nil, fmt.Errorf("reading the Corefile: %s is empty", file)
	}
	return input, nil
}
