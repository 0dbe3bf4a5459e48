// Package door decides who may see what a program shows over HTTP, and who may change it.
package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// Streams bounds the answers without an end that one door gives at a time: a browser has one for each page.
const Streams = 64

// maxForm bounds what a POST may send, in bytes: it is a few words.
const maxForm = 16 << 10

// Door is what stands at one listener. It answers errors as {"error": "..."}, and lets nobody in
//
//   - who asks for a host that may be somebody else's name for this machine,
//   - who is not of this machine, unless things are public, which are then shown and never changed,
//   - whose page is another site's, if it asks for a change.
type Door struct {
	Routes map[string]Route // by path
	Socket bool             // it stands at a Unix socket: whoever reaches that is of this machine
	Public func() bool      // reports whether anything is shown to others than this machine; nil: nothing is
	Line   string           // the property of the Corefile whose `public` does so, such as "status"

	streams atomic.Int64
}

// Route is what is done at a path. It has one of Show and Change.
type Route struct {
	// Show answers a GET. Others than this machine come here only if anything is public.
	Show func(w http.ResponseWriter, r *http.Request, local bool) error
	// Change does what a POST of this machine asks, whose form has been read, and returns what is answered: a status
	// and a value for JSON. A form with back=1 is answered with the way back to the page instead.
	Change func(r *http.Request) (status int, answer any, err error)
	// Stream: Show goes on until the request's context ends. Not more than [Streams] do at a time.
	Stream bool
}

// Refusal is an answer that is an error.
type Refusal struct {
	Status int
	Why    string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Why }

// Refuse returns a [*Refusal].
func Refuse(status int, format string, args ...any) error {
	return &Refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP implements [http.Handler].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	err := d.answer(w, r)
	if no, ok := errors.AsType[*Refusal](err); ok {
		refuse(w, r, no)
	} // any other means that nobody is left to tell
}

func (d *Door) answer(w http.ResponseWriter, r *http.Request) error {
	if !d.Socket && !IsNamed(r.Host) {
		return Refuse(http.StatusMisdirectedRequest, "host %q is not known here: ask by address, or for localhost", r.Host)
	}
	route, ok := d.Routes[r.URL.Path]
	if !ok {
		return Refuse(http.StatusNotFound, "there is no %s: want one of %s", r.URL.Path, strings.Join(d.paths(), ", "))
	}
	local, err := d.admit(route, w, r)
	switch {
	case err != nil:
		return err
	case route.Change != nil:
		return change(route, w, r)
	case !route.Stream:
		return route.Show(w, r, local)
	}
	defer d.streams.Add(-1)
	if d.streams.Add(1) > Streams {
		w.Header().Set("Retry-After", "5")
		return Refuse(http.StatusServiceUnavailable, "%d listen already: close a page", Streams)
	}
	return route.Show(w, r, local)
}

func (d *Door) paths() []string {
	var all []string
	for path := range d.Routes {
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

// admit reports whether a request that may come in is one of this machine.
func (d *Door) admit(to Route, w http.ResponseWriter, r *http.Request) (local bool, err error) {
	methods := []string{http.MethodGet, http.MethodHead}
	if to.Change != nil {
		methods = []string{http.MethodPost}
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return false, Refuse(http.StatusMethodNotAllowed, "%s takes %s", r.URL.Path, strings.Join(methods, " or "))
	}
	local = d.Socket || IsLocal(r)
	if to.Change != nil && !local {
		return false, Refuse(http.StatusForbidden, "changes are made on the machine itself")
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return false, Refuse(http.StatusForbidden, "another site's page has asked for it")
	}
	if !local && (d.Public == nil || !d.Public()) {
		return false, Refuse(http.StatusForbidden, "this is shown on the machine itself: `%s ADDRESS public` shows it to others", d.Line)
	}
	return local, nil
}

func change(to Route, w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return Refuse(http.StatusBadRequest, "reading the form: %v", err)
	}
	status, answer, err := to.Change(r)
	if err != nil {
		return err
	}
	if isBack(r) {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	w.WriteHeader(status)
	return WriteJSON(w, answer)
}

// isBack reports whether a form that has been read is one of the page.
func isBack(r *http.Request) bool { return r.Form.Get("back") == "1" }

var refused = template.Must(template.New("refused").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>not done</title><p>Not done: {{.}}.<p><a href="/">back</a>
`))

func refuse(w http.ResponseWriter, r *http.Request, no *Refusal) {
	if isBack(r) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.WriteHeader(no.Status)
		_ = refused.Execute(w, no.Why) // whoever does not take it has gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(no.Status)
	_ = WriteJSON(w, struct { // as above
		Error string `json:"error"`
	}{no.Why})
}

// WriteJSON writes a value as it is shown to people and programs. The response must be JSON's, as it is unless a
// route says otherwise.
func WriteJSON(w http.ResponseWriter, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// ofProxies are header fields that only proxies add, beside all X-Forwarded ones.
var ofProxies = []string{"Forwarded", "Via", "X-Real-Ip"}

// IsLocal reports whether a request that came over TCP is from this machine, and was not handed on by a proxy here.
func IsLocal(r *http.Request) bool {
	for name := range r.Header {
		if slices.Contains(ofProxies, name) || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback()
}

// IsNamed reports whether a page elsewhere can not have made up the host that is asked: a name that somebody
// lets lead to this machine (DNS rebinding) is none of ours.
func IsNamed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
