package standin

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// pushes are those who listen for notifications.
type pushes struct {
	mu        sync.Mutex
	listeners map[chan []byte]struct{}
}

func newPushes() pushes { return pushes{listeners: map[chan []byte]struct{}{}} }

// send gives a notification to all that can take it.
func (p *pushes) send(n notification) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.listeners) == 0 {
		return
	}
	b := n.encode()
	for l := range p.listeners {
		select {
		case l <- b:
		default: // too slow a reader loses some
		}
	}
}

// listen returns where notifications come in, until leave is called.
func (p *pushes) listen() (notifications <-chan []byte, leave func()) {
	l := make(chan []byte, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners[l] = struct{}{}
	return l, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.listeners, l)
	}
}

// Listeners returns how many websockets and event streams are open.
func (p *Plex) Listeners() int {
	p.pushes.mu.Lock()
	defer p.pushes.mu.Unlock()
	return len(p.pushes.listeners)
}

func (p *Plex) routePushes(m *http.ServeMux) {
	m.HandleFunc("GET /:/websockets/notifications", p.forUsers(p.serveWebsocket)) // as apps spell it
	m.HandleFunc("GET /:/websocket/notifications", p.forUsers(p.serveWebsocket))  // as the specification does
	m.HandleFunc("GET /:/eventsource/notifications", p.forUsers(p.serveEvents))
}

// serveWebsocket sends notifications until the client closes or goes.
func (p *Plex) serveWebsocket(w http.ResponseWriter, r *http.Request) {
	notifications, leave := p.pushes.listen() // before the client knows, so that it misses nothing
	defer leave()
	ws, err := acceptWebsocket(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for { // pings are answered by Read
			if _, err := ws.Read(); err != nil {
				return
			}
		}
	}()
	p.push(gone, notifications, ws.Write)
	_ = ws.Close() // nothing more can be said
	<-gone
}

// serveEvents sends notifications as server-sent events.
func (p *Plex) serveEvents(w http.ResponseWriter, r *http.Request) {
	notifications, leave := p.pushes.listen() // as above
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	if rc.Flush() != nil {
		return
	}
	p.push(r.Context().Done(), notifications, func(b []byte) error {
		if _, err := fmt.Fprintf(w, "event: notification\ndata: %s\n\n", b); err != nil {
			return err
		}
		return rc.Flush()
	})
}

// push writes notifications, and the transcoder's state from time to time, until the listener is gone.
func (p *Plex) push(gone <-chan struct{}, notifications <-chan []byte, write func([]byte) error) {
	tick := time.NewTicker(p.options.PushEvery)
	defer tick.Stop()
	for {
		var b []byte
		select {
		case <-gone:
			return
		case <-p.done:
			return
		case b = <-notifications:
		case <-tick.C:
			n := notification{Type: "transcodeSession.update"}
			for _, s := range p.plays.transcoding() {
				n.Works = append(n.Works, transcode{Key: s.session, Protocol: s.protocol})
			}
			n.Size = len(n.Works)
			b = n.encode()
		}
		if write(b) != nil {
			return
		}
	}
}
