package affinity_test

import (
	"fmt"
	"net/http"
	"testing"

	"plexha/zones"
)

// decision is the target of a recorded decision of Plex Web.
func decision(client, token, session string) string {
	return transcode("decision", client, token, session)
}

func transcode(what, client, token, session string) string {
	return "/video/:/transcode/universal/" + what + "?hasMDE=1&path=%2Flibrary%2Fmetadata%2F1&mediaIndex=0&partIndex=0" +
		"&protocol=dash&fastSeek=1&directPlay=0&directStream=1&subtitleSize=100&audioBoost=100&location=lan" +
		"&session=" + session + "&subtitles=burn&Accept-Language=en&X-Plex-Session-Identifier=" + session +
		"&X-Plex-Client-Profile-Extra=append-transcode-target-codec%28type%3DvideoProfile%26context%3Dstreaming%26protocol%3Ddash%29" +
		"&X-Plex-Incomplete-Segments=1&X-Plex-Product=Plex%20Web&X-Plex-Version=4.116.1&X-Plex-Client-Identifier=" + client +
		"&X-Plex-Platform=Chrome&X-Plex-Platform-Version=109.0&X-Plex-Features=external-media%2Cindirect-media" +
		"&X-Plex-Model=hosted&X-Plex-Device=Windows&X-Plex-Device-Screen-Resolution=1300x600%2C1920x1080" +
		"&X-Plex-Token=" + token + "&X-Plex-Language=en&X-Plex-Session-Id=7d2a"
}

// recorded returns the requests of a recorded playback of Plex Web, in their order. Segments name the session
// alone, photos and the websocket the token alone.
func recorded(server, client, token, session string) []string {
	c := as(client, token)
	lines := []string{
		"GET /identity?" + c,
		"GET /?" + c,
		"GET /:/websockets/notifications?X-Plex-Token=" + token,
		"GET /hubs/sections/1?count=12&" + c + "&X-Plex-Provider-Version=6.3",
		"GET /photo/:/transcode?width=240&height=360&url=%2Flibrary%2Fmetadata%2F1%2Fthumb%2F17%3FX-Plex-Token%3D" + token + "&X-Plex-Token=" + token,
		"POST /playQueues?type=video&uri=server%3A%2F%2F" + server + "%2Fcom.plexapp.plugins.library%2Flibrary%2Fmetadata%2F1&" + c,
		"GET /library/metadata/1?checkFiles=1&" + c,
		"GET " + transcode("decision", client, token, session),
		"GET " + transcode("start.mpd", client, token, session),
		"GET /status/sessions?" + c,
	}
	for part := range 8 {
		for stream := range 2 {
			lines = append(lines, fmt.Sprintf("GET /video/:/transcode/universal/session/%s/%d/%d.m4s", session, stream, part))
		}
		lines = append(lines, "GET /:/timeline?ratingKey=1&state=playing&"+c+"&X-Plex-Session-Identifier="+session)
	}
	return append(lines, "GET /playQueues/10?own=1&"+c, "GET /:/timeline?state=stopped&"+c+"&X-Plex-Session-Identifier="+session)
}

// Every request of a playback goes to the node that the client has met at GET /.
func TestRecordedPlaybackIsWhole(t *testing.T) {
	for _, count := range []int{2, 3, 5} {
		t.Run(fmt.Sprintf("%d nodes", count), func(t *testing.T) {
			s := house(t, []zones.NodeName{"plex1", "plex2", "plex3", "plex4", "plex5"}[:count]...)
			const clients = 120
			got := map[zones.NodeName]int{}
			for i := range clients {
				client, token, session := fmt.Sprintf("client%d", i), fmt.Sprintf("token%d", i), fmt.Sprintf("session%d", i)
				met := s.place("GET /?" + as(client, token)).Node
				for _, line := range recorded("id-"+string(met), client, token, session) {
					s.goes(met, line)
				}
				got[met]++
			}
			for _, n := range s.nodes {
				if fair := clients / count; got[n.Name] < fair/2 || got[n.Name] > 2*fair {
					t.Errorf("%s has %d of %d clients", n.Name, got[n.Name], clients)
				}
			}
		})
	}
}

// A second proxy that knows nothing goes on with a playback, from any point of it.
func TestPlaybackGoesOnThroughAnotherProxy(t *testing.T) {
	s := house(t, "plex1", "plex2", "plex3")
	met := s.place("GET /?" + as("c1", "t1")).Node
	lines := recorded("id-"+string(met), "c1", "t1", "s1")
	for cut := range lines {
		first, second := s.otherProxy(), s.otherProxy()
		for _, line := range lines[:cut] {
			first.goes(met, line)
		}
		for _, line := range lines[cut:] {
			p := second.place(line)
			switch {
			case p.Node == "" && p.Ask != 0:
				second.answered(met, http.StatusOK, line)
			case p.Node != met || p.Refuse:
				t.Errorf("from request %d on: %s goes to %q by %v, want %s", cut, line, p.Node, p.By, met)
			default:
				second.goes(met, line)
			}
		}
	}
}
