package standin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is a kind of Plex app, by the way in which it says who it is.
type Kind string

// The kinds of apps.
const (
	PlexWeb    Kind = "plex web"    // a browser: everything in the query, DASH, a websocket with the token alone
	TVApp      Kind = "tv app"      // everything in headers, HLS, an event stream
	DirectPlay Kind = "direct play" // headers, and the file as it is, in ranges
	StrictApp  Kind = "strict app"  // headers; asks again and again whether the server is the same, refuses another one
	Guest      Kind = "guest"       // as Plex Web, with what a guest may ask for
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{PlexWeb, TVApp, DirectPlay, StrictApp, Guest} }

// Client is an app of one kind on one device. Playbacks of equal ones ask for the same things in the same order.
type Client struct {
	Kind     Kind
	ID       string // X-Plex-Client-Identifier
	Token    string
	Film     int    // which of the library's films it plays, from 0
	Segments int    // of a transcoded film; 0: 8
	Identity string // the only machineIdentifier that it accepts; empty: the first that it learns
	Nth      int    // which of its playbacks this is; each has session numbers of its own

	Pace  time.Duration // between steps
	Pause func()        // is called amid each segment and each half of a file, before it reads on
}

// Play plays a film from the first file of the app to the last word of the timeline, through a server or proxy at
// base, a URL without a path.
func (c Client) Play(ctx context.Context, hc *http.Client, base string) Report {
	return c.Begin(hc, base).Finish(ctx)
}

// Begin returns a playback of which nothing has been done yet. [Playback.Finish] ends it.
func (c Client) Begin(hc *http.Client, base string) *Playback {
	if c.Segments == 0 {
		c.Segments = 8
	}
	b := &Playback{
		client: c, identity: c.Identity, todo: c.actions(),
		session: c.digits("session", 24), playback: c.digits("playback", 24),
	}
	if c.Kind == PlexWeb || c.Kind == Guest {
		b.jar, _ = cookiejar.New(nil) // without options it cannot fail
	}
	b.Via(hc, base)
	return b
}

// digits returns n digits that are this playback's own.
func (c Client) digits(what string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %d", what, c.Kind, c.ID, c.Nth))
	return hex.EncodeToString(sum[:])[:n]
}

// Step is one request of a playback, and how it went.
type Step struct {
	Name     string
	Method   string
	Path     string
	Anywhere bool // any node may answer it: the app's own files

	Node       string // the X-Backend of the answer
	Status     int    // 0: there was no answer
	RetryAfter string // as in the answer
	Took       time.Duration
	Err        string // what the app could not put up with; empty: nothing
}

// Report is what came of a playback.
type Report struct {
	Kind     Kind
	Client   string
	Identity string   // of the server, as the app learned it
	Steps    []Step   // in the order of the requests
	Left     []string // names of the steps that were not taken
}

// Nodes returns which nodes answered what only one may answer, in order.
func (r Report) Nodes() []string {
	var nodes []string
	for _, s := range r.Steps {
		if !s.Anywhere && s.Node != "" {
			nodes = append(nodes, s.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Failures returns the steps that failed.
func (r Report) Failures() []Step {
	return slices.DeleteFunc(slices.Clone(r.Steps), func(s Step) bool { return s.Err == "" })
}

// Whole returns nil if every step was taken, none failed, and one node, known by its name, answered all that only one
// may answer; else what is wrong.
func (r Report) Whole() error {
	var errs []error
	switch nodes := r.Nodes(); {
	case len(nodes) == 0:
		errs = append(errs, errors.New("no answer says which node it is from"))
	case len(nodes) > 1:
		errs = append(errs, fmt.Errorf("split over %s", strings.Join(nodes, " and ")))
	}
	if fs := r.Failures(); len(fs) > 0 {
		f := fs[0]
		errs = append(errs, fmt.Errorf("%d of %d requests failed, the first: %s: %s %s at %q: %s",
			len(fs), len(r.Steps), f.Name, f.Method, f.Path, f.Node, f.Err))
	}
	if len(r.Left) > 0 {
		errs = append(errs, fmt.Errorf("stopped before %q", r.Left[0]))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s: %w", r.Kind, r.Client, errors.Join(errs...))
}

// action is one thing that an app does, in one request or several at once.
type action struct {
	name string
	do   func(*Playback, context.Context)
}

// Playback is a playback under way. Its methods are for one goroutine.
type Playback struct {
	client Client
	http   *http.Client
	base   string
	jar    http.CookieJar
	todo   []action
	doing  string

	session  string // of the transcoder
	playback string // X-Plex-Session-Identifier

	// What it learned from the server.
	identity string
	files    []string // of Plex Web
	section  string
	film     metadata
	queue    int
	segments []string // paths
	etag     string
	listener *listener
	told     string // the node that took the last timeline
	refused  bool

	steps []Step
}

// Via goes on through another proxy, as an app does when the first is gone. A client that listened listens anew.
func (b *Playback) Via(hc *http.Client, base string) {
	c := *hc
	if b.jar != nil {
		c.Jar = b.jar
	}
	b.http, b.base = &c, base
	if b.listener != nil {
		b.listener.close()
		b.listener = nil
		b.todo = slices.Insert(b.todo, 0, b.client.listen())
	}
}

// Steps returns the names of what is still to be done.
func (b *Playback) Steps() []string {
	names := make([]string, len(b.todo))
	for i, a := range b.todo {
		names[i] = a.name
	}
	return names
}

// Until does what comes before the step of that name, which must be one of [Playback.Steps].
func (b *Playback) Until(ctx context.Context, name string) error {
	n := slices.Index(b.Steps(), name)
	if n < 0 {
		return fmt.Errorf("no step %q: there are %q", name, b.Steps())
	}
	b.next(ctx, n)
	return nil
}

// Step does what is next, and reports whether there was anything.
func (b *Playback) Step(ctx context.Context) bool {
	if len(b.todo) == 0 || b.refused || ctx.Err() != nil {
		return false
	}
	b.next(ctx, 1)
	return true
}

// LeaveTo leaves out what comes before the step of that name, if there is one: the viewer has seen enough.
func (b *Playback) LeaveTo(name string) {
	if n := slices.Index(b.Steps(), name); n > 0 {
		b.todo = b.todo[n:]
	}
}

// Finish does what is left, and ends the playback.
func (b *Playback) Finish(ctx context.Context) Report {
	b.next(ctx, len(b.todo))
	b.Close()
	return b.Report()
}

// Close ends the playback where it is.
func (b *Playback) Close() {
	if b.listener != nil {
		b.listener.close()
		b.listener = nil
	}
}

// Report returns what came of it so far.
func (b *Playback) Report() Report {
	return Report{
		Kind: b.client.Kind, Client: b.client.ID, Identity: b.identity,
		Steps: slices.Clone(b.steps), Left: b.Steps(),
	}
}

// next does the next n actions, unless the app refuses the server or ctx is done.
func (b *Playback) next(ctx context.Context, n int) {
	for range n {
		if b.refused || ctx.Err() != nil {
			return
		}
		a := b.todo[0]
		b.todo, b.doing = b.todo[1:], a.name
		a.do(b, ctx)
		b.rest(ctx)
	}
}

// rest lets the client's pace pass.
func (b *Playback) rest(ctx context.Context) {
	if b.client.Pace == 0 {
		return
	}
	timer := time.NewTimer(b.client.Pace)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ids is where a request says who asks.
type ids int

const (
	idsNone   ids = iota
	idsToken      // the token in the query, and nothing else
	idsQuery      // in the query
	idsHeader     // in headers
)

// ask is a request that an app wants to make.
type ask struct {
	method   string // empty: GET
	path     string
	query    url.Values
	ids      ids
	playing  bool // says which playback it is of
	header   http.Header
	anywhere bool
	status   int                // the one that it expects; 0: 200
	read     func(answer) error // what it does with the answer; nil: it reads it
}

// answer is what an app looks at of one.
type answer struct {
	header http.Header
	length int64 // of the body, in bytes; -1: not said
	body   io.Reader
}

// do makes the requests at the same time, and notes them in their order.
func (b *Playback) do(ctx context.Context, asks ...ask) []Step {
	steps := make([]Step, len(asks))
	var wg sync.WaitGroup
	for i, a := range asks {
		wg.Go(func() { steps[i] = b.one(ctx, a) })
	}
	wg.Wait()
	b.steps = append(b.steps, steps...)
	return steps
}

// one makes one request.
func (b *Playback) one(ctx context.Context, a ask) Step {
	s := Step{Name: b.doing, Method: cmp.Or(a.method, http.MethodGet), Path: a.path, Anywhere: a.anywhere}
	began := time.Now()
	if err := b.try(ctx, a, &s); err != nil {
		s.Err = err.Error()
	}
	s.Took = time.Since(began)
	return s
}

// try makes the request of s, and notes the answer there.
func (b *Playback) try(ctx context.Context, a ask, s *Step) error {
	req, err := b.request(ctx, s.Method, a)
	if err != nil {
		return err
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s.Node, s.Status, s.RetryAfter = resp.Header.Get("X-Backend"), resp.StatusCode, resp.Header.Get("Retry-After")
	return a.judge(resp)
}

// judge reads the answer, and returns what the app cannot put up with.
func (a ask) judge(resp *http.Response) error {
	if want := cmp.Or(a.status, http.StatusOK); resp.StatusCode != want {
		return fmt.Errorf("%s, want %d", resp.Status, want)
	}
	if resp.Header.Get("X-Plex-Protocol") != "1.0" {
		return errors.New("no X-Plex-Protocol")
	}
	if a.read == nil {
		a.read = answer.discard
	}
	return a.read(answer{resp.Header, resp.ContentLength, resp.Body})
}

// discard reads the body to its end.
func (a answer) discard() error {
	_, err := io.Copy(io.Discard, a.body)
	return err
}

// request makes of a what goes over the wire.
func (b *Playback) request(ctx context.Context, method string, a ask) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.base+a.path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if a.header != nil {
		req.Header = a.header.Clone()
	}
	query := url.Values{}
	maps.Copy(query, a.query)
	switch a.ids {
	case idsNone:
	case idsToken:
		query.Set("X-Plex-Token", b.client.Token)
	case idsQuery:
		req.Header.Set("Accept", "application/json")
		for k, v := range b.identification(a.playing) {
			query.Set(k, v)
		}
	case idsHeader:
		for k, v := range b.identification(a.playing) {
			req.Header.Set(k, v)
		}
	}
	if b.jar != nil {
		req.Header.Set("Referer", b.base+"/web/index.html")
	}
	req.URL.RawQuery = query.Encode()
	return req, nil
}

// identification is what a request says about the app.
func (b *Playback) identification(playing bool) map[string]string {
	c := b.client
	all := map[string]string{
		"X-Plex-Product": "Plex Web", "X-Plex-Version": "4.116.1", "X-Plex-Client-Identifier": c.ID,
		"X-Plex-Platform": "Chrome", "X-Plex-Platform-Version": "120.0", "X-Plex-Features": "external-media,indirect-media",
		"X-Plex-Model": "bundled", "X-Plex-Device": "Linux", "X-Plex-Device-Name": "Chrome",
		"X-Plex-Device-Screen-Resolution": "1280x720,1280x720", "X-Plex-Token": c.Token, "X-Plex-Language": "en",
	}
	if b.jar == nil {
		all["X-Plex-Product"], all["X-Plex-Platform"] = "Plex for TV", "tvOS"
	}
	if playing {
		all["X-Plex-Session-Identifier"] = b.playback
	}
	return all
}
