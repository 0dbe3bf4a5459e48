package duckdns_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/zones"
)

var (
	wan6Addr = netip.MustParseAddr("2001:db8::1")
	tokens   = []string{"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"}
)

// house is all that a worker has to do with: uplinks, a DuckDNS with two name servers, a log.
type house struct {
	mu         sync.Mutex
	began      time.Time
	candidates []duckdns.Candidate
	news       chan struct{}
	token      string
	tokenErr   error

	answer func(ctx context.Context, a netip.Addr) (duckdns.Reply, error) // nil: as a good DuckDNS does
	ignore bool                                                           // what it says it took is not shown
	spread time.Duration                                                  // until the name servers show what was taken
	look   func(f zones.Family) ([]duckdns.Shown, error)                  // nil: they show the record
	held   map[zones.Family]netip.Addr
	heldAt time.Time
	shown  map[zones.Family]netip.Addr

	pushes  []string
	looks   []string
	lines   []string
	results []duckdns.Result
	locks   map[string]chan struct{}
}

func newHouse() *house {
	return &house{
		began: time.Now(), news: make(chan struct{}, 1), token: tokens[0],
		held: map[zones.Family]netip.Addr{}, shown: map[zones.Family]netip.Addr{}, locks: map[string]chan struct{}{},
	}
}

// change changes something that the worker finds out by itself.
func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// set changes something, and tells the worker that there is news.
func (h *house) set(f func()) {
	h.change(f)
	select {
	case h.news <- struct{}{}:
	default:
	}
	synctest.Wait()
}

// has gives the house its addresses.
func (h *house) has(candidates ...duckdns.Candidate) {
	h.set(func() { h.candidates = candidates })
}

// at is an uplink's address from now on.
func at(uplink string, a netip.Addr) duckdns.Candidate {
	return duckdns.Candidate{Uplink: uplink, Addr: a, Up: true, Since: time.Now(), Confirmed: true}
}

// options are the defaults of the Corefile, with chance left out.
func (h *house) options(t *testing.T) duckdns.Options {
	return duckdns.Options{
		Config: &corefile.DuckDNS{
			Name: "home", Token: corefile.NewSecret("x"), Every: 5 * time.Minute, Refresh: 24 * time.Hour,
			NoIPv6: true,
		},
		Candidates: h.current,
		News:       func() (<-chan struct{}, func()) { return h.news, func() {} },
		Publisher:  publisher(h.publish),
		Verifier:   verifier(h.lookAt),
		Token:      h.readToken,
		StateFile:  filepath.Join(t.TempDir(), "home.duckdns.org.duckdns.json"),
		Own:        h.own,
		Log:        duckdns.Log{Info: h.line("info"), Warning: h.line("warning"), Error: h.line("error")},
		Observe: func(r duckdns.Result, _ time.Duration) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.results = append(h.results, r)
		},
	}.Jittering(func(d time.Duration) time.Duration { return d })
}

func (h *house) current() []duckdns.Candidate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.candidates)
}

func (h *house) readToken() (corefile.Secret, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return corefile.NewSecret(h.token), h.tokenErr
}

type publisher func(ctx context.Context, a netip.Addr) (duckdns.Reply, error)

func (p publisher) Publish(ctx context.Context, a netip.Addr) (duckdns.Reply, error) {
	return p(ctx, a)
}

type verifier func(ctx context.Context, f zones.Family) ([]duckdns.Shown, error)

func (v verifier) Look(ctx context.Context, f zones.Family) ([]duckdns.Shown, error) {
	return v(ctx, f)
}

func (h *house) publish(ctx context.Context, a netip.Addr) (duckdns.Reply, error) {
	h.mu.Lock()
	h.pushes = append(h.pushes, fmt.Sprintf("%v %s", time.Since(h.began), a))
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		return answer(ctx, a)
	}
	return h.take(a), nil
}

// take sets the record.
func (h *house) take(a netip.Addr) duckdns.Reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := zones.FamilyOf(a)
	before := h.held[f]
	if !h.ignore {
		h.settle()
		h.held[f], h.heldAt = a, time.Now()
	}
	return duckdns.Reply{Changed: before != a}
}

// settle has the name servers show what was taken long enough ago.
func (h *house) settle() {
	if time.Since(h.heldAt) >= h.spread {
		maps.Copy(h.shown, h.held)
	}
}

func (h *house) lookAt(_ context.Context, f zones.Family) ([]duckdns.Shown, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks = append(h.looks, fmt.Sprintf("%v %s", time.Since(h.began), f))
	if h.look != nil {
		return h.look(f)
	}
	h.settle()
	if a := h.shown[f]; a.IsValid() {
		return []duckdns.Shown{shows(1, a), shows(2, a)}, nil
	}
	return []duckdns.Shown{shows(1), shows(2)}, nil
}

// own is what the process-wide registry does.
func (h *house) own(ctx context.Context, file string) (func(), error) {
	h.mu.Lock()
	lock := h.locks[file]
	if lock == nil {
		lock = make(chan struct{}, 1)
		h.locks[file] = lock
	}
	h.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *house) line(level string) func(string) {
	return func(text string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lines = append(h.lines, level+" "+text)
	}
}

// since returns what there is of a list, and empties it.
func (h *house) since(list *[]string) []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := *list
	*list = nil
	return out
}

// start runs a worker, which stop ends.
func start(t *testing.T, o duckdns.Options) (w *duckdns.Worker, stop func()) {
	t.Helper()
	w = duckdns.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("the worker ends with %v", err)
		}
	})
	synctest.Wait()
	return w, func() {
		cancel()
		wg.Wait()
	}
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// refuses is a DuckDNS that says KO.
func refuses(context.Context, netip.Addr) (duckdns.Reply, error) {
	return duckdns.Reply{}, duckdns.ErrRefused
}

// isOff is a DuckDNS that does not answer.
func isOff(ctx context.Context, _ netip.Addr) (duckdns.Reply, error) {
	<-ctx.Done()
	return duckdns.Reply{}, fmt.Errorf("connecting to DuckDNS: %w", ctx.Err())
}

var errSilent = errors.New("no name server answers")

// unreachable is what a look shows then.
func unreachable(zones.Family) ([]duckdns.Shown, error) { return nil, errSilent }

// text is one entry a line.
func text(lines []string) string { return strings.Join(lines, "\n") }
