package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/internal/gate"
)

// shell is a real one, with a folder of its own as its home.
type shell struct {
	name string
	dir  string
	path string // PATH
}

// newShell returns one that finds our programs, in a folder with a Corefile and the completion's script.
func newShell(t *testing.T, name string) *shell {
	t.Helper()
	gate.Need(t, gate.Tool(name))
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	plexctl := programs.path(t, "plexctl")
	for _, program := range []string{"plexctl", "plexdns", "plexproxy"} { // the others are only named
		if err := os.Symlink(plexctl, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	const corefile = "home.test {\nplex {\nnode plex1 127.0.0.1\nnode plex2 127.0.0.2\nproxy 127.0.0.3:8443\n}\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "Corefile"), []byte(corefile), 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := exec.CommandContext(t.Context(), plexctl, "completion", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_plexctl"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	return &shell{name, dir, bin + ":" + os.Getenv("PATH")}
}

// run runs a program in the folder, and returns what it writes.
func (s *shell) run(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(input)
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + s.path, "TERM=xterm", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// typed returns what lines have become after their tabs, in an interactive shell on a terminal.
func (s *shell) typed(t *testing.T, setup string, lines []string, command ...string) []string {
	t.Helper()
	const home = "\x01" // the cursor goes to the line's begin
	var input strings.Builder
	input.WriteString(setup + "\n")
	for _, line := range lines {
		input.WriteString(line + home + "echo GOT: \n")
	}
	input.WriteString("exit\n")
	out := s.run(t, input.String(), "script", "-qec", strings.Join(command, " "), "/dev/null")
	var got []string
	for l := range strings.Lines(out) {
		if _, line, ok := strings.Cut(l, "GOT: "); ok && !strings.Contains(l, "echo") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	return got
}

// completions are lines before and after the tabs.
var completions = []struct{ typed, want string }{
	{"plexctl dra\tplex2 -wh\tx", "plexctl drain plex2 -why x"},
	{"plexctl duckdns ve\t", "plexctl duckdns verify"},
	{"plexctl order plex1 dr\t", "plexctl order plex1 drain"},
	{"plexctl drain 127.0.0.3:8\t", "plexctl drain 127.0.0.3:8443"},
	{"plexctl status -zo\tho\t", "plexctl status -zone home.test"},
	{"plexctl check Coref\t", "plexctl check Corefile"},
	{"plexctl status -conf Coref\t", "plexctl status -conf Corefile"},
	{"plexdns -plu\t", "plexdns -plugins"},
	{"plexdns -conf Coref\t", "plexdns -conf Corefile"},
	{"plexproxy -prin\t", "plexproxy -print-config"},
}

// TestCompletion types at real shells.
func TestCompletion(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("script"))
	for _, tc := range []struct {
		shell, name, setup string
		command            []string
	}{
		{"bash", "bash", "source ./_plexctl", []string{"bash", "--norc", "--noprofile", "-i"}},
		{"zsh", "zsh", "autoload -Uz compinit; compinit -u -D; source ./_plexctl; bindkey -e", []string{"zsh", "-f", "-i"}},
		{"zsh", "zsh, from fpath", "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; bindkey -e", []string{"zsh", "-f", "-i"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, tc.shell)
			var lines, want []string
			for _, c := range completions {
				lines, want = append(lines, c.typed), append(want, c.want)
			}
			if diff := cmp.Diff(want, s.typed(t, tc.setup, lines, tc.command...)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompletionInFish asks fish itself what it would complete: it knows without a terminal.
func TestCompletionInFish(t *testing.T) {
	t.Parallel()
	s := newShell(t, "fish")
	for _, c := range completions {
		typed, _, _ := strings.Cut(c.typed, "\t")
		wants := strings.Fields(c.want)[len(strings.Fields(typed))-1]
		out := s.run(t, "", "fish", "--no-config", "-c", "source ./_plexctl; complete -C '"+typed+"'")
		if got, _, _ := strings.Cut(strings.TrimSpace(out), "\t"); got != wants {
			t.Errorf("%q is completed to %q, want %q", typed, got, wants)
		}
	}
}
