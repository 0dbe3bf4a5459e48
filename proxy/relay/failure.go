package relay

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"

	"plexha/zones"
)

// failure is why a request gets no answer of a node.
type failure struct {
	why   why
	node  zones.NodeName // empty: none in particular
	cause error          // nil: none but the board's word
}

// why is the kind of a failure.
type why uint8

const (
	whyDown        why = iota // the node is down
	whyNoneUp                 // no node is up
	whyStarting               // nothing is known of any node yet
	whyUnreachable            // the node is up, but takes no connection
	whyBroken                 // the node broke the connection before it answered
	whySilent                 // the node went down with a write that it may have carried out
	whyBusy                   // max_requests
	whyMoved                  // the client has been moved and does not know it yet
	whyOpen                   // open administration
)

// status returns the HTTP status: what reached the node and what did not, and what another attempt may mend.
func (w why) status() int {
	switch w {
	case whyUnreachable, whyBroken:
		return http.StatusBadGateway
	case whySilent:
		return http.StatusGatewayTimeout
	case whyOpen:
		return http.StatusForbidden
	default:
		return http.StatusServiceUnavailable
	}
}

// retryAfter is when another attempt makes sense, in seconds; 0: never. Once its app has asked `GET /` again a
// client that was moved is served, and apps do that when they are told of trouble.
func (w why) retryAfter() int {
	switch w {
	case whyOpen:
		return 0
	case whyMoved, whyBusy:
		return 2
	default:
		return 5
	}
}

// words says it to people.
func (f *failure) words() string {
	name := string(f.node)
	if name == "" {
		name = "The server"
	}
	switch f.why {
	case whyDown:
		return name + " is down."
	case whyNoneUp:
		return "No server is up."
	case whyStarting:
		return "Starting: nothing is known of the servers yet."
	case whyUnreachable:
		return name + " cannot be reached."
	case whyBroken:
		return name + " broke off before it answered."
	case whySilent:
		return name + " went down before it answered."
	case whyBusy:
		return name + " is busy."
	case whyMoved:
		return "Another server, " + name + ", has taken over. Open the library again."
	case whyOpen:
		return name + " lets everybody administer it, and is not shown outside the house for that reason."
	default:
		return name + " does not answer."
	}
}

// Error implements error.
func (f *failure) Error() string {
	words := strings.TrimSuffix(f.words(), ".")
	if f.cause != nil {
		return words + ": " + f.cause.Error()
	}
	return words
}

// Unwrap returns what the last attempt failed with.
func (f *failure) Unwrap() error { return f.cause }

// render tells the client: people get a page, which tries again by itself, and apps a line.
func (f *failure) render(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	after := f.why.retryAfter()
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	if !wantsPage(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(f.why.status())
		_, _ = io.WriteString(w, f.words()+"\n")
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	again := ""
	if after > 0 {
		h.Set("Refresh", strconv.Itoa(after))
		again = fmt.Sprintf(`<p>This page tries again every %d seconds.</p><script>%s</script>`, after, pageScript)
	}
	w.WriteHeader(f.why.status())
	_, _ = fmt.Fprintf(w, page, pageStyle, html.EscapeString(f.words()), again)
}

// wantsPage reports whether it is a person who sees the answer.
func wantsPage(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}

const (
	page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<title>Plex</title><style>%s</style><h1>%s</h1>%s` + "\n"
	pageStyle = `body{font:1.1em/1.5 sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;` +
		`background:#1f2326;color:#eee}h1{font-size:1.4em}`
	// A browser that comes back to a tab has stopped its clock: it need not wait.
	pageScript = `document.addEventListener("visibilitychange",()=>document.hidden||location.reload())`
)

// pagePolicy lets the page do what it does itself, and nothing else.
var pagePolicy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'",
	hashSource(pageStyle), hashSource(pageScript))

// hashSource is a script's or style's name in a Content-Security-Policy (CSP Level 3, section 6.7.3.3).
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}
