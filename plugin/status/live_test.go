package status_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"plexha/plugin/status"
	"plexha/zones"
	"plexha/zones/timeline"
)

// stream is what a client of /live or /events is told.
type stream struct {
	*bufio.Scanner

	body io.Closer
}

// patience is how long a stream may take: less than it is silent for while nothing happens.
const patience = 10 * time.Second

// listen asks a socket for a path, without an end.
func listen(t *testing.T, socket, path string) *stream {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://socket"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = res.Body.Close()
		tr.CloseIdleConnections()
	})
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d", path, res.StatusCode)
	}
	scan := bufio.NewScanner(res.Body)
	scan.Buffer(nil, 1<<20)
	return &stream{scan, res.Body}
}

// until reads until a line has a text. What comes before is not looked at.
func (s *stream) until(t *testing.T, text string) {
	t.Helper()
	for s.Scan() {
		if strings.Contains(s.Text(), text) {
			return
		}
	}
	t.Fatalf("it ends before %q: %v", text, s.Err())
}

// rest reads to the end.
func (s *stream) rest(t *testing.T) {
	t.Helper()
	for s.Scan() {
	}
	if err := s.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// lookOf returns the page's query for /live.
func lookOf(t *testing.T, socket string) string {
	t.Helper()
	_, html := ask(t, "unix", socket, http.MethodGet, "/")
	_, rest, ok := strings.Cut(html, `data-look="`)
	look, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("there is no page: %s", html)
	}
	return "/live?look=" + look
}

// downed is a snapshot of a cluster, with its node down.
func downed(c *cluster) *zones.Snapshot {
	snap := *c.Snapshot()
	snap.Ready = true
	h := up("192.168.1.10")
	h.State, h.Why = zones.Down, "connection refused"
	snap.Nodes = []zones.NodeHealth{{Node: zones.Node{Name: "plex1", Host: "h", Port: 32400}, Health: h}}
	return &snap
}

// TestLive: a page is told what changes, of the cluster that is shown after a reload as of the one before.
func TestLive(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	socket := status.Socket(o.Dir)
	older, newer := with("home.test.", "plex1"), with("home.test.", "plex1")
	var s status.Servers
	leaveOld := open(t, &s, older, o)
	page := listen(t, socket, lookOf(t, socket))
	page.until(t, "starting")
	older.change(downed(older))
	page.until(t, "plex1 is down")
	leaveNew := open(t, &s, newer, o)
	page.until(t, "starting")
	leaveOld()
	newer.change(downed(newer))
	page.until(t, "connection refused")
	leaveNew()
	page.rest(t)
}

// TestEvents: they are told as they happen, and the stream ends when another timeline is shown.
func TestEvents(t *testing.T) {
	o := status.Options{Dir: shortDir(t)}
	socket := status.Socket(o.Dir)
	c := home("home.test.")
	c.timeline.Add(timeline.Event{At: noon, Text: "node plex1 is up"})
	var s status.Servers
	open(t, &s, c, o)
	if _, got := ask(t, "unix", socket, http.MethodGet, "/events.json?zone=home.test"); !strings.Contains(got, `"text": "node plex1 is up"`) {
		t.Errorf("/events.json is %s", got)
	}
	events := listen(t, socket, "/events?zone=home.test")
	events.until(t, "node plex1 is up")
	c.timeline.Add(timeline.Event{At: noon, Text: "node plex1 is down"})
	events.until(t, "id: 2")
	events.until(t, "node plex1 is down")
	open(t, &s, home("other.test."), o)
	events.rest(t)
}

// TestStreamsDoNotHoldUpTheEnd: if they did, each end would take the 250 ms after which they are cut off. The quickest
// counts, since a busy machine makes one slow.
func TestStreamsDoNotHoldUpTheEnd(t *testing.T) {
	quickest := patience
	for range 5 {
		o := status.Options{Dir: shortDir(t)}
		socket := status.Socket(o.Dir)
		var s status.Servers
		leave := open(t, &s, home("home.test."), o)
		page, events := listen(t, socket, lookOf(t, socket)), listen(t, socket, "/events")
		begin := time.Now()
		leave()
		quickest = min(quickest, time.Since(begin))
		page.rest(t)
		events.rest(t)
	}
	if quickest > 200*time.Millisecond {
		t.Errorf("it took %v", quickest)
	}
}
