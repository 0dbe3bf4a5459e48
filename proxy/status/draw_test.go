package status_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status/page"
	"plexha/proxy/cluster"
	"plexha/proxy/playback"
	"plexha/proxy/status"
	"plexha/zones"
	"plexha/zones/timeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// drawn is the page of one cluster.
func drawn(s cluster.Status) page.Cluster {
	return status.Draw(&status.Document{Version: 1, Plexproxy: "1.2.3", At: noon, Clusters: []cluster.Status{s}}).Clusters[0]
}

// changed returns a node with something else.
func changed(n cluster.NodeStatus, with func(*cluster.NodeStatus)) cluster.NodeStatus {
	with(&n)
	return n
}

// What the headline says, and how bad it is.
func TestHeadline(t *testing.T) {
	drain := func(n *cluster.NodeStatus) { n.Order, n.Draining = "drain", true }
	open := func(n *cluster.NodeStatus) { n.Open, n.Refused = true, true }
	meant := func(n *cluster.NodeStatus) { n.Open = true }
	certificate := func(lasts, left time.Duration) *cluster.Certificate {
		return &cluster.Certificate{
			Hosts: []string{"plex.home.duckdns.org"}, Issuer: "R11",
			NotBefore: noon.Add(left - lasts), NotAfter: noon.Add(left),
		}
	}
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		nodes       []cluster.NodeStatus
		with        func(*cluster.Status)
		certificate *cluster.Certificate
		level       page.Level
		headline    string
		since       time.Time
	}{
		"all is well": {
			nodes: []cluster.NodeStatus{up("plex1"), up("plex2")}, level: page.Good, headline: "all is well", since: before(time.Hour),
		},
		"all is well again": {
			nodes: []cluster.NodeStatus{up("plex1")}, with: func(s *cluster.Status) { s.Changed = before(time.Minute) },
			level: page.Good, headline: "all is well", since: before(time.Minute),
		},
		"a node is down": {
			nodes: []cluster.NodeStatus{down("plex1"), up("plex2")}, level: page.Poor, headline: "plex1 is down", since: before(time.Minute),
		},
		"the only one is down": {
			nodes: []cluster.NodeStatus{down("plex1")}, level: page.Bad, headline: "plex1 is down", since: before(time.Minute),
		},
		"all are down": {
			nodes: []cluster.NodeStatus{down("plex1"), down("plex2")}, level: page.Bad, headline: "no node is up", since: before(time.Minute),
		},
		"a drained one is no trouble": {
			nodes: []cluster.NodeStatus{changed(up("plex1"), drain), up("plex2")}, level: page.Good, headline: "all is well", since: before(time.Hour),
		},
		"open administration": {
			nodes: []cluster.NodeStatus{changed(up("plex1"), open), up("plex2")}, level: page.Bad, headline: "plex1 is open to everybody",
		},
		"as open_ok says": {
			nodes: []cluster.NodeStatus{changed(up("plex1"), meant)}, level: page.Good, headline: "all is well", since: before(time.Hour),
		},
		"cut off": {
			nodes: []cluster.NodeStatus{up("plex1")}, with: func(s *cluster.Status) { s.Isolated = true },
			level: page.Poor, headline: "this machine is cut off",
		},
		"nobody asks": {
			nodes: []cluster.NodeStatus{up("plex1")}, with: func(s *cluster.Status) { s.Stalled = []string{"node plex1"} },
			level: page.Poor, headline: "node plex1 is not asked any more",
		},
		"starting": {
			nodes: []cluster.NodeStatus{changed(up("plex1"), func(n *cluster.NodeStatus) { n.State, n.Since = "unknown", time.Time{} })},
			with:  func(s *cluster.Status) { s.Ready = "starting" }, level: page.Quiet, headline: "starting",
		},
		"a good certificate": {
			nodes: []cluster.NodeStatus{up("plex1")}, certificate: certificate(90*day, 40*day),
			level: page.Good, headline: "all is well", since: before(time.Hour),
		},
		"one of some hours": {
			nodes: []cluster.NodeStatus{up("plex1")}, certificate: certificate(12*time.Hour, 3*time.Hour),
			level: page.Good, headline: "all is well", since: before(time.Hour),
		},
		"one of some hours that is not renewed": {
			nodes: []cluster.NodeStatus{up("plex1")}, certificate: certificate(12*time.Hour, time.Hour),
			level: page.Poor, headline: "the certificate of plex.home.duckdns.org ends soon",
		},
		"one that is not renewed": {
			nodes: []cluster.NodeStatus{up("plex1")}, certificate: certificate(90*day, 13*day),
			level: page.Poor, headline: "the certificate of plex.home.duckdns.org ends soon",
		},
		"one that has ended": {
			nodes: []cluster.NodeStatus{up("plex1")}, certificate: certificate(90*day, -time.Minute),
			level: page.Bad, headline: "the certificate of plex.home.duckdns.org has ended", since: before(time.Minute),
		},
		"none": {
			nodes:       []cluster.NodeStatus{up("plex1")},
			certificate: &cluster.Certificate{Hosts: []string{"plex.home.duckdns.org"}, Trouble: "none has been given yet"},
			level:       page.Bad, headline: "there is no certificate for plex.home.duckdns.org",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := home(tt.nodes...)
			if tt.with != nil {
				tt.with(&s)
			}
			if tt.certificate != nil {
				s.Certificates = []cluster.Certificate{*tt.certificate}
			}
			got := drawn(s)
			if got.Level != tt.level || got.Headline != tt.headline || !got.Since.Equal(tt.since) {
				t.Errorf("got %s, %q since %v; want %s, %q since %v", got.Level, got.Headline, got.Since, tt.level, tt.headline, tt.since)
			}
		})
	}
}

// TestDraw compares the page of a cluster of which all is known with a file.
func TestDraw(t *testing.T) {
	drained := up("plex1")
	drained.Order, drained.Draining, drained.OrderUntil, drained.OrderWhy = "drain", true, noon.Add(time.Hour), "new disk"
	drained.Playbacks = 2
	open := up("plex3")
	open.Open, open.Refused = true, true
	s := home(drained, down("plex2"), open)
	s.Hosts = append([]cluster.HostStatus{{
		Host: "home.duckdns.org", To: []zones.NodeName{}, Why: "redirected, whoever is up", Redirect: "plex.home.duckdns.org",
	}, {
		Host: "plex.home.duckdns.org", To: []zones.NodeName{"plex1", "plex3"}, Why: "the nodes that are up",
	}}, s.Hosts...)
	s.Hosts[3] = cluster.HostStatus{Host: "plex2.home.duckdns.org", To: []zones.NodeName{}, Why: "the node is not up"}
	s.Playing = []playback.Playback{
		{Node: "plex1", State: playback.Playing, Since: before(time.Hour), Last: before(time.Second)},
		{Node: "plex1", State: playback.Paused, Since: before(time.Minute), Last: before(time.Second)},
	}
	s.Certificates = []cluster.Certificate{{
		Hosts:  []string{"plex.home.duckdns.org", "plex1.home.duckdns.org", "plex2.home.duckdns.org", "plex3.home.duckdns.org"},
		Issuer: "Let's Encrypt R11", NotBefore: before(time.Hour), NotAfter: noon.Add(90 * 24 * time.Hour),
	}}
	s.Pins, s.Sessions = 7, 1
	got := []byte(inWords(drawn(s)))
	file := filepath.Join("testdata", "page.txt")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// inWords returns a page as text: a row to a line, and of each cell its text with its level, its time, and what is
// below it.
func inWords(c page.Cluster) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (%s)\n", c.Zone, c.Headline, c.Level)
	for _, t := range c.Troubles {
		fmt.Fprintf(&b, "%s: %s: %s\n", t.Level, t.Text, t.Why)
	}
	for _, s := range c.Sections {
		fmt.Fprintf(&b, "\n%s (%s): %s\n%s\n", s.Title, s.Name, s.Note, strings.Join(s.Columns, " | "))
		for _, row := range s.Rows {
			var cells []string
			for _, cell := range row.Cells {
				cells = append(cells, cellInWords(cell))
			}
			for _, f := range row.Forms {
				cells = append(cells, fmt.Sprintf("[%s: %s %v]", f.Label, f.Action, f.Fields))
			}
			fmt.Fprintf(&b, "%s\n", strings.Join(cells, " | "))
		}
	}
	return b.String()
}

func cellInWords(c page.Cell) string {
	words := []string{c.Text}
	if c.Badge != "" {
		words = append(words, "("+string(c.Badge)+")")
	}
	if !c.Time.IsZero() {
		words = append(words, c.Time.Format(time.RFC3339))
	}
	if c.Small != "" {
		words = append(words, "/ "+c.Small)
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// TestEachRowHasItsCells, whatever there is to show.
func TestEachRowHasItsCells(t *testing.T) {
	for _, s := range []cluster.Status{home(), home(up("plex1"), down("plex2")), large(t)} {
		for _, section := range drawn(s).Sections {
			for _, row := range section.Rows {
				if len(row.Cells) != len(section.Columns) {
					t.Errorf("%s: %d cells in %d columns", section.Name, len(row.Cells), len(section.Columns))
				}
			}
		}
	}
}

// large is a cluster of 32 nodes, with more playbacks than are shown.
func large(testing.TB) cluster.Status {
	var nodes []cluster.NodeStatus
	for i := range 32 {
		n := up(zones.NodeName(fmt.Sprintf("plex%d", i+1)))
		n.Playbacks = 2
		nodes = append(nodes, n)
	}
	s := home(nodes...)
	for i := range 64 {
		name := nodes[i/2].Name
		s.Playing = append(s.Playing, playback.Playback{Node: name, State: playback.Playing, Since: noon, Last: noon})
		if i%2 == 0 {
			s.Certificates = append(s.Certificates, cluster.Certificate{
				Hosts: []string{string(name) + ".home.duckdns.org"}, Issuer: "Let's Encrypt R11",
				NotBefore: before(time.Hour), NotAfter: noon.Add(90 * 24 * time.Hour),
			})
		}
	}
	return s
}

// page500 is the page of a large cluster to which much has happened.
func page500(tb testing.TB) page.Doc {
	doc := status.Draw(status.Render("1.2.3", all(newSource(large(tb)))(), noon))
	doc.Changes = true
	for i := range 500 {
		doc.Clusters[0].Events = append(doc.Clusters[0].Events, timeline.Event{
			Seq: uint64(i + 1), At: noon, Level: timeline.Warning, Kind: timeline.State, Subject: "node plex1",
			From: "failing", To: "down", Text: "node plex1 is down: no answer within 1s",
		})
	}
	return doc
}

func TestALargePageIsSmall(t *testing.T) {
	var out bytes.Buffer
	if err := page.Render(&out, page500(t)); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 100_000 {
		t.Errorf("the page has %d bytes, want 100000 at most", out.Len())
	}
}

// BenchmarkPage measures the page of 32 nodes, 64 playbacks and 500 events.
func BenchmarkPage(b *testing.B) {
	src := all(newSource(large(b)))
	events := page500(b).Clusters[0].Events
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		doc := status.Draw(status.Render("1.2.3", src(), noon))
		doc.Changes, doc.Clusters[0].Events = true, events
		if err := page.Render(&out, doc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
}

// TestAfterAStart nobody knows yet who plays.
func TestAfterAStart(t *testing.T) {
	for ago, want := range map[time.Duration]bool{time.Second: true, 29 * time.Second: true, 30 * time.Second: false} {
		s := home(up("plex1"))
		s.WatchingSince = before(ago)
		note := drawn(s).Sections[1].Note
		if got := strings.Contains(note, "has just started"); got != want {
			t.Errorf("%v after the start: %q", ago, note)
		}
	}
}
