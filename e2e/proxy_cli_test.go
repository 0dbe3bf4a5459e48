package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cli is a plexproxy with whatever Corefile and flags a test wants.
type cli struct {
	tb     testing.TB
	dir    string
	plain  netip.AddrPort // where it may listen without TLS
	tls    netip.AddrPort // and with it
	status netip.AddrPort
	proc   *process
	ended  bool // by the test
}

// newCLI picks a folder and ports. It starts nothing.
func newCLI(tb testing.TB) *cli {
	tb.Helper()
	at := func() netip.AddrPort { return netip.AddrPortFrom(inside, freePort(tb, inside)) }
	return &cli{tb: tb, dir: tb.TempDir(), plain: at(), tls: at(), status: at()}
}

// block returns a plex block for the nodes, with further lines.
func (c *cli) block(h *house, lines ...string) string {
	return c.blockOf(strings.TrimSuffix(zone, "."), h, lines...)
}

func (c *cli) blockOf(domain string, h *house, lines ...string) string {
	lines = append(lines,
		"proxy_status "+c.status.String(), "state "+c.dir, "storage "+filepath.Join(c.dir, "storage"),
		"internal 127.0.0.0/8", "uplink wan "+uplink.String())
	for i, n := range h.nodes {
		lines = append(lines, fmt.Sprintf("node plex%d %s", 1+i, n.addr))
	}
	return fmt.Sprintf("%s {\n    plex {\n        %s\n    }\n}\n", domain, strings.Join(lines, "\n        "))
}

// plainBlock is block with a listener without TLS.
func (c *cli) plainBlock(h *house, lines ...string) string {
	return c.block(h, append(lines, "tls off", "listen http://"+c.plain.String())...)
}

func (c *cli) file() string { return filepath.Join(c.dir, "Corefile") }

// write replaces the Corefile by a rename.
func (c *cli) write(corefile string) { c.tb.Helper(); writeFile(c.tb, c.file(), corefile) }

func (c *cli) command(args ...string) *exec.Cmd {
	c.tb.Helper()
	return exec.CommandContext(context.Background(), programs.path(c.tb, "plexproxy"), append([]string{"-conf", c.file()}, args...)...)
}

// start starts it and returns when it serves. When the test ends, it must end well, unless it has been ended.
func (c *cli) start(args ...string) {
	c.tb.Helper()
	c.proc = startProcess(c.tb, "", c.command(args...))
	c.tb.Cleanup(func() {
		if !c.ended {
			c.proc.endWell(c.tb)
		}
	})
	c.says("plexha\tserving " + c.file())
}

// says waits until the log holds the words.
func (c *cli) says(words string) {
	c.tb.Helper()
	eventually(c.tb, 20*time.Second, func() error {
		if c.proc.output.count(words) > 0 {
			return nil
		}
		select {
		case <-c.proc.done:
			c.tb.Fatalf("plexproxy has ended, %v, without a word of %q", c.proc.err, words)
		default:
		}
		return fmt.Errorf("it does not say %q", words)
	})
}

// ran is how a command has ended.
type ran struct {
	code           int
	stdout, stderr string
}

// run runs it to its end.
func (c *cli) run(args ...string) ran {
	c.tb.Helper()
	cmd := c.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		c.tb.Fatal(err)
	}
	return ran{exitCode(err), stdout.String(), stderr.String()}
}
