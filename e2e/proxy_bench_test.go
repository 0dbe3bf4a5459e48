package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// asCompiled has a benchmark build what it builds of the packages that the other tests have compiled: without cgo nearly
// all of them are compiled anew, which takes minutes.
const asCompiled = "CGO_ENABLED=1"

// TestBenchmarkOfProxiesRuns runs it for so short a time that its numbers mean nothing.
func TestBenchmarkOfProxiesRuns(t *testing.T) {
	gate.Need(t, minutes, gate.Tool("gcc"), gate.Tool("wrk"), gate.Tool("haproxy"), gate.Tool("nginx"))
	cmd := exec.CommandContext(t.Context(), "bash", "bench/proxy.sh")
	cmd.Env = append(os.Environ(), "PLEXHA_BENCH_ROUNDS=1", "PLEXHA_BENCH_SECONDS=1", "PLEXHA_BENCH_MEMORY=1",
		"PLEXHA_BENCH_STREAMS=50", "PLEXHA_BENCH_CALM=0", asCompiled,
		"PLEXHA_BENCH_PLEXPROXY="+programs.released(t, "plexproxy"), "PLEXHA_BENCH_CADDY="+programs.released(t, "stockcaddy"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	for _, proxy := range []string{"plexproxy", "caddy", "haproxy", "haproxy-splice", "nginx"} {
		if !strings.Contains(string(out), "\n  "+proxy+" ") {
			t.Errorf("%s is not in the table", proxy)
		}
	}
}
