package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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

	mu       sync.Mutex
	conns    map[net.Conn]struct{}  // that net/http has
	upgraded map[*upgraded]struct{} // that it has given away, to websockets
}

func newFlights() *flights {
	return &flights{landed: make(chan struct{}, 1), conns: map[net.Conn]struct{}{}, upgraded: map[*upgraded]struct{}{}}
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
	}
}

// hangUp says goodbye to all websockets, which would stay for as long as a client has a window open.
func (f *flights) hangUp() {
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

// wait returns when no request is under way. When ctx ends before, it cuts the connections of those that are left
// and says how many requests those were.
func (f *flights) wait(ctx context.Context) error {
	f.stopping.Store(true)
	for f.count.Load() > 0 {
		select {
		case <-f.landed:
		case <-ctx.Done():
			return f.cut()
		}
	}
	return nil
}

// reaction bounds how long a request may take to see that its connection is gone.
const reaction = time.Second

func (f *flights) cut() error {
	left := f.count.Load()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close() // it is done with
	}
	f.mu.Unlock()
	late := time.After(reaction)
	for f.count.Load() > 0 {
		select {
		case <-f.landed:
			continue
		case <-late:
		}
		break
	}
	if left == 0 {
		return nil
	}
	return fmt.Errorf("%d requests had not ended in time", left)
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
	h.flights.mu.Lock()
	h.flights.upgraded[u] = struct{}{}
	h.flights.mu.Unlock()
	return u, rw, nil
}

// upgraded is the connection of a websocket.
type upgraded struct {
	net.Conn

	flights *flights
}

// Close implements [net.Conn].
func (u *upgraded) Close() error {
	u.flights.mu.Lock()
	delete(u.flights.upgraded, u)
	u.flights.mu.Unlock()
	return u.Conn.Close()
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
	_ = u.Conn.SetWriteDeadline(time.Now().Add(reaction)) // without one it may take longer, no more
	_, _ = u.Conn.Write(goAway)                           // the client may have gone
	_ = u.Close()
}
