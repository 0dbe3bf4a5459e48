package status_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile/state"
	"plexha/proxy/cluster"
	"plexha/proxy/status"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/timeline"
)

func TestDocument(t *testing.T) {
	h := status.New(status.Options{Version: "1.2.3", Sources: all(newSource(home(up("plex1"))))})
	w := ask(t, h, "GET", "/status.json")
	var got status.Document
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if got.At.IsZero() || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("at %v, of the kind %s", got.At, w.Header().Get("Content-Type"))
	}
	got.At = time.Time{}
	want := status.Document{Version: 1, Plexproxy: "1.2.3", Clusters: []cluster.Status{home(up("plex1"))}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutClusters(t *testing.T) {
	h := status.New(status.Options{Sources: all()})
	if w := ask(t, h, "GET", "/status.json"); !strings.Contains(w.Body.String(), `"clusters": []`) {
		t.Errorf("the document is %s", w.Body)
	}
	if w := ask(t, h, "GET", "/"); w.Code != http.StatusOK {
		t.Errorf("the page: %d %s", w.Code, w.Body)
	}
}

// For whom an order is, with plex1 in both zones, and the others in one.
func TestOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		path   string
		status int
		says   string // a part of the answer
		at     string // the zone where it is given
	}{
		"the zone is named":         {"/order?zone=example.org&name=plex1&order=drain", http.StatusOK, `"example.org"`, "example.org."},
		"in capitals, with its dot": {"/order?zone=Example.ORG.&name=plex1&order=drain", http.StatusOK, `"example.org"`, "example.org."},
		"a form":                    {"/order zone=example.org&name=plex1&order=drain", http.StatusOK, `"example.org"`, "example.org."},
		"only one has that name":    {"/order?name=plex3&order=drain", http.StatusOK, `"example.org"`, "example.org."},
		"both have it":              {"/order?name=plex1&order=drain", http.StatusBadRequest, "home.duckdns.org example.org", ""},
		"nobody has it":             {"/order?name=plex9&order=drain", http.StatusNotFound, "plex1 plex2 plex1 plex3", ""},
		"there is no such zone":     {"/order?zone=x.org&name=plex1&order=drain", http.StatusNotFound, "home.duckdns.org example.org", ""},
		"an unknown order":          {"/order?name=plex3&order=sleep", http.StatusBadRequest, "up drain down none", ""},
		"without a name":            {"/order?order=drain", http.StatusBadRequest, "name", ""},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := newSource(home(up("plex1"), up("plex2"))), newSource(home(up("plex1"), up("plex3")))
			two.zone = "example.org."
			w := ask(t, status.New(status.Options{Sources: all(one, two)}), "POST", tt.path)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			for _, s := range []*source{one, two} {
				if given := len(s.ordered) == 1; given != (s.zone == tt.at) {
					t.Errorf("%s is given %v", s.zone, s.ordered)
				}
			}
		})
	}
}

func TestOrderAsItIsGiven(t *testing.T) {
	s := newSource(home(up("plex1")))
	h := status.New(status.Options{Sources: all(s)})
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, path := range []string{
		"/order?name=Plex1&order=drain&until=" + until.Format(time.RFC3339) + "&why=new+disk", "/order?name=plex1&order=none",
		"/order?name=plex1&order=up", "/order?name=plex1&order=down",
	} {
		if w := ask(t, h, "POST", path); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	want := []board.OrderLine{
		{Name: "plex1", Order: zones.OrderDrain, Until: until, Why: "new disk"},
		{Name: "plex1", Order: zones.NoOrder},
		{Name: "plex1", Order: zones.OrderUp},
		{Name: "plex1", Order: zones.OrderDown},
	}
	if diff := cmp.Diff(want, s.ordered); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOrdersThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"by their fault":     {&state.OrderError{Err: errors.New("no such node")}, http.StatusBadRequest},
		"by another's fault": {errors.New("disk full"), http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(home(up("plex1")))
			s.err = tt.err
			w := ask(t, status.New(status.Options{Sources: all(s)}), "POST", "/order?name=plex1&order=drain")
			if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.err.Error()) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestAButtonLeadsBack to the page.
func TestAButtonLeadsBack(t *testing.T) {
	s := newSource(home(up("plex1")))
	w := ask(t, status.New(status.Options{Sources: all(s)}), "POST", "/order?zone=home.duckdns.org&name=plex1&order=drain back=1")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" || len(s.ordered) != 1 {
		t.Errorf("got %d to %q, ordered %v", w.Code, w.Header().Get("Location"), s.ordered)
	}
}

func TestWhoSeesWhat(t *testing.T) {
	for name, tt := range map[string]struct {
		public  bool
		from    string
		want    int
		changes bool // there are buttons
	}{
		"this machine":         {false, "127.0.0.1:1", http.StatusOK, true},
		"others":               {false, "192.0.2.1:1", http.StatusForbidden, false},
		"others with `public`": {true, "192.0.2.1:1", http.StatusOK, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := status.New(status.Options{Public: tt.public, Sources: all(newSource(home(up("plex1"))))})
			r := httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost/", http.NoBody)
			r.RemoteAddr = tt.from
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := strings.Contains(w.Body.String(), "<button"); w.Code != tt.want || got != tt.changes {
				t.Errorf("got %d, buttons %t, want %d, %t: %s", w.Code, got, tt.want, tt.changes, w.Body)
			}
			if !tt.changes && !strings.Contains(w.Body.String(), "proxy_status") && w.Code == http.StatusForbidden {
				t.Errorf("it does not say what to do: %s", w.Body)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	s := newSource(home(up("plex1")))
	s.past.Add(timeline.Event{At: noon, Level: timeline.Warning, Kind: timeline.State, Text: "node plex1 is down"})
	w := ask(t, status.New(status.Options{Sources: all(s)}), "GET", "/events.json")
	var got struct {
		Events []struct{ Zone, Text string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Events) != 1 ||
		got.Events[0].Zone != "home.duckdns.org" || got.Events[0].Text != "node plex1 is down" {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w := ask(t, status.New(status.Options{Sources: all(s)}), "GET", "/"); !strings.Contains(w.Body.String(), "node plex1 is down") {
		t.Errorf("the page does not tell of it: %s", w.Body)
	}
}

// TestLive: what changes in any cluster is told to whoever looks.
func TestLive(t *testing.T) {
	one, two := newSource(home(up("plex1"))), newSource(home(up("plex1")))
	two.zone, two.shown.Zone = "example.org.", "example.org"
	srv := httptest.NewServer(status.New(status.Options{Sources: all(one, two)}))
	defer srv.Close()
	look := ask(t, srv.Config.Handler, "GET", "/").Body.String()
	_, look, _ = strings.Cut(look, `data-look="`)
	look, _, _ = strings.Cut(look, `"`)
	srv.Client().Timeout = patience
	res, err := srv.Client().Get(srv.URL + "/live?look=" + look)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	in := bufio.NewScanner(res.Body)
	in.Buffer(nil, 1<<20)
	tells := func(what string) {
		t.Helper()
		for in.Scan() {
			if strings.Contains(in.Text(), what) {
				return
			}
		}
		t.Fatalf("nobody tells of %q: %v", what, in.Err())
	}
	tells("all is well")
	sick := home(down("plex1"))
	sick.Zone = "example.org"
	two.becomes(sick)
	tells("connection refused")
	one.becomes(home(down("plex7")))
	tells("plex7")
}
