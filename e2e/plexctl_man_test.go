package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// plexctlSays returns the standard output of plexctl.
func plexctlSays(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), args...)
	var errw strings.Builder
	cmd.Stderr = &errw
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("plexctl %q: %v\n%s", args, err, errw.String())
	}
	return string(out)
}

// TestManPages: formatters find nothing wrong with them, and they have all commands and flags.
func TestManPages(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("mandoc"))
	dir := t.TempDir()
	plexctlSays(t, "man", "-dir", dir)
	pages := map[string]string{} // what is read of them, without line breaks
	for _, file := range []string{"man1/plexctl.1", "man7/coredns-plex.7", "man8/plexdns.8", "man8/plexproxy.8"} {
		path := filepath.Join(dir, file)
		out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "lint", "-W", "warning", path).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") { // a page is the same whenever it is made
				t.Errorf("%s: %s", file, line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Errorf("%s: %v", file, err)
		}
		text, err := exec.CommandContext(t.Context(), "mandoc", "-T", "utf8", "-O", "width=1000", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		pages[file] = overstrike.ReplaceAllString(string(text), "")
	}
	flags := regexp.MustCompile(`(?m)^  (-[a-z.0-9-]+(?: [A-Z]+)?)(?:  |$)`)
	has := func(page, help string) {
		for _, m := range flags.FindAllStringSubmatch(help, -1) {
			if !strings.Contains(pages[page], m[1]) {
				t.Errorf("%s lacks %s", page, m[1])
			}
		}
	}
	for _, name := range commandsOf(t) {
		help := plexctlSays(t, "help", name)
		_, section, found := strings.Cut(pages["man1/plexctl.1"], "\n   "+name+"\n")
		if !found {
			t.Errorf("plexctl(1) lacks %s", name)
		}
		has("man1/plexctl.1", help)
		synopsis := strings.Join(strings.Fields(strings.TrimPrefix(strings.SplitN(help, "\n\n", 2)[0], "usage: ")), " ")
		if begin, _, _ := strings.Cut(strings.TrimSpace(section), "\n"); begin != synopsis {
			t.Errorf("plexctl(1) has of %s %q, want %q", name, begin, synopsis)
		}
	}
	for page, program := range map[string]string{"man8/plexdns.8": "plexdns", "man8/plexproxy.8": "plexproxy"} {
		help, err := exec.CommandContext(t.Context(), programs.path(t, program), "-help").Output()
		if err != nil || len(flags.FindAll(help, -1)) < 6 {
			t.Fatalf("%s -help: %v\n%s", program, err, help)
		}
		has(page, string(help))
	}
}

// overstrike is how terminals without colours show bold and underlined letters.
var overstrike = regexp.MustCompile(`.\x08`)

// commandsOf returns the commands of plexctl, as its help has them.
func commandsOf(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+(?: (?:once|verify|clear|plan|apply|undo|status))?)`).FindAllStringSubmatch(plexctlSays(t, "help"), -1) {
		if m[1] != "help" {
			names = append(names, m[1])
		}
	}
	return names
}

// TestManFindsThem where packages put man pages.
func TestManFindsThem(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("man"))
	dir := t.TempDir()
	plexctlSays(t, "man", "-dir", dir)
	for _, page := range []string{"plexctl", "plexdns", "plexproxy", "coredns-plex"} {
		cmd := exec.CommandContext(t.Context(), "man", "-M", dir, "-w", page)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), dir) {
			t.Errorf("man %s: %v\n%s", page, err, out)
		}
	}
}
