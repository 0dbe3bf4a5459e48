package plugin_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// TestNoQuestionAddsASeries: whoever asks for random names must not fill Prometheus.
func TestNoQuestionAddsASeries(t *testing.T) {
	zone := freshZone()
	h := newHouse(t, with(oneProxy, "keys "+zone, "wildcard")...)
	ask := func(i int) {
		for _, from := range []string{inside, outside} {
			h.ask(from, fmt.Sprintf("name%d.%s A", i, zone))
			h.ask(from, fmt.Sprintf("_acme-challenge.name%d.%s TXT", i, zone))
		}
	}
	ask(0)
	before := len(series(t, zone))
	for i := range 100 {
		ask(i + 1)
	}
	if after := len(series(t, zone)); after != before {
		t.Errorf("%d series before 100 random names, %d after", before, after)
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
