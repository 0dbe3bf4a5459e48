package relay

import (
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"plexha/proxy/affinity"
	"plexha/proxy/playback"
)

func init() { caddy.RegisterModule(new(Answer)) }

// Answer tells reverse_proxy, in whose handle_response it stands, that the answer is seen to: the handler
// "plexha" writes it. It stands there for all answers but 101.
type Answer struct{}

// CaddyModule returns the Caddy module information.
func (*Answer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.plexha_answer",
		New: func() caddy.Module { return new(Answer) },
	}
}

// ServeHTTP implements [caddyhttp.MiddlewareHandler].
func (*Answer) ServeHTTP(_ http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if t, ok := tripOf(r.Context()); !ok || !t.parted {
		return caddyhttp.Error(http.StatusInternalServerError, errNoTrip)
	}
	return nil
}

// finish does what is left when reverse_proxy has returned: it has the request carried, if that has not been
// done, and writes the answer.
func (h *Handler) finish(t *trip, w http.ResponseWriter, r *http.Request) error {
	if !t.parted {
		return nil
	}
	if t.res == nil {
		if err := t.carryOn(w, r); err != nil {
			return err
		}
	}
	playing := t.playing()
	defer func() { playing.End(time.Now()) }()
	announced := t.writeHeader(w, r)
	kind := streamBody
	if isEvents(t.res.Header) {
		kind = streamEvents
	}
	t.relay.streams[kind].Add(1)
	defer t.relay.streams[kind].Add(-1)
	err := t.copyBody(w)
	_ = t.res.Body.Close()
	if err != nil {
		if r.Context().Err() == nil {
			h.logger.Warn("an answer broke off", zap.String("node", string(t.from.name)), zap.Error(err))
		}
		_ = http.NewResponseController(w).Flush()
		// Ends the client's connection, or stream, so that nobody takes the part for the whole.
		panic(http.ErrAbortHandler)
	}
	t.writeTrailer(w, announced)
	return nil
}

// playing takes note of an answer to a client that plays.
func (t *trip) playing() playback.Answer {
	if t.status >= http.StatusBadRequest {
		return playback.Answer{}
	}
	sign, ok := t.relay.pins.Sign(&t.keys)
	if !ok {
		return playback.Answer{}
	}
	return t.relay.plays.Begin(sign, t.from.name, time.Now())
}

// carryOn carries a request that reverse_proxy has prepared. Its context is the handler's, without what
// reverse_proxy has added for its own use.
func (t *trip) carryOn(w http.ResponseWriter, r *http.Request) error {
	t.req, t.hints = t.req.WithContext(r.Context()), &hints{w: w}
	res, err := t.carry()
	t.hints.end()
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		_ = res.Body.Close()
		return t.fail(&failure{why: whyBroken, node: t.from.name, cause: errSwitched})
	}
	return err
}

var errSwitched = errors.New("the node switched to a protocol that nobody had asked for")

// hints passes on what a node says before its answer: its statuses of class 1xx.
type hints struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil: the answer has come
}

func (h *hints) forward(status int, header textproto.MIMEHeader) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.w == nil {
		return nil
	}
	all, theirs := h.w.Header(), http.Header(header).Clone()
	ours := all.Clone()
	stripHopByHop(theirs)
	maps.Copy(all, theirs)
	h.w.WriteHeader(status)
	clear(all)
	maps.Copy(all, ours)
	return nil
}

func (h *hints) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.w = nil
}

// writeHeader writes status and headers, and returns how many trailers they announce. It adds no Via: a
// gateway need not say it to clients (RFC 9110, section 7.6.3), and our name helps nobody there.
func (t *trip) writeHeader(w http.ResponseWriter, r *http.Request) (announced int) {
	h := w.Header()
	delete(h, "Server") // Caddy's own
	stripHopByHop(t.res.Header)
	for name, values := range t.res.Header {
		if have, ok := h[name]; ok {
			values = append(have[:len(have):len(have)], values...)
		}
		h[name] = values
	}
	if len(t.res.Trailer) > 0 {
		h["Trailer"] = append(h["Trailer"], strings.Join(trailerNames(t.res.Trailer), ", "))
	}
	t.setCookie(h, r)
	w.WriteHeader(t.res.StatusCode)
	return len(t.res.Trailer)
}

func trailerNames(trailer http.Header) []string {
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	return names
}

// writeTrailer writes what came after the body, announced before it or not.
func (t *trip) writeTrailer(w http.ResponseWriter, announced int) {
	trailer := t.res.Trailer
	if len(trailer) == 0 {
		return
	}
	// Before the handler's end, so that net/http makes no Content-Length of a short body: that has no trailers.
	_ = http.NewResponseController(w).Flush()
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		w.Header()[prefix+name] = values
	}
}

// hopByHop is the headers that are for one connection (RFC 9110, section 7.6.1), and Alt-Svc, which speaks of
// a host that is the node and not us.
var hopByHop = [...]string{
	"Alt-Svc", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func stripHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if token = strings.TrimSpace(token); token != "" {
				h.Del(token)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// setCookie tells a browser its node where it does not know: Plex Web's own files name no client at all. It
// goes out with pages, and with answers of the node that the client's id has decided.
func (t *trip) setCookie(h http.Header, r *http.Request) {
	if t.site != "" || t.view.moment.Config.Affinity.Off || t.status >= http.StatusInternalServerError {
		return
	}
	if t.place.By != affinity.ByClient && !hasType(h, "text/html") {
		return
	}
	if t.keys.Cookie == t.from.name {
		return
	}
	cookie := t.from.cookie
	if r.TLS != nil {
		cookie = t.from.secureCookie
	}
	h["Set-Cookie"] = append(h["Set-Cookie"], cookie)
}

func isEvents(h http.Header) bool { return hasType(h, "text/event-stream") }

// hasType reports whether the Content-Type is this one, with or without parameters.
func hasType(h http.Header, want string) bool {
	values := h["Content-Type"]
	if len(values) == 0 || len(values[0]) < len(want) || !strings.EqualFold(values[0][:len(want)], want) {
		return false
	}
	rest := strings.TrimLeft(values[0][len(want):], " \t")
	return rest == "" || rest[0] == ';'
}

// Interface guards
var (
	_ caddy.Module                = (*Answer)(nil)
	_ caddyhttp.MiddlewareHandler = (*Answer)(nil)
)
