package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/internal/gate"
)

// demoTime bounds each wait for the demo: its story takes 21 s, on a machine that is not busy.
const demoTime = 2 * time.Minute

// visitor runs `plexctl demo`.
type visitor struct {
	*process

	tb  testing.TB
	dir string         // its home and the place of its temporary files
	in  io.WriteCloser // its keyboard
	exe string
}

// startDemo starts the demo with a folder of its own. As root it starts it as nobody.
func startDemo(tb testing.TB, args ...string) *visitor {
	tb.Helper()
	v, cmd := newVisitor(tb, args...)
	return v.starts(cmd)
}

func (v *visitor) starts(cmd *exec.Cmd) *visitor {
	tb := v.tb
	tb.Helper()
	var err error
	if v.in, err = cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	v.process = startProcess(tb, "", cmd)
	return v
}

// newVisitor returns how the demo is to be started.
func newVisitor(tb testing.TB, args ...string) (*visitor, *exec.Cmd) {
	tb.Helper()
	built := programs.path(tb, "plexctl")
	own, err := os.MkdirTemp(filepath.Dir(built), "visitor-") //nolint:usetesting // nobody may enter tb.TempDir
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(own) })
	v := &visitor{tb: tb, exe: filepath.Join(own, "plexctl"), dir: filepath.Join(own, "home")}
	// Under a name of its own, its processes are told from those of other demos.
	if err := errors.Join(os.Chmod(own, 0o755), os.Link(built, v.exe), os.Mkdir(v.dir, 0o700)); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), v.exe, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+v.dir, "TMPDIR="+v.dir, "TERM=xterm")
	cmd.Dir = v.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(v.dir, nobody, nobody); err != nil {
			tb.Fatal(err)
		}
	}
	return v, cmd
}

// says waits until it has said that so often.
func (v *visitor) says(words string, times int) {
	v.tb.Helper()
	eventually(v.tb, demoTime, func() error {
		select {
		case <-v.done:
			v.tb.Fatalf("the demo has ended before it said %q: %v", words, v.err)
		default:
		}
		if n := v.output.count(words); n < times {
			return fmt.Errorf("said %q %d times, want %d", words, n, times)
		}
		return nil
	})
}

// ends waits for its end, which must have that exit code, and checks that it leaves nothing behind.
func (v *visitor) ends(code int) {
	v.tb.Helper()
	if got := exitCode(v.wait(v.tb, demoTime)); got != code {
		v.tb.Errorf("exit code %d, want %d", got, code)
	}
	if err := v.left(); err != nil {
		v.tb.Error(err)
	}
	if v.output.count("WARNING: DATA RACE") > 0 {
		v.tb.Error("the demo has a data race")
	}
}

// left returns what the demo has left behind, as an error.
func (v *visitor) left() error {
	var errs []error
	if left := processesOf(v.tb, v.exe); len(left) > 0 {
		errs = append(errs, fmt.Errorf("processes left behind: %v", left))
	}
	files, err := os.ReadDir(v.dir)
	for _, f := range files {
		errs = append(errs, fmt.Errorf("%s left behind", f.Name()))
	}
	return errors.Join(append(errs, err)...)
}

// procfs is met where processes can be listed.
func procfs() string {
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		return "needs /proc"
	}
	return ""
}

// processesOf returns the command lines of the processes that run the program, by process id.
func processesOf(tb testing.TB, exe string) map[int]string {
	tb.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		tb.Fatal(err)
	}
	found := map[int]string{}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != exe {
			continue
		}
		dir := filepath.Dir(link)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			tb.Fatal(err)
		}
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // empty: it has just ended
		found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
	}
	return found
}

// What differs from one run of the demo to the next.
var demoMasks = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{demoPortTaken, ""},
	{demoPort, "$1 port PORT "},
	{regexp.MustCompile(`127\.0\.3\.1:\d+ is`), "127.0.3.1:PORT is"},
	{regexp.MustCompile(`after \d+ ms`), "after N ms"},
	{regexp.MustCompile(`since \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ`), "since TIME"},
	{regexp.MustCompile(`TIME: (connection reset by peer|EOF)\n`), "TIME: connection refused\n"}, // it was just dying
}

var (
	demoPortTaken = regexp.MustCompile(` \(port \d+ is taken\)`)
	demoPort      = regexp.MustCompile(`(127\.0\.\d\.1) port \d+ `)
)

func maskDemo(transcript string) string {
	for _, m := range demoMasks {
		transcript = m.pattern.ReplaceAllString(transcript, m.mask)
	}
	return transcript
}

const (
	demoGolden  = "testdata/demo.golden"
	readmeOpen  = "<!-- demo -->\n```text\n"
	readmeClose = "```\n<!-- /demo -->\n"
)

// TestDemo runs the demo as README.md says, and compares its words with the golden file.
func TestDemo(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.ends(0)
	got := v.output.String()
	if *update {
		writeFile(t, demoGolden, maskDemo(got))
		updateReadme(t, got)
	}
	v.said(got)
}

// TestDemoAsRoot: it needs no root, and is not disturbed by it.
func TestDemoAsRoot(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs, gate.Root)
	v, cmd := newVisitor(t, "-script")
	cmd.SysProcAttr.Credential = nil
	v.starts(cmd).ends(0)
	v.said(v.output.String())
}

// said compares a transcript with the golden file.
func (v *visitor) said(got string) {
	t := v.tb
	t.Helper()
	if diff := cmp.Diff(readText(t, demoGolden), maskDemo(got)); diff != "" {
		t.Errorf("the demo (-want +got, -update writes it anew):\n%s", diff)
	}
}

// TestReadmeShowsTheDemo: what it shows is what one sees.
func TestReadmeShowsTheDemo(t *testing.T) {
	_, shown, _ := readmeDemo(t)
	if diff := cmp.Diff(readText(t, demoGolden), maskDemo(shown)); diff != "" {
		t.Errorf("the demo in README.md (-want +got, -update writes it anew):\n%s", diff)
	}
}

// readmeDemo cuts README.md at the block with the demo.
func readmeDemo(t *testing.T) (before, shown, after string) {
	t.Helper()
	before, rest, opened := strings.Cut(readText(t, filepath.Join(root, "README.md")), readmeOpen)
	shown, after, closed := strings.Cut(rest, readmeClose)
	if !opened || !closed {
		t.Fatalf("README.md has no block between %q and %q", readmeOpen, readmeClose)
	}
	return before, shown, after
}

// updateReadme writes the transcript, as it is where the usual port is free, into README.md if more has
// changed than times.
func updateReadme(t *testing.T, transcript string) {
	t.Helper()
	before, shown, after := readmeDemo(t)
	if maskDemo(shown) == maskDemo(transcript) {
		return
	}
	transcript = demoPortTaken.ReplaceAllString(transcript, "")
	for addr, port := range map[string]string{"127.0.0.1": "5300", "127.0.3.1": "8443"} {
		here := regexp.MustCompile(regexp.QuoteMeta(addr) + `( port |:)\d+ `)
		transcript = here.ReplaceAllString(transcript, addr+"${1}"+port+" ")
	}
	name := filepath.Join(root, "README.md")
	if err := os.WriteFile(name, []byte(before+readmeOpen+transcript+readmeClose+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readText(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDemoInterrupted ends the demo in the middle of its story.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			v := startDemo(t, "-script")
			v.says("4. A film plays", 1)
			v.signal(t, sig)
			v.ends(1)
		})
	}
}

// TestDemoStays presses keys once the story is told, and ends it as a person might.
func TestDemoStays(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	tests := []struct {
		name string
		end  func(*visitor)
	}{
		{"until its input ends", func(v *visitor) {
			fmt.Fprintln(v.in, "w")
			v.says("wan moved to 203.0.113.8\n   outside  plex.home.duckdns.org A  203.0.113.8 (new), after ", 1)
			v.in.Close()
		}},
		{"until Ctrl-C", func(v *visitor) { v.signal(v.tb, syscall.SIGINT) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := startDemo(t)
			v.says("Each key with Enter:", 1)
			fmt.Fprintln(v.in, "p")
			v.says("proxy killed\n   inside   plex.home.duckdns.org A  127.0.1.1 (plex1), after ", 1)
			fmt.Fprintln(v.in, "1")
			v.says("plex1 killed\n   inside   plex.home.duckdns.org A  127.0.2.1 (plex2), after ", 1)
			fmt.Fprintln(v.in, "d")
			v.says(" drained\n", 1)
			tt.end(v)
			v.ends(0)
		})
	}
}

// TestDemoKilled: who is killed cannot clean up, but its children notice, and one of them does.
func TestDemoKilled(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.says("4. A film plays", 1)
	v.kill()
	eventually(t, demoTime, v.left)
}

// TestDemoShowsTheLog: a story that does not hold ends with exit code 1 and what plexdns had to say.
func TestDemoShowsTheLog(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.says("4. A film plays", 1)
	for pid, line := range processesOf(t, v.exe) {
		if strings.Contains(line, " child plexdns ") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	v.ends(1)
	for _, words := range []string{
		"\nthe log of plexdns:\n   ",
		"\nthe log of plexproxy:\n   ",
		"\n   home.duckdns.org.:",
		": running plexdns: it has ended: signal: killed\n",
	} {
		if v.output.count(words) != 1 {
			t.Errorf("said %q %d times, want once", words, v.output.count(words))
		}
	}
}
