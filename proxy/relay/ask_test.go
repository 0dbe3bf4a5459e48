package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// segmentOf answers 404 to segments of sessions other than its own, as a Plex server does.
func segmentOf(session string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/session/"+session+"/") {
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

// knowsToken answers 401 to other tokens.
func knowsToken(token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Plex-Token") != token {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

const segment = "/video/:/transcode/universal/session/abc/0/1.m4s"

func TestUnknownSessionIsAskedForElsewhereAndLearned(t *testing.T) {
	for _, owner := range []string{"plex1", "plex2"} {
		t.Run("begun on "+owner, func(t *testing.T) {
			h := handlers{"plex1": segmentOf("other"), "plex2": segmentOf("other")}
			h[owner] = segmentOf("abc")
			s := newStage(t, nil, h)
			if got := s.get(segment); got.Status != 200 || got.Node != owner {
				t.Fatalf("got %v, want the answer of %s", got, owner)
			}
			before := len(s.names[otherThan(owner)].requests())
			for range 3 {
				s.get(segment)
			}
			if got := len(s.names[otherThan(owner)].requests()); got != before {
				t.Errorf("%s was asked %d times more for a session that is known now", otherThan(owner), got-before)
			}
		})
	}
}

func TestSegmentThatNobodyHasIsAnsweredAtOnceWithTheFirst404(t *testing.T) {
	missing := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("no such segment at " + w.Header().Get("X-Node")))
	}
	s := newStage(t, nil, handlers{"plex1": missing, "plex2": missing, "plex3": missing})
	got := s.get(segment)
	if got.Status != http.StatusNotFound || got.Body != "no such segment at "+got.Node {
		t.Errorf("got %v, want one node's whole 404", got)
	}
	for name, n := range s.names {
		if diff := cmp.Diff(n.requests(), []string{"GET " + segment}); diff != "" {
			t.Errorf("requests at %s (-got +want):\n%s", name, diff)
		}
	}
}

func TestTokenOfAGuestIsTakenToTheNodeThatGaveIt(t *testing.T) {
	for _, owner := range []string{"plex1", "plex2"} {
		t.Run("given by "+owner, func(t *testing.T) {
			h := handlers{"plex1": knowsToken("other"), "plex2": knowsToken("other")}
			h[owner] = knowsToken("guest")
			s := newStage(t, nil, h)
			for range 3 {
				if got := s.get("/library/sections", "X-Plex-Token", "guest"); got.Status != 200 || got.Node != owner {
					t.Fatalf("got %v, want the answer of %s", got, owner)
				}
			}
			if asked := s.names[otherThan(owner)].requests(); len(asked) > 1 {
				t.Errorf("%s was asked %v, want it to be asked at most once", otherThan(owner), asked)
			}
		})
	}
}

func TestWritesAreNotAskedElsewhere(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": status(http.StatusUnauthorized), "plex2": status(http.StatusUnauthorized)})
	s.must(s.request(http.MethodPost, "/somewhere", nil), "X-Plex-Token", "guest")
	if asked := len(s.names["plex1"].requests()) + len(s.names["plex2"].requests()); asked != 1 {
		t.Errorf("the nodes were asked %d times, want once", asked)
	}
}

func TestNodeThatIsAskedAndFailsDoesNotHideTheFirstAnswer(t *testing.T) {
	for name, other := range map[string]http.HandlerFunc{
		"breaks off": breaks, "500": status(http.StatusInternalServerError), "401": status(http.StatusUnauthorized),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(h *house) { h.cfg.Balance = "first" },
				handlers{"plex1": segmentOf("other"), "plex2": other})
			if got := s.get(segment); got.Status != http.StatusNotFound || got.Node != "plex1" {
				t.Errorf("got %v, want plex1's 404", got)
			}
		})
	}
}

func TestAskedNodeThatSaysNothingHidesTheFirstAnswerNoLongerThanRetry(t *testing.T) {
	s := newStage(t, func(h *house) { h.cfg.Balance, h.cfg.RetryFor = "first", 20*time.Millisecond },
		handlers{"plex1": segmentOf("other"), "plex2": hangs})
	if got := s.get(segment); got.Status != http.StatusNotFound || got.Node != "plex1" {
		t.Errorf("got %v, want plex1's 404", got)
	}
}

func TestNodesAreAskedWithoutASlot(t *testing.T) {
	film := newTurnstile()
	s := newStage(t, func(h *house) { h.cfg.Balance, h.cfg.MaxRequests, h.cfg.RetryFor = "first", 1, 5*time.Second },
		handlers{"plex1": segmentOf("other"), "plex2": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/film" {
				film.serve(w, r)
			}
		}})
	running := s.later(s.request(http.MethodGet, "//plex2.home.example/film", nil))
	<-film.came // plex2's only slot is taken
	if got := s.get(segment); got.Node != "plex2" {
		t.Errorf("got %v, want plex2's answer", got)
	}
	film.end <- struct{}{}
	<-running
}

func TestAnswersThatAreNotPassedOnEndAtOnce(t *testing.T) {
	ended := make(chan string, 2)
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		ended <- w.Header().Get("X-Node")
	}
	film := newTurnstile()
	s := newStage(t, func(h *house) { h.cfg.Balance = "first" },
		handlers{"plex1": endless, "plex2": endless, "plex3": film.serve})
	running := s.later(s.request(http.MethodGet, segment, nil))
	<-film.came // and stays
	got := []string{<-ended, <-ended}
	slices.Sort(got)
	if diff := cmp.Diff(got, []string{"plex1", "plex2"}); diff != "" {
		t.Errorf("ended (-got +want):\n%s", diff)
	}
	film.end <- struct{}{}
	<-running
}

// Who makes sessions up must not make each of his requests cost as many as there are nodes.
func TestAskingElsewhereIsBoundedForOneClient(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": segmentOf("abc"), "plex2": segmentOf("abc")})
	const made = 300
	begin := time.Now()
	for i := range made {
		s.get(fmt.Sprintf("/video/:/transcode/universal/session/made-up-%d/0/1.m4s", i))
	}
	slow := int(10 * time.Since(begin).Seconds()) // this many more may be asked twice
	got := len(s.names["plex1"].requests()) + len(s.names["plex2"].requests())
	if got < made+50 || got > made+150+slow {
		t.Errorf("the nodes got %d requests for %d with made-up sessions, want some asked twice, and most once", got, made)
	}
}
