package cluster_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corestate "plexha/corefile/state"
	"plexha/proxy/cluster"
	"plexha/zones"
)

func TestAMomentHoldsTheNodesAlone(t *testing.T) {
	one, two := startNode(t, "1"), startNode(t, "2")
	two.status.Store(http.StatusInternalServerError)
	h := newHouse(t)
	if h.Now() != nil {
		t.Error("there is a moment before the first setup")
	}
	cfg := h.load("node plex1 "+one.addr, "node plex2 "+two.addr, "proxy 192.168.1.2", state(t.TempDir()))
	m := h.states(zones.Up, zones.Down)
	if m.Config != cfg {
		t.Error("the moment's configuration is another one")
	}
	if len(m.Snapshot.Proxies)+len(m.Snapshot.Uplinks) > 0 || len(cfg.Cluster.Proxies) != 1 || len(cfg.Cluster.Uplinks) != 1 {
		t.Errorf("snapshot: %d proxies, %d uplinks, want none; the block has %d and %d, want 1 and 1", len(m.Snapshot.Proxies),
			len(m.Snapshot.Uplinks), len(cfg.Cluster.Proxies), len(cfg.Cluster.Uplinks))
	}
	if got := m.Snapshot.Node("plex1").Identity; got != id("1") {
		t.Errorf("plex1 is %s", got)
	}
	h.says(
		"info node plex1 of home.duckdns.org is up",
		"warn node plex2 of home.duckdns.org is down: answers 500 Internal Server Error",
	)
}

func TestAReloadKeepsTheHealth(t *testing.T) {
	one, two := startNode(t, "1"), startNode(t, "2")
	one.status.Store(http.StatusInternalServerError)
	dir := t.TempDir()
	order(t, dir, "plex2 drain\n")
	lines := []string{"node plex1 " + one.addr, "node plex2 " + two.addr, state(dir)}
	h := newHouse(t)
	h.load(lines...)
	h.states(zones.Down, zones.Up)
	h.says("plex1 of home.duckdns.org is down", "plex2 of home.duckdns.org is up", "order on node plex2 of home.duckdns.org: drain")
	said := h.logged("home.duckdns.org")

	before := h.Now()
	cfg := h.load(append(lines, "max_requests 7")...)
	after := h.Now()
	if after == before || after.Config != cfg {
		t.Fatal("the reload has brought no moment of its own")
	}
	if a, b := after.Snapshot.Node("plex1"), before.Snapshot.Node("plex1"); a.State != zones.Down || !a.Since.Equal(b.Since) {
		t.Errorf("after the reload plex1 is %s since %v, want down since %v", a.State, a.Since, b.Since)
	}
	if !after.Snapshot.Ready || !after.Snapshot.Node("plex2").State.IsUp() {
		t.Error("after the reload plex2 is not up at once")
	}
	if now := h.logged("home.duckdns.org"); now != said {
		t.Errorf("the reload says again what was said:\n%s", h.all())
	}
	two.status.Store(http.StatusInternalServerError)
	h.await("news over the reload", func(m *cluster.Moment) bool { return m.Snapshot.Node("plex2").State == zones.Down })
}

func TestAnotherProbeForgetsTheStates(t *testing.T) {
	one := startNode(t, "1")
	one.status.Store(http.StatusInternalServerError)
	lines := []string{"node plex1 " + one.addr, "rise 1000", state(t.TempDir())}
	h := newHouse(t)
	h.load(lines...)
	h.states(zones.Down)
	h.load(append(lines, "probe tcp")...)
	h.states(zones.Up)
}

func TestAFailedPrepareLeavesEverything(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	before := h.states(zones.Up)
	other := parse(t, "node plex1 "+one.addr)
	other.Cluster.Origins = []string{"example.org."}
	if _, err := h.Prepare(other); err == nil {
		t.Error("the block of another zone was taken over")
	}
	if h.Now().Config != before.Config {
		t.Error("there is a moment of another block")
	}
	one.status.Store(http.StatusInternalServerError)
	h.states(zones.Down)
}

func TestASetupThatIsNotAdoptedChangesNothing(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	before := h.states(zones.Up)
	s, err := h.Prepare(parse(t, "node plex1 "+one.addr, "node plex2 127.0.0.1:1", state(t.TempDir())))
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if h.Now().Config != before.Config {
		t.Error("there is a moment of another block")
	}
	if h.logged("plex2") > 0 {
		t.Errorf("the log tells of a node that nobody has:\n%s", h.all())
	}
}

func TestAClusterThatIsStoppedTakesNothing(t *testing.T) {
	h := newHouse(t)
	cfg := h.load("node plex1 127.0.0.1:1", state(t.TempDir()))
	h.Stop()
	if _, err := h.Prepare(cfg); err == nil {
		t.Error("a setup was begun after the end")
	}
	if h.Now() == nil {
		t.Error("the last moment is gone")
	}
}

func TestSubscribersAreToldAtOnceWhatThereIs(t *testing.T) {
	h := newHouse(t)
	select {
	case <-h.news:
		t.Error("there is news before the first setup")
	default:
	}
	h.load("node plex1 127.0.0.1:1", state(t.TempDir()))
	for what, news := range map[string]<-chan struct{}{"an early subscriber": h.news, "a late one": func() <-chan struct{} {
		news, cancel := h.Subscribe()
		t.Cleanup(cancel)
		return news
	}()} {
		select {
		case <-news:
		default:
			t.Errorf("%s is not told of the first moment", what)
		}
	}
}

// order writes the orders file.
func order(t *testing.T, dir, text string) {
	t.Helper()
	if err := corestate.Replace(filepath.Join(dir, "home.duckdns.org.orders"), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestOrdersAreSeen(t *testing.T) {
	one, dir := startNode(t, "1"), t.TempDir()
	h := newHouse(t)
	order(t, dir, "plex1 up\n")
	h.load("node plex1 "+one.addr, state(dir))
	if got := h.Now().Snapshot.Node("plex1").Order; got != zones.OrderUp {
		t.Errorf("at the start the order is %s, want up", got)
	}
	order(t, dir, "plex1 drain # new disk\n")
	h.await("the order", func(m *cluster.Moment) bool { return m.Snapshot.Node("plex1").Order == zones.OrderDrain })
	if err := os.Remove(filepath.Join(dir, "home.duckdns.org.orders")); err != nil {
		t.Fatal(err)
	}
	h.await("its end", func(m *cluster.Moment) bool { return m.Snapshot.Node("plex1").Order == zones.NoOrder })
}

// Orders on what plexproxy does not probe are none of its business, those on nobody are a mistake.
func TestOrdersOnOthers(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t)
	order(t, dir, "wan down\n192.168.1.2 drain\n192.168.1.2:443 drain\nplex7 down\nfound1 down\n")
	h.load("node plex1 127.0.0.1:1", "nodes found tasks.plexha.invalid", "proxy 192.168.1.2", state(dir))
	if h.logged(`no node, proxy or uplink "plex7"`) == 0 {
		t.Errorf("the log does not tell of plex7:\n%s", h.all())
	}
	if all, of7 := h.logged("no node, proxy or uplink"), h.logged(`"plex7"`); all != of7 {
		t.Errorf("the log tells of others than plex7:\n%s", h.all())
	}
}

func TestNoNodeInTheLog(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	h.states(zones.Up)
	one.status.Store(http.StatusInternalServerError)
	h.states(zones.Down)
	one.status.Store(http.StatusOK)
	h.states(zones.Up)
	h.says(
		"warn no node of home.duckdns.org is up: its clients get an error", "info a node of home.duckdns.org is up again",
	)
}

// Who is cut off goes on sending requests to the nodes that were up, and says so.
func TestCutOff(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	h.load("node plex1 "+one.addr, "canary 127.0.0.1:1", state(t.TempDir()))
	h.states(zones.Up)
	one.status.Store(http.StatusInternalServerError)
	m := h.await("the isolation", func(m *cluster.Moment) bool { return m.Snapshot.Isolated })
	if got := m.Snapshot.Node("plex1").State; got != zones.Failing {
		t.Errorf("plex1 is %s, want failing", got)
	}
	if ok, word := h.Ready(); !ok || word != "ready" {
		t.Errorf("got %t, %s, want ready", ok, word)
	}
	h.says("warn home.duckdns.org is cut off: ")
	if !h.Status(time.Now()).Isolated {
		t.Error("the status does not show it")
	}
}

func TestReady(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	check := func(wantOK bool, want string) {
		t.Helper()
		if ok, word := h.Ready(); ok != wantOK || word != want {
			t.Errorf("got %t, %s, want %t, %s", ok, word, wantOK, want)
		}
	}
	check(false, "starting")
	h.load("node plex1 "+startSilent(t), state(t.TempDir()))
	check(false, "starting")
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	h.states(zones.Up)
	check(true, "ready")
	one.status.Store(http.StatusServiceUnavailable)
	h.states(zones.Starting)
	check(false, "maintenance")
	one.status.Store(http.StatusInternalServerError)
	h.states(zones.Down)
	check(false, "no_node")
	h.Stop()
	check(false, "stopped")
}

func TestStalledProbesShow(t *testing.T) {
	one := startNode(t, "1")
	h := newHouse(t)
	if got := h.Stalled(time.Now()); got != nil {
		t.Errorf("stalled before the first setup: %v", got)
	}
	h.load("node plex1 "+one.addr, state(t.TempDir()))
	h.states(zones.Up)
	if got := h.Stalled(time.Now()); got != nil {
		t.Errorf("stalled while all is well: %v", got)
	}
	want := []zones.Subject{{Name: "plex1"}}
	if diff := cmp.Diff(want, h.Stalled(time.Now().Add(time.Hour))); diff != "" {
		t.Errorf("an hour after the last sign of life (-want +got):\n%s", diff)
	}
	h.Stop()
	if got := h.Stalled(time.Now().Add(time.Hour)); got != nil {
		t.Errorf("stalled after the end: %v", got)
	}
}
