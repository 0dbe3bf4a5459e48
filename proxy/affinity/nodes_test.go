package affinity_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// What the rules see of a snapshot.
func TestNodesOf(t *testing.T) {
	since := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	node := func(name zones.NodeName, state zones.State, order zones.Order) zones.NodeHealth {
		return zones.NodeHealth{
			Node:   zones.Node{Name: name, Host: "docker1", Port: 32401, Weight: 1},
			Health: zones.Health{State: state, Since: since, Order: order},
		}
	}
	backup := node("backup", zones.Up, zones.NoOrder)
	backup.Backup = true
	fresh := node("fresh", zones.Unknown, zones.NoOrder)
	fresh.New = true
	for name, tt := range map[string]struct {
		nodes []zones.NodeHealth
		want  map[zones.NodeName]string // up, drain(ing), new
	}{
		"states": {
			[]zones.NodeHealth{
				node("a", zones.Up, 0), node("b", zones.Failing, 0), node("c", zones.Down, 0), node("d", zones.Recovering, 0),
				node("e", zones.Starting, 0), node("f", zones.Impostor, 0), node("g", zones.Unknown, 0),
			},
			map[zones.NodeName]string{"a": "up new", "b": "up new", "c": "", "d": "", "e": "", "f": "", "g": ""},
		},
		"orders": {
			[]zones.NodeHealth{
				node("a", zones.Down, zones.OrderUp), node("b", zones.Up, zones.OrderDown), node("c", zones.Up, zones.OrderDrain),
				node("d", zones.Down, zones.OrderDrain),
			},
			map[zones.NodeName]string{"a": "up new", "b": "", "c": "up drain", "d": "drain"},
		},
		"what is drained alone": {
			[]zones.NodeHealth{node("a", zones.Up, zones.OrderDrain), node("b", zones.Down, 0)},
			map[zones.NodeName]string{"a": "up drain new", "b": ""},
		},
		"a backup waits":        {[]zones.NodeHealth{node("a", zones.Up, 0), backup}, map[zones.NodeName]string{"a": "up new", "backup": "up"}},
		"a backup stands in":    {[]zones.NodeHealth{node("a", zones.Down, 0), backup}, map[zones.NodeName]string{"a": "", "backup": "up new"}},
		"nothing asked yet":     {[]zones.NodeHealth{node("a", zones.Unknown, 0), fresh}, map[zones.NodeName]string{"a": "up new", "fresh": ""}},
		"nothing up":            {[]zones.NodeHealth{node("a", zones.Down, 0), node("b", zones.Starting, 0)}, map[zones.NodeName]string{"a": "", "b": ""}},
		"no nodes found so far": {nil, map[zones.NodeName]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[zones.NodeName]string{}
			for _, n := range affinity.NodesOf(&zones.Snapshot{Cluster: &zones.Cluster{}, Nodes: tt.nodes}).All {
				var words string
				for _, w := range []struct {
					word string
					is   bool
				}{{" up", n.Up}, {" drain", n.Draining}, {" new", n.New}} {
					if w.is {
						words += w.word
					}
				}
				if len(words) > 0 {
					words = words[1:]
				}
				got[n.Name] = words
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNodesOfTellsWhatTheCorefileSays(t *testing.T) {
	since := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	up, down := zones.Health{State: zones.Up, Since: since}, zones.Health{State: zones.Down, Since: since}
	s := &zones.Snapshot{Cluster: &zones.Cluster{}, Nodes: []zones.NodeHealth{
		{Node: zones.Node{Name: "plex1", Host: "docker1", Port: 32401, Weight: 3, ID: "given"}, Health: up, Identity: "learned"},
		{Node: zones.Node{Name: "plex2", Host: "fd12::1", Port: 32400, Backup: true}, Health: down, Identity: "learned"},
	}}
	got := affinity.NodesOf(s)
	want := []affinity.Node{
		{Name: "plex1", Dial: "docker1:32401", ID: "given", Weight: 3, Up: true, New: true, UpSince: since},
		{Name: "plex2", Dial: "[fd12::1]:32400", ID: "learned", Weight: 1, Backup: true},
	}
	if diff := cmp.Diff(want, got.All); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := got.Get("plex2"); n != &got.All[1] {
		t.Errorf("plex2 is %+v", n)
	}
	if n := got.Get("plex3"); n != nil {
		t.Errorf("plex3 is %+v", n)
	}
}
