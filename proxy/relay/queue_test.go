package relay_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/relay"
	"plexha/zones"
)

// turnstile is a node whose requests end when they are told to.
type turnstile struct {
	came  chan string   // the path, when a request has come
	end   chan struct{} // ends one request
	serve http.HandlerFunc
}

func newTurnstile() *turnstile {
	t := &turnstile{came: make(chan string, 100), end: make(chan struct{}, 100)}
	t.serve = func(w http.ResponseWriter, r *http.Request) {
		t.came <- r.URL.Path
		_ = http.NewResponseController(w).Flush()
		select {
		case <-t.end:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done")
	}
	return t
}

func limited(n int) func(*house) { return func(h *house) { h.cfg.MaxRequests = n } }

func queued(s *stage, n int) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%d requests wait in line", n), func() bool { return relay.Waiting(s.relay, "plex1") == n })
}

func TestMaxRequestsAreServedInTheOrderInWhichTheyCame(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, limited(1), handlers{"plex1": gate.serve})
	var answers []<-chan answer
	for i := range 4 {
		answers = append(answers, s.later(s.request(http.MethodGet, fmt.Sprintf("/web/%d", i), nil)))
		if i == 0 {
			<-gate.came
		} else {
			queued(s, i)
		}
	}
	gate.end <- struct{}{}
	got := []string{}
	for range 3 {
		got = append(got, <-gate.came)
		gate.end <- struct{}{}
	}
	if diff := cmp.Diff(got, []string{"/web/1", "/web/2", "/web/3"}); diff != "" {
		t.Errorf("order (-got +want):\n%s", diff)
	}
	for _, a := range answers {
		if got := <-a; got.Status != 200 || got.Body != "done" {
			t.Errorf("got %v, want 200", got)
		}
	}
}

func TestSlotIsHeldUntilTheBodyIsClosed(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, limited(1), handlers{"plex1": gate.serve})
	first := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came // and its headers are out
	second := s.later(s.request(http.MethodGet, "/web/2", nil))
	queued(s, 1)
	gate.end <- struct{}{}
	<-first
	<-gate.came
	gate.end <- struct{}{}
	<-second
}

func TestWaitingForASlotEndsWithRetry(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, func(h *house) { h.cfg.MaxRequests, h.cfg.RetryFor = 1, 10*time.Millisecond }, handlers{"plex1": gate.serve})
	first := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came
	if got := s.get("/web/2"); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want 503 with Retry-After", got)
	}
	gate.end <- struct{}{}
	<-first
}

func TestClientThatLeavesTheLineHoldsNobodyUp(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, limited(1), handlers{"plex1": gate.serve})
	first := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came
	req, leave := withCancel(s.request(http.MethodGet, "/web/2", nil))
	second := s.later(req)
	queued(s, 1)
	third := s.later(s.request(http.MethodGet, "/web/3", nil))
	queued(s, 2)
	leave()
	<-second
	queued(s, 1)
	gate.end <- struct{}{}
	<-first
	if got := <-gate.came; got != "/web/3" {
		t.Errorf("%s came next, want /web/3", got)
	}
	gate.end <- struct{}{}
	<-third
}

func TestWhoWaitsInLineGoesElsewhereWhenTheNodeGoesDown(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, func(h *house) { h.cfg.MaxRequests, h.cfg.Balance = 1, "first" },
		handlers{"plex1": gate.serve, "plex2": says("two")})
	first := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came
	second := s.later(s.request(http.MethodPost, "/", nil)) // has reached nobody
	queued(s, 1)
	s.set("plex1", zones.Down)
	if got := <-second; got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
	gate.end <- struct{}{}
	<-first
}

func TestWebsocketsAndEventStreamsNeedNoSlot(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, limited(1), handlers{"plex1": gate.serve})
	var streams []<-chan answer
	for range 3 {
		streams = append(streams, s.later(s.request(http.MethodGet, "/:/eventsource/notifications", nil)))
		<-gate.came
	}
	film := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came
	for range 4 {
		gate.end <- struct{}{}
	}
	for _, a := range append(streams, film) {
		<-a
	}
}

func TestMoreSlotsLetThoseInLineIn(t *testing.T) {
	gate := newTurnstile()
	s := newStage(t, limited(1), handlers{"plex1": gate.serve})
	first := s.later(s.request(http.MethodGet, "/web/1", nil))
	<-gate.came
	second := s.later(s.request(http.MethodGet, "/web/2", nil))
	queued(s, 1)
	s.change(limited(2))
	<-gate.came
	gate.end <- struct{}{}
	gate.end <- struct{}{}
	<-first
	<-second
}
