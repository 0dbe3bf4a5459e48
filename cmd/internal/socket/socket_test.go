package socket_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"plexha/cmd/internal/socket"
	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is one that a plexdns serves.
type cluster struct{ detected, pushed atomic.Int64 }

func (*cluster) Zone() string { return "home.duckdns.org." }

func (*cluster) Snapshot() *zones.Snapshot {
	wan := zones.UplinkHealth{Uplink: zones.Uplink{Name: "wan", Auto: true}}
	return &zones.Snapshot{Cluster: new(zones.Cluster), Seq: 7, Uplinks: []zones.UplinkHealth{wan}}
}

func (*cluster) External() []wanip.Report { return nil }
func (*cluster) DuckDNS() *duckdns.Report { return new(duckdns.Report) }
func (c *cluster) Detect()                { c.detected.Add(1) }
func (c *cluster) Push()                  { c.pushed.Add(1) }

func (*cluster) Answers() []status.Answer     { return nil }
func (*cluster) Timeline() *timeline.Timeline { return new(timeline.Timeline) }
func (*cluster) Stalled() []zones.Subject     { return nil }
func (*cluster) Findings() []lint.Finding     { return nil }
func (*cluster) Order(board.OrderLine) error  { return nil }
func (*cluster) Subscribe() (<-chan struct{}, func()) {
	return make(chan struct{}), func() {}
}

// shortDir is a folder whose path is short enough for a socket, whatever the test is called.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // t.TempDir is named after the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestPlexdns: what is asked for arrives, and what it knows comes back.
func TestPlexdns(t *testing.T) {
	c, dir := new(cluster), shortDir(t)
	var s status.Servers
	o := status.Options{Dir: dir, Version: "1.2.3", Info: func(string) {}, Warn: func(msg string) { t.Error(msg) }}
	leave, err := s.Open(o, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	client := socket.Of(corefile.State{Dir: dir})
	d, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Plexdns != "1.2.3" || len(d.Clusters) != 1 || d.Clusters[0].Zone != "home.duckdns.org" || d.Clusters[0].Snapshot != 7 {
		t.Errorf("got %+v", d)
	}
	err = errors.Join(client.Detect(t.Context(), ""), client.Push(t.Context(), "home.duckdns.org"), client.Push(t.Context(), ""))
	if err != nil || c.detected.Load() != 1 || c.pushed.Load() != 2 {
		t.Errorf("detected %d and pushed %d, %v; want 1 and 2", c.detected.Load(), c.pushed.Load(), err)
	}
	const want = `plexdns answers: there is no zone "x.test": want one of home.duckdns.org`
	if err := client.Detect(t.Context(), "x.test"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestNobodyThere: with or without a socket that is left of a dead one.
func TestNobodyThere(t *testing.T) {
	dir := shortDir(t)
	client := socket.Of(corefile.State{Dir: dir})
	check := func(want string, killed bool) {
		t.Helper()
		_, err := client.Status(t.Context())
		if !errors.Is(err, socket.ErrNone) || errors.Is(err, socket.ErrKilled) != killed || err.Error() != want+client.Path {
			t.Errorf("got %v, want %s%s", err, want, client.Path)
		}
	}
	check("no plexdns runs with that state folder: there is nobody at ", false)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: client.Path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check("plexdns does not run, and did not end in order: start it again, or remove ", true)
}

// TestWhoeverAnswers: what is not plexdns's answer is told as such.
func TestWhoeverAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"no JSON", http.StatusOK, "hello", "reading plexdns's answer: invalid character 'h'"},
		{"of another version", http.StatusOK, `{"version": 2}`, "form 2, and plexctl reads 1: use the plexctl of its version"},
		{"an error without words", http.StatusInternalServerError, "oh", "plexdns answers 500 Internal Server Error"},
		{"an error in words", http.StatusForbidden, `{"error": "not you"}`, "plexdns answers: not you"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := socket.Client{Path: filepath.Join(shortDir(t), "s"), Program: socket.Plexdns}
			l, err := new(net.ListenConfig).Listen(t.Context(), "unix", client.Path)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			_ = srv.Listener.Close()
			srv.Listener = l
			srv.Start()
			t.Cleanup(srv.Close)
			if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// TestSilence ends with the caller's patience, and says whose it was.
func TestSilence(t *testing.T) {
	client := socket.Client{Path: filepath.Join(shortDir(t), "s"), Program: socket.Plexdns}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", client.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the test has waited"))
	_, err = client.Status(ctx)
	if err == nil || !strings.HasSuffix(err.Error(), client.Path+": the test has waited") {
		t.Errorf("got %v", err)
	}
}

// TestUsualFolders: without a `state` line it is the first usual folder that has a socket.
func TestUsualFolders(t *testing.T) {
	system, own := t.TempDir(), t.TempDir()
	check := func(want string) {
		t.Helper()
		if got := socket.First([]string{system, own}).Path; got != status.Socket(want) {
			t.Errorf("got %s, want that in %s", got, want)
		}
	}
	check(system)
	for _, dir := range []string{own, system} {
		if err := os.WriteFile(status.Socket(dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		check(dir)
	}
}
