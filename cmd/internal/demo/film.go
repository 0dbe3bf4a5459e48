package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"plexha/e2e/standin"
)

const (
	// filmPace is the time between two requests of a player: a film of filmLength segments takes ten seconds.
	filmPace   = 100 * time.Millisecond
	filmLength = 100
	// startAgain is how long an app waits before it begins a film again that broke off.
	startAgain = 250 * time.Millisecond
)

// Film is what a device plays, until it is stopped.
type Film interface {
	// Seen returns how far it has come.
	Seen() Seen
	// Stop ends it as a viewer does, who presses a button.
	Stop()
}

// Seen is how far a device has come with its films.
type Seen struct {
	Node   Member // who gave out what it played last
	Pieces int    // of films
	Again  int    // how often it had to begin a film again
	Since  int    // pieces since it last began one
}

// String returns it on one line.
func (s Seen) String() string { return fmt.Sprintf("%d pieces, the last from %s", s.Pieces, s.Node) }

// viewer plays films.
type viewer struct {
	client standin.Client
	way    *way
	base   string
	cancel context.CancelFunc
	stop   chan struct{} // closed when the viewer has seen enough
	done   chan struct{} // closed when nothing goes on any more

	once sync.Once
	mu   sync.Mutex
	seen Seen
}

// watchFilms has a device play through plexproxy at that address until ctx ends, or the film is stopped.
func watchFilms(ctx context.Context, d Device, place netip.AddrPort, authority string) *viewer {
	ctx, cancel := context.WithCancel(ctx)
	v := &viewer{
		client: standin.Client{
			Kind: standin.TVApp, ID: string(d), Token: d.token(), Segments: filmLength, Pace: filmPace,
		},
		way: newWay(place, authority), base: "https://" + bare(mainName),
		cancel: cancel, stop: make(chan struct{}), done: make(chan struct{}),
	}
	go v.run(ctx)
	return v
}

// run plays one film after the other.
func (v *viewer) run(ctx context.Context) {
	defer close(v.done)
	defer v.cancel()
	defer v.way.CloseIdleConnections()
	for ; ctx.Err() == nil && !v.hasStopped(); v.client.Nth++ {
		if v.watch(ctx) {
			continue
		}
		v.change(func(s *Seen) {
			if s.Since > 0 { // else it had not begun
				s.Again++
			}
		})
		select {
		case <-time.After(startAgain):
		case <-v.stop:
		case <-ctx.Done():
		}
	}
}

// watch plays a film, and reports whether it went well until its end, or for as long as somebody watched.
func (v *viewer) watch(ctx context.Context) bool {
	v.change(func(s *Seen) { s.Since = 0 })
	b := v.client.Begin(&http.Client{Transport: v.way}, v.base)
	defer b.Close()
	for taken := 0; ; {
		if v.hasStopped() && v.Seen().Since > 0 {
			b.LeaveTo("stopped")
		} else if v.hasStopped() {
			return true
		}
		if !b.Step(ctx) {
			return true
		}
		steps := b.Report().Steps
		for _, s := range steps[taken:] {
			if s.Err != "" {
				return false
			}
			v.take(s)
		}
		taken = len(steps)
	}
}

// take notes a step that went well.
func (v *viewer) take(s standin.Step) {
	v.change(func(seen *Seen) {
		if !s.Anywhere && s.Node != "" {
			seen.Node = Member(s.Node)
		}
		if strings.HasPrefix(s.Name, "segment ") {
			seen.Pieces++
			seen.Since++
		}
	})
}

func (v *viewer) change(f func(*Seen)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.seen)
}

func (v *viewer) hasStopped() bool {
	select {
	case <-v.stop:
		return true
	default:
		return false
	}
}

// Seen implements [Film].
func (v *viewer) Seen() Seen {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen
}

// Stop implements [Film]. It returns when the app has said so.
func (v *viewer) Stop() {
	v.once.Do(func() { close(v.stop) })
	<-v.done
}
