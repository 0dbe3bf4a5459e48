package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// TestBenchmarkOfDetectionRuns runs it for so short a time that its numbers mean nothing.
func TestBenchmarkOfDetectionRuns(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes, gate.Namespaces, gate.Tool("gcc"), gate.Tool("curl"))
	cmd := exec.CommandContext(t.Context(), "bash", "bench/external.sh")
	cmd.Env = append(os.Environ(), "PLEXHA_BENCH_SECONDS=5", "PLEXHA_BENCH_SETTLE=20", asCompiled,
		"PLEXHA_BENCH_PLEXDNS="+programs.released(t, "plexdns"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	for _, row := range []string{"an hour, without", "an hour, detection", "an hour, duckdns", "a round of all"} {
		if !strings.Contains(string(out), "\n"+row+" ") {
			t.Errorf("no row %q", row)
		}
	}
}
