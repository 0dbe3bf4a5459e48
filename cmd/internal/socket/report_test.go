package socket_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plexha/cmd/internal/socket"
)

// serving returns the client of an instance that shows a document.
func serving(t *testing.T, program socket.Program, document string) socket.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) }))
	t.Cleanup(srv.Close)
	return socket.Client{URL: srv.URL, Program: program}
}

// TestReport tells by what an instance shows which program it is.
func TestReport(t *testing.T) {
	const dns, proxy = `{"version": 1, "plexdns": "1.2.3", "clusters": []}`, `{"version": 1, "plexproxy": "1.2.3", "clusters": []}`
	for _, tc := range []struct {
		name     string
		expected socket.Program
		document string
		want     socket.Program
		err      string // behind where it is asked
	}{
		{"plexdns", "", dns, socket.Plexdns, ""},
		{"plexproxy", "", proxy, socket.Plexproxy, ""},
		{"plexproxy, as expected", socket.Plexproxy, proxy, socket.Plexproxy, ""},
		{"not as expected", socket.Plexdns, proxy, "", "asking plexdns at URL: another program answers there"},
		{
			"another version", socket.Plexproxy, `{"version": 7, "plexproxy": "9"}`, "",
			"asking plexproxy: it tells its status in form 7, and plexctl reads 1: use the plexctl of its version",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serving(t, tc.expected, tc.document)
			r, err := c.Report(t.Context())
			if err != nil {
				if want := strings.ReplaceAll(tc.err, "URL", c.URL); err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if r.Program() != tc.want || tc.err != "" || string(r.Raw) != tc.document || r.Page().Program != string(tc.want) {
				t.Errorf("got %s, %s, %s", r.Program(), r.Page().Program, r.Raw)
			}
		})
	}
}

// TestOrder is asked for in a query.
func TestOrder(t *testing.T) {
	asked := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.String()
		_, _ = io.WriteString(w, `{"zones": ["home.test"]}`)
	}))
	t.Cleanup(srv.Close)
	until := time.Date(2026, 11, 22, 20, 0, 0, 0, time.FixedZone("", 3600))
	order := socket.Order{Zone: "home.test", Name: "plex1", Order: "drain", Until: until, Why: "new disk"}
	zones, err := socket.Client{URL: srv.URL}.Order(t.Context(), order)
	if err != nil || len(zones) != 1 || zones[0] != "home.test" {
		t.Errorf("got %q, %v", zones, err)
	}
	const want = "POST /order?name=plex1&order=drain&until=2026-11-22T19%3A00%3A00Z&why=new+disk&zone=home.test"
	if got := <-asked; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
}
