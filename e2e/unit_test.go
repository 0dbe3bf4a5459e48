package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/internal/gate"
)

// unitText returns what plexctl unit prints.
func unitText(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), append([]string{"unit"}, args...)...).Output()
	if err != nil {
		t.Fatalf("plexctl unit %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// machine is a root folder for systemd-analyze: systemd's own targets, and stubs of what units start.
func machine(t *testing.T) string {
	t.Helper()
	gate.Need(t, gate.Tool("systemd-analyze"))
	root := t.TempDir()
	for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "usr/bin", "usr/local/bin", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil { //nolint:gosec // a machine's
			t.Fatal(err)
		}
	}
	for _, program := range []string{"usr/bin/docker", "usr/bin/podman", "usr/local/bin/plexdns", "usr/local/bin/plexproxy", "bin/kill"} {
		if err := os.WriteFile(filepath.Join(root, program), []byte("#!/bin/sh\n"), 0o755); err != nil { //nolint:gosec // it runs
			t.Fatal(err)
		}
	}
	targets, err := filepath.Glob("/usr/lib/systemd/system/*.target")
	if err != nil || len(targets) == 0 {
		t.Fatalf("systemd has no targets, %v", err)
	}
	for _, target := range targets {
		text, err := os.ReadFile(target)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, "usr", "lib", "systemd", "system", filepath.Base(target)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(root, "etc", "systemd", "system", "docker.service"), "[Service]\nExecStart=/usr/bin/docker\n")
	return root
}

// verify has systemd look at a unit, and returns what it has against it.
func verify(t *testing.T, root, name, text string) string {
	t.Helper()
	writeFile(t, filepath.Join(root, "etc", "systemd", "system", name), text)
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "--root="+root, name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return string(out)
}

const (
	oneProxy = "../corefile/examples/minimal.corefile"
	twoLinks = "../corefile/examples/two-uplinks.corefile"
)

// nodeFlags are those without which no node's unit is printed, and some others.
var nodeFlags = []string{
	"-image", "lscr.io/linuxserver/plex:1.43.2", "-config", "/srv/plex1/config", "-transcode", "/srv/plex1/transcode",
	"-media", "/mnt/storage/Movies", "-media", "/mnt/storage/TV Shows:tv",
	"-shared", "/mnt/storage/shared",
}

// TestSystemdTakesUnits: systemd has nothing against any of the units, and -lint nothing against those of nodes.
func TestSystemdTakesUnits(t *testing.T) {
	t.Parallel()
	root := machine(t)
	sockets := filepath.Join(t.TempDir(), "Corefile")
	writeFile(t, sockets, "home.duckdns.org {\nplex {\nnode plex1 192.168.1.4\nproxy 192.168.1.2\ntls internal\nlisten fd/3 http://fd/4\n}\n}\n")
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"plexdns.service", []string{"plexdns", "-conf", oneProxy}},
		{"plexdns.service", []string{"plexdns", "-conf", twoLinks}},
		{"plexproxy.service", []string{"plexproxy", "-conf", oneProxy}},
		{"plexproxy.service", []string{"plexproxy", "-conf", "../corefile/examples/two-proxies.corefile"}},
		{"plexproxy.socket", []string{"plexproxy", "-socket", "-conf", sockets}},
		{"plexproxy.service", []string{"plexproxy", "-conf", sockets}},
		{"plexha-plex1.service", append([]string{"plex1", "-conf", oneProxy, "-engine", "docker"}, nodeFlags...)},
		{"plexha-plex2.service", append([]string{"plex2", "-conf", twoLinks, "-engine", "podman"}, nodeFlags...)},
		{"plexha-plex3.service", append([]string{"plex1", "-conf", oneProxy, "-engine", "quadlet"}, nodeFlags...)},
	} {
		text := unitText(t, tc.args...)
		// What stands below [Container] is Podman's, which makes the command of it.
		text = strings.Replace(text, "[Container]", "[X-Container]", 1)
		text = strings.Replace(text, "[Service]\n# The image", "[Service]\nExecStart=/usr/bin/podman\n# The image", 1)
		if got := verify(t, root, tc.name, text); got != "" {
			t.Errorf("plexctl unit %q: %s", tc.args, got)
		}
		for _, wrong := range [][2]string{{"[Install]\nWantedBy", "[Install]\nWantedFrom"}, {"Description=", "Descriptions="}} {
			if got := verify(t, root, tc.name, strings.Replace(text, wrong[0], wrong[1], 1)); got == "" {
				t.Errorf("%s: with %q nothing is said either", tc.name, wrong[1])
			}
		}
		verify(t, root, tc.name, text)
	}
}

// TestUnitsAreClosed: by systemd's own measure our programs have few rights. 10 is all of them.
func TestUnitsAreClosed(t *testing.T) {
	t.Parallel()
	root := machine(t)
	for _, name := range []string{"plexdns", "plexproxy"} {
		if got := verify(t, root, name+".service", unitText(t, name, "-conf", oneProxy)); got != "" {
			t.Error(got)
		}
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--root="+root, "--threshold=20", name+".service")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if m := regexp.MustCompile(`Overall exposure level for .*`).Find(out); m != nil {
			t.Logf("%s", m)
		}
	}
}

// TestLintFindsWhatTheWriteUpHas: with the exit code of a mistake, through the shipped program.
func TestLintFindsWhatTheWriteUpHas(t *testing.T) {
	t.Parallel()
	for _, node := range []string{"plex1", "plex2"} {
		file := "../cmd/internal/unit/lint/testdata/write-up-" + strings.TrimPrefix(node, "plex") + ".service"
		cmd := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), "unit", "-conf", oneProxy, "-lint", file, node)
		out, err := cmd.Output()
		if exitCode(err) != 1 || strings.Count(string(out), ": mistake: ") != 9 { // the port is this Corefile's
			t.Errorf("exit code %d\n%s", exitCode(err), out)
		}
	}
	ours := filepath.Join(t.TempDir(), "plexha-plex1.service")
	writeFile(t, ours, unitText(t, append([]string{"plex1", "-conf", oneProxy}, nodeFlags...)...))
	if out := unitText(t, "-conf", oneProxy, "-lint", ours, "plex1"); out != ours+": nothing to complain of\n" {
		t.Error(out)
	}
}

// TestKeepalivedTakesIt: keepalived has nothing against its configuration, and the check in it tells whether plexproxy
// is ready.
func TestKeepalivedTakesIt(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("keepalived"), gate.Tool("curl"))
	network := newNetwork(t)
	house := newHouse(t, 1)
	c := newCLI(t)
	c.write(c.block(house, "tls internal", "listen "+c.tls.String(), "proxy "+c.tls.String()))
	text := unitText(t, "keepalived", "-conf", c.file(), "-interface", "cable", "-vip", "198.18.0.9/30")
	test := func(text string) string {
		file := filepath.Join(c.dir, "keepalived.conf")
		writeFile(t, file, text)
		cmd := exec.CommandContext(t.Context(), "keepalived", "--config-test", "--use-file="+file)
		enter(t, network.here, cmd)
		out, err := cmd.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		return string(out) // Debian 12's ends itself by a signal, good or bad
	}
	if out := test(text); out != "" {
		t.Errorf("%s\n%s", out, text)
	}
	if out := test(strings.Replace(text, "virtual_router_id", "virtual_router", 1)); !strings.Contains(out, "virtual_router") {
		t.Errorf("with a mistake it says %q", out)
	}

	c.start()
	words := strings.Fields(regexp.MustCompile(`script "(.*)"`).FindStringSubmatch(text)[1])
	ready := func() error { return exec.CommandContext(t.Context(), words[0], words[1:]...).Run() }
	eventually(t, 20*time.Second, ready)
	house.nodes[0].kill()
	eventually(t, 20*time.Second, func() error {
		if ready() == nil {
			return fmt.Errorf("%q still succeeds, and no node is up", words)
		}
		return nil
	})
}

// serviceManager is what systemd is to a program of Type=notify: a socket that it tells how it is.
type serviceManager struct {
	*net.UnixConn
	t  *testing.T
	at string
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &serviceManager{conn, t, at}
}

// env is what the program gets: it is to say every second that it is well, three times as often.
func (m *serviceManager) env() []string {
	return []string{"NOTIFY_SOCKET=" + m.at, "WATCHDOG_USEC=1000000"}
}

// hears waits until the program tells one thing after another, with any others between.
func (m *serviceManager) hears(want ...string) {
	m.t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	var got []string
	text := make([]byte, 1000)
	for i := 0; i < len(want); {
		n, err := m.Read(text)
		if err != nil {
			m.t.Fatalf("heard %q, want %q: %v", got, want, err)
		}
		lines := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
		got = append(got, lines...)
		if slices.Contains(lines, want[i]) {
			i++
		}
	}
}

// TestPlexdnsTellsItsManager: that it is ready, that it goes on being well, that it reloads, that it ends.
func TestPlexdnsTellsItsManager(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	p := newPlexdns(t)
	p.env = m.env()
	h := &home{tb: t, dns: p}
	h.nodes = append(h.nodes, startPlex(t, netip.AddrPortFrom(inside, freePort(t, inside)), "1"))
	p.write(h.corefile(homeConfig{}))
	p.start()
	m.hears("READY=1", "WATCHDOG=1", "WATCHDOG=1")
	p.proc.signal(t, syscall.SIGUSR1)
	m.hears("RELOADING=1", "READY=1", "WATCHDOG=1")
	p.stop()
	m.hears("STOPPING=1")
	if p.proc.output.count("service manager") > 0 {
		t.Error("it complains of its manager")
	}
}

// TestPlexproxyTellsItsManager: likewise.
func TestPlexproxyTellsItsManager(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	c := newCLI(t)
	house := newHouse(t, 1)
	c.write(c.plainBlock(house))
	cmd := c.command()
	cmd.Env = append(os.Environ(), m.env()...)
	c.proc = startProcess(t, "", cmd)
	m.hears("READY=1", "WATCHDOG=1", "WATCHDOG=1")
	c.write(c.plainBlock(house, "retry 6s"))
	m.hears("RELOADING=1", "READY=1", "WATCHDOG=1")
	c.proc.endWell(t)
	m.hears("STOPPING=1")
	if c.proc.output.count("service manager") > 0 {
		t.Error("it complains of its manager")
	}
}

// TestSystemdRunsPrograms: a real systemd starts both programs with their units as they are printed, with the rights
// that they leave; reloads them, starts them again when they are frozen, and stops them.
func TestSystemdRunsPrograms(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Namespaces, gate.Tool("/lib/systemd/systemd"), gate.Tool("systemctl"))
	dir := t.TempDir()
	for _, folder := range []string{"units", "bin"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil { //nolint:gosec // the programs' user reads there
			t.Fatal(err)
		}
	}
	corefile := filepath.Join(dir, "var-lib", "Corefile")           // which is /var/lib there: the units hide /tmp
	if err := os.Mkdir(filepath.Dir(corefile), 0o755); err != nil { //nolint:gosec // likewise
		t.Fatal(err)
	}
	text := "home.test {\nplex {\nnode plex1 127.0.0.1\nproxy 127.0.0.1\ninternal 127.0.0.0/8\nuplink wan 203.0.113.7\n" +
		"tls internal\nlisten fd/3 http://fd/4\nfallthrough\n}\nerrors\n}\n"
	for name, content := range map[string]string{
		corefile: text, "look.sh": readFile(t, "testdata/systemd/look.sh"),
		"units/plexdns.service":   unitText(t, "plexdns", "-conf", writeTemp(t, text)),
		"units/plexproxy.service": unitText(t, "plexproxy", "-conf", writeTemp(t, text)),
		"units/plexproxy.socket":  unitText(t, "plexproxy", "-socket", "-conf", writeTemp(t, text)),
		"bin/plexdns":             readFile(t, programs.released(t, "plexdns")),
		"bin/plexproxy":           readFile(t, programs.released(t, "plexproxy")),
	} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if strings.Contains(name, "/units/") {
			content = regexp.MustCompile(`-conf \S+/Corefile`).ReplaceAllString(content, "-conf /var/lib/Corefile")
		}
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil { //nolint:gosec // likewise
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net",
		"--cgroup", "--mount-proc", "sh", "testdata/systemd/boot.sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p := startProcess(t, "", cmd)
	_ = p.wait(t, 2*time.Minute) // the code is what systemd ends with
	want := `systemctl is-active plexdns = active
plexdns: user plexha:plexha, capabilities 400
systemctl is-active plexproxy = active
plexproxy: user plexha:plexha, capabilities 
state: 2770 plexha:plexha
plexdns reloads
systemctl is-active plexdns = active
plexproxy reloads
systemctl is-active plexproxy = active
restarts plexdns = 0
restarts plexdns = 1
systemctl is-active plexdns = active
plexdns: success
restarts plexproxy = 0
restarts plexproxy = 1
systemctl is-active plexproxy = active
plexproxy: success
`
	if diff := cmp.Diff(want, readFile(t, filepath.Join(dir, "look.log"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
		for _, program := range []string{"plexdns", "plexproxy"} {
			t.Logf("%s:\n%s", program, readFile(t, filepath.Join(dir, program+".log")))
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeTemp writes a Corefile to a folder of its own, and returns its name.
func writeTemp(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Corefile")
	writeFile(t, file, text)
	return file
}
