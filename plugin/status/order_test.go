package status_test

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile/state"
	"plexha/plugin/status"
	"plexha/plugin/status/page"
	"plexha/zones"
	"plexha/zones/board"
)

// with returns a cluster with nodes and a proxy.
func with(zone string, nodes ...zones.NodeName) *cluster {
	c := home(zone)
	for _, name := range nodes {
		c.snapshot.Nodes = append(c.snapshot.Nodes, zones.NodeHealth{Node: zones.Node{Name: name, Host: "h", Port: 32400}, Health: up("192.168.1.10")})
	}
	at := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:443")}
	c.snapshot.Proxies = []zones.ProxyHealth{{Proxy: zones.Proxy{Addrs: at}, Health: up("192.168.1.2")}}
	return c
}

// TestOrder: an order goes to the cluster that is meant, and what cannot be is said.
func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name, query string
		status      int
		want        string            // zones, or words of the error
		told        []board.OrderLine // to a.test
	}{
		{
			"a node that one zone has", "name=plex1&order=drain&why=new+disk", 200, "a.test",
			[]board.OrderLine{{Name: "plex1", Order: zones.OrderDrain, Why: "new disk"}},
		},
		{"until a time", "name=plex1&order=up&until=2030-01-01T00:00:00Z", 200, "a.test", []board.OrderLine{{
			Name: "plex1", Order: zones.OrderUp, Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		}}},
		{"taken back", "name=PLEX1&order=none", 200, "a.test", []board.OrderLine{{Name: "plex1"}}},
		{"a node that two have", "name=plex2&order=down", 400, `several zones have "plex2": give zone, one of a.test b.test`, nil},
		{"in one of them", "zone=a.test&name=plex2&order=down", 200, "a.test", []board.OrderLine{{Name: "plex2", Order: zones.OrderDown}}},
		{"in a zone that is not there", "zone=x.test&name=plex2&order=down", 404, `no zone "x.test": want one of a.test b.test`, nil},
		{"a node that nobody has", "name=plex9&order=down", 404, `no zone has "plex9": give zone, one of a.test b.test`, nil},
		{"a proxy by its address", "zone=a.test&name=192.168.1.2&order=down", 200, "a.test", []board.OrderLine{{Name: "192.168.1.2", Order: zones.OrderDown}}},
		{"a proxy that two have", "name=192.168.1.2:443&order=down", 400, "several zones have", nil},
		{"an order that is none", "name=plex1&order=kill", 400, `unknown order "kill": want one of up drain down none`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := with("a.test.", "plex1", "plex2"), with("b.test.", "plex2")
			var s status.Servers
			open(t, &s, a, status.Options{Addr: freePort})
			open(t, &s, b, status.Options{Addr: freePort})
			w := request{http.MethodPost, "localhost", "/order?" + tc.query, here, nil}.do(t, s.At(freePort))
			if w.Code != tc.status || !strings.Contains(said(t, w.Body.Bytes()), tc.want) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tc.status, tc.want)
			}
			if diff := cmp.Diff(tc.told, a.told); diff != "" {
				t.Errorf("a.test is told (-want +got):\n%s", diff)
			}
			if len(b.told) > 0 {
				t.Errorf("b.test is told %v", b.told)
			}
		})
	}
}

// TestOrderOfTheOnlyZone: it says itself what is wrong.
func TestOrderOfTheOnlyZone(t *testing.T) {
	for _, tc := range []struct {
		name    string
		refusal error
		status  int
	}{
		{"the order's fault", &state.OrderError{Err: errors.New(`there is no "plex9": want one of plex1`)}, 400},
		{"the file's", errors.New("writing /var/lib/plexha/home.test.orders: permission denied"), 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := with("home.test.", "plex1")
			c.refusal = tc.refusal
			var s status.Servers
			open(t, &s, c, status.Options{Addr: freePort})
			w := request{http.MethodPost, "localhost", "/order?name=plex9&order=drain", here, nil}.do(t, s.At(freePort))
			if w.Code != tc.status || said(t, w.Body.Bytes()) != tc.refusal.Error() {
				t.Errorf("got %d %s, want %d %v", w.Code, w.Body, tc.status, tc.refusal)
			}
		})
	}
}

// FuzzOrder: whatever a form orders, the orders file has one line for it, and is read back as the same.
func FuzzOrder(f *testing.F) {
	f.Add("name=plex1&order=drain&for=2h&why=new disk")
	f.Add("name=[fd12::2]:443&order=up&until=2026-11-22T21:00:00.5%2B01:00")
	f.Add("name=plex1&order=down&why=a%0Aplex2 down%0D%0A#b")
	f.Add("name=%23plex1&order=down")
	f.Add("name=plex1%C2%85&order=down&why=%E2%80%A8")
	now := noon.UTC()
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		o, err := page.ReadOrder(form, now)
		if err != nil || o.Order == "none" {
			return
		}
		words := map[string]zones.Order{"up": zones.OrderUp, "drain": zones.OrderDrain, "down": zones.OrderDown}
		want := board.OrderLine{Name: o.Name, Order: words[o.Order], Until: o.Until, Why: o.Why}
		got, err := board.ParseOrders(strings.NewReader(want.String() + "\n"))
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q is read back as %v, %v, want %v", want, got, err, want)
		}
	})
}
