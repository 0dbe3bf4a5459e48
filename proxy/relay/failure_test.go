package relay_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"plexha/zones"
)

func TestPeopleGetAPageThatTriesAgainByItself(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.RetryFor = 0 }, handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Down)
	got := s.get("//plex1.home.example/web/index.html", "Accept", "text/html,*/*")
	if got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %v, want 503", got)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html", "Refresh": "5", "Retry-After": "5", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'",
	} {
		if v := got.Header.Get(name); !strings.HasPrefix(v, want) {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if !strings.Contains(got.Body, "plex1 is down") || strings.Contains(got.Body, "http") {
		t.Errorf("the page is %q, want it to name plex1, and to load nothing", got.Body)
	}
}

func TestAppsGetALine(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.RetryFor = 0 }, handlers{"plex1": says("one")})
	s.set("plex1", zones.Down)
	got := s.get("/hubs", "Accept", "application/json")
	if got.Status != http.StatusServiceUnavailable || got.Body != "No server is up.\n" || got.Header.Get("Retry-After") != "5" {
		t.Errorf("got %v with %v, want 503 with one line", got, got.Header)
	}
}

func TestMovedClientIsNotServedWhatItsOldNodeNamed(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	tv := []string{"X-Plex-Client-Identifier", "tv"}
	home := s.get("/", tv...).Node
	other := otherThan(home)
	s.set(home, zones.Down)
	if got := s.get("/hubs", tv...); got.Node != other {
		t.Fatalf("got %v, want the answer of %s, where the pin has moved", got, other)
	}
	put := s.must(s.request(http.MethodPut, "/:/rate?key=1", nil), tv...)
	if put.Status != http.StatusServiceUnavailable || put.Header.Get("Retry-After") != "2" {
		t.Errorf("got %v, want 503 with Retry-After until the client knows", put)
	}
	s.get("/", tv...)
	if put := s.must(s.request(http.MethodPut, "/:/rate?key=1", nil), tv...); put.Node != other {
		t.Errorf("got %v, want the answer of %s, which the client knows now", put, other)
	}
	if got := metric(t, `plexha_proxy_saves_total{kind="moved",node="`+other+`",zone="home.example."}`); got != 1 {
		t.Errorf("%v saves are counted, want 1", got)
	}
}

func TestNodeWithOpenAdministrationIsNotShownOutside(t *testing.T) {
	outside := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		name, target string
		outer        []netip.Prefix
		open         []zones.NodeName
		want         int
		node         string
	}{
		{"outside, its own name", "//plex1.home.example/", outside, []zones.NodeName{"plex1"}, http.StatusForbidden, ""},
		{"outside, the main name", "/", outside, []zones.NodeName{"plex1"}, http.StatusOK, "plex2"},
		{"outside, all of them", "/", outside, []zones.NodeName{"plex1", "plex2"}, http.StatusForbidden, ""},
		{"outside, another's name", "//plex2.home.example/", outside, []zones.NodeName{"plex1"}, http.StatusOK, "plex2"},
		{"inside", "//plex1.home.example/", nil, []zones.NodeName{"plex1", "plex2"}, http.StatusOK, "plex1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, func(h *house) {
				h.outer, h.open = c.outer, map[zones.NodeName]bool{}
				for _, name := range c.open {
					h.open[name] = true
				}
			}, handlers{"plex1": says("one"), "plex2": says("two")})
			for range 4 {
				if got := s.get(c.target); got.Status != c.want || got.Node != c.node {
					t.Errorf("got %v, want %d from %q", got, c.want, c.node)
				}
			}
		})
	}
}
