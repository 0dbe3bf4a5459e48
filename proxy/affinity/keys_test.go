package affinity_test

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/affinity"
)

// The requests of a recorded Plex Web, and of apps that put ids into headers.
func TestParse(t *testing.T) {
	const web = "X-Plex-Product=Plex%20Web&X-Plex-Client-Identifier=c1&X-Plex-Platform=Chrome&X-Plex-Token=t1&X-Plex-Language=en"
	type named = affinity.Named
	for _, tt := range []struct {
		request string
		headers []string
		want    named
	}{
		{request: "GET /web/js/chunk-1.js", want: named{Class: affinity.Web}},
		{request: "GET /web", want: named{Class: affinity.Web}},
		{request: "GET /favicon.ico", want: named{Class: affinity.Web}},
		{
			request: "GET /web/index.html?" + web, headers: []string{"Cookie: a=b; plexha_node=plex2; c=d"},
			want: named{Class: affinity.Web, Cookie: "plex2"},
		},
		{request: "GET /website", want: named{Class: affinity.Other}},
		{request: "GET /?" + web, want: named{Class: affinity.Root, Client: "c1", Token: "t1"}},
		{request: "GET /identity", want: named{Class: affinity.Root}},
		{request: "HEAD /", want: named{Class: affinity.Other}},
		{request: "OPTIONS /library/parts/1/2/film.mkv?X-Plex-Token=t1", want: named{Class: affinity.Other, Token: "t1"}},
		{request: "OPTIONS /video/:/transcode/universal/session/s1/0/1.m4s", want: named{Class: affinity.Other}},
		{request: "GET /hubs/sections/1?count=12&" + web, want: named{Class: affinity.Other, Client: "c1", Token: "t1"}},
		{
			request: "GET /photo/:/transcode?width=240&url=%2Flibrary%2Fmetadata%2F1%2Fthumb%2F17%3FX-Plex-Token%3Dt2&X-Plex-Token=t1",
			want:    named{Class: affinity.Photo, Token: "t1"},
		},
		{
			request: "GET /photo/:/transcode?url=%2Flibrary%2Fmetadata%2F1%2Fthumb%2F17%3Fa%3Db%26X-Plex-Token%3Dt%252B2%26c%3Dd&width=1",
			want:    named{Class: affinity.Photo, Token: "t+2"},
		},
		{
			request: "GET /photo/:/transcode?url=/library/metadata/1/thumb/17?X-Plex-Token=t2&width=1",
			want:    named{Class: affinity.Photo, Token: "t2"},
		},
		{request: "GET /photo/:/transcode?url=X-Plex-Tokens%3Dt2", want: named{Class: affinity.Photo}},
		{
			request: "POST /playQueues?type=video&uri=server%3A%2F%2Fabc123%2Fcom.plexapp.plugins.library%2Flibrary%2Fmetadata%2F1&" + web,
			want:    named{Class: affinity.PlayQueue, Server: "abc123", Client: "c1", Token: "t1"},
		},
		{request: "POST /playQueues?uri=server://abc123/x", want: named{Class: affinity.PlayQueue, Server: "abc123"}},
		{request: "POST /playQueues?uri=library%3A%2F%2Fabc123%2Fx", want: named{Class: affinity.PlayQueue}},
		{request: "GET /playQueues/10?own=1", want: named{Class: affinity.PlayQueue}},
		{request: "GET /player/playback/playMedia?machineIdentifier=abc123", want: named{Server: "abc123"}},
		{
			request: "GET /video/:/transcode/universal/decision?session=s1&X-Plex-Session-Identifier=s2&" + web + "&X-Plex-Session-Id=x",
			want:    named{Class: affinity.Decision, Client: "c1", Token: "t1", Sessions: []string{"s1", "s2"}, Play: "begins"},
		},
		{
			request: "GET /video/:/transcode/universal/start.mpd?session=s1&X-Plex-Session-Identifier=s1",
			want:    named{Class: affinity.Decision, Sessions: []string{"s1"}, Play: "begins"},
		},
		{request: "GET /music/:/transcode/universal/start.m3u8", want: named{Class: affinity.Decision, Play: "begins"}},
		{
			request: "GET /video/:/transcode/universal/session/s1/0/17.m4s",
			want:    named{Class: affinity.Segment, Sessions: []string{"s1"}, InPath: true, Play: "reads"},
		},
		{
			request: "GET /audio/:/transcode/universal/dash/s1/0/initial.mp4",
			want:    named{Class: affinity.Segment, Sessions: []string{"s1"}, InPath: true, Play: "reads"},
		},
		{request: "GET /video/:/transcode/universal/session/", want: named{Class: affinity.Segment, Play: "reads"}},
		{
			request: "GET /video/:/transcode/universal/subtitles?session=s1",
			want:    named{Class: affinity.Segment, Sessions: []string{"s1"}},
		},
		{
			request: "GET /video/:/transcode/universal/ping?session=s1",
			want:    named{Class: affinity.Timeline, Sessions: []string{"s1"}, Play: "reads"},
		},
		{
			request: "GET /video/:/transcode/universal/stop?session=s1",
			want:    named{Class: affinity.Timeline, Sessions: []string{"s1"}, Play: "ends"},
		},
		{
			request: "GET /library/metadata/1?transcodeSessionId=s%2F1", want: named{Sessions: []string{"s/1"}},
		},
		{
			request: "GET /:/timeline?state=playing&time=1000&" + web,
			want:    named{Class: affinity.Timeline, Client: "c1", Token: "t1", Play: "plays"},
		},
		{
			request: "POST /:/timeline?state=stopped",
			headers: []string{"X-Plex-Client-Identifier: tv", "X-Plex-Token: t3", "X-Plex-Session-Identifier: s3"},
			want:    named{Class: affinity.Timeline, Client: "tv", Token: "t3", Sessions: []string{"s3"}, Play: "ends"},
		},
		{request: "GET /:/timeline?state=buffering", want: named{Class: affinity.Timeline, Play: "plays"}},
		{request: "GET /:/timeline?state=paused", want: named{Class: affinity.Timeline, Play: "pauses"}},
		{request: "GET /:/timeline?time=1000", want: named{Class: affinity.Timeline}},
		{request: "GET /library/metadata/1?state=paused", want: named{}},
		{request: "GET /:/scrobble?key=1", want: named{Class: affinity.Timeline}},
		{request: "GET /:/websockets/notifications?X-Plex-Token=t1", want: named{Class: affinity.Push, Token: "t1"}},
		{request: "GET /:/websocket/notifications", want: named{Class: affinity.Push}},
		{request: "GET /:/eventsource/notifications?filters=playing", want: named{Class: affinity.Push}},
		{request: "GET /library/parts/1/17/film.mkv?X-Plex-Token=t1", want: named{Class: affinity.Part, Token: "t1", Play: "reads"}},
		{request: "GET /downloadQueue/1/item/2/media?X-Plex-Token=t1", want: named{Token: "t1", Play: "reads"}},
		{request: "GET /downloadQueue/1/items", want: named{}},
		{request: "PUT /library/parts/1?audioStreamID=2", want: named{Class: affinity.Write}},
		{request: "DELETE /library/metadata/1", want: named{Class: affinity.Write}},
		{
			request: "GET /library?X-Plex-Client-Identifier=query", headers: []string{"X-Plex-Client-Identifier: header"},
			want: named{Client: "header"},
		},
		{request: "GET /library?x-plex-client-identifier=c1&X-Plex-Token", want: named{}},
		{request: "GET /library?X-Plex-Token=%zz&X-Plex-Client-Identifier=a%20b+c", want: named{Client: "a b c"}},
		{
			request: "GET /library?session=1&session=2&session=1&transcodeSessionId=3&session=4&session=5",
			want:    named{Sessions: []string{"1", "2", "3", "4"}},
		},
		{
			request: "GET /library", headers: []string{"X-Plex-Token: " + strings.Repeat("x", 2048)},
			want: named{Token: strings.Repeat("x", 2048)},
		},
		{
			request: "GET /library?X-Plex-Token=" + strings.Repeat("x", 2049), headers: []string{"X-Plex-Client-Identifier: " + strings.Repeat("x", 2049)},
			want: named{},
		},
	} {
		t.Run(tt.request[:min(len(tt.request), 70)], func(t *testing.T) {
			got := affinity.Parse(request(t, tt.request, tt.headers...)).Named()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	r := request(t, "GET "+decision("c1", "t1", "s1"), "Cookie: plexha_node=plex1")
	if got := testing.AllocsPerRun(100, func() { affinity.Parse(r) }); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// FuzzParse reads whatever comes. No panic, no endless keys, and what Plex Web's own files name is nothing.
func FuzzParse(f *testing.F) {
	for _, head := range []string{
		"GET " + decision("c1", "t1", "s1") + " HTTP/1.1\r\nHost: plex\r\n\r\n",
		"GET /web/index.html HTTP/1.1\r\nHost: plex\r\nCookie: plexha_node=plex1; plexha_node=\r\n\r\n",
		"GET /photo/:/transcode?url=%2F%3FX-Plex-Token%3D%25&X-Plex-Token HTTP/1.1\r\nHost: plex\r\n\r\n",
		"POST /video/:/transcode/universal/session// HTTP/1.1\r\nHost: plex\r\nX-Plex-Session-Identifier: \r\n\r\n",
		"GET /?uri=server%3A%2F%2F&machineIdentifier=%&&=&session=%00 HTTP/1.1\r\nHost: plex\r\nX-Plex-Token: t\r\n\r\n",
	} {
		f.Add(head)
	}
	f.Fuzz(func(t *testing.T, head string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil {
			return
		}
		k := affinity.Parse(r)
		n := k.Named()
		for _, key := range append([]string{n.Server, n.Client, n.Token, n.Cookie}, n.Sessions...) {
			if len(key) > 2048 {
				t.Errorf("a key of %d bytes", len(key))
			}
		}
		if n.Class == affinity.Web && (n.Client != "" || n.Token != "" || n.Sessions != nil || n.Server != "") {
			t.Errorf("a file of Plex Web names %+v", n)
		}
		if !slices.Contains(affinity.Classes(), n.Class) {
			t.Errorf("class %d", n.Class)
		}
		s := house(t, "plex1", "plex2")
		p := s.placeKeys(k)
		s.table.Answered(k, p, "plex1", http.StatusOK, s.snapshot(), s.now)
		if p := s.placeKeys(k); p.Node != "" && p.Node != "plex1" && p.Node != "plex2" {
			t.Errorf("placed at %q", p.Node)
		}
	})
}

func TestClassesHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for i, c := range affinity.Classes() {
		if int(c) != i || c.String() == "" || seen[c.String()] {
			t.Errorf("class %d is %q", c, c)
		}
		seen[c.String()] = true
	}
}
