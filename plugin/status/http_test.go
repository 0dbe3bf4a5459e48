package status_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status"
)

const (
	here  = "127.0.0.1:5000"
	there = "192.168.1.7:5000"
)

// TestWhoSeesAndWhoChanges: everything is this machine's; `public` shows to others, and lets nobody change.
func TestWhoSeesAndWhoChanges(t *testing.T) {
	var s status.Servers
	open(t, &s, home("home.test."), status.Options{Addr: freePort})
	open(t, &s, home("open.test."), status.Options{Addr: freePort, Public: true})
	h := s.At(freePort)
	const get, post = http.MethodGet, http.MethodPost
	for _, tc := range []struct {
		name string
		request
		status int
		want   string // zones, or words of the error
	}{
		{"this machine sees all", request{get, "127.0.0.1:8053", "/status.json", here, nil}, 200, "home.test open.test"},
		{"and changes", request{post, "127.0.0.1:8053", "/detect", here, nil}, 202, "home.test open.test"},
		{"over IPv6 as well", request{post, "[::1]:8053", "/detect", "[::1]:5000", nil}, 202, "home.test open.test"},
		{"IPv4 in IPv6 is IPv4", request{post, "127.0.0.1", "/detect", "[::ffff:127.0.0.1]:5000", nil}, 202, "home.test open.test"},
		{"localhost is a name of ours", request{get, "LocalHost.:8053", "/status.json", here, nil}, 200, "home.test open.test"},
		{"one zone alone", request{post, "localhost", "/detect?zone=OPEN.test.", here, nil}, 202, "open.test"},
		{"a zone that is not here", request{post, "localhost", "/detect?zone=x.test", here, nil}, 404, `no zone "x.test": want one of home.test open.test`},
		{"others see what is public", request{get, "192.168.1.2:8053", "/status.json", there, nil}, 200, "open.test"},
		{"and change nothing", request{post, "192.168.1.2:8053", "/detect", there, nil}, 403, "on the machine itself"},
		{"nor does who comes through a proxy here", request{post, "localhost", "/detect", here, map[string]string{"X-Forwarded-For": "192.168.1.7"}}, 403, "on the machine itself"},
		{"however little that tells", request{post, "localhost", "/detect", here, map[string]string{"X-Forwarded-Host": "status.test"}}, 403, "on the machine itself"},
		{"nor who is told to come from nowhere", request{post, "localhost", "/detect", here, map[string]string{"X-Forwarded-For": ""}}, 403, "on the machine itself"},
		{"who sees what is public", request{get, "localhost", "/status.json", here, map[string]string{"Forwarded": "for=192.168.1.7"}}, 200, "open.test"},
		{"a name that leads here", request{get, "evil.test:8053", "/status.json", here, nil}, 421, `host "evil.test:8053" is not known here`},
		{"for changes too", request{post, "evil.test", "/detect", here, nil}, 421, "ask by address, or for localhost"},
		{"another site's page", request{post, "localhost", "/detect", here, map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403, "another site's page"},
		{"of an older browser", request{post, "localhost", "/detect", here, map[string]string{"Origin": "https://evil.test"}}, 403, "another site's page"},
		{"another port of ours is another site", request{post, "localhost", "/detect", here, map[string]string{"Sec-Fetch-Site": "same-site"}}, 403, "another site's page"},
		{"our own page", request{post, "localhost:8053", "/detect", here, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8053"}}, 202, "home.test open.test"},
		{"a GET that changes", request{get, "localhost", "/detect", here, nil}, 405, "/detect takes POST"},
		{"a POST that does not", request{post, "localhost", "/status.json", here, nil}, 405, "/status.json takes GET or HEAD"},
		{"a path that is not there", request{get, "localhost", "/x", here, nil}, 404, "there is no /x: want one of /, /detect, /duckdns, /events, /events.json, /live, /order, /status.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := tc.do(t, h)
			if w.Code != tc.status || !strings.Contains(said(t, w.Body.Bytes()), tc.want) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tc.status, tc.want)
			}
			if w.Code == http.StatusOK && said(t, w.Body.Bytes()) != tc.want {
				t.Errorf("shown are %s, want %s", said(t, w.Body.Bytes()), tc.want)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("it may be kept: %q", got)
			}
		})
	}
}

// said returns the zones of an answer, or the words of its error.
func said(t *testing.T, body []byte) string {
	t.Helper()
	var a struct {
		Error    string
		Zones    []string
		Clusters []struct{ Zone string }
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	for _, c := range a.Clusters {
		a.Zones = append(a.Zones, c.Zone)
	}
	return a.Error + strings.Join(a.Zones, " ")
}

func TestNothingPublic(t *testing.T) {
	var s status.Servers
	open(t, &s, home("home.test."), status.Options{Addr: freePort})
	w := request{http.MethodGet, "192.168.1.2", "/status.json", there, nil}.do(t, s.At(freePort))
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "`status ADDRESS public` shows it to others") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestMethodsThatAreAllowed(t *testing.T) {
	var s status.Servers
	open(t, &s, home("home.test."), status.Options{Addr: freePort})
	for path, want := range map[string]string{"/detect": "POST", "/status.json": "GET, HEAD"} {
		w := request{http.MethodDelete, "localhost", path, here, nil}.do(t, s.At(freePort))
		if got := w.Header().Get("Allow"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// TestTriggers: a trigger is pulled at those that it concerns.
func TestTriggers(t *testing.T) {
	both, plain := home("both.test."), home("plain.test.")
	plain.duckdns, plain.external, plain.snapshot.Uplinks[0].Auto = nil, nil, false
	var s status.Servers
	open(t, &s, both, status.Options{Addr: freePort})
	open(t, &s, plain, status.Options{Addr: freePort})
	for _, tc := range []struct {
		path   string
		status int
		want   string
	}{
		{"/detect", 202, "both.test"},
		{"/duckdns", 202, "both.test"},
		{"/duckdns?zone=both.test", 202, "both.test"},
		{"/detect?zone=plain.test", 404, "has an uplink whose address is detected"},
		{"/duckdns?zone=plain.test", 404, "has a `duckdns` line"},
	} {
		w := request{http.MethodPost, "localhost", tc.path, here, nil}.do(t, s.At(freePort))
		if w.Code != tc.status || !strings.Contains(said(t, w.Body.Bytes()), tc.want) {
			t.Errorf("%s: got %d %s, want %d %s", tc.path, w.Code, w.Body, tc.status, tc.want)
		}
	}
	got := []int64{both.detected.Load(), both.pushed.Load(), plain.detected.Load(), plain.pushed.Load()}
	if diff := cmp.Diff([]int64{1, 2, 0, 0}, got); diff != "" {
		t.Errorf("detected and pushed, of both and of the plain one (-want +got):\n%s", diff)
	}
}
