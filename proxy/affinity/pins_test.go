package affinity_test

import (
	"net/http"
	"testing"
	"time"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// moved is a house in which plex1 has died and its client's pin has moved to plex2, without the client's being
// told.
func moved(t *testing.T) (s *scene, c string) {
	s = house(t, "plex1", "plex2")
	c = as(s.key("plex1"), s.key("plex1"))
	s.goes("plex1", root+c)
	s.down("plex1")
	s.goes("plex2", library+c)
	return s, c
}

// alone is the query of who has the client's token alone.
func alone(s *scene) string { return as("", s.key("plex1")) }

// After a move the client may read, but nothing that names things by the other node's numbers gets through
// until the new node has answered its GET / or /identity.
func TestMovedClientIsRefusedUntilItIsTold(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		s, c := moved(t)
		for _, line := range bound(c) {
			s.refused(line)
		}
		for _, line := range []string{library + c, photo + c, socket + c} {
			s.goes("plex2", line)
		}
		s.refused(timeline + c)
	})
	for name, tells := range map[string]func(s *scene, c string){
		"GET /":         func(s *scene, c string) { s.goes("plex2", root+c) },
		"GET /identity": func(s *scene, c string) { s.goes("plex2", identity+c) },
	} {
		t.Run(name, func(t *testing.T) {
			s, c := moved(t)
			tells(s, c)
			for _, line := range bound(c) {
				s.goes("plex2", line)
			}
		})
	}
	for name, tellsNot := range map[string]func(s *scene, c string){
		"a placement alone":   func(s *scene, c string) { s.place(root + c) },
		"401":                 func(s *scene, c string) { s.answered("plex2", http.StatusUnauthorized, root+c) },
		"503":                 func(s *scene, c string) { s.answered("plex2", http.StatusServiceUnavailable, identity+c) },
		"HEAD /":              func(s *scene, c string) { s.goes("plex2", "HEAD /?"+c) },
		"another client's":    func(s *scene, c string) { s.goes("plex2", root+as(s.keys("plex2", 9)[8], "")) },
		"the library's":       func(s *scene, c string) { s.goes("plex2", library+c) },
		"a node's own name's": func(s *scene, c string) { s.answeredAt("plex2", root+c) },
	} {
		t.Run("not by "+name, func(t *testing.T) {
			s, c := moved(t)
			tellsNot(s, c)
			s.refused(timeline + c)
		})
	}
}

// answeredAt is a request to a node's own name, which answers it well.
func (s *scene) answeredAt(host zones.NodeName, line string) {
	s.Helper()
	k := affinity.Parse(request(s.T, line))
	k.Host = host
	s.table.Answered(k, s.placeKeys(k), host, http.StatusOK, s.snapshot(), s.now)
}

// A client that was not told believes to be where it was, and goes back as soon as that is up.
func TestClientThatWasNotToldGoesBack(t *testing.T) {
	s, c := moved(t)
	s.refused(timeline + c)
	s.up("plex1")
	if p := s.place(timeline + c); p.Node != "plex1" || p.Refuse || !p.Moved {
		t.Errorf("%+v, want it back on plex1", p)
	}
	s.goes("plex1", photo+alone(s))
}

// One that was told stays.
func TestClientThatWasToldDoesNotGoBack(t *testing.T) {
	s, c := moved(t)
	s.goes("plex2", root+c)
	s.up("plex1")
	for _, line := range append(bound(c), free(c)...) {
		s.goes("plex2", line)
	}
}

// An answer of GET / that was on its way while the pin moved has told the client all the same.
func TestClientIsWhereItWasTold(t *testing.T) {
	s, c := moved(t)
	k := affinity.Parse(request(t, root+c))
	p := s.placeKeys(k)
	s.up("plex1")
	s.goes("plex1", library+c) // beside it
	s.table.Answered(k, p, "plex2", http.StatusOK, s.snapshot(), s.now)
	s.goes("plex2", timeline+c)
}

// A pin that is born where only trouble has put it: who knows where that client was before.
func TestPinBornInTroubleIsNotConfirmed(t *testing.T) {
	for name, trouble := range map[string]func(*scene){
		"its node is down":       func(s *scene) { s.down("plex1") },
		"its node is drained":    func(s *scene) { s.drain("plex1") },
		"a primary for a backup": func(s *scene) { s.down("plex1"); s.node("plex2").Backup = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := house(t, "plex1", "plex2")
			c := as(s.key("plex1"), "")
			trouble(s)
			s.refused(timeline + c)
			s.goes("plex2", root+c)
			s.goes("plex2", timeline+c)
		})
	}
	t.Run("the token knows better", func(t *testing.T) {
		s := house(t, "plex1", "plex2")
		token := s.key("plex1")
		s.down("plex1")
		s.goes("plex2", root+as("c1", token))
		s.goes("plex2", timeline+as("c2", token))
	})
	t.Run("the right node comes first", func(t *testing.T) {
		s := house(t, "plex1", "plex2")
		c := as(s.key("plex1"), "")
		s.down("plex1")
		s.goes("plex2", library+c)
		s.up("plex1")
		s.goes("plex1", timeline+c)
		s.wait(time.Hour)
		s.goes("plex1", root+c)
	})
}

// A pin returns home at GET / or /identity after 10 minutes without playback and 5 of home being up.
func TestReturnHome(t *testing.T) {
	for _, tt := range []struct {
		name  string
		since time.Duration // the return of home
		play  time.Duration // how long ago; 0: never
		line  string
		home  bool
	}{
		{"quiet for long", 5 * time.Minute, 0, root, true},
		{"asked by /identity", 5 * time.Minute, 0, identity, true},
		{"quiet for 10 minutes", 11 * time.Minute, 10 * time.Minute, root, true},
		{"home is up for too short", 5*time.Minute - time.Second, 0, root, false},
		{"played 9:59 ago", 11 * time.Minute, 10*time.Minute - time.Second, root, false},
		{"a library read", time.Hour, 0, library, false},
		{"a websocket", time.Hour, 0, socket, false},
		{"a timeline", time.Hour, 0, timeline, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := moved(t)
			s.goes("plex2", root+c)
			s.up("plex1")
			s.wait(tt.since - tt.play)
			if tt.play != 0 {
				s.goes("plex2", stopped+c)
			}
			s.wait(tt.play)
			if !tt.home {
				s.goes("plex2", tt.line+c)
				return
			}
			if p := s.goes("plex1", tt.line+c); !p.Moved {
				t.Errorf("%+v, want it moved", p)
			}
			s.goes("plex1", timeline+c)
			s.goes("plex1", photo+alone(s))
		})
	}
}

// The client is where it was until home has told it better, whatever it asks for meanwhile.
func TestReturnHomeIsConfirmedByItsAnswer(t *testing.T) {
	s, c := moved(t)
	s.goes("plex2", root+c)
	s.up("plex1")
	s.wait(time.Hour)
	s.answered("plex1", http.StatusBadGateway, root+c)
	s.goes("plex2", library+c)
	s.goes("plex2", scrobble+c)
	s.goes("plex1", root+c)
	s.goes("plex1", scrobble+c)
	s.goes("plex1", photo+alone(s))
}

func TestNoReturnToHomeThatTakesNoNewPins(t *testing.T) {
	s, c := moved(t)
	s.goes("plex2", root+c)
	s.up("plex1")
	s.drain("plex1")
	s.wait(time.Hour)
	s.goes("plex2", root+c)
}

// One that has to move again goes home first.
func TestHomeIsTheFirstRefuge(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3", "plex4", "plex5")
	for _, client := range s.keys("plex1", 20) {
		c := as(client, "")
		s.goes("plex1", root+c)
		s.down("plex1")
		met := s.place(root + c).Node
		s.goes(met, root+c)
		s.up("plex1")
		s.down(met)
		s.goes("plex1", root+c)
		s.up(met)
	}
}

// drain: a pin moves at its client's next GET / when it has had no playback for 60 s.
func TestDrain(t *testing.T) {
	begin := func(t *testing.T) (*scene, string) {
		s := house(t, "plex1", "plex2")
		c := as(s.key("plex1"), s.key("plex1"))
		s.goes("plex1", root+c)
		s.drain("plex1")
		return s, c
	}
	t.Run("no new pins", func(t *testing.T) {
		s, _ := begin(t)
		s.goes("plex2", root+as(s.keys("plex1", 2)[1], ""))
	})
	t.Run("moves at GET /", func(t *testing.T) {
		s, c := begin(t)
		for _, line := range append(bound(c), library+c, photo+c, socket+c) {
			s.goes("plex1", line)
		}
		s.wait(time.Minute)
		s.goes("plex2", root+c)
		s.goes("plex2", timeline+c)
	})
	t.Run("not while it plays", func(t *testing.T) {
		s, c := begin(t)
		s.goes("plex1", timeline+c)
		s.wait(59 * time.Second)
		s.goes("plex1", root+c)
		s.wait(time.Second)
		s.goes("plex2", root+c)
	})
	t.Run("not while no other node takes it", func(t *testing.T) {
		s, c := begin(t)
		s.down("plex2")
		s.node("plex1").New = true
		s.wait(time.Hour)
		s.goes("plex1", root+c)
	})
	t.Run("home again after it", func(t *testing.T) {
		s, c := begin(t)
		s.goes("plex2", root+c)
		s.node("plex1").Draining, s.node("plex1").New = false, true
		s.goes("plex2", library+c)
		s.goes("plex1", root+c) // it has been up all the time
	})
}

// A playback lives for 60 s after its last sign, or until it is stopped. That holds back an explicit server.
func TestLivePlayback(t *testing.T) {
	const elsewhere = "POST /playQueues?uri=server://id-plex2/x&"
	for name, tt := range map[string]struct {
		signs func(s *scene, c string)
		lives bool
	}{
		"timeline":     {func(s *scene, c string) { s.goes("plex1", timeline+c) }, true},
		"paused":       {func(s *scene, c string) { s.goes("plex1", "GET /:/timeline?state=paused&"+c) }, true},
		"part":         {func(s *scene, c string) { s.goes("plex1", part+c) }, true},
		"segment":      {func(s *scene, c string) { s.begin(c); s.wait(30 * time.Second); s.goes("plex1", segment1) }, true},
		"decision":     {func(s *scene, c string) { s.begin(c) }, true},
		"ping":         {func(s *scene, c string) { s.goes("plex1", "GET /video/:/transcode/universal/ping?"+c) }, true},
		"a part's 400": {func(s *scene, c string) { s.answered("plex1", http.StatusBadRequest, part+c) }, false},
		"a part's 404": {func(s *scene, c string) { s.answered("plex1", http.StatusNotFound, part+c) }, false},
		"stopped":      {func(s *scene, c string) { s.goes("plex1", timeline+c); s.goes("plex1", stopped+c) }, false},
		"stop": {func(s *scene, c string) {
			s.begin(c)
			s.goes("plex1", "GET /video/:/transcode/universal/stop?session=s1")
		}, false},
		"scrobble":          {func(s *scene, c string) { s.goes("plex1", scrobble+c) }, false},
		"library":           {func(s *scene, c string) { s.goes("plex1", library+c) }, false},
		"another's segment": {func(s *scene, c string) { s.begin(as(s.keys("plex1", 2)[1], "")); s.goes("plex1", segment1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := house(t, "plex1", "plex2")
			c := as(s.key("plex1"), "")
			s.goes("plex1", root+c)
			tt.signs(s, c)
			s.wait(59 * time.Second)
			s.goes("plex2", elsewhere+c)
			if stays := s.place(library+c).Node == "plex1"; stays != tt.lives {
				t.Errorf("the client stays: %v, want %v", stays, tt.lives)
			}
			s.wait(time.Second)
			s.goes("plex2", elsewhere+c)
			s.goes("plex2", library+c)
		})
	}
}

// begin begins the session s1 of a client.
func (s *scene) begin(c string) {
	s.Helper()
	s.goes("plex1", "GET /video/:/transcode/universal/decision?session=s1&"+c)
}

// Who is moved twice before it has asked still believes that it talks to the first node.
func TestMovedTwiceGoesBackToWhereItWas(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	c := as(s.key("plex1"), "")
	s.goes("plex1", root+c)
	s.down("plex1")
	second := s.place(library + c).Node
	s.down(second)
	if third := s.place(library + c).Node; third == second || third == "plex1" {
		t.Fatalf("it goes to %s, which is down", third)
	}
	s.up("plex1")
	s.goes("plex1", timeline+c)
}
