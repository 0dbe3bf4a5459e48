// Package standin holds small servers that behave as the real ones do, and clients that behave as Plex apps do.
package standin

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mode is how a stand-in answers.
type Mode string

// The modes. A hanging one accepts connections and reads requests, and never answers.
const (
	OK       Mode = "ok"
	Starting Mode = "starting"
	Error500 Mode = "error500"
	Hang     Mode = "hang"
)

// ParseMode returns the mode of that name.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case OK, Starting, Error500, Hang:
		return m, nil
	default:
		return "", fmt.Errorf("mode %q: want %s, %s, %s or %s", s, OK, Starting, Error500, Hang)
	}
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// maintenance is what a Plex server answers to everything while it starts or migrates its database.
const maintenance = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
	`<Response code="503" title="Maintenance" status="Plex Media Server is currently running startup maintenance tasks."/>` + "\n"

// version is one that Plex Media Server has had.
const version = "1.43.3.10861-f0e6bbee5"

// PlexOptions say what a stand-in for a Plex server is like.
type PlexOptions struct {
	Name      string // its friendlyName, and the value of X-Backend, a header that no real server sends
	Identity  string // its machineIdentifier, 40 hexadecimal digits in real life
	Version   string // empty: one that Plex Media Server has had
	Unclaimed bool

	Owner   string   // the owner's token, which all of his servers accept
	Devices []string // further tokens of his: each device that he signs in with gets one
	Guests  []string // tokens of guests of this server, which other servers refuse
	Open    bool     // whoever comes without a token is taken for the owner

	// IDBase is added to the numbers of items, files, sections and queues. Where two servers' ranges overlap,
	// one number means two things.
	IDBase      int
	Films       int    // in the library, the same ones on every server; 0: 20
	FilmSize    int64  // bytes; 0: 1 MiB
	SegmentSize int64  // bytes; 0: 16 KiB
	Web         string // the version of Plex Web, which the names of its files depend on

	// Decisions makes it answer 503 to who wants a file without having asked for a decision before.
	Decisions bool
	PushEvery time.Duration // between notifications that nothing causes; 0: 1 s
	Faults    []Fault       // see [Plex.SetFaults]
	HTTPS     bool          // [Plex.Serve] speaks TLS only
	Control   bool          // it obeys a [Remote], at paths that begin with /-/
	Quiet     bool          // it keeps no journal
}

// Plex is a Plex Media Server as far as probes, proxies and apps can see: what it has given out (items, sessions,
// queues) only it knows. Its zero value has no identity; use [NewPlex] or [NewPlexServer].
type Plex struct {
	switches

	identity string  // guarded by switches.mu
	faults   []Fault // guarded by switches.mu

	options PlexOptions
	routes  http.Handler
	control http.Handler
	journal journal
	library library
	plays   plays
	pushes  pushes
	done    chan struct{} // closed by Close
	close   func()
}

// NewPlex returns a stand-in with that machineIdentifier, in mode OK, that accepts no token.
func NewPlex(identity string) *Plex { return NewPlexServer(PlexOptions{Identity: identity}) }

// NewPlexServer returns a stand-in in mode OK.
func NewPlexServer(o PlexOptions) *Plex {
	o.Version = cmp.Or(o.Version, version)
	o.Films = cmp.Or(o.Films, 20)
	o.FilmSize = cmp.Or(o.FilmSize, 1<<20)
	o.SegmentSize = cmp.Or(o.SegmentSize, 16<<10)
	o.PushEvery = cmp.Or(o.PushEvery, time.Second)
	p := &Plex{
		switches: newSwitches(),
		identity: o.Identity,
		faults:   slices.Clone(o.Faults),
		options:  o,
		journal:  journal{quiet: o.Quiet},
		library:  newLibrary(o),
		plays:    newPlays(o),
		pushes:   newPushes(),
		done:     make(chan struct{}),
	}
	p.close = sync.OnceFunc(func() { close(p.done) })
	p.routes, p.control = p.newRoutes(), p.newControl()
	return p
}

// SetIdentity makes it another server: an impostor to whom knew it.
func (p *Plex) SetIdentity(identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.identity = identity
}

// Identity returns its machineIdentifier.
func (p *Plex) Identity() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identity
}

// Close ends what it would answer for ever: websockets, event streams, and requests that hang. It goes into mode OK.
func (p *Plex) Close() {
	p.close()
	p.SetMode(OK)
}

// ServeHTTP implements [http.Handler].
func (p *Plex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.options.Control && strings.HasPrefix(r.URL.Path, "/-/") {
		p.control.ServeHTTP(w, r)
		return
	}
	w.Header().Set("X-Plex-Protocol", "1.0")
	if p.options.Name != "" {
		w.Header().Set("X-Backend", p.options.Name)
	}
	rw, counted := p.journal.begin(w, r)
	defer p.journal.end(rw, r)
	switch p.wait(r) {
	case Hang:
		panic(http.ErrAbortHandler)
	case Starting:
		w.Header().Set("Content-Type", "text/xml;charset=utf-8")
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, maintenance)
	case Error500:
		http.Error(rw, "Internal Server Error", http.StatusInternalServerError)
	default:
		p.serve(rw, counted)
	}
}

// Proxy is a plexproxy as far as a probe can see: ready in mode OK, not ready in Starting.
type Proxy struct{ switches }

// NewProxy returns a stand-in in mode OK.
func NewProxy() *Proxy { return &Proxy{newSwitches()} }

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode := p.wait(r)
	switch {
	case mode == Hang:
		panic(http.ErrAbortHandler)
	case r.URL.Path != "/.plexha/ready":
		http.Error(w, "misdirected", http.StatusMisdirectedRequest)
	case mode == OK:
		_, _ = io.WriteString(w, "ready\n")
	case mode == Starting:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "starting\n")
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// switches holds a mode that can be changed while requests are served.
type switches struct {
	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed when the mode changes
}

func newSwitches() switches { return switches{mode: OK, changed: make(chan struct{})} }

// SetMode changes how requests are answered from now on. Requests that hang are let go, their connections cut.
func (s *switches) SetMode(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait returns the mode at once, or Hang after the client has gone or the mode has changed.
func (s *switches) wait(r *http.Request) Mode {
	s.mu.Lock()
	mode, changed := s.mode, s.changed
	s.mu.Unlock()
	if mode == Hang {
		select {
		case <-changed:
		case <-r.Context().Done():
		}
	}
	return mode
}
