// Package standin holds small servers that behave as the real ones do towards those who probe them.
package standin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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

// maintenance is what a Plex server answers to everything while it starts or migrates its database.
const maintenance = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
	`<Response code="503" title="Maintenance" status="Plex Media Server is currently running startup maintenance tasks."/>` + "\n"

// version is one that Plex Media Server has had.
const version = "1.43.3.10861-f0e6bbee5"

// Plex is a Plex Media Server as far as a probe can see. Its zero value has no identity; use [NewPlex].
type Plex struct {
	switches

	identity string // guarded by switches.mu
}

// NewPlex returns a stand-in with that machineIdentifier, 40 hexadecimal digits in real life, in mode OK.
func NewPlex(identity string) *Plex {
	return &Plex{switches: newSwitches(), identity: identity}
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

// ServeHTTP implements [http.Handler].
func (p *Plex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Plex-Protocol", "1.0")
	switch p.wait(r) {
	case Hang:
		panic(http.ErrAbortHandler)
	case Starting:
		w.Header().Set("Content-Type", "text/xml;charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, maintenance)
	case Error500:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
	default:
		p.serve(w, r)
	}
}

func (p *Plex) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/identity":
		p.serveIdentity(w, r)
	case "/":
		// Without a token; a real server hangs up after it, too.
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusUnauthorized)
	case "/web":
		http.Redirect(w, r, "http://"+r.Host+"/web/index.html", http.StatusMovedPermanently)
	default:
		http.NotFound(w, r)
	}
}

func (p *Plex) serveIdentity(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"MediaContainer":{"size":0,"claimed":true,"machineIdentifier":%q,"version":%q}}`,
			p.Identity(), version)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<MediaContainer size="0" claimed="1" machineIdentifier=%q version=%q>`+"\n</MediaContainer>\n",
		p.Identity(), version)
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
