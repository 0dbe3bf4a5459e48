package status_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile/lint"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
	"plexha/plugin/status"
	"plexha/plugin/wanip"
	"plexha/zones"
	"plexha/zones/timeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when all began, by a clock that is not UTC.
var noon = time.Date(2026, 11, 22, 13, 0, 0, 0, time.FixedZone("CET", 3600))

func after(d time.Duration) time.Time { return noon.Add(d) }

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

func up(addrs ...string) zones.Health {
	h := zones.Health{State: zones.Up, Since: noon}
	for _, a := range addrs {
		h.Addrs = append(h.Addrs, zones.AddrHealth{Addr: address(a), State: zones.Up, Since: noon})
	}
	return h
}

// full is a cluster of which everything is known.
func full() *cluster {
	wan := zones.Uplink{Name: "wan", Auto: true}
	spare := zones.Uplink{Name: "spare", Addrs: []netip.Addr{address("198.51.100.9")}}
	drained := up("192.168.1.10")
	drained.Order, drained.OrderUntil, drained.OrderWhy = zones.OrderDrain, after(time.Hour), "new disk"
	down := zones.Health{State: zones.Down, Since: after(time.Minute), Why: "connection refused"}
	return &cluster{
		zone: "home.duckdns.org.",
		snapshot: &zones.Snapshot{
			Cluster: &zones.Cluster{Origins: []string{"home.duckdns.org."}, Uplinks: []zones.Uplink{wan, spare}},
			Seq:     7, At: after(time.Minute), Ready: true,
			Nodes: []zones.NodeHealth{
				{Node: zones.Node{Name: "plex1", Host: "docker1", Port: 32401}, Health: drained, Identity: "1111"},
				{Node: zones.Node{Name: "plex2", Host: "fd12::2", Port: 32400, Backup: true}, Health: down},
			},
			Proxies: []zones.ProxyHealth{{
				Proxy: zones.Proxy{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:443")}}, Health: up("192.168.1.2"),
			}},
			Uplinks: []zones.UplinkHealth{{Uplink: wan, Health: up("203.0.113.7")}, {Uplink: spare, Health: down}},
		},
		external: []wanip.Report{externalReport(), {Uplink: "spare", Published: spare.Addrs}},
		duckdns:  duckReport(),
		answers: []status.Answer{
			{
				Name: "home.duckdns.org", View: "internal", TTL: 10, Addresses: []netip.Addr{address("192.168.1.2")},
				To: []string{"proxy 192.168.1.2:443"}, Standing: "as meant", Why: "the proxies that are up",
			},
			{
				Name: "plex.home.duckdns.org", View: "internal", TTL: 10, Addresses: []netip.Addr{address("192.168.1.2")},
				To: []string{"proxy 192.168.1.2:443"}, Standing: "as meant", Why: "the proxies that are up",
			},
			{
				Name: "plex.home.duckdns.org", View: "external", TTL: 10, Addresses: []netip.Addr{}, To: []string{},
				Servfail: true, Standing: "nothing up", Why: "no address of an uplink is known",
			},
		},
		stalled: []zones.Subject{{Kind: zones.KindNode, Name: "plex2"}},
		findings: []lint.Finding{
			{File: "Corefile", Line: 3, Level: lint.Warning, Code: "max-requests", Program: lint.Plexproxy, Text: "max_requests 1 lets one client wait for another"},
			{File: "Corefile", Level: lint.Note, Code: "no-reload", Text: "without `reload` a change needs a restart"},
		},
	}
}

func externalReport() wanip.Report {
	return wanip.Report{
		Uplink: "wan", At: after(time.Minute), Published: []netip.Addr{address("203.0.113.7")},
		IPv4: wanip.FamilyReport{
			Known: wanip.Known{
				Addr: address("203.0.113.7"), Since: noon, Confirmed: after(time.Minute),
				By: []string{"cloudflare dot", "https https://me:word@echo.test/ip?key=word"},
			},
			Findings: []wanip.Finding{
				{Source: "cloudflare dot", Operator: "cloudflare", Secure: true, Addr: address("203.0.113.7"), Took: 12 * time.Millisecond},
				{Source: "https https://me:word@echo.test/ip?key=word", Operator: "echo.test", Secure: true, Addr: address("203.0.113.7")},
				{Source: "https https://echo.test/?key=word", Operator: "echo.test", Secure: true, Err: errors.New("asking https https://echo.test/?key=word: EOF")},
				{Source: "router", Operator: "router", Nature: wanip.Router, Addr: address("100.64.0.7"), Refused: "100.64.0.7 is shared between customers: carrier-grade NAT (RFC 6598)"},
			},
			Trouble: "inbound IPv4 cannot work",
		},
		IPv6:   wanip.FamilyReport{Agree: true},
		NoIPv6: "no proxy has it",
	}
}

func duckReport() *duckdns.Report {
	server := func(name, addr string) resolve.NameServer {
		return resolve.NameServer{Name: name, Addr: netip.MustParseAddrPort(addr)}
	}
	return &duckdns.Report{
		Name: "home.duckdns.org", At: after(2 * time.Minute), Verify: true, Token: "no such file",
		IPv4: duckdns.FamilyReport{
			Wanted: address("203.0.113.7"), Uplink: "wan",
			Published: address("203.0.113.6"), PublishedAt: noon, Changed: true,
			View: "differs", Looked: after(time.Minute), Verified: noon, By: 2, Of: 3,
			Shown: []duckdns.Shown{
				{Server: server("ns1.duckdns.org.", "198.51.100.1:53"), Addrs: []netip.Addr{address("203.0.113.5")}},
				{Server: server("ns2.duckdns.org.", "198.51.100.2:53"), Err: errors.New("no answer within 3s")},
				{Server: server("ns3.duckdns.org.", "198.51.100.3:53")},
			},
			Other: []netip.Addr{address("203.0.113.5")}, Since: after(time.Minute), Intercepted: "10.0.0.1 answers",
			NextLook: after(5 * time.Minute), NextPush: after(3 * time.Minute), Why: "drift",
			Error: "DuckDNS refused the update", Tried: after(time.Minute), FailingSince: after(time.Minute), RefusedSince: after(time.Minute),
		},
		IPv6: duckdns.FamilyReport{Off: true},
	}
}

// TestDocument: all that is known is shown, in UTC, and nothing that is secret.
func TestDocument(t *testing.T) {
	for name, src := range map[string]*cluster{"full.json": full(), "little.json": home("home.test.")} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(status.Render(src), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", name)
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
			for _, secret := range []string{"word", "me:", "key="} {
				if bytes.Contains(got, []byte(secret)) {
					t.Errorf("it shows %q", secret)
				}
			}
		})
	}
}

// TestDocumentIsReadBack as it was written, by whoever uses its types.
func TestDocumentIsReadBack(t *testing.T) {
	want := status.Render(full())
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got status.Cluster
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	sameToo := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff(want, got, same, sameToo); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestChanged: what is in doubt is no change, nor is what the operator does.
func TestChanged(t *testing.T) {
	event := func(level timeline.Level, kind timeline.Kind) timeline.Event {
		return timeline.Event{At: after(time.Minute), Level: level, Kind: kind}
	}
	for _, tc := range []struct {
		name string
		last timeline.Event
		want time.Time
	}{
		{"somebody is down", event(timeline.Warning, timeline.State), after(time.Minute)},
		{"DuckDNS takes it again", event(timeline.Info, timeline.DuckDNS), after(time.Minute)},
		{"a doubt", event(timeline.Doubt, timeline.State), noon},
		{"an order", event(timeline.Info, timeline.Order), noon},
		{"a reload", event(timeline.Info, timeline.Configuration), noon},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := home("home.test.")
			c.timeline.Add(timeline.Event{At: noon, Level: timeline.Info, Kind: timeline.State})
			c.timeline.Add(tc.last)
			if got := status.Render(c).Changed; !got.Equal(tc.want) || got.Location() != time.UTC {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if got := status.Render(home("home.test.")).Changed; !got.IsZero() {
		t.Errorf("before anything has happened: %v", got)
	}
}
