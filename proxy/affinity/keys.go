package affinity

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"plexha/zones"
)

const (
	// maxKey bounds a key's length in bytes; a longer one counts as none. Ids have 20 to 40 of them, tokens 20,
	// and those that are JSON web tokens some hundreds.
	maxKey = 2048
	// maxSessions bounds the session keys of one request: the recorded ones carry at most two.
	maxSessions = 4
)

// Keys is what a request names, with no memory of its own: strings are parts of the request.
type Keys struct {
	Class  Class
	Host   zones.NodeName // the node whose own name was asked for, set by the caller; empty: the main name
	Cookie zones.NodeName // what our cookie says, a node or not; empty: it did not come

	server   string              // the machineIdentifier that it is meant for
	client   string              // X-Plex-Client-Identifier
	token    string              // X-Plex-Token
	sessions [maxSessions]string // without repetition, the first ones set
	inPath   bool                // sessions[0] stands in the path
	read     bool                // GET or HEAD
	open     bool                // any node answers it to anybody: it proves nothing of the token
	act      Act
}

// namesNobody reports whether an answer can teach nothing: Plex Web's own files are among those.
func (k *Keys) namesNobody() bool { return k.client == "" && k.token == "" && k.sessions[0] == "" }

// Parse returns what the request names. It allocates only where a key is percent-encoded.
func Parse(r *http.Request) Keys {
	var k Keys
	k.readPath(r.Method, r.URL.Path)
	k.readCookies(r.Header["Cookie"])
	if k.Class == Web {
		return k // a Referer's or a query's keys are not those of who asks for a file
	}
	k.client = header(r, "X-Plex-Client-Identifier")
	k.token = header(r, "X-Plex-Token")
	k.readQuery(r.URL.RawQuery)
	k.addSession(header(r, "X-Plex-Session-Identifier"))
	return k
}

// header returns the first value of a header whose name is given in its canonical form.
func header(r *http.Request, name string) string {
	values := r.Header[name]
	if len(values) == 0 {
		return ""
	}
	return bounded(values[0])
}

func bounded(key string) string {
	if len(key) > maxKey {
		return ""
	}
	return key
}

func (k *Keys) addSession(id string) {
	if id == "" || slices.Contains(k.sessions[:], id) {
		return
	}
	if i := slices.Index(k.sessions[:], ""); i >= 0 {
		k.sessions[i] = id
	}
}

func (k *Keys) readPath(method, path string) {
	if method == http.MethodOptions {
		return // a browser asks whether it may ask: any node knows
	}
	k.read = method == http.MethodGet || method == http.MethodHead
	switch rest, universal := transcode(path); {
	case path == "/web" || strings.HasPrefix(path, "/web/") || path == "/favicon.ico":
		k.Class = Web
	case (path == "/" || path == "/identity") && method == http.MethodGet:
		k.Class, k.open = Root, path == "/identity"
	case universal:
		k.readTranscode(rest)
	case strings.HasPrefix(path, "/:/"):
		k.Class = timelineOrPush(path)
	case strings.HasPrefix(path, "/playQueues"):
		k.Class = PlayQueue
	case !k.read:
		k.Class = Write
	case strings.HasPrefix(path, "/library/parts/"):
		k.Class, k.act = Part, Reads
	case strings.HasPrefix(path, "/photo/:/transcode"):
		k.Class = Photo
	case strings.HasPrefix(path, "/downloadQueue/") && strings.HasSuffix(path, "/media"):
		k.act = Reads
	}
}

// transcode returns what follows /video/:/transcode/universal/ and its likes for sound.
func transcode(path string) (rest string, ok bool) {
	for _, kind := range [...]string{"/video", "/audio", "/music"} {
		if rest, ok := strings.CutPrefix(path, kind); ok {
			return strings.CutPrefix(rest, "/:/transcode/universal/")
		}
	}
	return "", false
}

func (k *Keys) readTranscode(rest string) {
	word, rest, _ := strings.Cut(rest, "/")
	switch {
	case word == "session" || word == "dash":
		id, _, _ := strings.Cut(rest, "/")
		k.Class, k.act = Segment, Reads
		k.addSession(bounded(id))
		k.inPath = k.sessions[0] != ""
	case word == "decision" || strings.HasPrefix(word, "start"):
		k.Class, k.act = Decision, Begins
	case word == "ping":
		k.Class, k.act = Timeline, Reads
	case word == "stop":
		k.Class, k.act = Timeline, Ends
	default:
		k.Class = Segment // subtitles, fallback: they need the session's node
	}
}

func timelineOrPush(path string) Class {
	for _, push := range [...]string{"/:/websockets/", "/:/websocket/", "/:/eventsource/"} {
		if strings.HasPrefix(path, push) {
			return Push
		}
	}
	return Timeline
}

func (k *Keys) readCookies(lines []string) {
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if value, ok := strings.CutPrefix(strings.TrimLeft(pair, " "), CookieName+"="); ok {
				k.Cookie = zones.NodeName(bounded(value))
				return
			}
		}
	}
}

// readQuery reads the query by hand: url.ParseQuery would cost more than all the rest of a placement.
func (k *Keys) readQuery(raw string) {
	inURL, state := "", ""
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "X-Plex-Client-Identifier":
			setOnce(&k.client, value)
		case "X-Plex-Token":
			setOnce(&k.token, value)
		case "session", "transcodeSessionId", "X-Plex-Session-Identifier":
			k.addSession(unescape(value))
		case "machineIdentifier":
			setOnce(&k.server, value)
		case "uri":
			setOnce(&k.server, serverOf(value))
		case "url":
			inURL = value
		case "state":
			state = value
		}
	}
	if k.token == "" {
		k.token = tokenInURL(inURL)
	}
	if k.Class == Timeline && state != "" {
		k.act = told(state)
	}
}

// told returns what the state in a timeline says: playing, buffering, paused or stopped.
func told(state string) Act {
	switch state {
	case "paused":
		return Pauses
	case "stopped":
		return Ends
	default:
		return Plays
	}
}

func setOnce(key *string, value string) {
	if *key == "" {
		*key = unescape(value)
	}
}

// unescape returns a query's value as it is meant; one that is too long or malformed counts as none.
func unescape(value string) string {
	if len(value) > maxKey {
		return ""
	}
	if !strings.ContainsAny(value, "%+") {
		return value
	}
	value, _ = url.QueryUnescape(value) // empty with an error
	return value
}

// serverOf returns ID of server://ID/..., percent-encoded or not. An id is hexadecimal, so that nothing of it
// needs decoding.
func serverOf(uri string) string {
	for _, scheme := range [...]string{"server%3A%2F%2F", "server%3a%2f%2f", "server://"} {
		if id, ok := strings.CutPrefix(uri, scheme); ok {
			if end := strings.IndexAny(id, "/%"); end >= 0 {
				id = id[:end]
			}
			return id
		}
	}
	return ""
}

// tokenInURL returns the token that a photo's url= carries in its own query, and so encoded twice.
func tokenInURL(value string) string {
	_, token, ok := strings.Cut(value, "X-Plex-Token")
	if !ok {
		return ""
	}
	for _, equals := range [...]string{"%3D", "%3d", "="} {
		if token, ok := strings.CutPrefix(token, equals); ok {
			token, _, _ = strings.Cut(token, "%26")
			return unescape(unescape(token))
		}
	}
	return ""
}
