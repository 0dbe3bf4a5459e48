package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/affinity"
	"plexha/proxy/cluster"
	"plexha/zones"
)

// TestWhereNamesLead, with nodes plex1, plex2 and so on.
func TestWhereNamesLead(t *testing.T) {
	up, down, unknown := zones.Health{State: zones.Up}, zones.Health{State: zones.Down}, zones.Health{}
	drained := zones.Health{State: zones.Up, Order: zones.OrderDrain}
	forced := zones.Health{State: zones.Down, Order: zones.OrderUp}
	for name, tt := range map[string]struct {
		nodes []zones.Health
		asked bool // the first round has ended
		main  string
		own   []string // the nodes' own names
	}{
		"all are up": {
			[]zones.Health{up, up},
			true, "[plex1 plex2] the nodes that are up",
			[]string{"[plex1] the node alone", "[plex2] the node alone"},
		},
		"one is down": {
			[]zones.Health{up, down},
			true, "[plex1] the nodes that are up",
			[]string{"[plex1] the node alone", "[] the node is not up, and no other takes its place"},
		},
		"one is drained: its own name leads there": {
			[]zones.Health{up, drained},
			true, "[plex1] the nodes that are up",
			[]string{"[plex1] the node alone", "[plex2] the node alone"},
		},
		"the drained one is left": {
			[]zones.Health{down, drained},
			true, "[plex2] no other node is up",
			[]string{"[] the node is not up, and no other takes its place", "[plex2] the node alone"},
		},
		"one is ordered up": {
			[]zones.Health{down, forced},
			true, "[plex2] the nodes that are up",
			[]string{"[] the node is not up, and no other takes its place", "[plex2] the node alone"},
		},
		"none is up": {
			[]zones.Health{down},
			true, "[] no node is up",
			[]string{"[] the node is not up, and no other takes its place"},
		},
		"nothing is known yet": {
			[]zones.Health{unknown},
			false, "[plex1] not all have been asked yet",
			[]string{"[plex1] the node alone"},
		},
		"nothing is known at all": {
			[]zones.Health{unknown, down},
			true, "[plex1] none is known to be up, and these are tried",
			[]string{"[plex1] the node alone", "[] the node is not up, and no other takes its place"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, "node any 127.0.0.1", "wildcard")
			snap := &zones.Snapshot{Ready: tt.asked}
			for i, h := range tt.nodes {
				n := zones.Node{Name: zones.NodeName(fmt.Sprintf("plex%d", i+1)), Host: "127.0.0.1", Weight: 1}
				snap.Nodes = append(snap.Nodes, zones.NodeHealth{Node: n, Health: h})
			}
			m := &cluster.Moment{Config: cfg, Snapshot: snap, Nodes: affinity.NodesOf(snap)}
			got := map[string]string{}
			for _, h := range m.Hosts() {
				got[h.Host] = fmt.Sprint(h.To, " ", h.Why, h.Redirect)
			}
			to, _, _ := strings.Cut(tt.main, "] ")
			to += "]"
			want := map[string]string{
				"home.duckdns.org":      "[] redirected, whoever is up" + "plex.home.duckdns.org",
				"plex.home.duckdns.org": tt.main,
				"*.home.duckdns.org":    to + " as the main name",
			}
			for i, own := range tt.own {
				want[fmt.Sprintf("plex%d.home.duckdns.org", i+1)] = own
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
