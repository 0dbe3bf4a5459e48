package proxymain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plexha/cmd/internal/proxymain"
)

// patience is how long a test waits for what must come.
const patience = 15 * time.Second

// asChild makes the test binary plexproxy: Caddy keeps its configuration, and its log, in package variables.
const asChild = "PLEXHA_TEST_PLEXPROXY"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		os.Exit(proxymain.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// child is a plexproxy in a process of its own, started as systemd would: with two sockets, and somebody who wants
// to be told.
type child struct {
	t        *testing.T
	cmd      *exec.Cmd
	conf     string
	at       string // where it serves
	statusAt string
	notified string      // the socket of who wants to be told
	told     chan string // by sd_notify
	ended    chan error

	mu  sync.Mutex
	out bytes.Buffer // all that it writes
}

// Write implements io.Writer.
func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *child) output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func socket(t *testing.T) (*os.File, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, l.Addr().String()
}

// start starts plexproxy before a node, and returns when it has said that it is ready.
func start(t *testing.T, node string) *child {
	t.Helper()
	c := &child{t: t, conf: filepath.Join(t.TempDir(), "Corefile"), told: make(chan string, 100), ended: make(chan error, 1)}
	var files [2]*os.File
	files[0], c.at = socket(t)
	files[1], c.statusAt = socket(t)
	c.write("node plex1 " + node)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// LISTEN_PID is known in the process alone.
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", exe, "-conf", c.conf)
	c.notified = c.listen()
	c.cmd.Env = append(os.Environ(), asChild+"=1", "LISTEN_FDS=2", "NOTIFY_SOCKET="+c.notified)
	c.cmd.ExtraFiles = files[:]
	c.cmd.Stdout, c.cmd.Stderr = c, c
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.cmd.Wait() }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.tells("READY=1")
	return c
}

// listen returns the socket of who wants to be told.
func (c *child) listen() string {
	dir, err := os.MkdirTemp("", "plexha") // a socket's name is short
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			c.told <- string(buf[:n])
		}
	}()
	return filepath.Join(dir, "s")
}

// tells waits until the service manager has been told so.
func (c *child) tells(what string) {
	c.t.Helper()
	late, ended := time.After(patience), c.ended
	for {
		select {
		case got := <-c.told:
			switch {
			case strings.Contains(got, what):
				return
			case got == lastWord:
				c.t.Fatalf("it has ended: %v\n%s", <-c.ended, c.output())
			}
		case err := <-ended:
			ended <- err // for who wants to know how
			ended = nil
			c.sayLastWord()
		case <-late:
			c.t.Fatalf("the service manager is not told %s\n%s", what, c.output())
		}
	}
}

// lastWord is what the service manager hears behind all that a program has told that has ended.
const lastWord = "ENDED"

func (c *child) sayLastWord() {
	c.t.Helper()
	conn, err := net.Dial("unixgram", c.notified)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, lastWord); err != nil {
		c.t.Fatal(err)
	}
}

// write writes the Corefile as editors do.
func (c *child) write(properties string) {
	c.t.Helper()
	text := "home.duckdns.org {\nplex {\ntls off\nlisten http://" + c.at + "\nproxy_status " + c.statusAt +
		"\nstate " + filepath.Dir(c.conf) + "\nstorage " + filepath.Dir(c.conf) + "\nretry 100ms every 10ms\naccess_log stdout\n" + properties + "\n}\n}\n"
	if err := os.WriteFile(c.conf+"~", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.conf+"~", c.conf); err != nil {
		c.t.Fatal(err)
	}
}

// says waits until a line has been written.
func (c *child) says(what string) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(c.output(), what) {
			return
		}
	}
	c.t.Fatalf("it does not say %q:\n%s", what, c.output())
}

func (c *child) signal(sig os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) get(addr, host, path string) (status int, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("X-Plex-Token", secret)
	req.Header.Set("Cookie", "a="+secret)
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Referer", "https://plex.home.duckdns.org/?X-Plex-Token="+secret)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if errors.Is(err, io.EOF) { // net/http drops what comes just when a configuration ends: clients ask again
		res, err = client.Do(req)
	}
	if err != nil {
		c.t.Fatalf("GET %s: %v\n%s", path, err, c.output())
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// ready waits until a node is up.
func (c *child) ready() {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if status, _ := c.get(c.at, "plex.home.duckdns.org", "/.plexha/ready"); status == http.StatusOK {
			return
		}
	}
	c.t.Fatalf("it does not become ready\n%s", c.output())
}

const secret = "sEcReT-1234567890"

// node is a Plex server that breaks off what it is told to.
func node(t *testing.T) *httptest.Server {
	t.Helper()
	n := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/identity":
			_, _ = fmt.Fprintf(w, `<MediaContainer size="0" machineIdentifier="%040d"></MediaContainer>`, 1)
		case "/break":
			panic(http.ErrAbortHandler)
		case "/library/sections":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = io.WriteString(w, "hello")
		}
	}))
	t.Cleanup(n.Close)
	return n
}

func TestServe(t *testing.T) {
	n := node(t)
	addr := strings.TrimPrefix(n.URL, "http://")
	c := start(t, addr)
	c.ready()
	if status, body := c.get(c.at, "plex.home.duckdns.org", "/web/x"); status != http.StatusOK || body != "hello" {
		t.Errorf("the main name: %d %q", status, body)
	}
	if status, _ := c.get(c.statusAt, "localhost", "/.plexha/status.json"); status != http.StatusOK {
		t.Errorf("the state: %d", status)
	}
	if status, body := c.get(c.statusAt, "localhost", "/metrics"); status != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d", status)
	}

	c.write("node plex1 " + addr + "\nbalance roulette")
	c.says("the old one goes on serving: " + c.conf + ":11: balance")
	if status, _ := c.get(c.at, "plex.home.duckdns.org", "/web/x"); status != http.StatusOK {
		t.Errorf("after a mistake: %d", status)
	}
	c.write("node plex1 " + addr)
	c.says("the Corefile is mended, and says what is served")

	c.write("name media\nmax_requests 1\nimport more")
	if err := os.WriteFile(filepath.Join(filepath.Dir(c.conf), "more"), []byte("node plex1 "+addr+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.signal(syscall.SIGHUP)
	c.says("the changed Corefile is taken over")
	c.says("WARN\tplexha\t" + c.conf + ":11: max_requests 1: ")
	if said := strings.Count(c.output(), "WARN\tplexha\t"+c.conf+":3: tls off: "); said != 1 {
		t.Errorf("what was unwise before is said %d times\n%s", said, c.output())
	}
	if status, _ := c.get(c.at, "plex.home.duckdns.org", "/x"); status != http.StatusMisdirectedRequest {
		t.Errorf("the old name: %d", status)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(c.conf), "more"), []byte("node plex9 "+addr+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if status, _ := c.get(c.at, "plex9.home.duckdns.org", "/x"); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the imported file is not followed\n%s", c.output())
		}
	}

	c.signal(syscall.SIGTERM)
	c.tells("STOPPING=1")
	if err := <-c.ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, c.output())
	}
}

// TestNoTokenIsLogged makes all the noise that there may be, and looks for the token in what is written.
func TestNoTokenIsLogged(t *testing.T) {
	n := node(t)
	c := start(t, strings.TrimPrefix(n.URL, "http://"))
	c.ready()
	for _, path := range []string{
		"/?X-Plex-Token=" + secret, "/break?X-Plex-Token=" + secret,
		"/photo/:/transcode?url=%2Fx%3FX-Plex-Token%3D" + secret + "&X-Plex-Token=" + secret,
		"/photo/:/transcode?url=%252Fx%253FX-Plex-Token%253D" + secret,
	} {
		c.get(c.at, "plex.home.duckdns.org", path)
		c.get(c.at, "plex1.home.duckdns.org", path)
		c.get(c.at, "www.example.org", path)
	}
	conn, err := net.Dial("tcp", c.at)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "GET /x?X-Plex-Token=%s HTTP/1.1\r\nHost: plex.home.duckdns.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", secret)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = conn.Read(make([]byte, 1024))
	_ = conn.Close()
	n.CloseClientConnections()
	n.Close()
	c.get(c.at, "plex1.home.duckdns.org", "/x?X-Plex-Token="+secret)
	c.signal(syscall.SIGTERM)
	if err := <-c.ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	out := c.output()
	if strings.Contains(out, secret) {
		t.Errorf("the token is in what it writes:\n%s", out)
	}
	if strings.Count(out, `"uri":"/`) < 10 || !strings.Contains(out, "[redacted]") {
		t.Errorf("there is not enough noise:\n%s", out)
	}
}
