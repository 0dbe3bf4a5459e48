package relay_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/zones"
)

// plays returns how many playbacks there are at each node.
func (s *stage) plays() map[zones.NodeName]int { return s.cluster.plays.Count(time.Now()) }

// TestPlaybacksAreSeen, with and without affinity.
func TestPlaybacksAreSeen(t *testing.T) {
	for name, off := range map[string]bool{"affinity plex": false, "affinity off": true} {
		t.Run(name, func(t *testing.T) {
			released := make(chan struct{})
			s := newStage(t, func(h *house) { h.cfg.Affinity = corefile.Affinity{Off: off} }, handlers{
				"plex1": func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/library/parts/1/film.mkv":
						_, _ = io.WriteString(w, "first")
						_ = http.NewResponseController(w).Flush()
						<-released
					case "/library/parts/2/none.mkv":
						w.WriteHeader(http.StatusNotFound)
					}
				},
			})
			as := func(client string) []string { return []string{"X-Plex-Client-Identifier", client} }
			counts := func(what string, want int) {
				t.Helper()
				if got := s.plays()["plex1"]; got != want {
					t.Errorf("%s: %d playbacks, want %d", what, got, want)
				}
			}
			s.get("/library/sections", as("tv")...)
			counts("who looks around", 0)
			s.get("/library/parts/2/none.mkv", as("tv")...)
			counts("who is refused", 0)
			s.get("/:/timeline?state=playing", as("tv")...)
			counts("who plays", 1)
			s.get("http://plex1.home.example/:/timeline?state=playing", as("phone")...)
			counts("who plays by the node's own name", 2)
			s.get("/:/timeline?state=stopped", as("tv")...)
			s.get("/:/timeline?state=stopped", as("phone")...)
			counts("who has stopped", 0)

			req := s.request(http.MethodGet, "/library/parts/1/film.mkv", nil)
			req.Header.Set("X-Plex-Client-Identifier", "tv")
			res, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			counts("who has got the headers", 1)
			s.get("/:/timeline?state=stopped", as("tv")...)
			counts("who has stopped while he is answered", 1)
			close(released)
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Fatal(err)
			}
			until(t, "the end of the answer", func() bool { return len(s.plays()) == 0 })
		})
	}
}

// TestAnAnswerThatBreaksOffEnds: nothing is under way when its client has gone.
func TestAnAnswerThatBreaksOffEnds(t *testing.T) {
	s := newStage(t, nil, handlers{"plex1": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/:/timeline" {
			return
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}})
	req := s.request(http.MethodGet, "/library/parts/1/film.mkv", nil)
	req.Header.Set("X-Plex-Client-Identifier", "tv")
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s.get("/:/timeline?state=stopped", "X-Plex-Client-Identifier", "tv")
	if diff := cmp.Diff(map[zones.NodeName]int{"plex1": 1}, s.plays()); diff != "" {
		t.Errorf("while it is answered (-want +got):\n%s", diff)
	}
	_ = res.Body.Close()
	until(t, "the end of the answer", func() bool { return len(s.plays()) == 0 })
}
