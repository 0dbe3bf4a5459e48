package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path"
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
	t.Parallel()
	text := readmeBlock(t, "corefile", "plex {")
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlexdns(t)
	ready, metrics := p.startMoved(text)

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

// startMoved starts it with a Corefile of README.md's, and returns where ready and prometheus have been moved to.
func (p *plexdns) startMoved(text string, moves ...move) (ready, metrics netip.AddrPort) {
	p.tb.Helper()
	ready, metrics = netip.AddrPortFrom(inside, freePort(p.tb, inside)), netip.AddrPortFrom(inside, freePort(p.tb, inside))
	for _, m := range append(moves,
		move{`\b\d+\.(\d+\.\d+\.\d+)\b`, "127.$1"},
		move{`(?m)^ *detect .*\n`, ""},
		move{`(?m)^( *duckdns .*)$`, "$1 api http://127.0.0.1:9 verify off"},
		move{`(?m)^(\s*)plex \{$`, "${1}plex {\n${1}    state " + p.dir + "\n${1}    detect command false"},
		move{`(?m)^(\S+) \{$`, "$1 {\n    bind " + inside.String()},
		move{`(?m)^    ready \{$`, "    ready " + ready.String() + " {"},
		move{`(?m)^    prometheus$`, "    prometheus " + metrics.String()},
	) {
		text = regexp.MustCompile(m.from).ReplaceAllString(text, m.to)
	}
	p.write(text)
	p.flags = []string{"-dns.port", strconv.Itoa(int(p.addr.Port()))}
	p.start()
	return ready, metrics
}

// move replaces what matches, as regexp does.
type move struct{ from, to string }

// TestReadmeProxy adds the lines to README.md's Corefile that it says to add, starts both programs with it, and asks
// what it says to ask.
func TestReadmeProxy(t *testing.T) {
	t.Parallel()
	lines := readmeBlock(t, "text", "tls      internal")
	if !strings.Contains(lines, "tls      internal") || strings.Count(lines, "\n") != 3 {
		t.Fatalf("want three lines, with tls internal: %q", lines)
	}
	text := strings.Replace(readmeBlock(t, "corefile", "plex {"), "        fallthrough\n", lines+"        fallthrough\n", 1)
	c, p := newCLI(t), newPlexdns(t)
	at := netip.MustParseAddr("127.0.3.1") // where no node is
	c.tls = netip.AddrPortFrom(at, freePort(t, at))
	ours := fmt.Sprintf("$0\n        proxy_status %s\n        listen %s http://%s", c.status, c.tls, c.plain)
	moves := []move{{`proxy +\S+`, "proxy " + c.tls.String()}, {`/var/lib/plexha\S*`, c.dir}, {`tls +internal`, ours}}
	for i, n := range newHouse(t, 2).nodes {
		moves = append(moves, move{fmt.Sprintf(`node +plex%d \S+`, 1+i), fmt.Sprintf("node plex%d %s", 1+i, n.addr)})
	}
	p.startMoved(text, moves...)
	c.dir = p.dir
	c.start()

	client := netip.MustParseAddr("127.168.1.77")
	eventually(t, 20*time.Second, func() error {
		if got := addresses(p.ask(client, mainName, dns.TypeA)); !slices.Equal(got, []netip.Addr{at}) {
			return fmt.Errorf("the main name leads to %v, want the proxy", got)
		}
		return nil
	})
	f := newFront(t)
	f.addr = c.tls
	f.useTLS()
	if a := f.get("/identity"); a.status != http.StatusOK || !strings.Contains(string(a.body), "machineIdentifier") {
		t.Errorf("/identity: %s\n%s", a, a.body)
	}
	for _, page := range []string{"/.plexha/status.json", "/metrics"} {
		if _, err := get(t, fmt.Sprintf("http://%s%s", c.status, page)); err != nil {
			t.Error(err)
		}
	}
}

// TestReadmeCommands: the programs that README.md builds are there, and have the flags that it gives them.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)go (?:build|run).* (\./cmd/\w+)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1], "main.go")); err != nil {
			t.Error(err)
		}
	}
	calls := regexp.MustCompile("(?:\\./|/usr/local/bin/|`)(plexdns|plexproxy)((?: -?[\\w./-]+)*)").FindAllStringSubmatch(string(text), -1)
	given := 0
	for _, m := range calls {
		help, err := exec.CommandContext(t.Context(), programs.path(t, m[1]), "-help").CombinedOutput()
		if err != nil {
			t.Fatalf("%s -help: %v", m[1], err)
		}
		for _, flag := range regexp.MustCompile(` (-\S+)`).FindAllStringSubmatch(m[2], -1) {
			given++
			if !regexp.MustCompile(`(?m)^  ` + flag[1] + `\b`).Match(help) {
				t.Errorf("%s: there is no flag %s", m[0], flag[1])
			}
		}
	}
	if given < 4 {
		t.Errorf("%d flags are given in README.md: the test does not see them", given)
	}
}

// TestReadmeUnit: the unit lets plexproxy write where the Corefile says, and waits for it to end.
func TestReadmeUnit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Corefile"), readmeBlock(t, "corefile", "plex {"))
	unit, code := readmeRun(t, dir, "plexctl", "unit", "plexproxy")
	if code != 0 {
		t.Fatal(unit)
	}
	value := func(key string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(unit)
		if m == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return m[1]
	}
	storage := regexp.MustCompile(`storage +(\S+)`).FindStringSubmatch(readmeBlock(t, "text", "tls      internal"))[1]
	if folder := "/var/lib/" + value("StateDirectory"); path.Dir(storage) != folder {
		t.Errorf("storage is %s, the state folder %s", storage, folder)
	}
	help, err := exec.CommandContext(t.Context(), programs.path(t, "plexproxy"), "-help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`signal to stop \(default\s+(\d+)s\)`).FindSubmatch(help)
	if m == nil {
		t.Fatalf("-help names no grace:\n%s", help)
	}
	grace, _ := strconv.Atoi(string(m[1])) // digits
	if stop, err := strconv.Atoi(value("TimeoutStopSec")); err != nil || stop <= grace {
		t.Errorf("systemd waits for %d s, %v, plexproxy for %d s", stop, err, grace)
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

// TestReadmeCheck makes the mistakes that README.md shows in the Corefile that it shows, at the lines that it says.
func TestReadmeCheck(t *testing.T) {
	t.Parallel()
	want, ok := strings.CutPrefix(readmeBlock(t, "text", "plexctl check"), "$ ./plexctl check\n")
	place := regexp.MustCompile(`(?m)^Corefile:(\d+): warning: max_requests 1: `).FindStringSubmatch(want)
	if !ok || place == nil {
		t.Fatalf("README.md's %q is no run of plexctl check with a line for max_requests", want)
	}
	line, _ := strconv.Atoi(place[1]) // digits
	lines := strings.SplitAfter(readmeBlock(t, "corefile", "plex {"), "\n")
	text := strings.Join(slices.Insert(lines, line-1, "        max_requests 1\n"), "")
	p := newPlexdns(t)
	p.write(strings.Replace(text, "    prometheus\n", "    prometeus\n", 1))
	got, code := readmeRun(t, p.dir, "plexctl", "check")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-README.md +plexctl):\n%s", diff)
	}
}

// TestReadmeResolver: the lines that README.md shows are what its command prints.
func TestReadmeResolver(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^\./plexctl (resolver .*)$`).FindStringSubmatch(readmeBlock(t, "sh", "plexctl resolver"))
	if command == nil {
		t.Fatal("README.md has no line ./plexctl resolver")
	}
	got, code := readmeRun(t, root, "plexctl", strings.Fields(command[1])...)
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if diff := cmp.Diff(readmeBlock(t, "text", "server=/home.duckdns.org/"), got); diff != "" {
		t.Errorf("output (-README.md +plexctl):\n%s", diff)
	}
}

// readmeRun runs a program in a folder, and returns what it says and its exit code.
func readmeRun(t *testing.T, dir, program string, args ...string) (said string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs.path(t, program), args...)
	cmd.Dir = dir
	proc := startProcess(t, "", cmd)
	code = exitCode(proc.wait(t, 20*time.Second))
	return proc.output.String(), code
}

// TestReadmePlexctl: the commands that README.md names are there, and have the flags that it gives them.
func TestReadmePlexctl(t *testing.T) {
	t.Parallel()
	text := readText(t, filepath.Join(root, "README.md"))
	calls := regexp.MustCompile("(?m)(?:`|^|sudo |/|\\$ )plexctl ((?:duckdns |share )?[a-z]+)([^\n`|]*)").FindAllStringSubmatch(text, -1)
	given := 0
	for _, m := range calls {
		if m[1] == "help" {
			continue
		}
		help, code := readmeRun(t, root, "plexctl", append([]string{"help"}, strings.Fields(m[1])...)...)
		if code != 0 {
			t.Errorf("%q: %s", m[0], help)
		}
		for _, flag := range regexp.MustCompile(`[ \[](-[a-z]+)`).FindAllStringSubmatch(m[2], -1) {
			given++
			if !regexp.MustCompile(`(?m)^  ` + flag[1] + `\b`).MatchString(help) {
				t.Errorf("%q: there is no flag %s:\n%s", m[0], flag[1], help)
			}
		}
	}
	if given < 12 {
		t.Errorf("%d flags are given in README.md: the test does not see them", given)
	}
}
