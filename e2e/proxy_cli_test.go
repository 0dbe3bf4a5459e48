package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// cli is a plexproxy with whatever Corefile and flags a test wants.
type cli struct {
	tb     testing.TB
	dir    string
	plain  netip.AddrPort // where it may listen without TLS
	tls    netip.AddrPort // and with it
	status netip.AddrPort
	proc   *process
	ended  bool // by the test
}

// newCLI picks a folder and ports. It starts nothing.
func newCLI(tb testing.TB) *cli {
	tb.Helper()
	at := func() netip.AddrPort { return netip.AddrPortFrom(inside, freePort(tb, inside)) }
	return &cli{tb: tb, dir: tb.TempDir(), plain: at(), tls: at(), status: at()}
}

// block returns a plex block for the nodes, with further lines.
func (c *cli) block(h *house, lines ...string) string {
	return c.blockOf(strings.TrimSuffix(zone, "."), h, lines...)
}

func (c *cli) blockOf(domain string, h *house, lines ...string) string {
	lines = append(lines,
		"proxy_status "+c.status.String(), "state "+c.dir, "storage "+filepath.Join(c.dir, "storage"),
		"internal 127.0.0.0/8", "uplink wan "+uplink.String())
	for i, n := range h.nodes {
		lines = append(lines, fmt.Sprintf("node plex%d %s", 1+i, n.addr))
	}
	return fmt.Sprintf("%s {\n    plex {\n        %s\n    }\n}\n", domain, strings.Join(lines, "\n        "))
}

// plainBlock is block with a listener without TLS.
func (c *cli) plainBlock(h *house, lines ...string) string {
	return c.block(h, append(lines, "tls off", "listen http://"+c.plain.String())...)
}

func (c *cli) file() string { return filepath.Join(c.dir, "Corefile") }

// write replaces the Corefile by a rename.
func (c *cli) write(corefile string) { c.tb.Helper(); writeFile(c.tb, c.file(), corefile) }

func (c *cli) command(args ...string) *exec.Cmd {
	c.tb.Helper()
	return exec.CommandContext(context.Background(), programs.path(c.tb, "plexproxy"), append([]string{"-conf", c.file()}, args...)...)
}

// start starts it and returns when it serves. When the test ends, it must end well, unless it has been ended.
func (c *cli) start(args ...string) {
	c.tb.Helper()
	c.proc = startProcess(c.tb, "", c.command(args...))
	c.tb.Cleanup(func() {
		if !c.ended {
			c.proc.endWell(c.tb)
		}
	})
	c.says("plexha\tserving " + c.file())
}

// says waits until the log holds the words.
func (c *cli) says(words string) {
	c.tb.Helper()
	eventually(c.tb, 20*time.Second, func() error {
		if c.proc.output.count(words) > 0 {
			return nil
		}
		select {
		case <-c.proc.done:
			c.tb.Fatalf("plexproxy has ended, %v, without a word of %q", c.proc.err, words)
		default:
		}
		return fmt.Errorf("it does not say %q", words)
	})
}

// ran is how a command has ended.
type ran struct {
	code           int
	stdout, stderr string
}

// run runs it to its end.
func (c *cli) run(args ...string) ran {
	c.tb.Helper()
	cmd := c.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		c.tb.Fatal(err)
	}
	return ran{exitCode(err), stdout.String(), stderr.String()}
}

func TestProxyVersion(t *testing.T) {
	t.Parallel()
	r := newCLI(t).run("-version")
	want := regexp.MustCompile(`^plexproxy-\S+\nCaddy-v2\.\S+\n` + runtime.GOOS + "/" + runtime.GOARCH + `, go\S+\n$`)
	if r.code != 0 || !want.MatchString(r.stdout) || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

// TestProxyCheck: what would be served is said, nothing is bound, nobody is asked, and no file is written.
func TestProxyCheck(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 2), newCLI(t)
	c.write(c.block(h, "tls internal", "listen "+c.tls.String()+" http://"+c.plain.String()))
	r := c.run("-check")
	if r.code != 0 || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{
		"https://plex.home.duckdns.org: to the node of each client, else by uri_hash\n",
		"https://plex2.home.duckdns.org: to " + h.nodes[1].addr.String() + "\n",
		"https://home.duckdns.org: leads to https://plex.home.duckdns.org\n",
		"certificates: from our own authority",
		"listens at " + c.tls.String() + " (HTTPS)\n", "listens at " + c.plain.String() + " (HTTP, leads to HTTPS)\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in:\n%s", want, r.stdout)
		}
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the Corefile alone", entries, err)
	}
	for _, n := range h.nodes {
		if asked := n.Journal(); len(asked) > 0 {
			t.Errorf("%s was asked: %v", n.options.Name, asked)
		}
	}
}

// TestProxyPrintsItsConfiguration as Caddy's JSON, without the token that it needs.
func TestProxyPrintsItsConfiguration(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 2), newCLI(t)
	c.write(c.block(h, "tls acme mail@example.com dns", "duckdns token "+duckToken, "listen "+c.tls.String()+" http://"+c.plain.String()))
	r := c.run("-print-config")
	if r.code != 0 || !json.Valid([]byte(r.stdout)) {
		t.Errorf("code %d, %s\n%s", r.code, r.stderr, r.stdout)
	}
	if leaks := spill(duckToken).in(r.stdout + r.stderr); len(leaks) > 0 {
		t.Errorf("it holds the token: %q", leaks)
	}
	for _, want := range []string{`"plexha_duckdns"`, `"[redacted]"`, c.tls.String(), `"uri_hash"`} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %s in:\n%s", want, r.stdout)
		}
	}
}

// TestProxyRefusesToStart: each mistake is told in a line or two on the standard error, with the place.
func TestProxyRefusesToStart(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 1), newCLI(t)
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", netip.AddrPortFrom(inside, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		name     string
		corefile string
		args     []string
		want     string
	}{
		{"no such Corefile", "", []string{"-conf", c.dir + "/none"}, "reading the Corefile: open " + c.dir + "/none: no such file"},
		{"nothing in it", "\n", nil, "no plex block"},
		{"a brace too few", "home.duckdns.org {\n  plex {\n", nil, c.file() + ":"},
		{"an unknown property", c.plainBlock(h, "frobnicate yes"), nil, c.file() + `:3: unknown property "frobnicate": allowed are`},
		{"an unknown policy", c.plainBlock(h, "max_requests 5", "balance roulette"), nil, c.file() + ":4: balance"},
		{"a socket that was not handed over", c.block(h, "tls off", "listen http://fd/77"), nil, "listening on fd/77"},
		{"a port in use", c.block(h, "tls off", "listen http://"+taken.Addr().String()), nil, taken.Addr().String() + ": bind: address already in use\n"},
		{"an unknown flag", c.plainBlock(h), []string{"-frob"}, "flag provided but not defined: -frob"},
		{"a word too many", c.plainBlock(h), []string{"start"}, `unexpected ["start"]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.write(tc.corefile)
			if r := c.run(tc.args...); r.code != 1 || !strings.Contains(r.stderr, "plexproxy: ") || !strings.Contains(r.stderr, tc.want) || r.stdout != "" {
				t.Errorf("code %d, output %q, %q", r.code, r.stdout, r.stderr)
			}
		})
	}
	t.Run("no Corefile in the working folder", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), programs.path(t, "plexproxy"))
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); exitCode(err) != 1 || !strings.Contains(string(out), "there is no Corefile: name one with -conf FILE") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// asked sends a GET to the main name, where there is no TLS.
func (c *cli) asked(path string) answer {
	c.tb.Helper()
	f := &front{tb: c.tb, addr: c.plain, scheme: "http"}
	f.client = &http.Client{Transport: f.transport()}
	defer f.client.CloseIdleConnections()
	return f.get(path, header("X-Plex-Token", secret))
}

// taken is how often a changed Corefile was taken over.
func (c *cli) taken() int { return c.proc.output.count("the changed Corefile is taken over") }

// loaded is when Caddy was last given a configuration.
func (c *cli) loaded() string {
	c.tb.Helper()
	f := &front{tb: c.tb, addr: c.status, scheme: "http"}
	f.client = &http.Client{Transport: f.transport()}
	defer f.client.CloseIdleConnections()
	a := f.get("/metrics")
	for line := range strings.Lines(string(a.body)) {
		if value, ok := strings.CutPrefix(line, "caddy_config_last_reload_success_timestamp_seconds "); ok {
			return value
		}
	}
	c.tb.Fatalf("no metric tells when Caddy's configuration was loaded: %s", a)
	return ""
}

// takes waits until the Corefile has been taken over so often.
func (c *cli) takes(times int) {
	c.tb.Helper()
	eventually(c.tb, 10*time.Second, func() error {
		if n := c.taken(); n != times {
			return fmt.Errorf("a changed Corefile was taken over %d times, want %d", n, times)
		}
		return nil
	})
}

// TestProxyReloads follows a Corefile through what people do to it.
func TestProxyReloads(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 1), newCLI(t)
	parts := filepath.Join(c.dir, "parts")
	if err := os.Mkdir(parts, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(parts, "1.conf"), "ttl 10s 1s\n")
	with := func(lines ...string) string { return c.plainBlock(h, append(lines, "import parts/*.conf")...) }
	c.write(with())
	c.start()
	first := c.loaded()
	name := func(want string) {
		t.Helper()
		if got := c.asked("/identity").status; got != http.StatusOK && want == "plex" || got != http.StatusMisdirectedRequest && want != "plex" {
			t.Errorf("under plex.home.duckdns.org, when the main name is %s: %d", want, got)
		}
	}
	name("plex")

	// The same in other words is nothing to do, whether it is found or pointed out.
	c.write("# ours\n" + with())
	c.proc.signal(t, syscall.SIGHUP)
	// What concerns no listener, name or certificate leaves Caddy as it is.
	c.write(with("max_requests 50"))
	c.takes(1)
	if got := c.loaded(); got != first {
		t.Errorf("Caddy was given its configuration at %s and again at %s, and it is the same", first, got)
	}
	c.write(with("name media"))
	c.takes(2)
	name("media")
	if got := c.loaded(); got == first {
		t.Error("another name, and Caddy has the configuration that it had")
	}

	// A bad one changes nothing, and says where it is bad.
	c.write(with("frobnicate yes"))
	c.says("the Corefile is not taken over, the old one goes on serving: " + c.file() + `:3: unknown property "frobnicate"`)
	name("media")
	c.write(c.block(h, "tls off", "listen http://"+h.nodes[0].addr.String()))
	c.says(h.nodes[0].addr.String() + ": bind: address already in use")
	name("media")
	if err := os.Remove(c.file()); err != nil {
		t.Fatal(err)
	}
	c.says("the old one goes on serving: reading the Corefile: open " + c.file())
	name("media")
	c.write(with())
	c.takes(3)
	name("plex")

	// A file that no line names yet is seen when a signal asks for a look.
	writeFile(t, filepath.Join(parts, "2.conf"), "name other\n")
	c.proc.signal(t, syscall.SIGHUP)
	c.takes(4)
	name("other")
	// From then on it is followed.
	writeFile(t, filepath.Join(parts, "2.conf"), "name plex\n")
	c.takes(5)
	name("plex")
}

// showing is a film of plex1 that takes a while, read by somebody.
type showing struct {
	answer chan answer
	began  chan struct{} // closed when its first byte is there
}

// slowly makes a node give its files at that many bytes a second.
func slowly(rate int) func(*standin.PlexOptions) {
	return func(o *standin.PlexOptions) {
		o.Decisions, o.Faults = false, []standin.Fault{{Prefix: "/library/parts/", Rate: rate}}
	}
}

// watch begins to read a film, and returns when its first bytes have come.
func (c *cli) watch() showing {
	c.tb.Helper()
	f := &front{tb: c.tb, addr: c.plain, scheme: "http"}
	f.client = &http.Client{Transport: f.transport()}
	c.tb.Cleanup(f.client.CloseIdleConnections)
	m := showing{make(chan answer, 1), make(chan struct{})}
	req := f.request(http.MethodGet, "/library/parts/1001/1700000000/file.mkv", http.NoBody, header("X-Plex-Token", secret))
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { close(m.began) }}
	go func() { m.answer <- f.send(f.client, req.WithContext(httptrace.WithClientTrace(req.Context(), trace))) }()
	select {
	case <-m.began:
	case <-time.After(10 * time.Second):
		c.tb.Fatal("no film")
	}
	return m
}

// TestProxyEndsGracefully: what is under way may end, up to the time of grace; nothing new begins.
func TestProxyEndsGracefully(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	newWatched := func(t *testing.T, rate int, args ...string) (*cli, showing) {
		t.Helper()
		h, c := newHouse(t, 1, slowly(rate)), newCLI(t)
		c.write(c.plainBlock(h))
		c.start(args...)
		c.ended = true
		film := c.watch()
		return c, film
	}
	t.Run("it waits for a film", func(t *testing.T) {
		t.Parallel()
		c, film := newWatched(t, size/8) // bytes a second
		idle, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.plain.String())
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		c.proc.signal(t, syscall.SIGTERM)
		eventually(t, 6*time.Second, func() error { // the film is not over by then
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.plain.String())
			if err == nil {
				conn.Close()
				return errors.New("it takes new connections")
			}
			return nil
		})
		if a := <-film.answer; a.status != http.StatusOK || !a.whole || len(a.body) != size {
			t.Errorf("%s with %d bytes, %v, want all %d", a, len(a.body), a.err, size)
		}
		if err := c.proc.wait(t, 15*time.Second); err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
	t.Run("not for longer than the time of grace", func(t *testing.T) {
		t.Parallel()
		c, film := newWatched(t, size/60, "-grace", "1s")
		began := time.Now()
		c.proc.signal(t, syscall.SIGTERM)
		if a := <-film.answer; a.whole {
			t.Errorf("%s, want it cut", a)
		}
		err := c.proc.wait(t, 15*time.Second)
		if took := time.Since(began); err != nil || took < time.Second || took > 15*time.Second { // without -grace it is 30 s, and the film takes 60
			t.Errorf("it ends with %v after %s, want code 0 after one second", err, took)
		}
		if c.proc.output.count("1 requests had not ended in time") != 1 {
			t.Error("it does not say what it has cut")
		}
	})
	t.Run("a second signal waits for nothing", func(t *testing.T) {
		t.Parallel()
		c, film := newWatched(t, size/60)
		c.proc.signal(t, syscall.SIGTERM)
		c.says("terminated: shutting down within 30s")
		c.proc.signal(t, syscall.SIGINT)
		if err := c.proc.wait(t, 15*time.Second); exitCode(err) != 2 {
			t.Errorf("it ends with %v, want code 2", err)
		}
		<-film.answer
	})
	t.Run("it does not wait for who only listens", func(t *testing.T) {
		t.Parallel()
		h, c := newHouse(t, 1), newCLI(t)
		c.write(c.plainBlock(h))
		c.start()
		c.ended = true
		f := &front{tb: t, addr: c.plain, scheme: "http"}
		f.client = &http.Client{Transport: f.transport()}
		for _, kind := range []standin.Kind{standin.PlexWeb, standin.TVApp} { // by a websocket, by an event stream
			b := h.viewer(kind, 0).Begin(f.client, f.url())
			t.Cleanup(b.Close)
			if err := b.Until(patient(t), "decision"); err != nil || len(b.Report().Failures()) > 0 {
				t.Fatal(err, b.Report().Failures())
			}
		}
		f.client.CloseIdleConnections()
		c.proc.signal(t, syscall.SIGTERM)
		if err := c.proc.wait(t, 15*time.Second); err != nil {
			t.Errorf("it ends with %v", err)
		}
	})
}

// manager is what systemd is to a service: it has its sockets, and is told how it does.
type manager struct {
	tb      testing.TB
	sockets []*os.File
	told    *output
	path    string
}

// newManager opens sockets at the addresses.
func newManager(tb testing.TB, addrs ...netip.AddrPort) *manager {
	tb.Helper()
	m := &manager{tb: tb, told: &output{}, path: filepath.Join(tb.TempDir(), "notify")}
	for _, addr := range addrs {
		var lc net.ListenConfig
		l, err := lc.Listen(tb.Context(), "tcp", addr.String())
		if err != nil {
			tb.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		l.Close() // f is a copy
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { f.Close() })
		m.sockets = append(m.sockets, f)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			_, _ = m.told.Write(append(buf[:n:n], '\n')) // it takes everything
		}
	}()
	return m
}

// start starts a command with the sockets. LISTEN_PID can be said by the process itself alone.
func (m *manager) start(cmd *exec.Cmd) *process {
	m.tb.Helper()
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(m.sockets)), "NOTIFY_SOCKET="+m.path)
	cmd.ExtraFiles = m.sockets
	return startProcess(m.tb, "", cmd)
}

// hears waits until it has been told that so often.
func (m *manager) hears(what string, times int) {
	m.tb.Helper()
	eventually(m.tb, 20*time.Second, func() error {
		if n := m.told.count(what); n < times {
			return fmt.Errorf("told %s %d times, want %d: %q", what, n, times, m.told)
		}
		return nil
	})
}

// TestProxyUnderAServiceManager: with sockets that outlive the process, who connects while there is none waits for the
// next one. The manager is told when it serves, reloads, and stops.
func TestProxyUnderAServiceManager(t *testing.T) {
	t.Parallel()
	h, c := newHouse(t, 1), newCLI(t)
	m := newManager(t, c.plain, c.status)
	c.write(c.plainBlock(h))
	early := make(chan answer, 1)
	go func() { early <- c.asked("/identity") }()

	c.proc = m.start(c.command())
	m.hears("READY=1", 1)
	if a := <-early; a.status != http.StatusOK || a.header.Get("X-Backend") != "plex1" {
		t.Errorf("who came before the process: %s", a)
	}
	c.write(c.plainBlock(h, "max_requests 50"))
	m.hears("RELOADING=1", 1)
	m.hears("READY=1", 2)
	c.takes(1)
	c.proc.signal(t, syscall.SIGTERM)
	m.hears("STOPPING=1", 1)
	if err := c.proc.wait(t, 10*time.Second); err != nil {
		t.Errorf("it ends with %v", err)
	}

	between := make(chan answer, 1)
	go func() { between <- c.asked("/identity") }()
	c.proc = m.start(c.command())
	if a := <-between; a.status != http.StatusOK {
		t.Errorf("who came between two processes: %s", a)
	}
	c.proc.endWell(t)
}
