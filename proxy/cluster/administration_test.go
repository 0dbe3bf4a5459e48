package cluster_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"plexha/proxy/cluster"
	"plexha/zones"
)

const alarm = "warn ALARM: node plex1 of home.duckdns.org shows its libraries without a token"

func isOpen(m *cluster.Moment) bool { return m.Open["plex1"] }

// awaitAsked waits until a stranger has asked a node once more.
func (h *house) awaitAsked(n *node) {
	h.t.Helper()
	select {
	case <-n.heard:
	case <-time.After(patience):
		h.t.Fatalf("no stranger has asked: the log is\n%s", h.all())
	}
}

// awaitShownOpen waits until the first node is shown as open, which is later than it is asked, and no moment if it is
// meant to be.
func (h *house) awaitShownOpen() {
	h.t.Helper()
	news, cancel := h.News()
	defer cancel()
	late := time.After(patience)
	for !h.Status(time.Now()).Nodes[0].Open {
		select {
		case <-news:
		case <-late:
			h.t.Fatalf("the node is not shown as open: the log is\n%s", h.all())
		}
	}
}

// What an answer to a stranger says, with plex1 as the first node and a second one that is open. Of an answer that
// says nothing the test sees only that it has been asked for.
func TestWhoIsOpen(t *testing.T) {
	for what, tt := range map[string]struct {
		status int
		lines  []string
		want   bool // refused
		shown  bool // as open in the status
	}{
		"200 is open":                  {status: 200, want: true, shown: true},
		"200, and `open_ok` names it":  {status: 200, lines: []string{"open_ok plex1"}, want: false, shown: true},
		"200, and it names another":    {status: 200, lines: []string{"open_ok plex3"}, want: true, shown: true},
		"401 is closed":                {status: 401},
		"403 is closed":                {status: 403},
		"404 says nothing":             {status: 404},
		"500 says nothing":             {status: 500},
		"a redirect says nothing":      {status: 302},
		"a redirect is not followed":   {status: 307},
		"a strange status is no alarm": {status: 204},
	} {
		t.Run(what, func(t *testing.T) {
			one, two, three := startNode(t, "1"), startNode(t, "2"), startNode(t, "3")
			one.stranger.Store(int32(tt.status)) //nolint:gosec // it fits
			two.stranger.Store(http.StatusOK)
			h := newHouse(t)
			h.load(append(tt.lines, "node plex1 "+one.addr, "node plex2 "+two.addr, "node plex3 "+three.addr, state(t.TempDir()))...)
			h.states(zones.Up, zones.Up, zones.Up)
			h.await("plex2", func(m *cluster.Moment) bool { return m.Open["plex2"] })
			h.awaitAsked(one)
			if tt.shown {
				h.awaitShownOpen()
			}
			if tt.want {
				h.await("plex1", isOpen)
				h.says(alarm)
			}
			h.Stop()
			if got := isOpen(h.Now()); got != tt.want {
				t.Errorf("refused: %t, want %t", got, tt.want)
			}
			if got := h.logged(alarm) == 1; got != tt.want {
				t.Errorf("alarm: %t, want %t", got, tt.want)
			}
			if got := h.Status(time.Now()).Nodes[0]; got.Open != tt.shown || got.Refused != tt.want {
				t.Errorf("status: open %t, refused %t, want %t, %t", got.Open, got.Refused, tt.shown, tt.want)
			}
		})
	}
}

func TestOpenOverTLS(t *testing.T) {
	n := newNode("1")
	n.stranger.Store(http.StatusOK)
	srv := httptest.NewUnstartedServer(n)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the watch of the link shakes no hands
	srv.StartTLS()
	t.Cleanup(srv.Close)
	h := newHouse(t)
	h.load("node plex1 "+srv.Listener.Addr().String()+" https", state(t.TempDir()))
	h.await("the alarm", isOpen)
}

// A node that is down is asked when it comes up, and one that is another one than before.
func TestWhoComesUpIsAsked(t *testing.T) {
	one := startNode(t, "1")
	one.status.Store(http.StatusServiceUnavailable)
	h := newHouse(t)
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	h.states(zones.Starting)
	if one.asked.Load() > 0 {
		t.Error("a node in maintenance was asked")
	}
	one.status.Store(http.StatusOK)
	h.states(zones.Up)
	h.awaitAsked(one)

	one.status.Store(http.StatusInternalServerError)
	h.states(zones.Down)
	one.stranger.Store(http.StatusOK)
	one.identity.Store(id("7"))
	one.status.Store(http.StatusOK)
	h.await("the alarm", isOpen)
	if got := one.asked.Load(); got != 2 {
		t.Errorf("it was asked %d times, want 2", got)
	}
}

func TestAReloadKeepsWhatIsOpen(t *testing.T) {
	one := startNode(t, "1")
	one.stranger.Store(http.StatusOK)
	lines := []string{"node plex1 " + one.addr, state(t.TempDir())}
	h := newHouse(t)
	h.load(lines...)
	h.await("the alarm", isOpen)
	h.says(alarm)
	h.load(append(lines, "max_requests 7")...)
	if !isOpen(h.Now()) {
		t.Error("after the reload nothing is known")
	}
	h.load(append(lines, "open_ok plex1")...)
	if isOpen(h.Now()) {
		t.Error("it is refused, though `open_ok` names it")
	}
	h.says("info node plex1 of home.duckdns.org serves clients from outside again")
	if h.logged(alarm) != 1 {
		t.Errorf("the reloads have said it again:\n%s", h.all())
	}
	h.load(lines...)
	if !isOpen(h.Now()) || h.logged(alarm) != 2 {
		t.Errorf("it is refused: %t; the log is\n%s", isOpen(h.Now()), h.all())
	}
	if got := one.asked.Load(); got != 1 {
		t.Errorf("it was asked %d times within the hour, want 1", got)
	}
}

// What is known of the server that a name led to is forgotten when it leads to another one.
func TestANamesPastIsForgotten(t *testing.T) {
	one, other := startNode(t, "1"), startNode(t, "2")
	one.stranger.Store(http.StatusOK)
	other.stranger.Store(http.StatusOK)
	h := newHouse(t)
	for _, n := range []*node{one, other, one} {
		h.load("node plex1 "+n.addr, state(t.TempDir()))
		h.await("the alarm", isOpen)
	}
	if a, b := one.asked.Load(), other.asked.Load(); a < 2 || b < 1 {
		t.Errorf("they were asked %d and %d times, want 2 and 1", a, b)
	}
}

// A node is asked hourly, and a minute after an answer that said nothing.
func TestHourly(t *testing.T) {
	n := newNode("1")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: n, ReadHeaderTimeout: patience}}
	srv.Start()
	t.Cleanup(srv.Close)
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		wait := func(d time.Duration, wantOpen bool, wantAsked int32) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := isOpen(h.Now()); got != wantOpen || n.asked.Load() != wantAsked {
				t.Errorf("open %t, asked %d times, want %t, %d", got, n.asked.Load(), wantOpen, wantAsked)
			}
		}
		h.load("node plex1 "+ln.Addr().String(), "probe none", noState(t))
		wait(time.Second, false, 1)
		n.stranger.Store(http.StatusOK)
		wait(time.Hour-2*time.Second, false, 1)
		wait(2*time.Second, true, 2)
		n.stranger.Store(http.StatusBadGateway)
		wait(time.Hour, true, 3)
		n.stranger.Store(http.StatusUnauthorized)
		wait(time.Minute-2*time.Second, true, 3)
		wait(3*time.Second, false, 4)
		n.stranger.Store(http.StatusOK)
		wait(time.Hour, true, 5)
		n.stranger.Store(http.StatusForbidden)
		wait(time.Hour, false, 6)
	})
}
