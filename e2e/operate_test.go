package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plexha/e2e/internal/gate"
)

// operator is a person with plexctl, a Corefile and both programs.
type operator struct {
	*pages

	dir string // where the Corefile and the orders are
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	p := newPages(t, twoNodes(t))
	return &operator{p, p.proxy.dir}
}

// start starts a command with the person's Corefile.
func (o *operator) start(args ...string) *process {
	o.tb.Helper()
	args = append(args, "-conf", filepath.Join(o.dir, "Corefile"))
	return startProcess(o.tb, "", exec.CommandContext(context.Background(), programs.path(o.tb, "plexctl"), args...))
}

// says runs a command to its end, and returns what it says.
func (o *operator) says(code int, args ...string) string {
	o.tb.Helper()
	p := o.start(args...)
	if got := exitCode(p.wait(o.tb, 20*time.Second)); got != code {
		o.tb.Errorf("plexctl %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, p.output)
	}
	return p.output.String()
}

// soon waits until a command says something.
func (o *operator) soon(p *process, words string) {
	o.tb.Helper()
	eventually(o.tb, 20*time.Second, func() error {
		if !strings.Contains(p.output.String(), words) {
			return fmt.Errorf("it does not say %q:\n%s", words, p.output)
		}
		return nil
	})
}

// contain fails unless a text has all words.
func contain(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in\n%s", w, text)
		}
	}
}

// TestStatusOfBoth shows what both programs know, and what is wrong as soon as they know it.
func TestStatusOfBoth(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	eventually(t, 20*time.Second, func() error { // until plexproxy is seen by plexdns
		if out := o.says(0, "status"); strings.Count(out, ": all is well") != 2 {
			return errors.New(out)
		}
		return nil
	})
	out := o.says(0, "status", "-check")
	contain(t, out, zoneShown+": all is well", "(plexdns)\n", "(plexproxy)\n", "\nNodes\n", "\nUplinks\n", "plex1", "plex2", uplink.String())
	var shown struct {
		Instances []struct {
			Status struct{ Plexdns, Plexproxy string }
		}
	}
	if err := json.Unmarshal([]byte(o.says(0, "status", "-json")), &shown); err != nil || len(shown.Instances) != 2 ||
		shown.Instances[0].Status.Plexdns == "" || shown.Instances[1].Status.Plexproxy == "" {
		t.Errorf("got %+v, %v", shown, err)
	}

	watch := o.start("status", "-watch")
	o.soon(watch, ": all is well")
	o.home.nodes[0].proc.kill()
	o.soon(watch, zoneShown+": plex1 is down since ")
	watch.signal(t, syscall.SIGINT)
	if code := exitCode(watch.wait(t, 5*time.Second)); code != 0 {
		t.Errorf("interrupted, -watch ends with %d", code)
	}
	for _, program := range programsShown {
		eventually(t, 20*time.Second, func() error { return o.tells(program, "node plex1", "down") })
	}
	contain(t, o.says(3, "status", "-check"), ": plex1 is down since ")
	contain(t, o.says(0, "status", "-at", o.urls["plexdns"]), "plex1 is down since ", "(plexdns)\n")
	contain(t, o.says(0, "status", "-at", filepath.Join(o.dir, "plexproxy.sock"), "-zone", zoneShown), "plex1 is down since ", "(plexproxy)\n")
	contain(t, o.says(0, "events", "-n", "500"), "  plexdns    node plex1 is down: ", "  plexproxy  node plex1 is down: ")
}

// TestOrdersReachBoth, whichever way they are given.
func TestOrdersReachBoth(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	has := func(order string) {
		t.Helper()
		for _, program := range programsShown {
			eventually(t, 5*time.Second, func() error { return o.ordered(program, "plex1", order) })
		}
	}
	file := func(want string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(o.dir, zoneShown+".orders"))
		if err != nil || string(text) != want {
			t.Errorf("the orders file holds %q, %v, want %q", text, err, want)
		}
	}
	out := o.says(0, "drain", "plex1", "-why", "new disk")
	contain(t, out, "plex1 of "+zoneShown+" drains until it is taken back: plexdns and plexproxy see it\n")
	has("drain")
	file("plex1 drain # new disk\n")
	contain(t, o.says(0, "status"), "new disk")

	out = o.says(0, "order", "plex1", "down", "-for", "1h", "-at", o.urls["plexdns"])
	contain(t, out, "plex1 of "+zoneShown+" counts as down until 2", "plexdns at "+o.urls["plexdns"]+" sees it\n")
	has("down")

	contain(t, o.says(0, "undrain", "plex1", "-at", o.urls["plexproxy"]), "plex1 of "+zoneShown+" is what its probes say")
	has("")
	contain(t, o.says(0, "events", "-n", "500"), "plex1")

	contain(t, o.says(1, "drain", "plx1"), `there is no node, proxy or uplink "plx1": want one of plex1 plex2 `)
	contain(t, o.says(1, "drain", "plx1", "-at", o.dir), "plexdns answers: ", "plexproxy answers: ")
	has("")

	o.home.dns.stop() // and plexproxy is asked
	contain(t, o.says(0, "drain", "plex2"), "plex2 of "+zoneShown+" drains until it is taken back: plexproxy sees it\n")
	o.proxy.stop() // and the file is written
	out = o.says(0, "order", "plex1", "up")
	contain(t, out, "neither plexdns nor plexproxy runs here: they see it in "+filepath.Join(o.dir, zoneShown+".orders")+" when they start\n")
	file("plex2 drain\nplex1 up\n")
	contain(t, o.says(1, "status"), "no plexdns runs with that state folder", "no plexproxy runs with that state folder")
}

// TestEventsGoOn over a restart, and are shown once.
func TestEventsGoOn(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	socket := filepath.Join(o.dir, "plexdns.sock")
	follow := o.start("events", "-f", "-n", "1", "-at", socket)
	drained := o.start("events", "-f", "-json", "-n", "1")
	o.soon(follow, "2") // the last event that was: it follows now
	o.soon(drained, "seq")
	o.says(0, "drain", "plex1")
	o.soon(follow, "order on node plex1: drain")
	o.soon(drained, `"kind":"order"`)

	o.home.dns.stop()
	o.soon(follow, "trying again")
	o.home.dns.start()
	o.says(0, "order", "plex2", "up", "-why", "after the restart")
	o.soon(follow, "after the restart")
	o.soon(drained, "after the restart")
	if n := strings.Count(follow.output.String(), "trying again"); n != 1 {
		t.Errorf("the lost connection is told %d times:\n%s", n, follow.output)
	}
	if n := strings.Count(follow.output.String(), "after the restart"); n != 1 {
		t.Errorf("the order is told %d times:\n%s", n, follow.output)
	}
	follow.signal(t, syscall.SIGTERM)
	if code := exitCode(follow.wait(t, 5*time.Second)); code != 0 {
		t.Errorf("it ends with %d:\n%s", code, follow.output)
	}
}

// TestWatchOnATerminal draws in place, and leaves the terminal as it was.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("script"))
	o := newOperator(t)
	line := fmt.Sprintf("exec %s status -watch -conf %s", programs.path(t, "plexctl"), filepath.Join(o.dir, "Corefile"))
	cmd := exec.CommandContext(context.Background(), "script", "-qec", line, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", "SHELL=/bin/sh")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "", cmd)
	o.soon(p, "\x1b[32mall is well")
	o.home.nodes[1].proc.kill()
	o.soon(p, "plex2 is down since ")
	const interrupt = "\x03" // Ctrl-C
	if _, err := io.WriteString(in, interrupt); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(p.wait(t, 10*time.Second)); code != 0 {
		t.Errorf("it ends with %d", code)
	}
	out := p.output.String()
	if !strings.HasPrefix(out, "\x1b[?1049h\x1b[?25l") || !strings.HasSuffix(strings.TrimPrefix(strings.TrimSuffix(out, "\r\n"), "^C"), "\x1b[?25h\x1b[?1049l") {
		t.Errorf("the terminal is left as\n%q", out[max(0, len(out)-200):])
	}
}
