package plugin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/zones/timeline"
)

// duckToken has the form of DuckDNS's.
const duckToken = "12345678-9abc-4def-8123-456789abcdef"

// TestGivenAddressIsTold to DuckDNS at once: nobody has to confirm what the Corefile says. DuckDNS holds the first
// uplink's address that is not being drained.
func TestGivenAddressIsTold(t *testing.T) {
	told := make(chan string, 10)
	duck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		told <- q.Get("domains") + " " + q.Get("ip") + " " + q.Get("token")
		fmt.Fprintf(w, "OK\n%s\n%s\nUPDATED", q.Get("ip"), q.Get("ipv6"))
	}))
	t.Cleanup(duck.Close)
	node, zone := startNode(t, "127.0.1.1"), freshZone()
	text := strings.ReplaceAll(block("node plex1 "+node.addr, "uplink lte 203.0.113.9",
		"duckdns house token "+duckToken+" api "+duck.URL+" verify off"), "home.duckdns.org", strings.TrimSuffix(zone, "."))
	s := startServer(t, text)
	if got, want := <-told, "house.duckdns.org 203.0.113.7 "+duckToken; got != want {
		t.Errorf("DuckDNS is told %q, want %q", got, want)
	}
	eventually(t, func() string {
		got := series(t, zone)
		want := map[string]float64{
			"duckdns_address_info{address=203.0.113.7,family=ipv4,kind=published}": 1,
			"duckdns_address_info{address=203.0.113.7,family=ipv4,kind=wanted}":    1,
			"duckdns_failing{family=ipv4}":                                         0,
			"duckdns_drift{family=ipv4}":                                           0,
			"duckdns_push_total{result=updated}":                                   1,
			"duckdns_push_duration_seconds{}":                                      1,
		}
		for name := range got {
			if _, wanted := want[name]; !wanted {
				delete(got, name)
			}
			if strings.Contains(name, duckToken) {
				t.Fatalf("%s holds the token", name)
			}
		}
		return cmp.Diff(want, got)
	})
	pushes := func() (out []string) {
		for _, e := range source(t, zone).Timeline().Since(0) {
			if e.Kind == timeline.DuckDNS {
				out = append(out, e.Text)
			}
		}
		return out
	}
	want := []string{"house.duckdns.org: A is 203.0.113.7"}
	eventually(t, func() string { return cmp.Diff(want, pushes()) })
	if err := s.restart(text); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if source(t, zone).DuckDNS().Waiting {
			return "the new instance waits"
		}
		return ""
	})
	if diff := cmp.Diff(want, pushes()); diff != "" {
		t.Errorf("the timeline after a reload (-want +got):\n%s", diff)
	}
}

// eventually waits until there is no difference any more.
func eventually(t *testing.T, diff func() string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		d := diff()
		if d == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("(-want +got):\n%s", d)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestCandidates: an address may be pushed while external answers lead there because it is up.
func TestCandidates(t *testing.T) {
	h := newHouse(t, "node plex1 192.168.1.11", "internal 192.168.1.0/24",
		"uplink fibre 203.0.113.8 2001:db8::8", "uplink lte 203.0.113.9 probe tcp 1.1.1.1:853")
	shown := func() (out []string) {
		for _, c := range h.Candidates() {
			out = append(out, fmt.Sprint(c.Uplink, " ", c.Addr, " up ", c.Up, " confirmed ", c.Confirmed))
		}
		return out
	}
	want := []string{
		"fibre 203.0.113.8 up true confirmed true", "fibre 2001:db8::8 up true confirmed true",
		"lte 203.0.113.9 up true confirmed true",
	}
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("all up (-want +got):\n%s", diff)
	}
	h.kill("lte")
	want[2] = "lte 203.0.113.9 up false confirmed true"
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("lte is down (-want +got):\n%s", diff)
	}
}
