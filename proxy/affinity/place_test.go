package affinity_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// What a client does while it is where it belongs.
const (
	segment1 = "GET /video/:/transcode/universal/session/s1/0/1.m4s"
	part     = "GET /library/parts/1/17/film.mkv?"
	timeline = "GET /:/timeline?state=playing&"
	stopped  = "GET /:/timeline?state=stopped&"
	scrobble = "GET /:/scrobble?key=1&"
	queue    = "GET /playQueues/1?"
	remove   = "DELETE /library/metadata/1?"
	library  = "GET /library/sections?"
	root     = "GET /?"
	identity = "GET /identity?"
	photo    = "GET /photo/:/transcode?width=1&"
	socket   = "GET /:/websockets/notifications?"
)

// bound returns one request of each class that means something on one node alone.
func bound(c string) []string {
	return []string{
		part + c, timeline + c, scrobble + c, queue + c, remove + c, "POST /library/sections?" + c, "PUT /library/metadata/1?" + c,
		"PATCH /x?" + c, "POST /playQueues?" + c, "GET /video/:/transcode/universal/decision?session=new&" + c,
		"GET /video/:/transcode/universal/start.m3u8?session=new&" + c, segment1 + "?" + c,
		"GET /video/:/transcode/universal/ping?session=new&" + c,
	}
}

// free returns one request of each class that any node may answer.
func free(c string) []string {
	return []string{root + c, identity + c, library + c, photo + c, socket + c, "HEAD /library?" + c, "OPTIONS /library?" + c}
}

// The first key that is present decides: host, server, session, client, cookie, token.
func TestKeysDecideInOrder(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3", "plex4", "plex5", "plex6")
	client, token := s.key("plex4"), s.key("plex6")
	s.goes("plex6", library+as("", token))
	s.byClient = true
	s.goes("plex4", root+as(client, token))
	s.goes("plex3", "GET /library?uri=server://id-plex3/x&"+as("other", "")) // and its decision:
	s.goes("plex3", "GET "+decision("other", "", "s1"))
	keys := affinity.Parse(request(t, timeline+"uri=server://id-plex2/x&session=s1&"+as(client, token), "Cookie: plexha_node=plex5"))
	keys.Host = "plex1"
	if got, want := s.placeKeys(keys), (affinity.Placement{Node: "plex1", By: affinity.ByHost, Stay: true}); got != want {
		t.Errorf("with a host: %+v, want %+v", got, want)
	}
	for _, tt := range []struct {
		query, cookie string
		node          zones.NodeName
		by            affinity.By
	}{
		{"uri=server://id-plex2/x&session=s1&" + as("another", token), "plex5", "plex2", affinity.ByServer},
		{"session=s1&" + as(client, token), "plex5", "plex3", affinity.BySession},
		{as(client, token), "plex5", "plex4", affinity.ByClient},
		{as("", token), "plex5", "plex5", affinity.ByCookie},
		{as("", token), "plex7", "plex6", affinity.ByToken},
		{"", "plex7", "", affinity.ByNothing},
	} {
		p := s.place(timeline+tt.query, "Cookie: plexha_node="+tt.cookie)
		if p.Node != tt.node || p.By != tt.by {
			t.Errorf("%s, cookie %s: %s by %v, want %s by %v", tt.query, tt.cookie, p.Node, p.By, tt.node, tt.by)
		}
	}
}

// A node's own name has no fallback.
func TestHostHasNoFallback(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.down("plex1")
	k := affinity.Parse(request(t, root+as("c1", "t1")))
	k.Host = "plex1"
	if p := s.placeKeys(k); p.Node != "plex1" || !p.Stay || p.Ask != 0 {
		t.Errorf("%+v, want plex1 and to stay", p)
	}
	if got := s.table.Sizes(); got != (affinity.Sizes{}) {
		t.Errorf("%+v learned from a node's own name", got)
	}
}

// Session keys only look up; a decision or a start writes every one that it carries.
func TestSessionKeysOnlyLookUp(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex2"), "")
	ping := "GET /video/:/transcode/universal/ping?session=a"
	for range 2 {
		s.goes("plex2", timeline+"session=a&transcodeSessionId=b&"+c, "X-Plex-Session-Identifier: c")
		if p := s.place(ping); p.By != affinity.ByNothing {
			t.Errorf("a timeline has made a session: %+v", p)
		}
	}
	start := "GET /video/:/transcode/universal/start.m3u8?session=a&transcodeSessionId=b&" + c
	s.answered("plex2", http.StatusBadRequest, start, "X-Plex-Session-Identifier: c")
	if p := s.place(ping); p.By != affinity.ByNothing {
		t.Errorf("a start that has failed has made a session: %+v", p)
	}
	s.goes("plex2", start, "X-Plex-Session-Identifier: c")
	for _, line := range []string{
		"GET /video/:/transcode/universal/session/a/base/index.m3u8", "GET /music/:/transcode/universal/dash/b/0/1.m4s",
		ping, timeline + "transcodeSessionId=b", timeline + "X-Plex-Session-Identifier=c", "GET /library?session=unknown&session=c",
	} {
		if p := s.place(line); p != (affinity.Placement{Node: "plex2", By: affinity.BySession, Stay: true}) {
			t.Errorf("%s: %+v", line, p)
		}
	}
}

// A session stays on its node when that is down, and when its segments are asked for too early.
func TestSessionStays(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.goes("plex1", "GET "+decision(s.key("plex1"), "", "s1"))
	s.answered("plex1", http.StatusNotFound, segment1)
	s.down("plex1")
	s.stays("plex1", segment1)
	s.up("plex1")
	s.goes("plex1", segment1)
}

// A session binds what belongs to its playback. An app that sends its key with everything can leave a dead
// node all the same.
func TestSessionDoesNotHoldItsClient(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex1"), s.key("plex1"))
	always := "X-Plex-Session-Identifier: s1"
	begin := "GET /video/:/transcode/universal/decision?" + c
	s.goes("plex1", begin, always)
	s.goes("plex1", timeline+c, always)
	s.down("plex1")
	s.goes("plex2", root+c, always)
	s.goes("plex2", library+c, always)
	s.stays("plex1", timeline+c, always) // of what it still plays from its buffer
	s.goes("plex2", begin, always)
	s.goes("plex2", timeline+c, always)
}

// A session that goes on elsewhere than its client is pinned begins anew there while it lives: a player seeks.
func TestSessionLivesElsewhere(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex1"), "")
	begin := "GET /video/:/transcode/universal/decision?session=s1&" + c
	s.goes("plex1", root+c)
	s.answeredAt("plex2", begin)
	s.wait(50 * time.Second)
	s.goes("plex2", segment1)
	s.wait(50 * time.Second)
	s.goes("plex2", begin)
	s.wait(time.Minute)
	s.goes("plex1", begin)
	s.goes("plex1", segment1)
}

// Some apps call every session by the client's id.
func TestSessionNamedLikeItsClient(t *testing.T) {
	s := house(t, "plex1", "plex2")
	id := s.key("plex1")
	s.goes("plex1", "GET "+decision(id, "", id))
	s.goes("plex1", "GET /video/:/transcode/universal/session/"+id+"/0/1.ts")
	s.down("plex1")
	s.goes("plex2", root+as(id, ""))
	s.goes("plex2", scrobble+"session="+id+"&"+as(id, ""))
	s.goes("plex2", "GET "+decision(id, "", id))
	s.goes("plex2", "GET /video/:/transcode/universal/session/"+id+"/0/1.ts")
}

// A new pin follows the token's, so that devices with one token are together; `by client` spreads them.
func TestNewPinFollowsToken(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	token := s.key("plex3")
	devices := []string{s.key("plex1"), s.key("plex2"), s.key("plex3")}
	for _, device := range devices {
		s.goes("plex3", root+as(device, token))
	}
	s.byClient = true
	other := s.key("plex1") // a token
	for i, device := range s.keys("plex2", 4)[1:] {
		s.goes("plex2", root+as(device, other))
		if i == 0 {
			s.goes("plex2", socket+as("", other))
		}
	}
}

// A pin that has been made by a token alone leads the client, wherever the token's hash is.
func TestNewPinFollowsTokensPin(t *testing.T) {
	s := house(t, "plex1", "plex2")
	token := s.key("plex1")
	s.down("plex1")
	s.goes("plex2", photo+as("", token))
	s.goes("plex2", identity+as("", token)) // confirms it
	s.up("plex1")
	s.goes("plex2", root+as("c1", token))
	s.drain("plex2") // no new pins there, not even by the token
	s.goes("plex1", root+as("c2", token))
}

// Requests that carry the token alone go where the client is, also after it has moved.
func TestTokenGoesWithClient(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	client, token := s.key("plex2"), s.key("plex1")
	both, alone := as(client, token), as("", token)
	s.byClient = true
	s.goes("plex2", root+both)
	s.goes("plex2", photo+alone)
	s.goes("plex2", part+alone)
	s.down("plex2")
	to := s.answered("plex1", http.StatusOK, library+both).Node
	if p := s.place(socket + alone); p.Node != to {
		t.Errorf("the websocket goes to %s, its client to %s", p.Node, to)
	}
	s.refused(part + alone)
	s.goes(to, root+both)
	s.goes(to, part+alone)
}

// So do devices that have to leave a node: the first that moves takes the token along, the others follow it.
func TestMoveFollowsToken(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3", "plex4", "plex5")
	token := s.key("plex1")
	first, second := as("c1", token), as("c2", token)
	s.goes("plex1", root+first)
	s.goes("plex1", root+second)
	s.down("plex1")
	hashed := s.otherProxy().place(root + first).Node
	for _, n := range s.nodes[1:] {
		if n.Name == hashed {
			continue
		}
		s.goes(n.Name, "GET /library?uri=server://id-"+string(n.Name)+"/x&"+first)
		s.goes(n.Name, root+second)
		break
	}
}

func TestProxiesThatKnowNothingAgree(t *testing.T) {
	for _, weights := range [][]int{{1, 1}, {1, 1, 1}, {3, 1}, {1, 2, 5}, {1, 1, 1, 1, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			s := house(t, []zones.NodeName{"plex1", "plex2", "plex3", "plex4", "plex5"}[:len(weights)]...)
			var sum int
			for i, w := range weights {
				s.nodes[i].Weight = w
				sum += w
			}
			other := s.otherProxy()
			slices.Reverse(other.nodes) // the order of the file is no part of it
			const clients = 10_000
			s.table, other.table = affinity.NewTable(2*clients), affinity.NewTable(2*clients)
			got := map[zones.NodeName]int{}
			for i := range clients {
				line := root + as(fmt.Sprintf("client%d", i), fmt.Sprintf("token%d", i))
				a, b := s.place(line), other.place(line)
				if a != b {
					t.Fatalf("%s: %+v here, %+v there", line, a, b)
				}
				got[a.Node]++
			}
			for _, n := range s.nodes {
				share, want := 100*float64(got[n.Name])/clients, 100*float64(n.Weight)/float64(sum)
				if math.Abs(share-want) > 2 {
					t.Errorf("%s has %.1f %% of the clients, want %.1f %%", n.Name, share, want)
				}
			}
		})
	}
}

// The choice is a contract between versions: proxies of different ones may run side by side.
func TestChoiceIsFixed(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	var got []zones.NodeName
	for i := range 8 {
		got = append(got, s.place(root+as(fmt.Sprintf("client%d", i), "")).Node)
	}
	want := []zones.NodeName{"plex3", "plex2", "plex2", "plex2", "plex2", "plex1", "plex2", "plex1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Backups get new pins only while no other node is up, and give them back.
func TestBackupLendsItsPins(t *testing.T) {
	s := house(t, "plex1", "plex2")
	s.node("plex2").Backup, s.node("plex2").New = true, false
	c := as("c1", "")
	s.down("plex1")
	s.node("plex2").New = true
	s.goes("plex2", root+c)
	s.up("plex1")
	s.node("plex2").New = false
	s.wait(10 * time.Minute)
	s.goes("plex1", root+c)
	if all := house(t, "plex1", "plex2"); all.nodes != nil {
		all.nodes[0].Backup, all.nodes[1].Backup = true, true
		if p := all.place(root + c); p.Node == "" {
			t.Error("a house of backups takes nobody")
		}
	}
}

// A pin lasts: no node that comes or returns moves it, until it has not been used for 30 days.
func TestPinLasts(t *testing.T) {
	const day = 24 * time.Hour
	s := house(t, "plex1", "plex2", "plex3")
	c := as(s.key("plex1"), "")
	s.down("plex1")
	met := s.answered("plex2", http.StatusOK, root+c).Node // and it is told so
	s.goes(met, root+c)
	for range 3 {
		s.wait(30 * day)
		s.goes(met, library+c)
	}
	s.up("plex1")
	s.goes(met, library+c)
	s.wait(30*day + time.Second)
	s.goes("plex1", library+c)
}

// A bound request waits for its node and moves nothing; one that any node may answer moves the pin at once.
func TestOnlyFreeRequestsMoveThePin(t *testing.T) {
	for _, keys := range []string{"client", "token"} {
		for i, line := range free("") {
			t.Run(keys+"/"+line, func(t *testing.T) {
				s := house(t, "plex1", "plex2")
				c := as(s.key("plex1"), "")
				if keys == "token" {
					c = as("", s.key("plex1"))
				}
				s.goes("plex1", library+c)
				s.down("plex1")
				for _, line := range bound(c) {
					s.stays("plex1", line)
				}
				if p := s.place(free(c)[i]); p.Node != "plex2" || !p.Moved || p.Stay || p.Refuse {
					t.Errorf("%+v, want it moved to plex2", p)
				}
				if p := s.place(free(c)[i]); p.Node != "plex2" || p.Moved {
					t.Errorf("once more: %+v, want it on plex2 and not moved", p)
				}
			})
		}
	}
}

// Nothing is up: no pin moves and none is made, and the request waits where it will be at home.
func TestNothingUp(t *testing.T) {
	s := house(t, "plex1", "plex2")
	known, fresh := as(s.key("plex1"), ""), as(s.keys("plex1", 2)[1], "t1")
	s.goes("plex1", root+known)
	s.down("plex1", "plex2")
	before := s.table.Sizes()
	for _, c := range []string{known, fresh, as(s.key("plex2"), "")} {
		for _, line := range free(c) {
			if p := s.place(line); p.Node == "" || p.Moved {
				t.Errorf("%s: %+v, want a node to wait for", line, p)
			}
		}
	}
	if got := s.table.Sizes(); got != before {
		t.Errorf("%+v while nothing is up, want %+v", got, before)
	}
	s.nodes = s.nodes[1:]
	if p := s.place(timeline + known); p.Node != "plex2" || p.Moved {
		t.Errorf("%+v with its node gone, want plex2 to wait for", p)
	}
	s.nodes = nil
	for _, c := range []string{known, fresh} {
		if p := s.place(root + c); p != (affinity.Placement{}) {
			t.Errorf("%+v without any node", p)
		}
	}
}

// A node that is no longer in the Corefile has no clients.
func TestNodeThatIsGone(t *testing.T) {
	s := house(t, "plex1", "plex2")
	c := as(s.key("plex1"), "")
	s.goes("plex1", "GET /video/:/transcode/universal/decision?session=s1&"+c)
	s.nodes = s.nodes[1:]
	if p := s.place(segment1); p.By != affinity.ByNothing {
		t.Errorf("a segment of a node that is gone: %+v", p)
	}
	s.refused(timeline + c)
	s.goes("plex2", root+c)
	s.goes("plex2", timeline+c)
}

// So has the token of a client that is elsewhere.
func TestTokensNodeThatIsGone(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	client, token := s.key("plex1"), s.key("plex3")
	s.byClient = true
	s.goes("plex3", photo+as("", token))
	s.goes("plex1", root+as(client, token))
	s.goes("plex3", photo+as("", token))
	s.nodes = s.nodes[:2]
	s.goes("plex1", library+as(client, token))
	s.goes("plex1", photo+as("", token))
}

// The cookie counts where nobody is named. A node that is not there counts as none.
func TestCookie(t *testing.T) {
	s := house(t, "plex1", "plex2")
	const file = "GET /web/index.html"
	for _, tt := range []struct {
		line, cookie string
		want         affinity.Placement
	}{
		{file, "plexha_node=plex2", affinity.Placement{Node: "plex2", By: affinity.ByCookie, Ask: affinity.AskOn404}},
		{file, "x=y;plexha_node=plex2", affinity.Placement{Node: "plex2", By: affinity.ByCookie, Ask: affinity.AskOn404}},
		{file, "plexha_node=plex9", affinity.Placement{Ask: affinity.AskOn404}},
		{file, "my_plexha_node=plex2", affinity.Placement{Ask: affinity.AskOn404}},
		{"GET /media/1", "plexha_node=plex2", affinity.Placement{Node: "plex2", By: affinity.ByCookie}},
		{"GET /favicon.ico", "", affinity.Placement{Ask: affinity.AskOn404}},
		{"DELETE /media/1", "plexha_node=plex2", affinity.Placement{Node: "plex2", By: affinity.ByCookie, Stay: true}},
	} {
		if got := s.place(tt.line, "Cookie: "+tt.cookie); got != tt.want {
			t.Errorf("%s with %s: %+v, want %+v", tt.line, tt.cookie, got, tt.want)
		}
	}
	s.down("plex2")
	if p := s.place(file, "Cookie: plexha_node=plex2"); p.Node != "" {
		t.Errorf("a file from a node that is down: %+v", p)
	}
	s.stays("plex2", "DELETE /media/1", "Cookie: plexha_node=plex2")
}

// Plex Web's own files and the favicon know our cookie alone.
func TestFilesOfPlexWebTeachNothing(t *testing.T) {
	s := house(t, "plex1", "plex2")
	for _, line := range []string{"GET /web/index.html?", "GET /web?", "GET /favicon.ico?"} {
		s.answered("plex1", http.StatusOK, line+as("c1", "t1"), "X-Plex-Session-Identifier: s1")
	}
	if got := s.table.Sizes(); got != (affinity.Sizes{}) {
		t.Errorf("%+v learned, want nothing", got)
	}
}

// What names the node itself comes before all keys and pins its client there.
func TestExplicitServer(t *testing.T) {
	play := func(node, c string) string {
		return "POST /playQueues?uri=server%3A%2F%2Fid-" + node + "%2Flibrary&" + c
	}
	begin := func(t *testing.T) (*scene, string) {
		s := house(t, "plex1", "plex2")
		c := as(s.key("plex1"), "")
		s.goes("plex1", root+c)
		return s, c
	}
	t.Run("pins, and home is there too", func(t *testing.T) {
		s, c := begin(t)
		p := s.goes("plex2", play("plex2", c))
		if !p.Stay || !p.Moved || p.By != affinity.ByServer {
			t.Errorf("%+v, want it moved, and to stay", p)
		}
		s.goes("plex2", timeline+c)
		s.wait(time.Hour)
		s.goes("plex2", root+c)
	})
	t.Run("pins a client that is new", func(t *testing.T) {
		s, _ := begin(t)
		c := as(s.keys("plex1", 2)[1], "t2")
		s.goes("plex2", play("plex2", c))
		s.goes("plex2", timeline+c)
		s.goes("plex2", photo+as("", "t2"))
	})
	t.Run("not away from a live playback", func(t *testing.T) {
		s, c := begin(t)
		s.goes("plex1", timeline+c)
		s.goes("plex2", play("plex2", c))
		s.goes("plex1", timeline+c)
	})
	t.Run("not before the node has accepted who asks", func(t *testing.T) {
		s, c := begin(t) // a stranger can say that he is c
		s.answered("plex2", http.StatusUnauthorized, play("plex2", c))
		s.answered("plex2", http.StatusOK, "GET /identity?machineIdentifier=id-plex2&"+c)
		s.goes("plex1", library+c)
		s.answered("plex2", http.StatusUnauthorized, play("plex2", as("nobody", "")))
		if got := s.table.Sizes().Pins; got != 1 {
			t.Errorf("%d pins, want that of c alone", got)
		}
	})
	t.Run("a stranger confirms nobody", func(t *testing.T) {
		s, c := begin(t)
		s.down("plex1")
		s.goes("plex2", library+c)
		s.answered("plex2", http.StatusUnauthorized, play("plex2", c))
		s.refused(timeline + c)
	})
	t.Run("machineIdentifier says it as well", func(t *testing.T) {
		s, c := begin(t)
		s.goes("plex2", "GET /player/playback/playMedia?machineIdentifier=id-plex2&"+c)
		s.goes("plex2", library+c)
	})
	t.Run("another house's says nothing", func(t *testing.T) {
		s, c := begin(t)
		s.goes("plex1", play("plex9", c))
	})
	t.Run("a node that is down gets no pin", func(t *testing.T) {
		s, c := begin(t)
		s.down("plex2")
		s.stays("plex2", play("plex2", c))
		s.goes("plex1", library+c)
	})
	t.Run("who names a node knows it", func(t *testing.T) {
		s, c := begin(t)
		s.down("plex1")
		s.goes("plex2", library+c)
		s.refused(timeline + c)
		s.goes("plex2", play("plex2", c))
		s.goes("plex2", timeline+c)
		s.up("plex1")
		s.wait(10 * time.Minute)
		s.goes("plex1", root+c) // home is where it was
	})
}

func TestByHasWords(t *testing.T) {
	seen := map[string]bool{}
	for b := affinity.ByNothing; b <= affinity.ByToken; b++ {
		if b.String() == "" || seen[b.String()] {
			t.Errorf("%d is %q", b, b)
		}
		seen[b.String()] = true
	}
}
