package cluster_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/cluster"
	"plexha/zones"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a status with a file, the ports of loopback and the times of states apart.
func golden(t *testing.T, name string, s cluster.Status) {
	t.Helper()
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(string(text), "127.0.0.1:PORT")
	got = regexp.MustCompile(`"changed": "[^"]+Z"`).ReplaceAllString(got, `"changed": "TIME"`)
	got = regexp.MustCompile(`since": "[^"]+Z"`).ReplaceAllString(got, `since": "TIME"`) + "\n"
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// now is before any probe, so that none has been silent for long.
var now = time.Date(2000, 1, 1, 1, 0, 0, 0, time.FixedZone("CET", 3600))

func TestStatus(t *testing.T) {
	one, two, dir := startNode(t, "1"), startNode(t, "2"), t.TempDir()
	one.stranger.Store(http.StatusOK)
	two.status.Store(http.StatusInternalServerError)
	order(t, dir, "plex1 drain 2126-11-22T21:00:00Z # new disk\n")
	h := newHouse(t)
	golden(t, "status-before.json", h.Status(now))
	h.load("node plex1 "+one.addr, "node plex2 "+two.addr, "interval 1h", state(dir)) // nothing changes meanwhile
	h.states(zones.Up, zones.Down)
	h.await("the alarm", isOpen)
	h.place("a")
	golden(t, "status.json", h.Status(now))
}
