package plugin_test

import (
	"bytes"
	golog "log"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	plex "plexha/plugin"
	"plexha/plugin/duckdns"
	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// told waits until a timeline tells this after the event of a number, doubts apart, and returns the number of the last.
func told(t *testing.T, tl *timeline.Timeline, after uint64, want ...string) uint64 {
	t.Helper()
	var last uint64
	eventually(t, func() string {
		var got []string
		for _, e := range tl.Since(after) {
			last = e.Seq
			if e.Level != timeline.Doubt {
				got = append(got, string(e.Level)+" "+e.Text)
			}
		}
		return cmp.Diff(want, got)
	})
	return last
}

// serves waits until the server answers: CoreDNS cannot stop one that is about to.
func (s *server) serves(zone string) { s.ask(zone) }

// TestTimelineOverReloads: it lives on, and nothing is told twice.
func TestTimelineOverReloads(t *testing.T) {
	n, zone := startNode(t, "127.0.1.1"), freshZone()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	good := inZone(zone, "node plex1 "+n.addr)
	s := startServer(t, good)
	tl := source(t, zone).Timeline()
	const taken = "info Corefile is taken over by plexdns " + plex.Version
	seen := told(t, tl, 0, "info Corefile is served by plexdns "+plex.Version, "info node plex1 is up")

	if err := source(t, zone).Order(board.OrderLine{Name: "plex1", Order: zones.OrderDown, Why: "new disk"}); err != nil {
		t.Fatal(err)
	}
	seen = told(t, tl, seen, "info order on node plex1: down: new disk", "error answers inside: nothing is up: as if all were")
	for range 3 {
		s.serves(zone)
		if err := s.restart(good); err != nil {
			t.Fatal(err)
		}
		seen = told(t, tl, seen, taken)
	}

	s.serves(zone)
	const goesOn = "error the changed Corefile is refused, the one before goes on: "
	if err := s.restart(inZone(zone, "node plex1 "+n.addr, "intervall 2s", "timeouts 1s")); err == nil {
		t.Fatal("a Corefile with a mistake was taken over")
	}
	events := tl.Since(seen)
	if err := s.restart(inZone(zone, "node plex1 "+n.addr, "foo")); err == nil {
		t.Fatal("a Corefile with an unknown property was taken over")
	}
	seen += 2
	if long := tl.Since(seen - 1); len(long) != 1 || !strings.HasSuffix(long[0].Text, "...") || len(long[0].Text) > 250 {
		t.Errorf("a long list of what is allowed: got %v", long)
	}
	if len(events) != 1 || !strings.HasPrefix("error "+events[0].Text, goesOn+"Corefile:10: ") || !strings.HasSuffix(events[0].Text, " (and 1 more)") {
		t.Errorf("a mistake in the Corefile: got %v", events)
	}
	if err := s.restart(good + "example.org:" + port + " {\n\tbind 127.0.0.1\n\twhoami\n}\n"); err == nil {
		t.Fatal("a port that is taken was taken over")
	}
	seen = told(t, tl, seen, goesOn+"the log says why")

	if err := source(t, zone).Order(board.OrderLine{Name: "plex1"}); err != nil {
		t.Fatal(err)
	}
	told(t, tl, seen, "info the order on node plex1 has been withdrawn", "info answers inside: a node that is up")
}

// TestTheNewerInstanceTells: while one takes over from the other both see the same things happen.
func TestTheNewerInstanceTells(t *testing.T) {
	zone := freshZone()
	lines := with(twoNodes, "keys "+zone)
	old := newHouse(t, lines...)
	runtime.Started(zone, old.Plex)
	t.Cleanup(func() { runtime.Stopped(zone, old.Plex) })
	old.Enter()
	old.LogEvents()
	tl := old.Timeline()
	seen := told(t, tl, 0, "info node plex1 is up", "info node plex2 is up")

	next := coldHouse(t, t.TempDir(), nil, lines...)
	next.board.Seed(old.board.Snapshot(), true, began)
	next.show()
	next.LogEvents() // it is about to be the newest
	runtime.Started(zone, next.Plex)
	next.Enter()
	for _, h := range []*house{old, next} {
		h.kill("plex1")
		h.LogEvents()
	}
	seen = told(t, tl, seen, "warning node plex1 is down: the test says so")

	runtime.Stopped(zone, next.Plex) // it could not start after all
	old.kill("plex2")
	old.LogEvents()
	told(t, tl, seen, "warning node plex2 is down: the test says so", "error answers inside: nothing is up: as if all were")
}

// TestLogAndTimelineAgree on orders: what one tells, the other does, in the same words but for the zone.
func TestLogAndTimelineAgree(t *testing.T) {
	zone := freshZone()
	logs(t, with(oneProxy, "keys "+zone), func(h *logged) {
		h.up()
		var seen uint64
		for i, orders := range [][]string{
			{"plex1 drain # new disk"},
			{"plex1 drain # new disk"},
			{"plex1 drain 2126-11-22T20:10Z # new disk", "192.168.1.2 up"},
			{"192.168.1.2 up", "wan down"},
			{},
		} {
			h.out.Reset()
			h.order(time.Duration(i)*time.Second, orders...)
			h.LogEvents()
			var want []string
			for _, e := range h.Timeline().Since(seen) {
				seen = e.Seq
				if e.Kind == timeline.Order {
					want = append(want, "[INFO] "+strings.Replace(e.Text, e.Subject, e.Subject+" of "+strings.TrimSuffix(zone, "."), 1))
				}
			}
			if len(want) == 0 != (i == 1) {
				t.Errorf("the timeline tells of step %d %q", i, want)
			}
			h.expect(want...)
		}
	})
}

func TestDuckDNSInTheTimeline(t *testing.T) {
	began := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	old, now := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.9")
	report := func(change func(*duckdns.FamilyReport)) duckdns.Report {
		r := duckdns.Report{Name: "home.duckdns.org", IPv6: duckdns.FamilyReport{Off: true}}
		r.IPv4 = duckdns.FamilyReport{Wanted: now, Published: old, PublishedAt: at(-60)}
		change(&r.IPv4)
		return r
	}
	same := func(*duckdns.FamilyReport) {}
	pushed := func(r *duckdns.FamilyReport) { r.Published, r.PublishedAt, r.Changed = now, at(1), true }
	again := func(r *duckdns.FamilyReport) { r.PublishedAt = at(1) }
	fails := func(r *duckdns.FamilyReport) { r.FailingSince, r.Error = at(1), "timeout" }
	refused := func(r *duckdns.FamilyReport) { r.FailingSince, r.RefusedSince, r.Error = at(1), at(1), "KO" }
	drifts := func(r *duckdns.FamilyReport) {
		r.Since, r.Other = at(1), []netip.Addr{now, netip.MustParseAddr("203.0.113.8")}
	}
	tokenless := report(same)
	tokenless.Token = "open /x: no such file"
	for _, tc := range []struct {
		name          string
		before, after duckdns.Report
		want          []string
	}{
		{"nothing is new", report(same), report(same), nil},
		{"what an earlier process has done", duckdns.Report{}, report(same), nil},
		{"a new address", report(same), report(pushed), []string{"info A is 203.0.113.9, no longer 203.0.113.7"}},
		{"the first address", duckdns.Report{}, report(pushed), []string{"info A is 203.0.113.9"}},
		{"told again", report(same), report(again), nil},
		{
			"an update fails", report(same), report(fails),
			[]string{"warning DuckDNS cannot be told that A is 203.0.113.9: timeout; it is tried again"},
		},
		{"and fails", report(fails), report(fails), nil},
		{"it is refused", report(same), report(refused), []string{"error DuckDNS refuses to set A to 203.0.113.9: KO"}},
		{"it is refused after it has failed", report(fails), report(refused), []string{"error DuckDNS refuses to set A to 203.0.113.9: KO"}},
		{"it works again", report(refused), report(pushed), []string{"info A is 203.0.113.9, no longer 203.0.113.7"}},
		{"it works again, with the same address", report(fails), report(again), []string{"info A is 203.0.113.7"}},
		{"it is not needed any more", report(fails), report(same), []string{"info A needs no update any more"}},
		{
			"another shows", report(same), report(drifts),
			[]string{"warning A should be 203.0.113.7, but DuckDNS's name servers show 203.0.113.9 203.0.113.8"},
		},
		{"the right one shows", report(drifts), report(same), []string{"info DuckDNS's name servers show the right A again"}},
		{
			"no token", report(same), tokenless,
			[]string{"error there is no token to tell DuckDNS anything with: open /x: no such file"},
		},
		{"a token", tokenless, report(same), []string{"info there is a token again"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, e := range plex.DuckEvents(tc.before, tc.after, began, at(2)) {
				if e.At != at(2) || e.Kind != timeline.DuckDNS {
					t.Errorf("%v: want an event of duckdns at %v", e, at(2))
				}
				got = append(got, string(e.Level)+" "+strings.TrimPrefix(e.Text, "home.duckdns.org: "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// record is a log that may be written while it is read.
type record struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

// take returns what was written since the last time.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.out.Reset()
	return r.out.String()
}

// TestFindings: the Corefile of two clusters is looked at as a whole, and each shows what is unwise about it.
func TestFindings(t *testing.T) {
	one, two := freshZone(), freshZone()
	n := startNode(t, "127.0.1.1")
	first := inZone(one, "node plex1 "+n.addr, "ttl 90s")
	text := first + inZone(two, "node plex1 "+n.addr, "max_requests 1", "probe none")
	out := &record{}
	capture(t)
	golog.SetOutput(out)
	s := startServer(t, text)
	s.serves(one)
	codes := func(zone string) (out []string) {
		for _, f := range source(t, zone).Findings() {
			out = append(out, f.Code)
		}
		return out
	}
	if got := strings.Join(codes(one), " "); !strings.Contains(got, "ttl") || strings.Contains(got, "probe-none") {
		t.Errorf("of the first cluster %q are shown, want ttl and not probe-none", got)
	}
	if got := strings.Join(codes(two), " "); !strings.Contains(got, "probe-none") || strings.Contains(got, "ttl") ||
		strings.Contains(got, "max-requests") {
		t.Errorf("of the second cluster %q are shown, want probe-none, and not ttl nor what concerns plexproxy", got)
	}
	lines := func() (n int) {
		for line := range strings.Lines(out.take()) {
			if strings.HasPrefix(line, "[WARNING] plugin/plex: Corefile:10: ") {
				n++
			}
		}
		return n
	}
	if got := lines(); got != 1 {
		t.Errorf("the log says %d times what is unwise in line 10, want once", got)
	}
	if err := s.restart("\n" + text); err != nil {
		t.Fatal(err)
	}
	s.serves(one)
	if said := out.take(); strings.Contains(said, "[WARNING] plugin/plex: Corefile:") {
		t.Errorf("a reload says again what was said, in other lines:\n%s", said)
	}
	if err := s.restart(strings.Replace(text, "ttl 90s", "ttl 95s", 1)); err != nil {
		t.Fatal(err)
	}
	s.serves(one)
	if got := lines(); got != 1 {
		t.Errorf("the log says %d times what a reload has made unwise in line 10, want once", got)
	}
}
