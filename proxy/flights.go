package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// flights is all that is under way at the listeners, over all of Caddy's configurations: Caddy itself, when it is
// stopped, waits for nothing.
type flights struct {
	count    atomic.Int64 // of requests
	stopping atomic.Bool
	landed   chan struct{} // one slot: the last request has ended while stopping
	closed   chan struct{} // one slot: a connection has been closed while stopping

	leave   context.CancelFunc                   // begins the end
	onLeave func(do func()) (forget func() bool) // has something done when the end begins

	mu       sync.Mutex
	conns    map[net.Conn]struct{}  // that net/http has
	upgraded map[*upgraded]struct{} // that it has given away, to websockets
}

func newFlights() *flights {
	end, leave := context.WithCancel(context.Background())
	return &flights{
		landed: make(chan struct{}, 1), closed: make(chan struct{}, 1),
		leave: leave, onLeave: func(do func()) func() bool { return context.AfterFunc(end, do) },
		conns: map[net.Conn]struct{}{}, upgraded: map[*upgraded]struct{}{},
	}
}

func (f *flights) begin() { f.count.Add(1) }

func (f *flights) end() {
	if f.count.Add(-1) == 0 && f.stopping.Load() {
		signal(f.landed)
	}
}

// signal fills a channel of one slot.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// connState is for http.Server.ConnState.
func (f *flights) connState(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
	case http.StateClosed, http.StateHijacked:
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
		if f.stopping.Load() {
			signal(f.closed)
		}
	}
}

// hangUp ends all websockets and event streams, which would stay for as long as a client has a window open.
func (f *flights) hangUp() {
	f.leave()
	f.mu.Lock()
	var all []*upgraded
	for u := range f.upgraded {
		all = append(all, u)
	}
	f.mu.Unlock()
	var wg sync.WaitGroup
	for _, u := range all {
		wg.Go(u.goAway)
	}
	wg.Wait()
}

// wait returns when no request is under way. When ctx ends before, it cuts those that are left and says how many
// they were. In the end no connection is open.
func (f *flights) wait(ctx context.Context) error {
	f.stopping.Store(true)
	f.landing(ctx)
	left := f.count.Load()
	if left == 0 {
		f.drain()
	}
	f.cut()
	if left == 0 {
		return nil
	}
	late, cancel := context.WithTimeout(context.Background(), reaction)
	defer cancel()
	f.landing(late)
	return &CutError{Requests: int(left)}
}

// CutError tells of requests that had not ended when the time of grace was over: somebody was watching a film.
type CutError struct {
	Requests int // how many they were
}

// Error implements error.
func (e *CutError) Error() string {
	return fmt.Sprintf("%d requests had not ended in time", e.Requests)
}

// landing waits until no request is under way or ctx ends.
func (f *flights) landing(ctx context.Context) {
	for f.count.Load() > 0 {
		select {
		case <-f.landed:
		case <-ctx.Done():
			return
		}
	}
}

const (
	// reaction bounds how long a request may take to see that its connection is gone.
	reaction = time.Second
	// farewell is for the last answers to arrive: a connection that is closed with something unread in it, such as
	// what HTTP/2 acknowledges, is reset, and what is on its way is lost.
	farewell = 250 * time.Millisecond
)

// drain waits for the connections to be closed by net/http, which does so once they are idle. Those of HTTP/2 take
// longer than is worth waiting for.
func (f *flights) drain() {
	late := time.NewTimer(farewell)
	defer late.Stop()
	for {
		f.mu.Lock()
		open := len(f.conns)
		f.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-f.closed:
		case <-late.C:
			return
		}
	}
}

// cut closes all connections.
func (f *flights) cut() {
	f.mu.Lock()
	all := slices.Collect(maps.Keys(f.conns))
	f.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // it is done with
	}
}

// hijacker lets a request's connection be given away to a websocket that [flights] knows.
type hijacker struct {
	http.ResponseWriter

	flights *flights
}

// Unwrap is for [http.ResponseController].
func (h hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack implements [http.Hijacker].
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u := &upgraded{Conn: conn, flights: h.flights}
	rw.Writer.Reset(u) // it is empty (http.Hijacker)
	h.flights.mu.Lock()
	h.flights.upgraded[u] = struct{}{}
	h.flights.mu.Unlock()
	return u, rw, nil
}

// upgraded is the connection of a websocket.
type upgraded struct {
	net.Conn

	flights *flights
	mu      sync.Mutex // held while it is written to: Caddy counts what is, for the access log
	left    bool       // the last word has been said
}

// Write implements [net.Conn].
func (u *upgraded) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return 0, net.ErrClosed
	}
	return u.Conn.Write(p)
}

// Close implements [net.Conn]. Nothing is written any more when it returns, so that what was can be told.
func (u *upgraded) Close() error {
	u.flights.mu.Lock()
	delete(u.flights.upgraded, u)
	u.flights.mu.Unlock()
	err := u.Conn.Close() // which ends a write that waits
	u.mu.Lock()
	u.left = true
	u.mu.Unlock()
	return err
}

// CloseWrite ends one direction, where the connection can: reverse_proxy asks for it, and ends both if it can't.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// goAway is the close frame of a server that goes down: 1001 (RFC 6455 5.5.1, 7.4.1).
var goAway = []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// goAway closes the websocket. A message that is on its way to a client that takes nothing is given up.
func (u *upgraded) goAway() {
	_ = u.SetWriteDeadline(time.Now().Add(reaction)) // without one it may take longer, no more
	u.mu.Lock()
	if !u.left {
		_, _ = u.Conn.Write(goAway) // the client may have gone
	}
	u.left = true
	u.mu.Unlock()
	_ = u.Close()
}
