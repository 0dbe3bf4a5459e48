package status_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plexha/plugin/status"
)

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

// given returns an address that is free now.
func given(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", freePort.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return netip.MustParseAddrPort(l.Addr().String())
}

// zonesAt returns which zones are shown there.
func zonesAt(t *testing.T, network, addr string) string {
	t.Helper()
	code, body := ask(t, network, addr, http.MethodGet, "/status.json")
	if code != http.StatusOK {
		t.Fatalf("%s answers %d %s", addr, code, body)
	}
	return said(t, []byte(body))
}

// TestReload: the new instance's servers stand beside the old one's, and nobody ever finds nobody there.
func TestReload(t *testing.T) {
	o := status.Options{Addr: given(t), Dir: shortDir(t)}
	socket := status.Socket(o.Dir)
	var first, second status.Servers
	endFirst := open(t, &first, home("old.test."), o)
	for network, addr := range map[string]string{"tcp": o.Addr.String(), "unix": socket} {
		if got := zonesAt(t, network, addr); got != "old.test" {
			t.Errorf("%s: %s is shown, want old.test", network, got)
		}
	}
	endSecond := open(t, &second, home("new.test."), o)
	if got := zonesAt(t, "unix", socket); got != "new.test" {
		t.Errorf("while both run the socket shows %s, want new.test", got)
	}
	endFirst()
	endFirst() // again is nothing
	for network, addr := range map[string]string{"tcp": o.Addr.String(), "unix": socket} {
		if got := zonesAt(t, network, addr); got != "new.test" {
			t.Errorf("%s: %s is shown, want new.test", network, got)
		}
	}
	endSecond()
	if left, err := os.ReadDir(o.Dir); len(left) > 0 || err != nil {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", o.Addr.String()); err == nil {
		t.Error("somebody listens still")
	}
}

// TestReloadThatFails: the new instance ends first, and the old one's socket is gone with the name that it took.
// Another start of a server finds no trace.
func TestReloadThatFails(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	var first, second, third status.Servers
	endFirst := open(t, &first, home("old.test."), o)
	endSecond := open(t, &second, home("new.test."), o)
	endSecond()
	endFirst()
	open(t, &third, home("next.test."), o)
	if got := zonesAt(t, "unix", status.Socket(o.Dir)); got != "next.test" {
		t.Errorf("%s is shown, want next.test", got)
	}
}

// TestSharedByBlocks: blocks with one address share a listener, which lives as long as the last of them.
func TestSharedByBlocks(t *testing.T) {
	o := status.Options{Addr: given(t), Dir: shortDir(t)}
	var s status.Servers
	var told lines
	o.Info = told.add
	leaveB := open(t, &s, home("b.test."), o)
	leaveA := open(t, &s, home("a.test."), o)
	if got := zonesAt(t, "tcp", o.Addr.String()); got != "a.test b.test" {
		t.Errorf("%s is shown, want both", got)
	}
	leaveB()
	if got := zonesAt(t, "unix", status.Socket(o.Dir)); got != "a.test" {
		t.Errorf("%s is shown, want a.test", got)
	}
	leaveA()
	want := "the status is shown at http://" + o.Addr.String() + "/\nplexctl is listened to at " + status.Socket(o.Dir)
	if told.String() != want {
		t.Errorf("told is\n%s\nwant\n%s", told.String(), want)
	}
}

// TestReloadInOneProcess: servers that outlive an instance go on for the next one, whatever its block changes, and
// for the one before if the next one does not come to serve.
func TestReloadInOneProcess(t *testing.T) {
	before := status.Options{Addr: given(t), Dir: shortDir(t)}
	moved, opened := before, before
	moved.Addr = given(t)
	opened.Public = true
	var s status.Servers
	leaveOld := open(t, &s, home("old.test."), before)

	leaveFailed := open(t, &s, home("new.test."), opened)
	leaveFailed()
	if got := zonesAt(t, "tcp", before.Addr.String()); got != "old.test" {
		t.Errorf("after a start that failed %s is shown, want old.test", got)
	}

	leaveOpened := open(t, &s, home("old.test."), opened)
	leaveOld()
	w := request{http.MethodGet, "192.168.1.2", "/status.json", there, nil}.do(t, s.At(before.Addr))
	if got := said(t, w.Body.Bytes()); got != "old.test" {
		t.Errorf("once it is public others see %s, want old.test", got)
	}

	open(t, &s, home("old.test."), moved)
	leaveOpened()
	for network, addr := range map[string]string{"tcp": moved.Addr.String(), "unix": status.Socket(moved.Dir)} {
		if got := zonesAt(t, network, addr); got != "old.test" {
			t.Errorf("at the other address, %s: %s is shown, want old.test", network, got)
		}
	}
	if s.At(before.Addr) != nil {
		t.Error("the address before is still listened at")
	}
}

// TestSocketThatWasTakenAway is there again after the next reload.
func TestSocketThatWasTakenAway(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	var s status.Servers
	leave := open(t, &s, home("old.test."), o)
	if err := os.Remove(status.Socket(o.Dir)); err != nil {
		t.Fatal(err)
	}
	open(t, &s, home("new.test."), o)
	if got := zonesAt(t, "unix", status.Socket(o.Dir)); got != "new.test old.test" {
		t.Errorf("%s is shown, want both", got)
	}
	leave()
	if got := zonesAt(t, "unix", status.Socket(o.Dir)); got != "new.test" {
		t.Errorf("%s is shown, want new.test", got)
	}
}

// TestNewestOfAZone: where the servers outlive an instance, the last one that came is shown.
func TestNewestOfAZone(t *testing.T) {
	o := status.Options{Addr: freePort}
	older, newer := home("home.test."), home("home.test.")
	var s status.Servers
	leaveOld := open(t, &s, older, o)
	open(t, &s, newer, o)
	push := func() {
		t.Helper()
		w := request{http.MethodPost, "localhost", "/duckdns", here, nil}.do(t, s.At(freePort))
		if said(t, w.Body.Bytes()) != "home.test" {
			t.Errorf("got %s", w.Body)
		}
	}
	push()
	leaveOld()
	push()
	if older.pushed.Load() != 0 || newer.pushed.Load() != 2 {
		t.Errorf("pushed %d and %d, want 0 and 2", older.pushed.Load(), newer.pushed.Load())
	}
}

// TestSocketOfADeadProcess is taken over.
func TestSocketOfADeadProcess(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: status.Socket(o.Dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var s status.Servers
	open(t, &s, home("home.test."), o)
	if got := zonesAt(t, "unix", status.Socket(o.Dir)); got != "home.test" {
		t.Errorf("%s is shown", got)
	}
}

// TestSocketIsForTheGroup of the state folder, which may write orders there.
func TestSocketIsForTheGroup(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	var s status.Servers
	open(t, &s, home("home.test."), o)
	info, err := os.Stat(status.Socket(o.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o660 {
		t.Errorf("got %v", got)
	}
}

// TestSocketThatCannotBe is warned of: the answers do not depend on it.
func TestSocketThatCannotBe(t *testing.T) {
	taken, long := shortDir(t), filepath.Join(shortDir(t), strings.Repeat("long", 40))
	if err := errors.Join(os.Mkdir(long, 0o700), os.WriteFile(status.Socket(taken), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, dir, want string }{
		{"something else is there", taken, "there is something else of that name"},
		{"the folder's path is too long", long, "too long for a socket: give a shorter folder with `state DIR`"},
		{"there is no folder", filepath.Join(taken, "none"), "no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s status.Servers
			var warned lines
			leave := open(t, &s, home("home.test."), status.Options{Dir: tc.dir, Warn: warned.add})
			leave()
			if got := warned.String(); !strings.Contains(got, tc.want) || !strings.HasSuffix(got, ": plexctl cannot reach plexdns") {
				t.Errorf("warned is %q, want %q", got, tc.want)
			}
		})
	}
}

// TestAddressThatCannotBeHad says who may have it, and what to write.
func TestAddressThatCannotBeHad(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", freePort.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := netip.MustParseAddrPort(l.Addr().String())
	for _, tc := range []struct {
		name string
		addr netip.AddrPort
		want string
	}{
		{"another program's", taken, "address already in use: another program has that port"},
		{"not of this machine", netip.MustParseAddrPort("192.0.2.1:8053"), "this machine does not have that address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s status.Servers
			o := status.Options{Addr: tc.addr, Dir: shortDir(t), Warn: func(msg string) { t.Error(msg) }}
			_, err := s.Open(o, home("home.test."))
			wrong, ok := errors.AsType[*status.ListenError](err)
			if !ok || wrong.Addr != tc.addr || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "`status 127.0.0.1:") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if left, err := os.ReadDir(o.Dir); len(left) > 0 || err != nil {
				t.Errorf("it leaves %v, %v", left, err)
			}
		})
	}
}

// TestHugeHeadersAreRefused before they are read.
func TestHugeHeadersAreRefused(t *testing.T) {
	o := status.Options{Addr: given(t)}
	var s status.Servers
	open(t, &s, home("home.test."), o)
	code, _ := ask(t, "tcp", o.Addr.String(), http.MethodGet, "/status.json?"+strings.Repeat("x", 64<<10))
	if code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", code)
	}
}

// TestSlowClientDoesNotHoldUpTheEnd, as one would that may take 5 s for his request.
func TestSlowClientDoesNotHoldUpTheEnd(t *testing.T) {
	o := status.Options{Addr: given(t)}
	var s status.Servers
	leave := open(t, &s, home("home.test."), o)
	c, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", o.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET /status.json HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	leave()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the end took %v", took)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it is still connected")
	}
}
