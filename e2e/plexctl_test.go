package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestPlexctl checks what its commands say that start nothing.
func TestPlexctl(t *testing.T) {
	tests := []struct {
		args string
		out  string // in standard output
		errw string // in standard error
		code int
	}{
		{args: "help", out: "usage: plexctl COMMAND"},
		{args: "-h", out: "usage: plexctl COMMAND"},
		{args: "demo -h", out: "usage: plexctl demo [-script]"},
		{args: "probe -h", out: "usage: plexctl probe"},
		{args: "duckdns -h", out: "usage: plexctl duckdns"},
		{args: "version", out: "plexctl-"},
		{args: "", errw: "plexctl: no command: see plexctl help\n", code: 1},
		{args: "dmeo", errw: "plexctl: unknown command \"dmeo\": did you mean demo?: see plexctl help\n", code: 1},
		{args: "demo now", errw: "plexctl: reading the arguments: unexpected \"now\": see plexctl demo -h\n", code: 1},
		{args: "child", errw: "being a child: unexpected []: only plexctl demo starts children\n", code: 1},
	}
	for _, tt := range tests {
		t.Run("plexctl "+tt.args, func(t *testing.T) {
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
