package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corestate "plexha/corefile/state"
	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

// told waits until the timeline has told all of this, in this order, as "LEVEL KIND: TEXT", and returns it all.
func (h *house) told(want ...string) []string {
	h.t.Helper()
	news, cancel := h.Timeline().Subscribe()
	defer cancel()
	late := time.After(patience)
	for {
		var got []string
		for _, e := range h.Timeline().Since(0) {
			got = append(got, fmt.Sprintf("%s %s: %s", e.Level, e.Kind, e.Text))
		}
		rest := got
		missing := slices.IndexFunc(want, func(line string) bool {
			i := slices.Index(rest, line)
			rest = rest[i+1:]
			return i < 0
		})
		if missing < 0 {
			return got
		}
		select {
		case <-news:
		case <-late:
			h.t.Fatalf("waiting for %q: the timeline is\n%s", want[missing], strings.Join(got, "\n"))
		}
	}
}

// once checks that lines were told once.
func once(t *testing.T, told []string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if n := len(slices.DeleteFunc(slices.Clone(told), func(l string) bool { return l != line })); n != 1 {
			t.Errorf("told %d times: %s\n%s", n, line, strings.Join(told, "\n"))
		}
	}
}

func TestTheTimelineOutlivesReloads(t *testing.T) {
	one, dir := startNode(t, "1"), t.TempDir()
	one.stranger.Store(http.StatusOK)
	lines := []string{"node plex1 " + one.addr, state(dir)}
	h := newHouse(t)
	h.load(lines...)
	begin := []string{
		"info configuration: plexproxy 1.2.3 serves the Corefile",
		"info state: node plex1 is up",
		"error administration: node plex1 shows its libraries without a token, so that clients from outside are refused there",
	}
	h.told(begin...)
	order(t, dir, "plex1 drain # new disk\n")
	drained := "info order: order on node plex1: drain: new disk"
	h.told(drained)

	h.load(append(lines, "max_requests 7")...)
	one.status.Store(http.StatusInternalServerError)
	later := []string{
		"info configuration: the changed Corefile is taken over",
		"warning state: node plex1 is down: answers 500 Internal Server Error",
		"error answers: no node is up: clients get an error",
	}
	h.told(append(append(begin, drained), later...)...)
	one.status.Store(http.StatusOK)
	h.told("info answers: a node is up again")
	h.load(append(lines, "open_ok plex1")...)
	told := h.told("info administration: node plex1 serves clients from outside again")
	once(t, told, slices.Concat(begin[:1], begin[2:], later[1:], []string{drained})...)
}

func TestARefusedCorefileIsTold(t *testing.T) {
	h := newHouse(t)
	h.Refused(errors.Join(errors.New("Corefile:3: unknown property"), errors.New(strings.Repeat("x", 1000))))
	told := h.told()
	if len(told) != 1 || len(told[0]) > 500 ||
		!strings.HasPrefix(told[0], "warning configuration: the changed Corefile is refused, and the one before goes on: Corefile:3: unknown property; xxx") {
		t.Errorf("the timeline is %q", told)
	}
}

func TestOrder(t *testing.T) {
	one, two, dir := startNode(t, "1"), startNode(t, "2"), t.TempDir()
	h := newHouse(t)
	h.load("node plex1 "+one.addr, "node plex2 "+two.addr, "proxy 192.168.1.2", "nodes found localhost max 2", state(dir))
	h.await("the nodes", func(m *cluster.Moment) bool { return m.Snapshot.Node("plex2").State == zones.Up })
	file := corestate.File(dir, zone, "orders")

	drain := board.OrderLine{Name: "plex1", Order: zones.OrderDrain, Why: "new disk"}
	if err := h.Order(drain); err != nil {
		t.Fatal(err)
	}
	if n := h.Now().Snapshot.Node("plex1"); n.Order != zones.OrderDrain || n.OrderWhy != "new disk" {
		t.Errorf("when it returns plex1 has the order %v # %s", n.Order, n.OrderWhy)
	}
	given := "info order: order on node plex1: drain: new disk"
	h.told(given) // before it is taken back: what follows snapshots may miss one
	for _, name := range []string{"192.168.1.2:443", "wan", "found1"} {
		if err := h.Order(board.OrderLine{Name: name, Order: zones.OrderDown}); err != nil {
			t.Errorf("an order on %s: %v", name, err)
		}
	}
	want := "plex1 drain # new disk\n192.168.1.2:443 down\nwan down\nfound1 down\n"
	if got, err := os.ReadFile(file); string(got) != want {
		t.Errorf("the file holds %q, %v, want %q", got, err, want)
	}
	if err := h.Order(board.OrderLine{Name: "plex1", Order: zones.NoOrder}); err != nil {
		t.Fatal(err)
	}
	if n := h.Now().Snapshot.Node("plex1"); n.Order != zones.NoOrder {
		t.Errorf("after it was taken back plex1 has the order %v", n.Order)
	}
	h.told(given, "info order: the order on node plex1 has been withdrawn")

	err := h.Order(board.OrderLine{Name: "plex3", Order: zones.OrderDrain})
	if _, ok := errors.AsType[*corestate.OrderError](err); !ok || !strings.Contains(err.Error(), "want one of plex1 plex2 ") {
		t.Errorf("an order on nobody: %v", err)
	}
	if !h.Named("PLEX1") || !h.Named("192.168.1.2") || h.Named("plex3") {
		t.Error("the names are others")
	}
	if diff := cmp.Diff([]string{"plex1", "plex2", "192.168.1.2:443", "wan"}, withoutFound(h.Names())); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func withoutFound(names []string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "found") })
}

func TestOrdersThatCanNotBeGiven(t *testing.T) {
	drain := board.OrderLine{Name: "plex1", Order: zones.OrderDrain}
	h := newHouse(t)
	if err := h.Order(drain); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("before the first setup: %v", err)
	}
	h.load("node plex1 "+startNode(t, "1").addr, noState(t))
	if err := h.Order(drain); err == nil || !strings.Contains(err.Error(), "no state folder is writable") {
		t.Errorf("without a folder: %v", err)
	}
	dir := t.TempDir()
	h.load("node plex1 "+startNode(t, "1").addr, state(dir))
	if h.StateDir() != dir {
		t.Errorf("the state folder is %s, want %s", h.StateDir(), dir)
	}
	file := filepath.Join(dir, "home.duckdns.org.orders")
	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Order(drain); err == nil || !strings.Contains(err.Error(), "have a mistake") {
		t.Errorf("into a file with a mistake: %v", err)
	}
}

// TestNews come for all that is shown.
func TestNews(t *testing.T) {
	one, dir := startNode(t, "1"), t.TempDir()
	h := newHouse(t)
	h.load("node plex1 "+one.addr, state(dir))
	h.states(zones.Up)
	h.awaitAsked(one)
	news, cancel := h.News()
	defer cancel()
	awaits := func(what string, shown func() bool) {
		t.Helper()
		late := time.After(patience)
		for !shown() {
			select {
			case <-news:
			case <-late:
				t.Fatalf("no news of %s", what)
			}
		}
	}
	plays := func() bool { return h.Status(time.Now()).Nodes[0].Playbacks == 1 }
	h.Playbacks().Begin(affinity.Sign{Act: affinity.Plays, Client: 1}, "plex1", time.Now()).End(time.Now())
	awaits("a playback", plays)
	h.Playbacks().Begin(affinity.Sign{Act: affinity.Ends, Client: 1}, "plex1", time.Now())
	awaits("its end", func() bool { return !plays() })
	h.Refused(errors.New("a mistake"))
	awaits("a Corefile", func() bool { return len(h.told()) > 2 })
	order(t, dir, "plex1 drain\n")
	awaits("an order", func() bool { return h.Status(time.Now()).Nodes[0].Draining })
}

// TestWhatIsAChange: neither a doubt nor what the operator does.
func TestWhatIsAChange(t *testing.T) {
	later := now.Add(time.Minute)
	for _, tt := range []struct {
		level timeline.Level
		kind  timeline.Kind
		want  bool
	}{
		{timeline.Warning, timeline.State, true},
		{timeline.Info, timeline.Administration, true},
		{timeline.Doubt, timeline.State, false},
		{timeline.Info, timeline.Order, false},
		{timeline.Info, timeline.Configuration, false},
	} {
		t.Run(string(tt.level)+" "+string(tt.kind), func(t *testing.T) {
			h := newHouse(t)
			if got := h.Status(later).Changed; !got.IsZero() {
				t.Errorf("before anything has happened: %v", got)
			}
			h.Timeline().Add(timeline.Event{At: now, Level: timeline.Info, Kind: timeline.State})
			h.Timeline().Add(timeline.Event{At: later, Level: tt.level, Kind: tt.kind})
			if got := h.Status(later).Changed; got.Equal(later) != tt.want || got.Equal(now) == tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
