package standin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// actions returns what an app of that kind does for a playback, in order.
func (c Client) actions() []action {
	switch c.Kind {
	case PlexWeb, Guest:
		return c.webActions()
	case TVApp:
		return c.tvActions()
	case DirectPlay:
		return c.directActions()
	case StrictApp:
		return c.strictActions()
	default:
		return nil
	}
}

// webActions are those of a recorded session of Plex Web 4.116.1. Before them it asks whom it talks to, and how the
// sections are numbered. A guest may not ask who else is watching.
func (c Client) webActions() []action {
	status := action{"status", func(b *Playback, ctx context.Context) { b.do(ctx, ask{path: "/status/sessions", ids: idsQuery}) }}
	all := slices.Concat(
		[]action{
			{"app", (*Playback).loadApp},
			{"files", (*Playback).loadFiles},
			{"root", (*Playback).greet},
			{"sections", (*Playback).readSections},
			c.listen(),
			{"hubs", (*Playback).readHubs},
			{"photo", (*Playback).readPhoto},
			{"queue", (*Playback).makeQueue},
			{"metadata", (*Playback).readMetadata},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startDASH},
			status,
			{"headers", (*Playback).readHeaders},
		},
		watch(0, c.Segments/2, (*Playback).readDASH),
		[]action{timeline("timeline", "playing", 1000), {"notification", (*Playback).awaitNotification}},
		watch(c.Segments/2, c.Segments, (*Playback).readDASH),
		[]action{
			timeline("timeline 9s", "playing", 9000),
			{"queue again", (*Playback).readQueue},
			status,
			timeline("stopped", "stopped", 19000),
			{"continue", (*Playback).readContinue},
			{"all", (*Playback).readSection},
			{"playlists", (*Playback).readPlaylists},
		},
	)
	if c.Kind == Guest {
		all = slices.DeleteFunc(all, func(a action) bool { return a.name == status.name })
	}
	return all
}

// tvActions are those of an app on a television.
func (c Client) tvActions() []action {
	return slices.Concat(
		[]action{
			{"root", (*Playback).greet},
			c.listen(),
			{"sections", (*Playback).readSections},
			{"all", (*Playback).readSection},
			{"photo", (*Playback).readPhoto},
			{"metadata", (*Playback).readMetadata},
			{"queue", (*Playback).makeQueue},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startHLS},
			{"playlist", (*Playback).readPlaylist},
		},
		watch(0, c.Segments/2, (*Playback).readHLS),
		[]action{timeline("timeline", "playing", 1000), {"notification", (*Playback).awaitNotification}, {"ping", (*Playback).ping}},
		watch(c.Segments/2, c.Segments, (*Playback).readHLS),
		[]action{
			timeline("timeline 9s", "playing", 9000),
			timeline("stopped", "stopped", 19000),
			{"stop", (*Playback).stop},
			{"scrobble", (*Playback).scrobble},
		},
	)
}

// directActions are those of an app that needs no transcoder.
func (c Client) directActions() []action {
	return []action{
		{"root", (*Playback).greet},
		{"sections", (*Playback).readSections},
		{"all", (*Playback).readSection},
		{"metadata", (*Playback).readMetadata},
		{"decision", (*Playback).decide},
		{"head", (*Playback).headFile},
		timeline("timeline", "playing", 1000),
		{"first half", (*Playback).readFirstHalf},
		timeline("timeline 9s", "playing", 9000),
		{"second half", (*Playback).readSecondHalf},
		{"two ranges", (*Playback).readRanges},
		timeline("stopped", "stopped", 19000),
		{"scrobble", (*Playback).scrobble},
	}
}

// strictActions are those of an app that was set up with one server and wants to stay with it.
func (c Client) strictActions() []action {
	return slices.Concat(
		[]action{
			{"root", (*Playback).greet},
			{"identity", (*Playback).askIdentity},
			{"sections", (*Playback).readSections},
			{"all", (*Playback).readSection},
			{"metadata", (*Playback).readMetadata},
			{"root again", (*Playback).greet},
			{"decision", (*Playback).decide},
			{"start", (*Playback).startHLS},
			{"playlist", (*Playback).readPlaylist},
		},
		watch(0, c.Segments, (*Playback).readHLS),
		[]action{
			timeline("timeline", "playing", 1000),
			{"identity again", (*Playback).askIdentity},
			timeline("stopped", "stopped", 19000),
			{"root at last", (*Playback).greet},
		},
	)
}

// watch returns the actions that read segments from until before to, one after the other.
func watch(from, to int, read func(*Playback, context.Context, int)) []action {
	var all []action
	for n := from; n < to; n++ {
		all = append(all, action{"segment " + strconv.Itoa(n), func(b *Playback, ctx context.Context) { read(b, ctx, n) }})
	}
	return all
}

// ids is where this kind of app says who it is.
func (c Client) ids() ids {
	if c.Kind == PlexWeb || c.Kind == Guest {
		return idsQuery
	}
	return idsHeader
}

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

// file returns the film's file.
func (b *Playback) file() part {
	if len(b.film.Media) == 0 || len(b.film.Media[0].Part) == 0 {
		return part{}
	}
	return b.film.Media[0].Part[0]
}

// bytes returns the ask for a range of the file, both ends included, as the file's bytes must be.
func (b *Playback) bytes(from, to int64, header http.Header) ask {
	h := header.Clone()
	h.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
	return ask{
		path: b.file().Key, ids: idsHeader, header: h, status: http.StatusPartialContent,
		read: func(r answer) error {
			b.etag = r.header.Get("Etag")
			return b.compare(r.body, from, to-from+1)
		},
	}
}

func (b *Playback) headFile(ctx context.Context) {
	b.do(ctx, ask{
		method: http.MethodHead, path: b.file().Key, ids: idsHeader,
		read: func(r answer) error {
			if r.length != b.file().Size {
				return fmt.Errorf("a file of %d bytes, want %d", r.length, b.file().Size)
			}
			return nil
		},
	})
}

func (b *Playback) readFirstHalf(ctx context.Context) {
	b.do(ctx, b.bytes(0, b.file().Size/2-1, http.Header{}))
}

// readSecondHalf wants the rest of the very file that it has the first half of.
func (b *Playback) readSecondHalf(ctx context.Context) {
	b.do(ctx, b.bytes(b.file().Size/2, b.file().Size-1, http.Header{"If-Range": {b.etag}}))
}

func (b *Playback) readRanges(ctx context.Context) {
	const size, second = 100, 1000
	a := b.bytes(0, 0, http.Header{})
	a.header.Set("Range", fmt.Sprintf("bytes=0-%d,%d-%d", size-1, second, second+size-1))
	a.read = func(r answer) error {
		_, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
		if err != nil {
			return fmt.Errorf("parsing the type of two ranges: %w", err)
		}
		parts := multipart.NewReader(r.body, params["boundary"])
		for _, from := range []int64{0, second} {
			p, err := parts.NextPart()
			if err != nil {
				return fmt.Errorf("reading the range from %d: %w", from, err)
			}
			if err := b.compare(p, from, size); err != nil {
				return err
			}
		}
		return r.discard()
	}
	b.do(ctx, a)
}

// compare reads n bytes, no fewer and no more, that must be the film's from offset on.
func (b *Playback) compare(body io.Reader, offset, n int64) error {
	want := newFootage(b.file().Size, b.identity, "part", strconv.Itoa(b.file().ID))
	if _, err := want.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	read, err := io.Copy(&comparison{want: want}, b.pausing(body, n/2))
	if err == nil && read != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("after %d of %d bytes from %d: %w", read, n, offset, err)
	}
	return nil
}

// comparison takes only what it wants.
type comparison struct {
	want io.Reader
	buf  []byte
}

func (c *comparison) Write(b []byte) (int, error) {
	c.buf = slices.Grow(c.buf[:0], len(b))[:len(b)]
	if n, err := io.ReadFull(c.want, c.buf); err != nil {
		return n, errors.New("too many bytes")
	}
	if !bytes.Equal(b, c.buf) {
		return 0, errors.New("bytes of another film")
	}
	return len(b), nil
}

// paused reads a body to its end, with the client's pause in the middle.
func (b *Playback) paused(r answer) error {
	_, err := io.Copy(io.Discard, b.pausing(r.body, max(0, r.length/2)))
	return err
}

// pausing returns a reader of the body that pauses once after that many bytes.
func (b *Playback) pausing(body io.Reader, after int64) io.Reader {
	if b.client.Pause == nil {
		return body
	}
	pause := sync.OnceFunc(b.client.Pause)
	rest := readerFunc(func(p []byte) (int, error) {
		pause()
		return body.Read(p)
	})
	return io.MultiReader(io.LimitReader(body, after), rest)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
