package standin

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// fill reads the server's answer into c, be it JSON or XML.
func fill(c *container, then func() error) func(answer) error {
	return func(r answer) error {
		var err error
		if strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
			err = json.NewDecoder(r.body).Decode(&struct{ MediaContainer *container }{c})
		} else {
			err = xml.NewDecoder(r.body).Decode(c)
		}
		if err != nil {
			return err
		}
		if err := r.discard(); err != nil {
			return err
		}
		return then()
	}
}

// webFile finds the files that Plex Web's index page names.
var webFile = regexp.MustCompile(`"(/web/[^"]+)"`)

func (b *Playback) loadApp(ctx context.Context) {
	b.do(ctx, ask{path: "/web/index.html", anywhere: true, read: func(r answer) error {
		page, err := io.ReadAll(r.body)
		for _, m := range webFile.FindAllSubmatch(page, -1) {
			b.files = append(b.files, string(m[1]))
		}
		if err == nil && len(b.files) == 0 {
			err = errors.New("the page names no files")
		}
		return err
	}})
}

// loadFiles asks for 8 files at a time, as browsers do.
func (b *Playback) loadFiles(ctx context.Context) {
	for group := range slices.Chunk(b.files, 8) {
		var asks []ask
		for _, f := range group {
			asks = append(asks, ask{path: f, anywhere: true})
		}
		b.do(ctx, asks...)
	}
}

// greet learns which server it talks to.
func (b *Playback) greet(ctx context.Context) { b.learnIdentity(ctx, "/") }

func (b *Playback) askIdentity(ctx context.Context) { b.learnIdentity(ctx, "/identity") }

func (b *Playback) learnIdentity(ctx context.Context, path string) {
	var c container
	b.do(ctx, ask{path: path, ids: b.client.ids(), read: fill(&c, func() error { return b.meet(c.MachineIdentifier) })})
}

// meet takes the server's name for its own, and notices another one. One that refuses goes no further.
func (b *Playback) meet(identity string) error {
	switch {
	case identity == "":
		return errors.New("no machineIdentifier")
	case b.identity == "":
		b.identity = identity
	case b.identity != identity:
		b.refused = b.client.Kind == StrictApp
		return fmt.Errorf("another server: machineIdentifier %s, want %s", identity, b.identity)
	}
	return nil
}

func (b *Playback) readSections(ctx context.Context) {
	var c container
	b.do(ctx, ask{path: "/library/sections", ids: b.client.ids(), read: fill(&c, func() error {
		if len(c.Directory) == 0 {
			return errors.New("no sections")
		}
		b.section = c.Directory[0].Key
		return nil
	})})
}

// choose takes the film to be played from a list.
func (b *Playback) choose(films []metadata) error {
	if b.client.Film >= len(films) {
		return fmt.Errorf("%d films, want one more than %d", len(films), b.client.Film)
	}
	b.film = films[b.client.Film]
	return nil
}

func (b *Playback) readHubs(ctx context.Context) {
	var c container
	b.do(ctx, ask{
		path: "/hubs/sections/" + b.section, ids: b.client.ids(),
		query: url.Values{"count": {"12"}, "includeLibraryPlaylists": {"1"}, "X-Plex-Provider-Version": {"6.3"}},
		read: fill(&c, func() error {
			if len(c.Hub) == 0 {
				return errors.New("no hubs")
			}
			return b.choose(c.Hub[0].Metadata)
		}),
	})
}

func (b *Playback) readSection(ctx context.Context) {
	var c container
	b.do(ctx, ask{
		path: "/library/sections/" + b.section + "/all", ids: b.client.ids(), query: url.Values{"sort": {"titleSort"}},
		read: fill(&c, func() error { return b.choose(c.Metadata) }),
	})
}

func (b *Playback) readPhoto(ctx context.Context) {
	b.do(ctx, ask{path: "/photo/:/transcode", ids: idsToken, query: url.Values{
		"width": {"240"}, "height": {"360"}, "minSize": {"1"}, "upscale": {"1"},
		"url": {b.film.Thumb + "?X-Plex-Token=" + b.client.Token},
	}})
}

func (b *Playback) makeQueue(ctx context.Context) {
	var c container
	b.do(ctx, ask{
		method: http.MethodPost, path: "/playQueues", ids: b.client.ids(),
		query: url.Values{
			"type": {"video"}, "repeat": {"0"}, "own": {"1"}, "includeChapters": {"1"},
			"uri": {"server://" + b.identity + "/com.plexapp.plugins.library" + b.film.Key},
		},
		read: fill(&c, func() error {
			b.queue = c.PlayQueueID
			return b.meet(c.MachineIdentifier)
		}),
	})
}

func (b *Playback) readQueue(ctx context.Context) {
	b.do(ctx, ask{path: "/playQueues/" + strconv.Itoa(b.queue), ids: b.client.ids(), query: url.Values{"own": {"1"}}})
}

// readMetadata checks that the number still means the film that the list had it for.
func (b *Playback) readMetadata(ctx context.Context) {
	var c container
	b.do(ctx, ask{
		path: "/library/metadata/" + b.film.RatingKey, ids: b.client.ids(), query: url.Values{"checkFiles": {"1"}},
		read: fill(&c, func() error {
			if len(c.Metadata) != 1 || c.Metadata[0].GUID != b.film.GUID {
				return fmt.Errorf("item %s is another film", b.film.RatingKey)
			}
			return nil
		}),
	})
}

// plan returns the parameters that decision and start share.
func (b *Playback) plan() url.Values {
	v := url.Values{
		"hasMDE": {"1"}, "path": {b.film.Key}, "mediaIndex": {"0"}, "partIndex": {"0"}, "fastSeek": {"1"},
		"directPlay": {"0"}, "directStream": {"1"}, "subtitles": {"burn"}, "protocol": {"hls"},
	}
	switch b.client.Kind {
	case PlexWeb, Guest:
		v.Set("protocol", "dash")
		v.Set("session", b.session)
		v.Set("X-Plex-Incomplete-Segments", "1")
	case StrictApp:
		v.Set("transcodeSessionId", b.session)
	case DirectPlay:
		v.Set("protocol", "http")
		v.Set("directPlay", "1")
		v.Set("session", b.session)
	default:
		v.Set("session", b.session)
	}
	return v
}

func (b *Playback) decide(ctx context.Context) {
	b.do(ctx, ask{path: "/video/:/transcode/universal/decision", ids: b.client.ids(), playing: true, query: b.plan()})
}

func (b *Playback) startDASH(ctx context.Context) {
	b.do(ctx, ask{path: "/video/:/transcode/universal/start.mpd", ids: b.client.ids(), playing: true, query: b.plan()})
}

// segment is the path of something in the session. Players ask for it without saying who they are.
func (b *Playback) segment(rest string) ask {
	return ask{path: "/video/:/transcode/universal/session/" + b.session + "/" + rest, read: b.paused}
}

func (b *Playback) readHeaders(ctx context.Context) {
	b.do(ctx, b.segment("0/header"), b.segment("1/header"))
}

// readDASH reads the nth segment of both representations.
func (b *Playback) readDASH(ctx context.Context, n int) {
	b.do(ctx, b.segment(fmt.Sprintf("0/%d.m4s", n)), b.segment(fmt.Sprintf("1/%d.m4s", n)))
}

func (b *Playback) startHLS(ctx context.Context) {
	const start = "/video/:/transcode/universal/start.m3u8"
	b.do(ctx, ask{path: start, ids: b.client.ids(), playing: true, query: b.plan(), read: b.readList(start)})
}

func (b *Playback) readPlaylist(ctx context.Context) {
	if len(b.segments) == 0 {
		b.fail("no playlist")
		return
	}
	list := b.segments[0]
	b.do(ctx, ask{path: list, read: b.readList(list)})
}

// readList reads the paths in an HLS playlist, which are relative to its own.
func (b *Playback) readList(at string) func(answer) error {
	return func(r answer) error {
		b.segments = nil
		lines := bufio.NewScanner(r.body)
		for lines.Scan() {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
				b.segments = append(b.segments, path.Join(path.Dir(at), line))
			}
		}
		return lines.Err()
	}
}

func (b *Playback) readHLS(ctx context.Context, n int) {
	if n >= len(b.segments) {
		b.fail("the playlist names no such segment")
		return
	}
	b.do(ctx, ask{path: b.segments[n], read: b.paused})
}

// fail notes that something could not be asked for.
func (b *Playback) fail(why string) { b.steps = append(b.steps, Step{Name: b.doing, Err: why}) }

// timeline returns the action that says where the player is. A strict app posts it.
func timeline(name, state string, ms int) action {
	return action{name, func(b *Playback, ctx context.Context) {
		a := ask{path: "/:/timeline", ids: b.client.ids(), playing: true, query: url.Values{
			"ratingKey": {b.film.RatingKey}, "key": {b.film.Key}, "state": {state}, "hasMDE": {"1"},
			"time": {strconv.Itoa(ms)}, "playbackTime": {strconv.Itoa(ms)}, "duration": {"634000"},
		}}
		if b.queue != 0 {
			a.query.Set("playQueueItemID", strconv.Itoa(b.queue*10+1))
		}
		if b.client.Kind == StrictApp {
			a.method = http.MethodPost
		}
		if s := b.do(ctx, a)[0]; s.Err == "" {
			b.told = s.Node
		}
	}}
}

func (b *Playback) ping(ctx context.Context) {
	b.do(ctx, ask{path: "/video/:/transcode/universal/ping", ids: b.client.ids(), query: url.Values{"session": {b.session}}})
}

func (b *Playback) stop(ctx context.Context) {
	b.do(ctx, ask{path: "/video/:/transcode/universal/stop", ids: b.client.ids(), query: url.Values{"session": {b.session}}})
}

func (b *Playback) scrobble(ctx context.Context) {
	b.do(ctx, ask{path: "/:/scrobble", ids: b.client.ids(), query: url.Values{
		"key": {b.film.RatingKey}, "identifier": {"com.plexapp.plugins.library"},
	}})
}

func (b *Playback) readContinue(ctx context.Context) {
	b.do(ctx, ask{path: "/hubs/sections/" + b.section + "/continueWatching/items", ids: b.client.ids()})
}

func (b *Playback) readPlaylists(ctx context.Context) {
	b.do(ctx, ask{path: "/playlists/all", ids: b.client.ids(), query: url.Values{"type": {"15"}}})
}
