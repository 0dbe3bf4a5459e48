package plugin_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plexha/plugin/probe"
	"plexha/plugin/runtime"
	"plexha/zones"
	"plexha/zones/board"
)

// series gathers our metrics of a zone: name and labels, with the value of counters and gauges.
func series(t *testing.T, zone string) map[string]float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "coredns_plex_") {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["zone"] != zone {
				continue
			}
			delete(labels, "zone")
			// Two of these are nil, and nil counts as zero. Of a histogram the count is enough.
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			out[strings.TrimPrefix(f.GetName(), "coredns_plex_")+text(labels)] = value
		}
	}
	return out
}

func text(labels map[string]string) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, name+"="+labels[name])
	}
	return "{" + strings.Join(out, ",") + "}"
}

// metered returns a house whose zone no other test has, and that the collector knows.
func metered(t *testing.T, zone string, lines ...string) *house {
	t.Helper()
	h := newHouse(t, with([]string{"keys " + zone}, lines...)...)
	runtime.Started(zone, h.Plex)
	t.Cleanup(func() { runtime.Stopped(zone, h.Plex) })
	return h
}

// zonesMade counts what freshZone has given out.
var zonesMade atomic.Int64

// freshZone returns a zone that nobody has had in this process, whose metrics so begin at zero however often a
// test runs.
func freshZone() string { return fmt.Sprintf("zone%d.example.org.", zonesMade.Add(1)) }

func TestMetricsOfStates(t *testing.T) {
	zone := freshZone()
	h := metered(t, zone, with(oneProxy, "canary 192.168.1.1:53")...)
	h.kill("192.168.1.2:443", "plex2", "plex1")
	h.board.SetOrders([]board.OrderLine{{Name: "plex2", Order: zones.OrderDrain}}, began)
	h.show()
	got := series(t, zone)
	for name, want := range map[string]float64{
		"state{kind=node,state=down,subject=plex1}":            1,
		"state{kind=node,state=up,subject=plex1}":              0,
		"state{kind=node,state=impostor,subject=plex1}":        0,
		"state{kind=proxy,state=down,subject=192.168.1.2:443}": 1,
		"state{kind=uplink,state=up,subject=wan}":              1,
		"order{kind=node,order=drain,subject=plex2}":           1,
		"last_resort{}":         1,
		"isolated{}":            0,
		"probe_stalled{}":       0,
		"serial{view=external}": float64(began.Unix()),
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v (there: %t), want %v", name, v, ok, want)
		}
	}
	if now := time.Since(h.board.Snapshot().At).Seconds(); math.Abs(got["snapshot_age_seconds{}"]-now) > 60 {
		t.Errorf("snapshot age: got %v s, want about %v s", got["snapshot_age_seconds{}"], now)
	}
	if _, ok := got["serial{view=internal}"]; !ok {
		t.Error("the internal view has no serial")
	}
	if _, ok := got["order{kind=node,order=drain,subject=plex1}"]; ok {
		t.Error("a node without an order has a series for it")
	}
}

func TestMetricsOfSeveralZones(t *testing.T) {
	one, two := freshZone(), freshZone()
	h := metered(t, one, with(oneProxy, "keys "+one+" "+two)...)
	h.ask(inside, "plex."+two+" A")
	if got := series(t, two); got["serial{view=external}"] == 0 || got["answers_total{kind=main,view=internal}"] != 1 {
		t.Errorf("the second zone: got %v", got)
	}
}

func TestMetricsOfAnswers(t *testing.T) {
	zone := freshZone()
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "nas A 192.168.1.9")
	h := newHouseAt(t, dir, nil, with(oneProxy, "keys "+zone, "zonefile internal "+zonefile)...)
	for _, q := range []string{"", "plex.", "plex1.", "ns1.", "_status.plex.", "nas.", "none."} {
		h.ask(inside, q+zone+" A")
	}
	h.ask(outside, "PLEX."+zone+" A")
	h.ask(inside, "example.org. A")
	got := series(t, zone)
	want := map[string]float64{
		"answers_total{kind=main,view=internal}":   2,
		"answers_total{kind=node,view=internal}":   1,
		"answers_total{kind=ns,view=internal}":     1,
		"answers_total{kind=status,view=internal}": 1,
		"answers_total{kind=other,view=internal}":  2,
		"answers_total{kind=main,view=external}":   1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestNothingAddsASeries: whoever asks for random names must not fill Prometheus, nor a node that comes and goes.
func TestNothingAddsASeries(t *testing.T) {
	zone := freshZone()
	h := metered(t, zone, with(oneProxy, "wildcard")...)
	r := rand.New(rand.NewPCG(2026, 11))
	parents := []string{"", "plex.", "plex1.", "_status.", "_acme-challenge.", "ns1."}
	types := []string{"A", "AAAA", "TXT", "ANY", "HTTPS", "MX", "TYPE300"}
	ask := func(i int) {
		name := fmt.Sprintf("name%d.%s%s", i, parents[r.IntN(len(parents))], zone)
		h.ask([]string{inside, outside}[r.IntN(2)], name+" "+types[r.IntN(len(types))])
	}
	flap := func() {
		h.kill("plex1")
		h.LogEvents()
		h.revive("plex1")
		h.LogEvents()
	}
	for i := range 50 {
		ask(i)
	}
	flap()
	before := len(series(t, zone))
	for i := range 500 {
		ask(i)
		if i%20 == 0 {
			flap()
		}
	}
	if after := len(series(t, zone)); before == 0 || after != before {
		t.Errorf("%d series before 500 random questions, %d after", before, after)
	}
}

// about returns the series that name a subject, the board's own apart: those are read from its snapshot.
func about(t *testing.T, zone, subject string) (out []string) {
	t.Helper()
	for name := range series(t, zone) {
		if strings.Contains(name, "subject="+subject) && !strings.HasPrefix(name, "state{") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestSeriesOfFoundNodes: they go when the node does, or a cluster that grows and shrinks would leave ever more.
func TestSeriesOfFoundNodes(t *testing.T) {
	zone := freshZone()
	h := metered(t, zone, with(twoNodes, "nodes found tasks.plex.test")...)
	found2 := zones.Subject{Name: "found2"}
	probed := func() {
		h.show()
		h.LogEvents()
		h.Observe(probe.Observation{Subject: found2, Result: board.OK, Took: time.Millisecond})
	}
	for range 2 {
		var nodes []zones.Node
		for i, host := range []string{"192.168.1.21", "192.168.1.22"} {
			nodes = append(nodes, zones.Node{Name: zones.NodeName(fmt.Sprint("found", i+1)), Host: host, Port: 32400, Weight: 1})
		}
		h.board.SetFound("found", nodes, began)
		h.says("found2", board.OK)
		probed()
		want := []string{
			"probe_duration_seconds{kind=node,result=ok,subject=found2}", "transitions_total{kind=node,subject=found2,to=up}",
		}
		if diff := cmp.Diff(want, about(t, zone, "found2")); diff != "" {
			t.Errorf("while there is one (-want +got):\n%s", diff)
		}
		h.board.SetFound("found", nodes[:1], began)
		probed() // with an answer to a question of before
		if got := about(t, zone, "found2"); got != nil {
			t.Errorf("when it is gone there are %q", got)
		}
	}
}

// TestSeriesOverReloads: what a reload takes out of the Corefile leaves no series behind, and what stays goes on.
func TestSeriesOverReloads(t *testing.T) {
	one, two, first, second := startNode(t, "127.0.1.1"), startNode(t, "127.0.2.1"), freshZone(), freshZone()
	plex1 := "node plex1 " + one.addr
	s := startServer(t, inZone(first, plex1, "node plex2 "+two.addr))
	s.serves(first)
	const isUp = "transitions_total{kind=node,subject=plex1,to=up}"
	counted := func(zone, subject string) {
		t.Helper()
		eventually(t, func() string {
			if got := about(t, zone, subject); len(got) < 2 {
				return fmt.Sprintf("of %s there are %q", subject, got)
			}
			return ""
		})
	}
	counted(first, "plex1")
	counted(first, "plex2")
	reload := func(text, zone string) {
		t.Helper()
		if err := s.restart(text); err != nil {
			t.Fatal(err)
		}
		s.serves(zone)
	}
	if err := s.restart(inZone(first, plex1) + "example.org {\n"); err == nil {
		t.Fatal("half a Corefile is taken over")
	}
	counted(first, "plex2")
	reload(inZone(first, plex1), first)
	if got := about(t, first, "plex2"); got != nil {
		t.Errorf("when plex2 is gone there are %q", got)
	}
	if got := series(t, first)[isUp]; got != 1 {
		t.Errorf("plex1 has come up %v times, want once", got)
	}
	reload(inZone(second, plex1), second)
	counted(second, "plex1")
	if got := series(t, first); len(got) > 0 {
		t.Errorf("when the zone is gone there are %v", got)
	}
}

func TestMetricsOfProbes(t *testing.T) {
	zone := freshZone()
	h := newHouse(t, with(oneProxy, "keys "+zone)...)
	plex1 := zones.Subject{Kind: zones.KindNode, Name: "plex1"}
	h.Observe(probe.Observation{Subject: plex1, Result: board.OK, Took: time.Millisecond})
	h.Observe(probe.Observation{Subject: plex1, Result: board.Failed, Took: time.Second, Panicked: true})
	want := map[string]float64{
		"probe_duration_seconds{kind=node,result=ok,subject=plex1}":     1,
		"probe_duration_seconds{kind=node,result=failed,subject=plex1}": 1,
		"probe_panics_total{}": 1,
	}
	if got := series(t, zone); !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestMetricNames has all of our metrics looked at by Prometheus's own linter.
func TestMetricNames(t *testing.T) {
	zone := freshZone()
	h := metered(t, zone, oneProxy...)
	h.ask(inside, "plex."+zone+" A")
	h.Observe(probe.Observation{Subject: zones.Subject{Name: "plex1"}, Panicked: true})
	h.board.SetOrders([]board.OrderLine{{Name: "plex1", Order: zones.OrderUp}}, began)
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "coredns_plex_") {
			ours = append(ours, f.GetName())
		}
	}
	if len(ours) < 10 {
		t.Errorf("only %q are there to be looked at", ours)
	}
	problems, err := testutil.GatherAndLint(prometheus.DefaultGatherer, ours...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
