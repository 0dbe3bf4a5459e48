package zones_test

import (
	"testing"
	"time"

	"plexha/zones"
)

// MIN while a subject of that very answer is failing or recovering.
func TestTTL(t *testing.T) {
	const steady, inDoubt = 10, 1
	first := func() *world { return bare(answer(zones.Nodes, zones.First)) }
	for _, tc := range []struct {
		name  string
		world *world
		label string
		want  uint32
	}{
		{"all up", house(), "plex", steady},
		{"one down for good", house().with("proxy1", zones.Down), "plex", steady},
		{"one fails", house().with("proxy2", zones.Failing), "plex", inDoubt},
		{"one recovers and would be in the answer", house().with("proxy2", zones.Recovering), "plex", inDoubt},
		{"a node fails that is not in the answer", house().with("plex1", zones.Failing), "plex", steady},
		{"the node's name likewise", house().with("plex1", zones.Failing), "plex1", steady},
		{"first: the first fails", first().with("plex1", zones.Failing), "plex", inDoubt},
		{"first: the second fails", first().with("plex2", zones.Failing), "plex", steady},
		{"first: the second recovers", first().with("plex2", zones.Recovering), "plex", steady},
		{"first: the first recovers", first().with("plex1", zones.Recovering), "plex", inDoubt},
		{"spread: this client's node fails", bare().with("plex1", zones.Failing), "plex", inDoubt},
		{"spread: another client's node fails", bare().with("plex2", zones.Failing), "plex", steady},
		{"spread: one recovers and takes clients", bare().with("plex2", zones.Recovering), "plex", inDoubt},
		{
			"fallback: a proxy recovers",
			house().with("proxy1", zones.Recovering).with("proxy2", zones.Down), "plex", inDoubt,
		},
		{
			"fallback: at a node's name too",
			house().with("proxy1", zones.Recovering).with("proxy2", zones.Down), "plex1", inDoubt,
		},
		{"fallback: proxies down for good", house().with("proxy1", zones.Down).with("proxy2", zones.Down), "plex", steady},
		{"last resort", bare().with("plex1", zones.Down).with("plex2", zones.Down), "plex", steady},
		{
			"last resort: this client's node stays down, another recovers",
			bare().with("plex1", zones.Down).with("plex2", zones.Recovering), "plex", inDoubt,
		},
		{
			"last resort: a backup recovers",
			cluster(nodes("plex1", "spare"), backup("spare")).with("plex1", zones.Down).with("spare", zones.Recovering),
			"plex", inDoubt,
		},
		{
			"a backup fails while it is not needed",
			cluster(nodes("plex1", "spare"), backup("spare")).with("spare", zones.Failing), "plex", steady,
		},
		{
			"one address of two fails",
			cluster(nodes("plex1")).addressed("plex1", map[string]zones.State{
				"10.0.0.1": zones.Up, "2001:db8::1": zones.Failing,
			}), "plex", inDoubt,
		},
		{
			"one address of two recovers",
			cluster(nodes("plex1")).addressed("plex1", map[string]zones.State{
				"10.0.0.1": zones.Up, "2001:db8::1": zones.Recovering,
			}), "plex", inDoubt,
		},
		{
			"one address of two recovers, and at is told",
			cluster(nodes("plex1"), at("plex1", "10.7.7.7")).addressed("plex1", map[string]zones.State{
				"10.0.0.1": zones.Up, "2001:db8::1": zones.Recovering,
			}), "plex", steady,
		},
		{
			"ordered down, and recovering",
			house().with("proxy2", zones.Recovering).ordered("proxy2", zones.OrderDown), "plex", steady,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.world.ttl(zones.Internal, tc.label); got != tc.want {
				t.Errorf("TTL of %s = %d, want %d", tc.label, got, tc.want)
			}
			agree(t, tc.world)
		})
	}
}

func TestTTLOutside(t *testing.T) {
	w := cluster(nodes("plex1"), uplinks("wan", "lte"))
	if got := w.ttl(zones.External, "plex"); got != 10 {
		t.Errorf("steady: TTL = %d, want 10", got)
	}
	if got := w.with("lte", zones.Recovering).ttl(zones.External, "plex"); got != 1 {
		t.Errorf("an uplink recovers: TTL = %d, want 1", got)
	}
}

// A name server's given address is in no doubt, whatever the members do.
func TestTTLOfNameServers(t *testing.T) {
	ns1 := zones.NameServer{Name: "ns1", Addrs: parseAddrs("198.51.100.5")}
	w := cluster(nodes("plex1"), nameServers(ns1)).with("plex1", zones.Failing)
	if got := w.ttl(zones.Internal, "ns1"); got != 10 {
		t.Errorf("TTL = %d, want 10", got)
	}
}

func TestTTLInWholeSeconds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ttl, min time.Duration
		state    zones.State
		want     uint32
	}{
		{"zero stays zero", 0, 0, zones.Up, 0},
		{"part of a second is a second", 10 * time.Second, 200 * time.Millisecond, zones.Failing, 1},
		{"rounded up", 1500 * time.Millisecond, time.Second, zones.Up, 2},
		{"MIN never lengthens", time.Second, 5 * time.Second, zones.Failing, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := cluster(nodes("plex1")).with("plex1", tc.state)
			w.cluster.TTL, w.cluster.MinTTL = tc.ttl, tc.min
			if got := w.ttl(zones.Internal, "plex"); got != tc.want {
				t.Errorf("TTL = %d, want %d", got, tc.want)
			}
		})
	}
}
