package affinity_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"plexha/proxy/affinity"
)

// asks expects after which answers the other nodes are asked.
func (s *scene) asks(want affinity.Ask, line string, headers ...string) {
	s.Helper()
	if p := s.place(line, headers...); p.Ask != want {
		s.Errorf("%s at %q by %v: asks %02b, want %02b", line, p.Node, p.By, p.Ask, want)
	}
}

// An unknown session's 404, and one of Plex Web's files, may come from the wrong node.
func TestOthersAreAskedAfter404(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as("c1", "")
	s.asks(affinity.AskOn404, segment1)
	s.asks(affinity.AskOn404, segment1+"?"+c)
	s.asks(affinity.AskOn404, "HEAD /music/:/transcode/universal/dash/s1/0/initial.mp4")
	s.asks(affinity.AskOn404, "GET /web/js/chunk-17.js")
	s.asks(0, "POST /video/:/transcode/universal/session/s1/0/1.m4s")
	s.asks(0, "GET /video/:/transcode/universal/subtitles?session=s1") // not in the path
	s.asks(0, "POST /web/x")
	s.asks(0, library+c)
	s.goes("plex1", "GET /video/:/transcode/universal/decision?session=s1&uri=server://id-plex1/x&"+c)
	s.asks(0, segment1)
}

// The first node that knows an unknown session is learned.
func TestSessionIsLearnedFromWhoKnowsIt(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.answered("plex2", http.StatusOK, segment1)
	if p := s.place(segment1); p != (affinity.Placement{Node: "plex2", By: affinity.BySession, Stay: true}) {
		t.Errorf("%+v, want the session on plex2", p)
	}
	c := as(s.key("plex1"), "")
	const other = "GET /video/:/transcode/universal/session/s2/0/1.m4s?"
	s.answered("plex2", http.StatusOK, other+c) // by its client on plex1, which has answered 404
	s.goes("plex2", other)
}

// All alike: the nodes are not asked again at once. The session may begin a moment later.
func TestDeniedSession(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.answered("plex1", http.StatusNotFound, segment1)
	s.asks(0, segment1)
	s.asks(affinity.AskOn404, "GET /video/:/transcode/universal/session/s2/0/1.m4s")
	s.wait(2 * time.Second)
	s.asks(affinity.AskOn404, segment1)
	s.answered("plex1", http.StatusNotFound, segment1)
	s.goes("plex2", "GET /video/:/transcode/universal/decision?session=s1&uri=server://id-plex2/x&"+as("c1", ""))
	s.goes("plex2", segment1)
}

// A token that was placed by hash may be one of another node: a guest's is.
func TestGuestIsLearned(t *testing.T) {
	for name, guest := range map[string]string{"client and token": as("c1", "guest"), "token alone": as("", "guest")} {
		t.Run(name, func(t *testing.T) {
			s := house(t, "plex1", "plex2", "plex3")
			first := s.place(root + guest)
			if first.Ask != affinity.AskOn401 {
				t.Fatalf("%+v, want others to be asked after a 401", first)
			}
			knows := s.nodes[0].Name
			if first.Node == knows {
				knows = s.nodes[1].Name
			}
			s.answered(knows, http.StatusOK, root+guest)
			for _, line := range free(guest) {
				s.goes(knows, line)
				s.asks(0, line)
			}
			s.goes(knows, timeline+guest)
			s.goes(knows, photo+as("", "guest"))
			s.wait(time.Hour)
			s.goes(knows, root+guest) // home is there too
		})
	}
}

// The cookie of a browser says nothing of its token.
func TestGuestIsLearnedInSpiteOfItsCookie(t *testing.T) {
	s := house(t, "plex1", "plex2")
	const cookie = "Cookie: plexha_node=plex1"
	s.asks(affinity.AskOn401, photo+as("", "guest"), cookie)
	s.answered("plex2", http.StatusOK, photo+as("", "guest"), cookie)
	s.goes("plex2", photo+as("", "guest"))
	s.asks(0, photo+as("", "guest"))
}

// A browser's cookie shows a proxy that knows nothing where its guest is at home: the token is accepted there.
func TestTokenIsLearnedByItsCookie(t *testing.T) {
	s := house(t, "plex1", "plex2")
	const cookie = "Cookie: plexha_node=plex2"
	token := s.key("plex1")
	s.answered("plex2", http.StatusUnauthorized, photo+as("", token), cookie)
	s.answered("plex2", http.StatusNotFound, photo+as("", token), cookie)
	if got := s.table.Sizes(); got != (affinity.Sizes{}) {
		t.Errorf("%+v learned of a token that was not accepted, want nothing", got)
	}
	s.goes("plex2", photo+as("", token), cookie)
	s.goes("plex2", root+as("c1", token), cookie)
	s.asks(0, library+as("c1", token))
}

// A node in trouble knows nobody.
func TestGuestIsNotLearnedFromAnError(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as("", s.key("plex1"))
	s.answered("plex2", http.StatusInternalServerError, library+c)
	s.goes("plex1", library+c)
}

// Once the pin's node has accepted a token, its 401 is not doubted.
func TestAcceptedTokenEndsTheAsking(t *testing.T) {
	c := as("c1", "t1")
	for _, tt := range []struct {
		line   string
		status int
		ends   bool
	}{
		{library + c, http.StatusOK, true},
		{socket + c, http.StatusSwitchingProtocols, true},
		{photo + as("", "t1"), http.StatusOK, true},
		{identity + c, http.StatusOK, false}, // anybody is told
		{identity + as("", "t1"), http.StatusOK, false},
		{library + c, http.StatusBadRequest, false},
		{library + c, http.StatusNotFound, false},
		{library + c, http.StatusServiceUnavailable, false},
		{library + as("c1", ""), http.StatusOK, false},
	} {
		t.Run(fmt.Sprint(tt.line, tt.status), func(t *testing.T) {
			s := house(t, "plex1", "plex2")
			at := s.place(library + c)
			s.answered(at.Node, tt.status, tt.line)
			if got := s.place(library+c).Ask == 0; got != tt.ends {
				t.Errorf("the asking has ended: %v, want %v", got, tt.ends)
			}
		})
	}
}

// A new token of a known client may be another person's.
func TestNewTokenOfKnownClientIsDoubted(t *testing.T) {
	s := house(t, "plex1", "plex2")
	client := s.key("plex1")
	s.byClient = true
	s.goes("plex1", library+as(client, "t1"))
	s.asks(0, library+as(client, "t1"))
	s.asks(affinity.AskOn401, library+as(client, "t2"))
	s.answered("plex2", http.StatusNotFound, library+as(client, "t2")) // good enough to look
	s.goes("plex2", library+as(client, "t2"))
	s.asks(0, library+as(client, "t2"))
}

// A token of another node does not tear a client from what it plays.
func TestGuestTokenLeavesALivePlayback(t *testing.T) {
	s := house(t, "plex1", "plex2")
	client := s.key("plex1")
	s.byClient = true
	s.goes("plex1", timeline+as(client, "t1"))
	s.answered("plex2", http.StatusOK, library+as(client, "t2"))
	s.goes("plex1", timeline+as(client, "t1"))
	s.goes("plex2", photo+as("", "t2"))
}

// Who is denied by all is not asked about again for a minute, whatever it asks for.
func TestDeniedToken(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex1"), "t1")
	s.byClient = true
	s.answered("plex1", http.StatusUnauthorized, library+c)
	s.wait(59 * time.Second)
	s.asks(0, library+c)
	s.asks(0, root+c)
	s.asks(0, library+as("", "t1"))
	s.asks(affinity.AskOn401, library+as("", "t2"))
	s.wait(time.Second)
	s.asks(affinity.AskOn401, library+c)
}

// Nothing that is bound, or writes, is sent to all.
func TestBoundRequestsAreNotSentToAll(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as("c1", "t1")
	for _, line := range bound(c) {
		if p := s.place(line); p.Ask&affinity.AskOn401 != 0 {
			t.Errorf("%s: %+v", line, p)
		}
	}
	s.asks(0, "OPTIONS /library?"+c)
	s.asks(0, library+"uri=server://id-plex1/x&"+c)
	s.asks(0, library+as("c2", ""))
	s.asks(affinity.AskOn401, "HEAD /library?"+c)
}

// An answer of a node that is gone meanwhile teaches nothing.
func TestAnswerOfNodeThatIsGone(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.answered("plex9", http.StatusOK, segment1)
	if got := s.table.Sizes(); got != (affinity.Sizes{}) {
		t.Errorf("%+v learned, want nothing", got)
	}
}

// What one node has accepted says nothing of another: a token that has moved is doubted again.
func TestMovedTokenIsDoubtedAgain(t *testing.T) {
	for name, c := range map[string]func(s *scene) string{
		"token alone":      alone,
		"client and token": func(s *scene) string { return as(s.key("plex1"), s.key("plex1")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := house(t, "plex1", "plex2")
			c := c(s)
			s.goes("plex1", library+c)
			s.asks(0, library+c)
			s.down("plex1")
			s.asks(affinity.AskOn401, library+c)
			s.asks(affinity.AskOn401, photo+alone(s))
			s.goes("plex2", library+c)
			s.asks(0, library+c)
			s.up("plex1") // and nobody was told of plex2
			s.asks(affinity.AskOn401, library+c)
			s.asks(affinity.AskOn401, photo+alone(s))
		})
	}
}
