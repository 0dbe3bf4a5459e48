package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/zones"
	"plexha/zones/board"
)

// readmeBlock returns the one fenced block of README.md in that language that holds the words.
func readmeBlock(t *testing.T, language, words string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```(\\w*)\n(.*?\n)```").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language && strings.Contains(m[2], words) {
			found = append(found, m[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks of %s with %q, want 1", len(found), language, words)
	}
	return found[0]
}

// TestReadmeCorefile starts what README.md says to write, moved to this machine: each IPv4 address becomes one of
// 127/8, and each port one that is free.
func TestReadmeCorefile(t *testing.T) {
	text := readmeBlock(t, "corefile", "plex {")
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlexdns(t)
	ready, metrics := netip.AddrPortFrom(inside, freePort(t, inside)), netip.AddrPortFrom(inside, freePort(t, inside))
	for _, r := range []struct{ from, to string }{
		{`\b\d+\.(\d+\.\d+\.\d+)\b`, "127.$1"},
		{`(?m)^(\s*)plex \{$`, "${1}plex {\n${1}    state " + p.dir},
		{`(?m)^(\S+) \{$`, "$1 {\n    bind " + inside.String()},
		{`(?m)^    ready \{$`, "    ready " + ready.String() + " {"},
		{`(?m)^    prometheus$`, "    prometheus " + metrics.String()},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, r.to)
	}
	p.write(text)
	p.flags = []string{"-dns.port", strconv.Itoa(int(p.addr.Port()))}
	p.start()

	client := netip.MustParseAddr("127.168.1.77")
	var nodes []netip.Addr
	for _, n := range configs[0].Cluster.Nodes {
		nodes = append(nodes, netip.MustParseAddr(strings.Replace(n.Host, "192.", "127.", 1)))
	}
	if got := addresses(p.ask(client, mainName, dns.TypeA)); len(got) == 0 || !slices.Contains(nodes, got[0]) {
		t.Errorf("inside the answer is %v, want of %v", got, nodes)
	}
	if got := p.ask(client, "_status."+mainName, dns.TypeTXT); len(got.Answer) != len(nodes) {
		t.Errorf("_status: got %v, want a line for each of %d nodes", got.Answer, len(nodes))
	}
	if _, err := get(t, fmt.Sprintf("http://%s/ready", ready)); err != nil {
		t.Error(err)
	}
	page, err := get(t, fmt.Sprintf("http://%s/metrics", metrics))
	if err != nil || !strings.Contains(page, "\ncoredns_plex_state{") {
		t.Errorf("the metrics lack coredns_plex_state: %v\n%s", err, page)
	}
}

// get returns a page, or an error if its status is not 200.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}

func TestReadmeOrders(t *testing.T) {
	got, err := board.ParseOrders(strings.NewReader(readmeBlock(t, "text", "plex1 drain")))
	if err != nil {
		t.Fatal(err)
	}
	want := []board.OrderLine{{
		Name: "plex1", Order: zones.OrderDrain, Until: time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC), Why: "new disk",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// TestReadmeMistake makes the mistake that README.md shows in the Corefile that it shows, at the line that it says.
func TestReadmeMistake(t *testing.T) {
	want := readmeBlock(t, "text", "intervall")
	place := regexp.MustCompile(`Corefile:(\d+): `).FindStringSubmatch(want)
	if place == nil {
		t.Fatalf("README.md's %q names no line", want)
	}
	line, _ := strconv.Atoi(place[1]) // digits
	lines := strings.SplitAfter(readmeBlock(t, "corefile", "plex {"), "\n")
	p := newPlexdns(t)
	p.write(strings.Join(slices.Insert(lines, line-1, "        intervall 2s\n"), ""))
	cmd := exec.CommandContext(t.Context(), programs.path(t, "plexdns"), "-conf", "Corefile")
	cmd.Dir = p.dir
	proc := startProcess(t, "", cmd)
	if code := exitCode(proc.wait(t, 20*time.Second)); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if diff := cmp.Diff(want, proc.output.String()); diff != "" {
		t.Errorf("output (-README.md +plexdns):\n%s", diff)
	}
}
