package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestPlexctl checks what its commands say that start nothing.
func TestPlexctl(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		out  string // in standard output
		errw string // in standard error
		code int
	}{
		{args: "help", out: "usage: plexctl COMMAND"},
		{args: "-h", out: "usage: plexctl COMMAND"},
		{args: "demo -h", out: "usage: plexctl demo [-script]"},
		{args: "help duckdns", out: "usage: plexctl duckdns COMMAND"},
		{args: "duckdns", out: "usage: plexctl duckdns COMMAND"},
		{args: "version", out: "plexctl-"},
		{args: "", errw: "plexctl: no command: see plexctl help\n", code: 1},
		{args: "dmeo", errw: "plexctl: unknown command \"dmeo\": did you mean demo?: see plexctl help\n", code: 1},
		{args: "demo now", errw: "plexctl: reading the arguments: unexpected \"now\": see plexctl demo -h\n", code: 1},
		{args: "child", errw: "being a child: unexpected []: only plexctl demo starts children\n", code: 1},
	}
	for _, tt := range tests {
		t.Run("plexctl "+tt.args, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), strings.Fields(tt.args)...)
			var out, errw strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errw
			if code := exitCode(cmd.Run()); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.HasPrefix(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
				t.Errorf("standard output %q, want %q", out.String(), tt.out)
			}
			if errw.String() != tt.errw {
				t.Errorf("standard error %q, want %q", errw.String(), tt.errw)
			}
		})
	}
}

// TestHelp is all that the programs say of their command lines. It fits on a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	golden := filepath.Join("testdata", "help.golden")
	var all strings.Builder
	show := func(program string, args ...string) {
		cmd := exec.CommandContext(t.Context(), programs.path(t, program), args...)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s %q: %v", program, args, err)
		}
		for line := range strings.Lines(string(out)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s %q: %d characters in the line %q", program, args, n, line)
			}
		}
		fmt.Fprintf(&all, "$ %s %s\n%s\n", program, strings.Join(args, " "), out)
	}
	show("plexctl", "help")
	for _, name := range commandsOf(t) {
		show("plexctl", append(strings.Fields(name), "-h")...)
	}
	show("plexdns", "-help")
	show("plexproxy", "-help")
	if *update {
		writeFile(t, golden, all.String())
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("the help (-want +got, -update writes it anew):\n%s", diff)
	}
}
