package cluster_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/zones"
)

// place returns where a client's request for / goes, and has it answered there.
func (h *house) place(client string) zones.NodeName {
	h.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "/?X-Plex-Client-Identifier="+client, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	keys, nodes, now := affinity.Parse(r), h.Now().Nodes, time.Now()
	p := h.Pins().Place(keys, nodes, false, now)
	h.Pins().Answered(keys, p, p.Node, http.StatusOK, nodes, now)
	return p.Node
}

// sizes returns how many clients and tokens are pinned.
func (h *house) sizes() int { return h.Pins().Sizes().Pins }

// two are two nodes that nobody asks.
var two = []string{"node plex1 192.168.1.11", "node plex2 192.168.1.12", "probe none"}

// start is a process with these nodes and this state folder.
func start(t *testing.T, dir string) *house {
	t.Helper()
	h := newHouse(t)
	h.load(slices.Concat(two, []string{state(dir)})...)
	h.states(zones.Up, zones.Up)
	return h
}

func pinsFile(dir string) string { return filepath.Join(dir, "home.duckdns.org.pins") }

func TestPinsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	order(t, dir, "plex1 down\n")
	first := start(t, dir)
	first.await("the order", func(m *cluster.Moment) bool { return m.Snapshot.Node("plex1").Order == zones.OrderDown })
	for _, client := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if got := first.place(client); got != "plex2" {
			t.Fatalf("%s is placed on %s, want plex2", client, got)
		}
	}
	first.Stop()
	info, err := os.Stat(pinsFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}

	order(t, dir, "")
	second := start(t, dir)
	if got := second.sizes(); got != 8 {
		t.Errorf("%d pins, want 8", got)
	}
	for _, client := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // a hash would put some on plex1
		if got := second.place(client); got != "plex2" {
			t.Errorf("%s is placed on %s, want plex2", client, got)
		}
	}
}

func TestPinsStayOverAReload(t *testing.T) {
	h := start(t, t.TempDir())
	pins := h.Pins()
	h.place("a")
	h.load(slices.Concat(two, []string{"max_requests 7", state(t.TempDir())})...)
	if h.Pins() != pins || h.sizes() != 1 {
		t.Errorf("another table: %t, %d pins, want 1", h.Pins() != pins, h.sizes())
	}
}

// The folder that a reload names gets the pins, and the one before is free for others.
func TestPinsMoveWithTheirFolder(t *testing.T) {
	before, after := t.TempDir(), t.TempDir()
	first := start(t, before)
	first.place("a")
	first.Stop()
	h := start(t, before)
	h.load(slices.Concat(two, []string{state(after)})...)
	other := start(t, before)
	if other.logged("another process") > 0 {
		t.Errorf("the folder before is still taken:\n%s", other.all())
	}
	h.Stop()
	if got := start(t, after).sizes(); got != 1 {
		t.Errorf("%d pins in the folder of the reload, want 1", got)
	}
}

// Each folder that another process has is told of, and none that is free.
func TestFoldersThatAreTaken(t *testing.T) {
	taken, alsoTaken, free := t.TempDir(), t.TempDir(), t.TempDir()
	start(t, taken)
	start(t, alsoTaken)
	h := start(t, taken)
	h.load(slices.Concat(two, []string{state(alsoTaken)})...)
	h.load(slices.Concat(two, []string{state(free)})...)
	h.says("writing the pins to "+pinsFile(taken)+": another process", "writing the pins to "+pinsFile(alsoTaken)+": another process")
	if h.logged("writing the pins") != 2 {
		t.Errorf("the log tells of more:\n%s", h.all())
	}
}

func TestASetupThatIsNotAdoptedWritesNoPins(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t)
	s, err := h.Prepare(parse(t, slices.Concat(two, []string{state(dir)})...))
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	h.Stop()
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestOneProcessWritesThePins(t *testing.T) {
	dir := t.TempDir()
	first, second := start(t, dir), start(t, dir)
	second.says("warn writing the pins to " + pinsFile(dir) + ": another process writes it: they are kept in memory alone")
	second.place("b")
	second.Stop()
	if _, err := os.Stat(pinsFile(dir)); err == nil {
		t.Error("the second process has written the file")
	}
	first.place("a")
	first.Stop()
	third := start(t, dir)
	if got := third.sizes(); got != 1 {
		t.Errorf("%d pins, want that of the first process", got)
	}
	if third.logged("another process") > 0 {
		t.Errorf("the file is still taken:\n%s", third.all())
	}
}

// Who was second takes over when the first has ended.
func TestTheSecondProcessTakesOver(t *testing.T) {
	dir := t.TempDir()
	first, second := start(t, dir), start(t, dir)
	first.place("a")
	first.Stop()
	second.place("b")
	second.place("c")
	second.Stop()
	second.says("info writing the pins to " + pinsFile(dir) + ": nothing is wrong any more")
	if got := start(t, dir).sizes(); got != 2 {
		t.Errorf("%d pins, want those of the second process", got)
	}
}

func TestDamagedPins(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(pinsFile(dir), []byte("no pins"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, dir)
	h.says("warn reading " + pinsFile(dir) + ": ")
	h.place("a")
	h.Stop()
	if got := start(t, dir).sizes(); got != 1 {
		t.Errorf("%d pins after the next start, want 1", got)
	}
}

func TestNoStateFolder(t *testing.T) {
	h := newHouse(t)
	lines := slices.Concat(two, []string{noState(t)})
	h.load(lines...)
	h.says("warn no state folder is writable, so that the pins of home.duckdns.org do not outlive the process")
	h.states(zones.Up, zones.Up)
	if got := h.place("a"); got == "" {
		t.Error("a client is placed nowhere")
	}
	h.load(append(lines, "max_requests 7")...)
	h.says("warn no state folder is writable") // once
}

func TestPinsAreSavedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h := newHouse(t)
		h.load(slices.Concat(two, []string{noState(t)})...)
		h.KeepPinsIn(pinsFile(dir))
		h.place("a")
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if _, err := os.Stat(pinsFile(dir)); err == nil {
			t.Error("written too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := os.Remove(pinsFile(dir)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := os.Stat(pinsFile(dir)); err == nil {
			t.Error("written again without news")
		}
		h.place("b")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if _, err := os.Stat(pinsFile(dir)); err != nil {
			t.Error(err)
		}
	})
}
