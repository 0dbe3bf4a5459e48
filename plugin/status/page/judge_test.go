package page_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status/page"
)

// TestTroubles: what is told of nodes, and how bad it is.
func TestTroubles(t *testing.T) {
	node := func(name, state, order string) page.Subject {
		s := page.Subject{Kind: "node", Name: name, State: state, Order: order, Since: noon}
		if state == "down" {
			s.Why = "connection refused"
		}
		return s
	}
	until := node("plex1", "up", "drain")
	until.OrderUntil, until.OrderWhy = noon.Add(time.Hour), "new disk"
	later := node("plex2", "down", "")
	later.Since = noon.Add(time.Hour)
	proxy := page.Subject{Kind: "proxy", Name: "192.168.1.2:443", State: "down", Since: noon}
	well := node("plex2", "up", "")
	for _, tc := range []struct {
		name string
		all  []page.Subject
		want []page.Trouble
	}{
		{"all is well", []page.Subject{node("plex1", "up", ""), well}, nil},
		{"nobody is there", nil, nil},
		{"one of two is down", []page.Subject{node("plex1", "down", ""), well}, []page.Trouble{{Level: page.Poor, Text: "plex1 is down", Since: noon, Why: "connection refused"}}},
		{"the only one is down", []page.Subject{node("plex1", "down", "")}, []page.Trouble{{Level: page.Bad, Text: "plex1 is down", Since: noon, Why: "connection refused"}}},
		{"the only one starts", []page.Subject{node("plex1", "starting", "")}, []page.Trouble{{Level: page.Quiet, Text: "plex1 is starting", Since: noon}, {Level: page.Bad, Text: "no node is up", Since: noon}}},
		{"both are down", []page.Subject{node("plex1", "down", ""), later}, []page.Trouble{
			{Level: page.Poor, Text: "plex1 is down", Since: noon, Why: "connection refused"},
			{Level: page.Poor, Text: "plex2 is down", Since: later.Since, Why: "connection refused"},
			{Level: page.Bad, Text: "no node is up", Since: later.Since},
		}},
		{"it may be down", []page.Subject{node("plex1", "failing", ""), well}, []page.Trouble{{Level: page.Doubt, Text: "plex1 is failing", Since: noon}}},
		{"it comes back", []page.Subject{node("plex1", "recovering", ""), well}, []page.Trouble{{Level: page.Doubt, Text: "plex1 is recovering", Since: noon}}},
		{"it starts", []page.Subject{node("plex1", "starting", ""), well}, []page.Trouble{{Level: page.Quiet, Text: "plex1 is starting", Since: noon}}},
		{"it is new", []page.Subject{node("plex1", "unknown", ""), well}, []page.Trouble{{Level: page.Quiet, Text: "plex1 has not answered yet", Since: noon}}},
		{"it is another server", []page.Subject{node("plex1", "impostor", ""), well}, []page.Trouble{{Level: page.Poor, Text: "plex1 answers as another server than it should be", Since: noon}}},
		{"it is drained", []page.Subject{until, well}, []page.Trouble{{Level: page.Quiet, Text: "plex1 is drained", Until: until.OrderUntil, Why: "new disk"}}},
		{"it is drained, and off", []page.Subject{node("plex1", "down", "drain"), well}, []page.Trouble{{Level: page.Quiet, Text: "plex1 is drained, and is down", Since: noon}}},
		{"it is ordered down", []page.Subject{node("plex1", "up", "down"), well}, []page.Trouble{{Level: page.Quiet, Text: "plex1 is ordered down"}}},
		{"it is ordered up, and is not", []page.Subject{node("plex1", "down", "up"), well}, []page.Trouble{{Level: page.Bad, Text: "plex1 is down, and used by your order", Since: noon, Why: "connection refused"}}},
		{"it is ordered up, and is", []page.Subject{node("plex1", "up", "up"), well}, nil},
		{"the only one is drained", []page.Subject{node("plex1", "up", "drain")}, []page.Trouble{
			{Level: page.Quiet, Text: "plex1 is drained"}, {Level: page.Poor, Text: "every node that is up is drained, and used all the same"},
		}},
		{"the only one is ordered down", []page.Subject{node("plex1", "up", "down")}, []page.Trouble{
			{Level: page.Quiet, Text: "plex1 is ordered down"}, {Level: page.Bad, Text: "no node is up"},
		}},
		{"a proxy says that it is one", []page.Subject{proxy}, []page.Trouble{{Level: page.Bad, Text: "proxy 192.168.1.2:443 is down", Since: noon}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, page.Troubles(tc.all)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestJudge: the headline is the worst that there is.
func TestJudge(t *testing.T) {
	quiet := page.Trouble{Level: page.Quiet, Text: "plex1 is drained"}
	poor := page.Trouble{Level: page.Poor, Text: "plex2 is down", Since: noon, Why: "connection refused"}
	bad := page.Trouble{Level: page.Bad, Text: "no proxy is up", Since: noon.Add(time.Hour)}
	well := noon.Add(-time.Hour)
	for _, tc := range []struct {
		name     string
		troubles []page.Trouble
		want     page.Cluster
	}{
		{"nothing", nil, page.Cluster{Level: page.Good, Headline: "all is well", Since: well}},
		{"what is quiet is no trouble", []page.Trouble{quiet}, page.Cluster{Level: page.Good, Headline: "all is well", Since: well, Troubles: []page.Trouble{quiet}}},
		{"one", []page.Trouble{quiet, poor}, page.Cluster{Level: page.Poor, Headline: "plex2 is down", Since: noon, Why: "connection refused", Troubles: []page.Trouble{poor, quiet}}},
		{"two", []page.Trouble{poor, bad}, page.Cluster{Level: page.Bad, Headline: "no proxy is up", Since: bad.Since, More: 1, Troubles: []page.Trouble{bad, poor}}},
		{"two alike", []page.Trouble{poor, poor}, page.Cluster{Level: page.Poor, Headline: "plex2 is down", Since: noon, Why: "connection refused", More: 1, Troubles: []page.Trouble{poor, poor}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got page.Cluster
			got.Judge(tc.troubles, well)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStart: before anybody was asked there is nothing to be judged.
func TestStart(t *testing.T) {
	var got page.Cluster
	got.Start()
	if got.Level != page.Quiet || got.Headline != "starting" || got.Why == "" {
		t.Errorf("got %+v", got)
	}
}

// TestSubject: what its row says, and offers.
func TestSubject(t *testing.T) {
	s := page.Subject{Kind: "node", Name: "plex1", State: "down", Since: noon, Why: "connection refused", New: true}
	if got := s.StateCell(); got != (page.Cell{Text: "down", Badge: page.Bad, Time: noon, Small: "new: not used before it has answered"}) {
		t.Errorf("its state is %+v", got)
	}
	if got := s.OrderCell(); got != (page.Cell{}) {
		t.Errorf("without an order there is %+v", got)
	}
	labels := func() (all []string) {
		for _, f := range s.Forms("home.test") {
			all = append(all, f.Label+" "+f.About+" "+f.Fields[2].Value)
		}
		return all
	}
	if diff := cmp.Diff([]string{"drain plex1 drain", "down plex1 down"}, labels()); diff != "" {
		t.Errorf("without an order (-want +got):\n%s", diff)
	}
	s.Order, s.OrderUntil, s.OrderWhy = "up", noon, "it lies"
	if got := s.OrderCell(); got != (page.Cell{Text: "up until", Badge: page.Bad, Time: noon, Small: "it lies"}) {
		t.Errorf("its order is %+v", got)
	}
	if diff := cmp.Diff([]string{"take back plex1 none"}, labels()); diff != "" {
		t.Errorf("with an order (-want +got):\n%s", diff)
	}
}
