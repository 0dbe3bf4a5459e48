package e2e_test

import (
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// TestBenchmarkOfSharingRuns copies so few files that its numbers mean nothing; that a copy is complete, the script sees.
func TestBenchmarkOfSharingRuns(t *testing.T) {
	gate.Need(t, minutes, gate.Tool("gcc"), gate.Tool("rsync"))
	out := bench(t, "share.sh", "PLEXHA_BENCH_ROUNDS=1", "PLEXHA_BENCH_FILES=300", "PLEXHA_BENCH_DIR="+t.TempDir())
	for _, tool := range []string{"share", "cp", "rsync"} {
		if !strings.Contains(out, "\n  "+tool+" ") {
			t.Errorf("%s is not in the table", tool)
		}
	}
}
