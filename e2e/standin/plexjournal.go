package standin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Request is one that a stand-in got, as it arrived, and what became of it.
type Request struct {
	At       time.Time
	Proto    string // HTTP/1.1
	Method   string
	Host     string
	Path     string
	Query    string // raw
	Client   string // X-Plex-Client-Identifier, from the header or the query, as the next two
	Token    string // X-Plex-Token
	Playback string // X-Plex-Session-Identifier
	Session  string // the transcode session in the path, or in session= or transcodeSessionId=
	Header   http.Header

	Status  int         // 0: not answered, or not yet
	Body    int64       // bytes of the request's body that it has read
	Trailer http.Header // of the request
}

// Writes tells whether the request was meant to change something at the server. Some do so in the shape of a GET.
func (r Request) Writes() bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return slices.Contains([]string{"/:/timeline", "/:/scrobble", "/:/unscrobble", "/:/rate"}, r.Path)
	default:
		return true
	}
}

// journal holds what a stand-in got, in the order of arrival.
type journal struct {
	quiet bool

	mu       sync.Mutex
	requests []*Request
}

// sessionInPath finds the session in .../session/ID/0/header and .../dash/ID/0/initial.mp4.
var sessionInPath = regexp.MustCompile(`/transcode/universal/(?:session|dash)/([^/]+)/`)

// sessionOf returns the transcode session that a request names.
func sessionOf(r *http.Request) string {
	if m := sessionInPath.FindStringSubmatch(r.URL.Path); m != nil {
		return m[1]
	}
	q := r.URL.Query()
	if s := q.Get("session"); s != "" {
		return s
	}
	return q.Get("transcodeSessionId")
}

// begin notes a request, and returns what is to be handled in its place. The request itself stays as it is: net/http
// looks at its Body to see whether the client still waits for a 100 Continue.
func (j *journal) begin(w http.ResponseWriter, r *http.Request) (*recorder, *http.Request) {
	rec := &recorder{ResponseWriter: w, body: &countingBody{ReadCloser: r.Body}}
	counted := r.WithContext(r.Context())
	counted.Body = rec.body
	if j.quiet {
		return rec, counted
	}
	rec.entry = &Request{
		At: time.Now(), Proto: r.Proto, Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery,
		Client: param(r, "X-Plex-Client-Identifier"), Token: param(r, "X-Plex-Token"),
		Playback: param(r, "X-Plex-Session-Identifier"), Session: sessionOf(r), Header: r.Header.Clone(),
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = append(j.requests, rec.entry)
	return rec, counted
}

// end notes what became of a request.
func (j *journal) end(w *recorder, r *http.Request) {
	if w.entry == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	w.entry.Status, w.entry.Body, w.entry.Trailer = w.status, w.body.n, r.Trailer
}

// Journal returns every request that it has got so far, those of a [Remote] apart.
func (p *Plex) Journal() []Request {
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	all := make([]Request, len(p.journal.requests))
	for i, r := range p.journal.requests {
		all[i] = *r
	}
	return all
}

// Forget empties the journal.
func (p *Plex) Forget() {
	p.journal.mu.Lock()
	defer p.journal.mu.Unlock()
	p.journal.requests = nil
}

// recorder remembers the status that a handler answers with.
type recorder struct {
	http.ResponseWriter

	entry  *Request // nil: nothing is kept
	body   *countingBody
	status int
}

// Unwrap is for [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Hijack implements [http.Hijacker].
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// countingBody counts what is read of a request's body.
type countingBody struct {
	io.ReadCloser

	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}
