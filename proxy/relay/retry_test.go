package relay_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/zones"
)

type handlers = map[string]http.HandlerFunc

// unboundTo returns a target that uri_hash sends to a node while all are up.
func (s *stage) unboundTo(name string) string {
	s.t.Helper()
	for i := range 1000 {
		target := "/web/" + strings.Repeat("x", i+1)
		if s.get(target).Node == name {
			return target
		}
	}
	s.t.Fatalf("no target leads to %s", name)
	return ""
}

func TestUnboundReadGoesElsewhereAtOnceWhenItsNodeRefuses(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	target := s.unboundTo("plex1")
	s.names["plex1"].stop()
	if got := s.get(target); got.Status != 200 || got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestUnboundWriteGoesElsewhereWhenItsNodeRefuses(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { _ = r.Write(w) }
	s := newStage(t, func(h *house) { h.node("plex2", refusing(t)) }, handlers{"plex1": echo})
	for i := range 20 { // half of them are plex2's
		got := s.must(s.request(http.MethodPost, "/"+strings.Repeat("x", i), strings.NewReader("the body")))
		if got.Node != "plex1" || !strings.Contains(got.Body, "the body") {
			t.Errorf("got %v, want plex1's answer to the whole body", got)
		}
	}
}

func TestUnboundReadGoesElsewhereWhenItsNodeBreaksOff(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	target := s.unboundTo("plex1")
	s.names["plex1"].Config.Handler = s.names["plex1"].handler(breaks)
	if got := s.get(target); got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestWriteThatMayHaveReachedItsNodeIsNotRepeated(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": breaks, "plex2": breaks})
	got := s.must(s.request(http.MethodPost, "/somewhere", strings.NewReader("the body")))
	if got.Status != http.StatusBadGateway || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 502 with Retry-After", got)
	}
	asked := len(s.names["plex1"].requests()) + len(s.names["plex2"].requests())
	if asked != 1 {
		t.Errorf("the nodes were asked %d times, want once", asked)
	}
}

func TestAllNodesAreTriedAgainAfterAPauseUntilRetryEnds(t *testing.T) {
	s := newStage(t, func(h *house) {
		h.cfg.RetryFor, h.cfg.RetryEvery = 100*time.Millisecond, 5*time.Millisecond
	}, handlers{"plex1": breaks, "plex2": breaks})
	got := s.get("/somewhere")
	if got.Status != http.StatusBadGateway || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 502 with Retry-After", got)
	}
	for name, n := range s.names {
		if asked := len(n.requests()); asked < 2 {
			t.Errorf("%s was asked %d times, want it to be asked again", name, asked)
		}
	}
}

func TestNothingIsRepeatedWithoutRetry(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.RetryFor = 0 }, handlers{"plex1": breaks, "plex2": breaks})
	s.get("/somewhere")
	if asked := len(s.names["plex1"].requests()) + len(s.names["plex2"].requests()); asked != 1 {
		t.Errorf("the nodes were asked %d times, want once", asked)
	}
}

func TestPinnedReadWaitsForItsOwnNodeWhileTheBoardSaysThatItIsUp(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.RetryEvery = 5 * time.Millisecond },
		handlers{"plex1": says("one"), "plex2": says("two")})
	home := s.get("/", "X-Plex-Client-Identifier", "tv").Node
	other := otherThan(home)
	s.names[home].stop()
	req := s.request(http.MethodGet, "/hubs", nil)
	req.Header.Set("X-Plex-Client-Identifier", "tv")
	got := s.later(req)
	until(t, "the request waits", func() bool { return waits(s) })
	if asked := s.names[other].requests(); len(asked) != 0 {
		t.Errorf("%s was asked %v while %s is up by the board", other, asked, home)
	}
	s.set(home, zones.Down)
	if got := <-got; got.Node != other {
		t.Errorf("got %v, want the answer of %s, where the pin has moved", got, other)
	}
}

func TestRequestToANodesOwnNameWaitsUntilTheNodeComesBack(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Down)
	got := s.later(s.request(http.MethodGet, "//plex1.home.example/hubs", nil))
	until(t, "the request waits", func() bool { return waits(s) })
	s.set("plex1", zones.Up) // nothing but the news can wake it: `every` is an hour
	if got := <-got; got.Node != "plex1" {
		t.Errorf("got %v, want plex1's answer", got)
	}
}

func TestRequestToANodesOwnNameNeverGoesElsewhere(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.RetryFor, h.cfg.RetryEvery = 20*time.Millisecond, 5*time.Millisecond },
		handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Down)
	got := s.get("//plex1.home.example/hubs")
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || !strings.Contains(got.Body, "plex1") {
		t.Errorf("got %v, want 503 with Retry-After that names plex1", got)
	}
}

func TestWriteToANodeThatIsDownIsToldAtOnce(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Down)
	for name, req := range map[string]*http.Request{
		"PUT":                        s.request(http.MethodPut, "//plex1.home.example/hubs", strings.NewReader("x")),
		"GET that says what is seen": s.request(http.MethodGet, "//plex1.home.example/:/timeline?state=playing", nil),
	} {
		if got := s.must(req); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: got %v, want 503 with Retry-After", name, got)
		}
	}
}

func TestGetWithABodyIsNotRepeated(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": breaks, "plex2": breaks})
	if got := s.must(s.request(http.MethodGet, "/web/1", strings.NewReader("x"))); got.Status != http.StatusBadGateway {
		t.Errorf("got %v, want 502", got)
	}
	if asked := len(s.names["plex1"].requests()) + len(s.names["plex2"].requests()); asked != 1 {
		t.Errorf("the nodes were asked %d times, want once", asked)
	}
}

func TestRequestWaitsForAnyNodeToComeUp(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	s.set("plex1", zones.Down)
	s.set("plex2", zones.Down)
	got := s.later(s.request(http.MethodGet, "/web/index.html", nil))
	until(t, "the request waits", func() bool { return waits(s) })
	s.set("plex2", zones.Up)
	if got := <-got; got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestRequestsWaitForTheFirstRoundOfProbes(t *testing.T) {
	s := newStage(t, func(h *house) {
		h.asked = false
		h.nodes[0].State, h.nodes[1].State = zones.Unknown, zones.Unknown
	}, handlers{"plex1": says("one"), "plex2": says("two")})
	got := s.later(s.request(http.MethodGet, "/", nil))
	until(t, "the request waits", func() bool { return waits(s) })
	s.change(func(h *house) {
		h.asked = true
		h.nodes[0].State, h.nodes[1].State = zones.Down, zones.Up
	})
	if got := <-got; got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestClientThatLeavesWhileItWaitsIsForgotten(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": hangs})
	req, cancel := withCancel(s.request(http.MethodGet, "/", nil))
	got := s.later(req)
	until(t, "the node is asked", func() bool { return watched(s, "plex1") == 1 })
	cancel()
	<-got
	until(t, "the request is over", func() bool { return watched(s, "plex1") == 0 })
}

func TestReadThatWaitsForHeadersIsLetGoWhenItsNodeGoesDown(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	target := s.unboundTo("plex1")
	s.names["plex1"].Config.Handler = s.names["plex1"].handler(hangs)
	got := s.later(s.request(http.MethodGet, target, nil))
	until(t, "plex1 is asked", func() bool { return watched(s, "plex1") == 1 })
	s.set("plex1", zones.Down)
	if got := <-got; got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestWriteThatWaitsForHeadersIsToldWhenItsNodeGoesDown(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": hangs})
	got := s.later(s.request(http.MethodPost, "/somewhere", strings.NewReader("x")))
	until(t, "the node is asked", func() bool { return len(s.names["plex1"].requests()) == 1 })
	s.set("plex1", zones.Down)
	if got := <-got; got.Status != http.StatusGatewayTimeout || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 504 with Retry-After", got)
	}
}

func TestAnswerThatHasBegunGoesOnWhenItsNodeCountsAsDown(t *testing.T) {
	more := make(chan struct{})
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("first,"))
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = w.Write([]byte("last"))
	}})
	res, err := s.client.Do(s.request(http.MethodGet, "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	s.set("plex1", zones.Down)
	if got := s.must(s.request(http.MethodPost, "//plex1.home.example/", nil)); got.Status != http.StatusServiceUnavailable {
		t.Errorf("got %v, want 503 now that the relay has noticed", got)
	}
	close(more)
	if diff := cmp.Diff(readAll(t, res.Body), "first,last"); diff != "" {
		t.Errorf("body (-got +want):\n%s", diff)
	}
}

func TestOrderDownLetsGoToo(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": says("one"), "plex2": says("two")})
	target := s.unboundTo("plex1")
	s.names["plex1"].Config.Handler = s.names["plex1"].handler(hangs)
	got := s.later(s.request(http.MethodGet, target, nil))
	until(t, "plex1 is asked", func() bool { return watched(s, "plex1") == 1 })
	s.change(func(h *house) { h.nodes[0].Order = zones.OrderDown })
	if got := <-got; got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
}

func TestAffinityOffIsTheBalancePolicyWithHealth(t *testing.T) {
	for _, balance := range []string{"first", "least_conn", "random", "uri_hash"} {
		t.Run(balance, func(t *testing.T) {
			s := newStage(t, func(h *house) {
				h.cfg.Affinity, h.cfg.Balance = corefile.Affinity{Off: true}, balance
			}, handlers{"plex1": says("one"), "plex2": says("two")})
			s.set("plex1", zones.Down)
			for range 8 {
				if got := s.get("/", "X-Plex-Client-Identifier", "tv"); got.Node != "plex2" || got.Header.Get("Set-Cookie") != "" {
					t.Fatalf("got %v with cookie %q, want plex2's answer without one", got, got.Header.Get("Set-Cookie"))
				}
			}
		})
	}
}

func TestFirstTakesTheFirstOfTheFile(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.Balance = "first" }, handlers{"plex1": says("one"), "plex2": says("two"), "plex3": says("three")})
	for i := range 8 {
		if got := s.get("/web/" + strings.Repeat("x", i)); got.Node != "plex1" {
			t.Fatalf("got %v, want plex1's answer", got)
		}
	}
}

func TestLeastConnCountsWhatIsUnderWay(t *testing.T) {
	serve := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/web/film" {
			hangs(w, r)
		}
	}
	s := newStage(t, func(h *house) { h.cfg.Balance = "least_conn" }, handlers{"plex1": serve, "plex2": serve})
	req, cancel := withCancel(s.request(http.MethodGet, "/web/film", nil))
	playing := s.later(req)
	until(t, "a node is asked", func() bool { return watched(s, "plex1")+watched(s, "plex2") == 1 })
	busy := "plex1"
	if watched(s, "plex2") == 1 {
		busy = "plex2"
	}
	for range 20 {
		if got := s.get("/web/x"); got.Node != otherThan(busy) {
			t.Fatalf("got %v while %s is busy", got, busy)
		}
	}
	cancel()
	<-playing
}
