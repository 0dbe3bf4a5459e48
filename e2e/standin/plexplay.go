package standin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// play is one playback, begun by a decision.
type play struct {
	session  string // of the transcoder
	playback string // X-Plex-Session-Identifier
	client   string
	token    string
	key      int // of the film
	protocol string

	started bool // the transcoder works
	stopped bool
	state   string // of the player, as its timeline says
	time    int    // ms
}

// plays is what this server alone knows: its playbacks and its queues.
type plays struct {
	segmentSize int64

	mu     sync.Mutex
	all    []*play        // in the order of their decisions
	by     map[string]int // an index into all, by session
	queues map[int]int    // ratingKey, by playQueueID
	queue  int            // the last playQueueID
}

func newPlays(o PlexOptions) plays {
	return plays{segmentSize: o.SegmentSize, by: map[string]int{}, queues: map[int]int{}, queue: o.IDBase}
}

// sessionParam returns the transcode session that decision, start, ping and stop are about.
func sessionParam(r *http.Request) string {
	return cmp.Or(sessionOf(r), param(r, "X-Plex-Session-Identifier"), param(r, "X-Plex-Client-Identifier"))
}

// decide begins a playback, or changes one that has the same session.
func (ps *plays) decide(r *http.Request, key int) {
	q := r.URL.Query()
	n := &play{
		session: sessionParam(r), playback: param(r, "X-Plex-Session-Identifier"),
		client: param(r, "X-Plex-Client-Identifier"), token: param(r, "X-Plex-Token"), key: key, protocol: q.Get("protocol"),
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if i, ok := ps.by[n.session]; ok {
		ps.all[i] = n
		return
	}
	ps.by[n.session] = len(ps.all)
	ps.all = append(ps.all, n)
}

// decided tells whether the client of the request has asked for a decision about that film.
func (ps *plays) decided(r *http.Request, key int) bool {
	client, token := param(r, "X-Plex-Client-Identifier"), param(r, "X-Plex-Token")
	return slices.ContainsFunc(ps.snapshot(), func(p play) bool {
		return p.key == key && (client != "" && p.client == client || client == "" && p.token == token)
	})
}

// change changes the playback of that session, and tells whether there is one.
func (ps *plays) change(session string, change func(*play)) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	i, ok := ps.by[session]
	if ok {
		change(ps.all[i])
	}
	return ok
}

// report takes what a timeline says, and returns the playback that it is about, the client's last one. Without
// a decision there is none, but a server plays along.
func (ps *plays) report(r *http.Request, state string, ms int) play {
	playback, client := param(r, "X-Plex-Session-Identifier"), param(r, "X-Plex-Client-Identifier")
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range slices.Backward(ps.all) {
		if playback != "" && p.playback == playback || playback == "" && p.client == client {
			p.state, p.time, p.stopped = state, ms, p.stopped || state == "stopped"
			return *p
		}
	}
	return play{playback: playback, client: client, state: state, time: ms}
}

// snapshot returns all playbacks as they are now.
func (ps *plays) snapshot() []play {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	all := make([]play, len(ps.all))
	for i, p := range ps.all {
		all[i] = *p
	}
	return all
}

// transcoding returns the playbacks for which the transcoder works.
func (ps *plays) transcoding() []play {
	return slices.DeleteFunc(ps.snapshot(), func(p play) bool { return !p.started || p.stopped })
}

// enqueue makes a queue of one film and returns its number.
func (ps *plays) enqueue(key int) int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.queue++
	ps.queues[ps.queue] = key
	return ps.queue
}

func (ps *plays) queued(id string) (key int, ok bool) {
	n, _ := strconv.Atoi(id) // 0 is no queue's
	ps.mu.Lock()
	defer ps.mu.Unlock()
	key, ok = ps.queues[n]
	return key, ok
}

func (p *Plex) routeTranscode(m *http.ServeMux, base string) {
	m.HandleFunc("GET "+base+"decision", p.forUsers(p.serveDecision))
	m.HandleFunc("GET "+base+"start.mpd", p.forUsers(p.serveStart))
	m.HandleFunc("GET "+base+"start.m3u8", p.forUsers(p.serveStart))
	m.HandleFunc("GET "+base+"session/{session}/{rest...}", p.serveSegment)
	m.HandleFunc("GET "+base+"dash/{session}/{rest...}", p.serveSegment)
	m.HandleFunc("GET "+base+"ping", p.forUsers(p.servePing))
	m.HandleFunc("GET "+base+"stop", p.forUsers(p.serveStop))
}

func (p *Plex) routePlays(m *http.ServeMux) {
	m.HandleFunc("POST /playQueues", p.forUsers(p.serveNewQueue))
	m.HandleFunc("GET /playQueues/{id}", p.forUsers(p.serveQueue))
	m.HandleFunc("/:/timeline", p.forUsers(p.serveTimeline))
	for path, change := range map[string]func(*film){
		"/:/scrobble":   func(f *film) { f.viewCount++; f.viewOffset = 0 },
		"/:/unscrobble": func(f *film) { f.viewCount = 0 },
		"/:/rate":       nil,
	} {
		m.HandleFunc(path, p.forUsers(func(w http.ResponseWriter, r *http.Request) {
			if !p.library.change(r.FormValue("key"), change) {
				http.NotFound(w, r)
			}
		}))
	}
	m.HandleFunc("GET /status/sessions", p.forOwner(p.serveSessions))
	m.HandleFunc("GET /transcode/sessions", p.forOwner(p.serveTranscodes))
	m.HandleFunc("GET /statistics/resources", p.forOwner(func(w http.ResponseWriter, r *http.Request) { reply(w, r, container{}) }))
}

func (p *Plex) serveDecision(w http.ResponseWriter, r *http.Request) {
	f, ok := p.library.byPath(r.URL.Query().Get("path"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	p.plays.decide(r, f.key)
	reply(w, r, container{GeneralDecisionCode: 1001, Metadata: []metadata{p.library.metadata(f)}})
}

// serveStart sets the transcoder to work. Where the segments are is relative to it.
func (p *Plex) serveStart(w http.ResponseWriter, r *http.Request) {
	session := sessionParam(r)
	if !p.plays.change(session, func(p *play) { p.started, p.stopped = true, false }) {
		http.Error(w, "no decision", http.StatusBadRequest)
		return
	}
	if strings.HasSuffix(r.URL.Path, ".m3u8") {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		_, _ = fmt.Fprintf(w, "#EXTM3U\n#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=4000000\nsession/%s/base/index.m3u8\n", session)
		return
	}
	w.Header().Set("Content-Type", "application/dash+xml")
	_, _ = fmt.Fprintf(w, `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic"><Period>`+
		`<SegmentTemplate initialization="session/%s/$RepresentationID$/header" media="session/%s/$RepresentationID$/$Number$.m4s"/>`+
		"</Period></MPD>\n", session, session)
}

// segmentsListed is how many segments an HLS playlist names.
const segmentsListed = 100

// serveSegment answers with a piece of what the transcoder makes; 404 for a session that is not at work here.
func (p *Plex) serveSegment(w http.ResponseWriter, r *http.Request) {
	works := false
	p.plays.change(r.PathValue("session"), func(p *play) { works = p.started && !p.stopped })
	if !works {
		http.NotFound(w, r)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/base/index.m3u8") {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		_, _ = io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n")
		for n := range segmentsListed {
			_, _ = fmt.Fprintf(w, "#EXTINF:1,\n%05d.ts\n", n)
		}
		return
	}
	w.Header().Set("Content-Type", "video/mp4")
	w.Header().Set("Content-Length", strconv.FormatInt(p.plays.segmentSize, 10))
	_, _ = io.Copy(w, newFootage(p.plays.segmentSize, p.Identity(), r.URL.Path))
}

func (p *Plex) servePing(w http.ResponseWriter, r *http.Request) {
	if !p.plays.change(sessionParam(r), func(*play) {}) {
		http.NotFound(w, r)
	}
}

func (p *Plex) serveStop(w http.ResponseWriter, r *http.Request) {
	if !p.plays.change(sessionParam(r), func(p *play) { p.stopped = true }) {
		http.NotFound(w, r)
	}
}

// serveNewQueue makes a queue of what uri= names, server://IDENTITY/com.plexapp.plugins.library/library/metadata/KEY.
func (p *Plex) serveNewQueue(w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Query().Get("uri"), "server://"+p.Identity()+"/com.plexapp.plugins.library")
	f, ok := p.library.byPath(path)
	if !ours || !ok {
		http.NotFound(w, r)
		return
	}
	p.replyQueue(w, r, p.plays.enqueue(f.key), f)
}

func (p *Plex) serveQueue(w http.ResponseWriter, r *http.Request) {
	key, _ := p.plays.queued(r.PathValue("id")) // 0 is no film's
	f, ok := p.library.byKey(strconv.Itoa(key))
	if !ok {
		http.NotFound(w, r)
		return
	}
	id, _ := strconv.Atoi(r.PathValue("id")) // it was found by it
	p.replyQueue(w, r, id, f)
}

func (p *Plex) replyQueue(w http.ResponseWriter, r *http.Request, id int, f film) {
	reply(w, r, container{
		MachineIdentifier: p.Identity(), PlayQueueID: id, PlayQueueSelectedItemID: id*10 + 1,
		Metadata: []metadata{p.library.metadata(f)},
	})
}

// serveTimeline notes where a player is, and tells everybody.
func (p *Plex) serveTimeline(w http.ResponseWriter, r *http.Request) {
	key, state := r.FormValue("ratingKey"), r.FormValue("state")
	ms, err := strconv.Atoi(r.FormValue("time"))
	if err != nil || !slices.Contains([]string{"playing", "paused", "buffering", "stopped"}, state) {
		http.Error(w, "no time, or no state", http.StatusBadRequest)
		return
	}
	if !p.library.change(key, func(f *film) { f.viewOffset = ms }) {
		http.NotFound(w, r)
		return
	}
	played := p.plays.report(r, state, ms)
	p.pushes.send(notification{Type: "playing", Size: 1, Playing: []playState{{
		Client: played.client, RatingKey: key, Key: "/library/metadata/" + key,
		ViewOffset: ms, State: state, Transcode: played.session,
	}}})
	reply(w, r, container{})
}

// serveSessions answers who is watching what.
func (p *Plex) serveSessions(w http.ResponseWriter, r *http.Request) {
	var c container
	for _, s := range p.plays.snapshot() {
		f, ok := p.library.byKey(strconv.Itoa(s.key))
		if !ok || s.state == "" || s.state == "stopped" {
			continue
		}
		m := p.library.metadata(f)
		m.Player = &player{MachineIdentifier: s.client, State: s.state}
		m.Session = &viewing{ID: s.playback}
		c.Metadata = append(c.Metadata, m)
	}
	reply(w, r, c)
}

func (p *Plex) serveTranscodes(w http.ResponseWriter, r *http.Request) {
	var c container
	for _, s := range p.plays.transcoding() {
		c.TranscodeSession = append(c.TranscodeSession, transcode{Key: s.session, Protocol: s.protocol})
	}
	reply(w, r, c)
}

// notification is what is pushed to who listens.
type notification struct {
	Type    string      `json:"type"`
	Size    int         `json:"size"`
	Playing []playState `json:"PlaySessionStateNotification,omitempty"`
	Works   []transcode `json:"TranscodeSession,omitempty"`
}

type playState struct {
	Client     string `json:"clientIdentifier"`
	RatingKey  string `json:"ratingKey"`
	Key        string `json:"key"`
	ViewOffset int    `json:"viewOffset"`
	State      string `json:"state"`
	Transcode  string `json:"transcodeSession,omitempty"`
}

// notificationContainer is the form that notifications have on the wire, in websockets and event streams alike.
type notificationContainer struct {
	NotificationContainer notification
}

func (n notification) encode() []byte {
	b, err := json.Marshal(notificationContainer{n})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}
