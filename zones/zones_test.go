package zones_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/zones"
)

// The words of the Corefile, of logs and of metrics.
func TestWords(t *testing.T) {
	for want, values := range map[string][]fmt.Stringer{
		"external internal":            {zones.External, zones.Internal},
		"node proxy uplink":            {zones.KindNode, zones.KindProxy, zones.KindUplink},
		"nodes proxies":                {zones.Nodes, zones.Proxies},
		"all first spread":             {zones.All, zones.First, zones.Spread},
		"last_resort servfail empty":   {zones.LastResort, zones.Servfail, zones.Empty},
		"none up drain down":           {zones.NoOrder, zones.OrderUp, zones.OrderDrain, zones.OrderDown},
		"unknown up failing down":      {zones.Unknown, zones.Up, zones.Failing, zones.Down},
		"recovering starting impostor": {zones.Recovering, zones.Starting, zones.Impostor},
	} {
		var got []string
		for _, v := range values {
			got = append(got, v.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("words (-want +got):\n%s", diff)
		}
	}
}

func TestStates(t *testing.T) {
	type is struct{ Up, InDoubt bool }
	want := map[string]is{
		"unknown": {}, "up": {Up: true}, "failing": {Up: true, InDoubt: true}, "down": {},
		"recovering": {InDoubt: true}, "starting": {}, "impostor": {},
	}
	got := map[string]is{}
	for _, s := range zones.States() {
		got[s.String()] = is{s.IsUp(), s.InDoubt()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, tc := range []struct {
		name     string
		prefixes zones.Prefixes
		want     bool
	}{
		{"loopback alone", zones.Prefixes{Internal: parsePrefixes("127.0.0.0/8", "::1/128")}, true},
		{"part of loopback", zones.Prefixes{Internal: parsePrefixes("127.3.0.0/16")}, true},
		{"and a house", zones.Prefixes{Internal: parsePrefixes("127.0.0.0/8", "192.168.1.0/24")}, false},
		{"and a word", zones.Prefixes{Private: true, Internal: parsePrefixes("127.0.0.0/8")}, false},
		{"the other word", zones.Prefixes{Onlink: true}, false},
		{"nothing listed", zones.Prefixes{}, false},
		{"more than loopback", zones.Prefixes{Internal: parsePrefixes("126.0.0.0/7")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := zones.Cluster{Prefixes: tc.prefixes}
			if got := c.OnlyLoopback(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	w := cluster(nodes("plex1", "plex2"), proxies("proxy1"), uplinks("wan"))
	var got []string
	for s, h := range w.Subjects {
		got = append(got, s.String()+" "+h.State.String())
	}
	want := []string{"node plex1 up", "node plex2 up", "proxy 192.168.1.1:443 up", "uplink wan up"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	for _, last := range want {
		var seen []string
		for s, h := range w.Subjects {
			seen = append(seen, s.String()+" "+h.State.String())
			if seen[len(seen)-1] == last {
				break
			}
		}
		if got := seen[len(seen)-1]; got != last {
			t.Errorf("stopped at %q, want %q", got, last)
		}
	}
	if w.Node("plex3") != nil {
		t.Error("a node that is not there")
	}
}
