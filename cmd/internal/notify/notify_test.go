package notify_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"plexha/cmd/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is a service manager that listens.
type manager struct {
	*net.UnixConn
	t *testing.T
}

func newManager(t *testing.T) manager {
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
	t.Setenv("NOTIFY_SOCKET", at)
	return manager{conn, t}
}

// next returns what is told next.
func (m manager) next() string {
	m.t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	text := make([]byte, 1000)
	n, err := m.Read(text)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text[:n])
}

func TestWhatIsTold(t *testing.T) {
	at := newManager(t)
	var m notify.Manager
	for _, tc := range []struct {
		tell func() error
		want string
	}{
		{m.Ready, "READY=1"},
		{m.Reloading, "RELOADING=1\nMONOTONIC_USEC="},
		{m.Stopping, "STOPPING=1"},
	} {
		if err := tc.tell(); err != nil {
			t.Error(err)
		}
		if got := at.next(); !strings.HasPrefix(got, tc.want) {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// TestNobodyWantsToKnow: without a service manager nothing is told, and nothing is wrong.
func TestNobodyWantsToKnow(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	var m notify.Manager
	if err := errors.Join(m.Ready(), m.Reloading(), m.Stopping()); err != nil {
		t.Error(err)
	}
	fail := func(error) { t.Error("it logs") }
	m.Watch(t.Context(), func(context.Context) error { t.Error("it asks"); return nil }, fail)
	t.Setenv("WATCHDOG_USEC", "1000000")
	t.Setenv("WATCHDOG_PID", "1")
	m.Watch(t.Context(), func(context.Context) error { t.Error("it asks"); return nil }, fail)
}

func TestManagerThatHasGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := new(notify.Manager).Ready(); err == nil || !strings.HasPrefix(err.Error(), "telling the service manager: dial ") {
		t.Errorf("got %v", err)
	}
	t.Setenv("WATCHDOG_USEC", "often")
	var logged []error
	new(notify.Manager).Watch(t.Context(), nil, func(err error) { logged = append(logged, err) })
	if len(logged) != 1 || !strings.HasPrefix(logged[0].Error(), "reading $WATCHDOG_USEC: ") {
		t.Errorf("got %v", logged)
	}
}

// TestWatch: nothing is told while the program is not well, each reason is logged once, and one that ends is not asked.
func TestWatch(t *testing.T) {
	at := newManager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	var m notify.Manager
	var asked atomic.Int32
	well := func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("it asks without a deadline")
		}
		switch n := asked.Add(1); {
		case n < 3:
			return errors.New("one")
		case n < 5:
			return errors.New("two")
		}
		return nil
	}
	var logged []string
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { m.Watch(ctx, well, func(err error) { logged = append(logged, err.Error()) }) })
	if got := at.next(); got != "WATCHDOG=1" || asked.Load() < 5 {
		t.Errorf("got %q when it was asked %d times", got, asked.Load())
	}
	done.Go(func() { // which waits while the socket is full
		if err := m.Stopping(); err != nil {
			t.Error(err)
		}
	})
	for at.next() != "STOPPING=1" {
	}
	at.next()
	before := asked.Load()
	if at.next(); asked.Load() != before {
		t.Errorf("it is asked after it has begun to end")
	}
	cancel()
	done.Wait()
	const why = "the service manager is not told that all is well: "
	if got := strings.Join(logged, "; "); got != why+"one; "+why+"two" {
		t.Errorf("logged %s", got)
	}
}
