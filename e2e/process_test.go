package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs are the binaries that the tests have built.
var programs builder

// builder builds each program once per run of the tests.
type builder struct {
	mu    sync.Mutex
	dir   string
	built map[string]error
}

// path returns the program of that name, built with the race detector if the tests are; "stockcaddy" is that
// of e2e/stockcaddy.
func (b *builder) path(tb testing.TB, name string) string {
	tb.Helper()
	return b.build(tb, name, raceEnabled() && name != "stockcaddy")
}

// released returns the program as it is released, without the race detector, for measuring it beside others.
func (b *builder) released(tb testing.TB, name string) string {
	tb.Helper()
	return b.build(tb, name, false)
}

func (b *builder) build(tb testing.TB, name string, race bool) string {
	tb.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "plexha-e2e-") //nolint:usetesting // it outlives the test that asks first
		if err == nil {
			err = os.Chmod(dir, 0o755) // the demo runs as another user
		}
		if err != nil {
			tb.Fatal(err)
		}
		b.dir, b.built = dir, map[string]error{}
	}
	out := filepath.Join(b.dir, name)
	if race {
		out = filepath.Join(b.dir, "race", name)
	}
	if _, ok := b.built[out]; !ok {
		b.built[out] = build(name, out, race)
	}
	if err := b.built[out]; err != nil {
		tb.Fatal(err)
	}
	return out
}

func build(name, out string, race bool) error {
	args := []string{"build", "-o", out}
	if race {
		args = append(args, "-race")
	}
	if name == "stockcaddy" { // its module is not ours
		args = append([]string{"-C", "stockcaddy"}, append(args, ".")...)
	} else {
		args = append(args, "plexha/cmd/"+name)
	}
	// Not a test's context: the program outlives the test that was the first to need it.
	if msg, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, msg)
	}
	return nil
}

// remove deletes what was built.
func (b *builder) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// raceEnabled reports whether this binary was built with -race.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// process is a child of the tests. It is killed when the test ends.
type process struct {
	cmd    *exec.Cmd
	output *output
	done   chan struct{} // closed when it has ended
	err    error         // how it ended; read after done
}

// startProcess starts cmd, in the network namespace ns if that is not empty. Its output is collected, but for
// a standard output that cmd has given away, and is shown if the test fails.
func startProcess(tb testing.TB, ns string, cmd *exec.Cmd) *process {
	tb.Helper()
	if ns != "" {
		enter(tb, ns, cmd)
	}
	p := &process{cmd: cmd, output: &output{}, done: make(chan struct{})}
	cmd.Stderr = p.output
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("output of %s:\n%s", filepath.Base(cmd.Path), p.output)
		}
	})
	return p
}

// enter has cmd start in a network namespace. The program ip replaces itself by the command: the process id stays.
func enter(tb testing.TB, ns string, cmd *exec.Cmd) {
	tb.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Args = append([]string{ip, "netns", "exec", ns, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = ip
}

func (p *process) signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("sending %s: %v", sig, err)
	}
}

// kill ends it by SIGKILL, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// endWell ends it by SIGTERM, and fails the test unless it was still there and ends well: in time, with code 0,
// without a race.
func (p *process) endWell(tb testing.TB) {
	tb.Helper()
	name := filepath.Base(p.cmd.Path)
	select {
	case <-p.done:
		tb.Errorf("%s ended by itself: %v", name, p.err)
		return
	default:
	}
	p.signal(tb, syscall.SIGTERM)
	if err := p.wait(tb, 20*time.Second); err != nil {
		tb.Errorf("%s ended with %v, want code 0", name, err)
	}
	if p.output.count("WARNING: DATA RACE") > 0 {
		tb.Errorf("%s has a data race", name)
	}
}

// wait returns how it ended.
func (p *process) wait(tb testing.TB, within time.Duration) error {
	tb.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(within):
		tb.Fatalf("%s still runs after %s", p.cmd, within)
		return nil
	}
}

// exitCode returns the exit code that wait's error tells of.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String returns what came so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// count returns how often the words came so far.
func (o *output) count(words string) int { return strings.Count(o.String(), words) }

// ports hands each port out once per run of the tests.
var ports struct {
	sync.Mutex

	taken map[uint16]bool
}

// freePort returns a port that is free on all the addresses, for TCP and UDP. It lies below the ports that
// the kernel gives to outgoing connections (from 32768), so that none of those takes it while a server that
// had it is down.
func freePort(tb testing.TB, addrs ...netip.Addr) uint16 {
	tb.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = map[uint16]bool{}
	}
	for range 1000 {
		port := uint16(20000 + rand.IntN(10000))
		if ports.taken[port] || slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !isFree(tb, a, port) }) {
			continue
		}
		ports.taken[port] = true
		return port
	}
	tb.Fatalf("no port is free on %v", addrs)
	return 0
}

// isFree lets no process be started while it listens: until that one runs its program it would listen as well.
func isFree(tb testing.TB, addr netip.Addr, port uint16) bool {
	tb.Helper()
	if runtime.GOOS == "linux" { // elsewhere making a socket takes the lock, which cannot be taken twice
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	var lc net.ListenConfig
	hostport := netip.AddrPortFrom(addr, port).String()
	tcp, err := lc.Listen(tb.Context(), "tcp", hostport)
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := lc.ListenPacket(tb.Context(), "udp", hostport)
	if err != nil {
		return false
	}
	return udp.Close() == nil
}
