package zones_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plexha/zones"
)

var compareAddrs = cmpopts.EquateComparable(netip.Addr{})

// The whole of a small zone, in both views.
func TestRecords(t *testing.T) {
	w := cluster(nodes("plex1"), proxies("proxy1"), uplinks("wan"), wildcard(), nameServers(zones.NameServer{Name: "ns1"}))
	w.HostAddrs = parseAddrs("192.168.1.53")
	const steady = 10
	addr := func(label zones.Label, a string) zones.Record {
		return zones.Record{Label: label, Type: zones.TypeA, TTL: steady, Addr: netip.MustParseAddr(a)}
	}
	text := func(label zones.Label) zones.Record {
		return zones.Record{Label: label, Type: zones.TypeTXT, TTL: steady, Text: "plex1 up since 2026-11-22T20:00:00Z"}
	}
	ns := zones.Record{Label: "@", Type: zones.TypeNS, TTL: steady, Target: "ns1"}
	managed := []zones.Label{"@", "plex", "plex1", "ns1", "*", "*.plex", "*.plex1", "*.ns1", "_status", "_status.plex", "_status.plex1"}
	for _, tc := range []struct {
		view zones.View
		want zones.Answers
	}{
		{zones.Internal, zones.Answers{
			Records: []zones.Record{
				addr("@", "192.168.1.1"), addr("plex", "192.168.1.1"), addr("plex1", "192.168.1.1"),
				ns, addr("ns1", "192.168.1.53"),
				addr("*", "192.168.1.1"), addr("*.plex", "192.168.1.1"), addr("*.plex1", "192.168.1.1"), addr("*.ns1", "192.168.1.1"),
				text("_status"), text("_status.plex"), text("_status.plex1"),
			},
			Managed: managed,
		}},
		{zones.External, zones.Answers{
			Records: []zones.Record{
				addr("@", "203.0.113.1"), addr("plex", "203.0.113.1"), addr("plex1", "203.0.113.1"),
				ns, addr("ns1", "203.0.113.1"),
				addr("*", "203.0.113.1"), addr("*.plex", "203.0.113.1"), addr("*.plex1", "203.0.113.1"), addr("*.ns1", "203.0.113.1"),
			},
			Managed: managed,
		}},
	} {
		t.Run(tc.view.String(), func(t *testing.T) {
			if diff := cmp.Diff(tc.want, w.Records(tc.view, ""), compareAddrs); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneRecordPerAddress(t *testing.T) {
	w := bare(answer(zones.Nodes, zones.All)).addressed("plex2", map[string]zones.State{"10.0.0.1": zones.Up})
	w.names = nil // both nodes are at one host
	if got, want := w.inside("plex"), "10.0.0.1"; got != want {
		t.Errorf("plex = %q, want %q", got, want)
	}
}

func TestNameServerAddresses(t *testing.T) {
	given := func(addrs ...string) part {
		return nameServers(zones.NameServer{Name: "ns1", Addrs: parseAddrs(addrs...)})
	}
	byDefault := func(w *world) *world {
		w.HostAddrs = parseAddrs("127.0.0.1", "192.168.1.53", "169.254.3.3", "fe80::53", "fd12::53", "203.0.113.53", "172.17.0.1")
		return w
	}
	ns1 := nameServers(zones.NameServer{Name: "ns1"})
	rows := []asked{
		{
			name:  "by default, this host's in the internal prefixes",
			world: byDefault(cluster(nodes("plex1"), ns1)), want: "192.168.1.53 fd12::53/6 172.17.0.1",
		},
		{
			name:  "those that are internal here",
			world: byDefault(cluster(nodes("plex1"), ns1, internal("192.168.1.0/24"))), want: "192.168.1.53",
		},
		{name: "none known", world: cluster(nodes("plex1"), ns1), want: "nodata"},
		{
			name:  "given",
			world: cluster(nodes("plex1"), given("192.168.1.5", "198.51.100.5")), want: "192.168.1.5 198.51.100.5",
		},
	}
	for i := range rows {
		rows[i].label = "ns1"
	}
	t.Run("inside", func(t *testing.T) { checkInside(t, rows) })

	rows = []asked{
		{
			name:  "by default, the uplinks'",
			world: byDefault(cluster(nodes("plex1"), ns1, uplinks("wan", "lte"))), want: "wan lte",
		},
		{
			name:  "by default, the healthy ones'",
			world: byDefault(cluster(nodes("plex1"), ns1, uplinks("wan", "lte")).with("wan", zones.Down)), want: "lte",
		},
		{name: "by default, none known", world: byDefault(cluster(nodes("plex1"), ns1)), want: "servfail"},
		{name: "given", world: cluster(nodes("plex1"), given("198.51.100.5")), want: "198.51.100.5"},
		{
			name:  "given, those in the house left out",
			world: cluster(nodes("plex1"), given("192.168.1.5", "198.51.100.5")), want: "198.51.100.5",
		},
		{name: "given, in the house alone", world: cluster(nodes("plex1"), given("192.168.1.5")), want: "192.168.1.5"},
	}
	for i := range rows {
		rows[i].label = "ns1"
	}
	t.Run("outside", func(t *testing.T) { checkOutside(t, rows) })
}

func TestEveryNameServerHasANSRecord(t *testing.T) {
	w := cluster(nodes("plex1"), uplinks("wan"), nameServers(
		zones.NameServer{Name: "ns1", Addrs: parseAddrs("198.51.100.5")},
		zones.NameServer{Name: "ns2", Addrs: parseAddrs("198.51.100.6")},
	))
	for _, view := range []zones.View{zones.Internal, zones.External} {
		var got []zones.Label
		for _, r := range w.Records(view, "").Records {
			if r.Type == zones.TypeNS {
				got = append(got, r.Target)
			}
		}
		if diff := cmp.Diff([]zones.Label{"ns1", "ns2"}, got); diff != "" {
			t.Errorf("%s name servers (-want +got):\n%s", view, diff)
		}
	}
}

func texts(w *world, view zones.View, label zones.Label) []string {
	var out []string
	for _, r := range w.Records(view, "").Records {
		if r.Label == label && r.Type == zones.TypeTXT {
			out = append(out, r.Text)
		}
	}
	return out
}

// One line per node: state, since when, a time and never an age.
func TestStatus(t *testing.T) {
	w := bare().with("plex2", zones.Down).ordered("plex2", zones.OrderDrain)
	w.subject("plex2").OrderUntil = began.Add(time.Hour)
	plex1 := "plex1 up since 2026-11-22T20:00:00Z"
	plex2 := "plex2 down since 2026-11-22T20:00:00Z, order drain until 2026-11-22T21:00:00Z"
	for label, want := range map[zones.Label][]string{
		"_status":       {plex1, plex2},
		"_status.plex":  {plex1, plex2},
		"_status.plex1": {plex1},
		"_status.plex2": {plex2},
	} {
		if diff := cmp.Diff(want, texts(w, zones.Internal, label)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", label, diff)
		}
		if got := texts(w, zones.External, label); got != nil {
			t.Errorf("outside, %s = %q, want nothing", label, got)
		}
	}
}

func TestStatusOfEveryState(t *testing.T) {
	for _, state := range zones.States() {
		w := cluster(nodes("plex1")).with("plex1", state)
		want := "plex1 " + state.String() + " since 2026-11-22T20:00:00Z"
		if state == zones.Unknown {
			w.subject("plex1").Since, want = time.Time{}, "plex1 unknown"
		}
		if diff := cmp.Diff([]string{want}, texts(w, zones.Internal, "_status.plex1")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
}

func TestStatusFitsOneString(t *testing.T) {
	longest := strings.Repeat("x", 63)
	w := cluster(nodes(longest)).with(longest, zones.Recovering).ordered(longest, zones.OrderDrain)
	w.subject(longest).OrderUntil = began
	if got := len(texts(w, zones.Internal, "_status")[0]); got > 255 {
		t.Errorf("a status of %d bytes, want at most 255", got)
	}
}

func TestStatusTTL(t *testing.T) {
	w := bare().with("plex1", zones.Failing)
	want := map[zones.Label]uint32{"_status": 1, "_status.plex": 1, "_status.plex1": 1, "_status.plex2": 10}
	got := map[zones.Label]uint32{}
	for _, r := range w.Records(zones.Internal, "").Records {
		if r.Type == zones.TypeTXT {
			got[r.Label] = r.TTL
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("TTLs (-want +got):\n%s", diff)
	}
}

// The same facts give the same list, so that a serial is not raised for nothing.
func TestRecordsAreStable(t *testing.T) {
	w := house()
	for _, view := range []zones.View{zones.Internal, zones.External} {
		if diff := cmp.Diff(w.Records(view, ""), w.Records(view, ""), compareAddrs); diff != "" {
			t.Errorf("%s records differ:\n%s", view, diff)
		}
	}
}

func TestLabelUnder(t *testing.T) {
	for parent, want := range map[zones.Label]zones.Label{"@": "_status", "plex1": "_status.plex1"} {
		if got := zones.StatusPrefix.Under(parent); got != want {
			t.Errorf("under %s: %q, want %q", parent, got, want)
		}
	}
}
