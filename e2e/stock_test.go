package e2e_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

// minutes is met where tests may take them.
func minutes() string {
	if !gate.Long() {
		return "takes minutes: set PLEXHA_E2E_LONG"
	}
	return ""
}

// buildStock builds a CoreDNS with all of its own plugins and ours. Its module stands apart, in e2e/stock,
// since those plugins need hundreds of modules that we do not. It is built from a copy of its go.mod, so that a
// version that ours asks for is taken over.
func buildStock(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("stock", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(content))
	}
	out := filepath.Join(dir, "coredns")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-modfile="+filepath.Join(dir, "go.mod"), "-o", out, ".")
	cmd.Dir = "stock"
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building CoreDNS with our plugin: %v\n%s", err, msg)
	}
	return out
}

func TestPluginDropsIntoStockCoreDNS(t *testing.T) {
	t.Parallel()
	gate.Need(t, minutes)
	binary := buildStock(t)
	h := newHome(t, homeConfig{}) // for its stand-ins; a plexdns of ours runs beside
	p := newPlexdns(t)
	metrics := netip.AddrPortFrom(inside, freePort(t, inside))
	lines := homeConfig{plugins: []string{"cache", "whoami", "prometheus " + metrics.String()}, lines: []string{"answer nodes all"}}
	beside := &home{tb: t, nodes: h.nodes, dns: p}
	p.write(beside.corefile(lines))
	p.proc = startProcess(t, "", exec.CommandContext(t.Context(), binary, "-conf", p.file()))
	for from, want := range map[netip.Addr][]netip.Addr{inside: addrs(h.nodes...), outside: {uplink}} {
		eventually(t, 20*time.Second, func() error {
			m, err := p.tryAsk(from, mainName, dns.TypeA)
			if err != nil {
				return err
			}
			if diff := cmp.Diff(want, addresses(m), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				return fmt.Errorf("%s from %s (-want +got):\n%s", mainName, from, diff)
			}
			return nil
		})
	}
	beside.checkLane(t, metrics)
}

// checkLane: the fast lane answers here as well.
func (h *home) checkLane(t *testing.T, metrics netip.AddrPort) {
	t.Helper()
	l := &laned{home: h, at: "http://" + metrics.String() + "/metrics"}
	l.settle()
	if got := l.counted("coredns_plex_lane_answers_total"); got == 0 {
		t.Error("the fast lane has answered nothing")
	}
}
