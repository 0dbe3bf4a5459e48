package e2e_test

import (
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

// demoTime bounds each wait for the demo: its story takes 10 s, on a machine that is not busy.
const demoTime = 60 * time.Second

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
	v := &visitor{tb: tb, exe: programs.path(tb, "plexctl")}
	var err error
	if v.dir, err = os.MkdirTemp("", "plexha-visitor-"); err != nil { //nolint:usetesting // nobody may enter tb.TempDir
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(v.dir) })
	cmd := exec.CommandContext(tb.Context(), v.exe, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+v.dir, "TMPDIR="+v.dir)
	cmd.Dir = v.dir
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(v.dir, nobody, nobody); err != nil {
			tb.Fatal(err)
		}
	}
	if v.in, err = cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	v.process = startProcess(tb, "", cmd)
	return v
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
	if left := processesOf(v.tb, v.exe); len(left) > 0 {
		v.tb.Errorf("processes left behind: %v", left)
	}
	files, err := os.ReadDir(v.dir)
	if err != nil {
		v.tb.Fatal(err)
	}
	for _, f := range files {
		v.tb.Errorf("%s left behind", f.Name())
	}
	if v.output.count("WARNING: DATA RACE") > 0 {
		v.tb.Error("the demo has a data race")
	}
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
	{demoPort, "port PORT "},
	{regexp.MustCompile(`after \d+ ms`), "after N ms"},
	{regexp.MustCompile(`since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "since TIME"},
}

var (
	demoPortTaken = regexp.MustCompile(` \(port \d+ is taken\)`)
	demoPort      = regexp.MustCompile(`port \d+ `)
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
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.ends(0)
	got := v.output.String()
	if *update {
		writeFile(t, demoGolden, maskDemo(got))
		updateReadme(t, got)
	}
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
	transcript = demoPort.ReplaceAllString(demoPortTaken.ReplaceAllString(transcript, ""), "port 5300 ")
	name := filepath.Join(root, "README.md")
	if err := os.WriteFile(name, []byte(before+readmeOpen+transcript+readmeClose+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDemoInterrupted ends the demo in the middle of its story.
func TestDemoInterrupted(t *testing.T) {
	gate.Need(t, procfs)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			v := startDemo(t, "-script")
			v.says("2. The proxy is killed", 1)
			v.signal(t, sig)
			v.ends(1)
		})
	}
}

// TestDemoStays presses keys once the story is told, and ends it as a person might.
func TestDemoStays(t *testing.T) {
	gate.Need(t, procfs)
	tests := []struct {
		name string
		end  func(*visitor)
	}{
		{"until its input ends", func(v *visitor) {
			fmt.Fprintln(v.in, "w")
			v.says("wan moved to 203.0.113.7\n   outside  plex.home.duckdns.org A  203.0.113.7 (wan), after ", 1)
			v.in.Close()
		}},
		{"until Ctrl-C", func(v *visitor) { v.signal(v.tb, syscall.SIGINT) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := startDemo(t)
			v.says("Keys, ", 1)
			fmt.Fprintln(v.in, "p")
			v.says("proxy killed\n   inside   plex.home.duckdns.org A  127.0.1.1 (plex1), after ", 1)
			fmt.Fprintln(v.in, "1")
			v.says("plex1 killed\n   inside   plex.home.duckdns.org A  127.0.2.1 (plex2), after ", 1)
			tt.end(v)
			v.ends(0)
		})
	}
}

// TestDemoKilled: who is killed cannot clean up, but the children notice.
func TestDemoKilled(t *testing.T) {
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.says("2. The proxy is killed", 1)
	v.kill()
	eventually(t, demoTime, func() error {
		if left := processesOf(t, v.exe); len(left) > 0 {
			return fmt.Errorf("processes left behind: %v", left)
		}
		return nil
	})
}

// TestDemoShowsTheLog: a story that does not hold ends with exit code 1 and what plexdns had to say.
func TestDemoShowsTheLog(t *testing.T) {
	gate.Need(t, procfs)
	v := startDemo(t, "-script")
	v.says("2. The proxy is killed", 1)
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
		"\n   home.duckdns.org.:",
		": running plexdns: it has ended: signal: killed\n",
	} {
		if v.output.count(words) != 1 {
			t.Errorf("said %q %d times, want once", words, v.output.count(words))
		}
	}
}
