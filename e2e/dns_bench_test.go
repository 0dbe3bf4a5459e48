package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"plexha/e2e/internal/gate"
)

// bench runs a benchmark's script for so short a time that its numbers mean nothing, and returns what it prints.
func bench(t *testing.T, script string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "bench/"+script)
	cmd.Env = append(os.Environ(), append(env, asCompiled, "PLEXHA_BENCH_PLEXDNS="+programs.released(t, "plexdns"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	return string(out)
}

func TestBenchmarkOfNameServersRuns(t *testing.T) {
	gate.Need(t, minutes, gate.Tool("gcc"), gate.Tool("dnsperf"), gate.Tool("gdnsd"), gate.Tool("pdns_server"))
	out := bench(t, "dns.sh", "PLEXHA_BENCH_ROUNDS=1", "PLEXHA_BENCH_SECONDS=1")
	for _, server := range []string{
		"plexdns", "plexdns-off", "coredns", "gdnsd", "pdns", "nsd", "knot", "bind", "echo-c", "echo-go",
	} {
		if !strings.Contains(out, "\n  "+server+" ") {
			t.Errorf("%s is not in the table", server)
		}
	}
}

func TestBenchmarkOfGrowthRuns(t *testing.T) {
	gate.Need(t, minutes, gate.Tool("gcc"))
	out := bench(t, "dns_growth.sh", "PLEXHA_BENCH_ROUNDS=1", "PLEXHA_BENCH_SECONDS=1")
	for _, row := range []string{"nodes ", "names ", "pages ", "clients "} {
		if !strings.Contains(out, "\n"+row) {
			t.Errorf("no row %q", row)
		}
	}
}

// TestPlexdnsAnswersWhileAllChanges fails if an answer is lost or wrong: the script does.
func TestPlexdnsAnswersWhileAllChanges(t *testing.T) {
	gate.Need(t, minutes, gate.Tool("gcc"))
	bench(t, "dns_soak.sh", "PLEXHA_BENCH_SECONDS=15", "PLEXHA_BENCH_RELOAD=2")
}

// TestPlexdnsStandsFloods fails if less than half of the rate is left: the script does.
func TestPlexdnsStandsFloods(t *testing.T) {
	gate.Need(t, minutes, gate.Namespaces, gate.Tool("gcc"))
	bench(t, "dns_flood.sh", "PLEXHA_BENCH_SECONDS=2", "PLEXHA_BENCH_HOT=10000", "PLEXHA_BENCH_FLOOD=20000")
}
