package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// doorNetwork is what Caddy calls our sockets: plexha/N is file descriptor N.
const doorNetwork = "plexha"

// settleTime is how long an old configuration goes on after a new one has begun. Its servers get no connection
// any more, and finish reading the requests of those that they have: net/http hangs up on who has not sent his
// first request when a server shuts down. It covers a TLS handshake over a slow line.
const settleTime = 250 * time.Millisecond

func init() { caddy.RegisterNetwork(doorNetwork, openDoor) }

// openDoor is a [caddy.ListenerFunc].
func openDoor(_ context.Context, _, fd, _ string, _ uint, _ net.ListenConfig) (any, error) {
	s := process.Load()
	if s == nil {
		return nil, errors.New("no server runs in this process")
	}
	n, err := strconv.Atoi(fd)
	if err != nil {
		return nil, fmt.Errorf("reading a file descriptor: %w", err)
	}
	return s.doors.open(n)
}

// doors are the sockets that listeners of several of Caddy's configurations share, by file descriptor.
type doors struct {
	running sync.WaitGroup

	mu   sync.Mutex
	byFD map[int]*door
}

// door is one socket. Its connections go to the listener that was opened last.
type door struct {
	doors  *doors
	fd     int
	socket net.Listener

	// Guarded by doors.mu.
	listeners []*doorListener
	changed   chan struct{} // closed when another one is the last
}

// open returns one more listener of a socket.
func (d *doors) open(fd int) (*doorListener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.byFD[fd]
	if at == nil {
		socket, err := listenerOf(fd)
		if err != nil {
			return nil, err
		}
		at = &door{doors: d, fd: fd, socket: socket, changed: make(chan struct{})}
		if d.byFD == nil {
			d.byFD = map[int]*door{}
		}
		d.byFD[fd] = at
		d.running.Go(at.run)
	}
	l := &doorListener{door: at, accepted: make(chan accepted), closed: make(chan struct{})}
	at.listeners = append(at.listeners, l)
	at.change()
	return l, nil
}

// listenerOf returns a listener of a copy of the file descriptor.
func listenerOf(fd int) (net.Listener, error) {
	own, err := syscall.Dup(fd)
	if err != nil {
		return nil, fmt.Errorf("copying file descriptor %d: %w", fd, err)
	}
	file := os.NewFile(uintptr(own), "listener")
	defer func() { _ = file.Close() }() // the listener has its own copy
	return net.FileListener(file)
}

// shut closes all sockets, so that nobody comes in any more.
func (d *doors) shut() {
	d.mu.Lock()
	for _, at := range d.byFD {
		_ = at.socket.Close() // nothing is lost by it
	}
	d.mu.Unlock()
	d.running.Wait()
}

// accepted is what a socket has given.
type accepted struct {
	conn net.Conn
	err  error
}

// run accepts connections until the socket is closed. Other errors are the listeners' to judge: net/http waits
// while there are no file descriptors.
func (at *door) run() {
	for {
		conn, err := at.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		at.hand(accepted{conn, err})
	}
}

// hand gives a connection to the newest listener.
func (at *door) hand(a accepted) {
	for {
		l, changed := at.newest()
		if l == nil {
			if a.conn != nil {
				_ = a.conn.Close() // nobody is left
			}
			return
		}
		select {
		case l.accepted <- a:
			return
		case <-changed:
		}
	}
}

// newest returns the listener that was opened last, or nil, and a channel that is closed when that is another.
func (at *door) newest() (*doorListener, <-chan struct{}) {
	at.doors.mu.Lock()
	defer at.doors.mu.Unlock()
	if len(at.listeners) == 0 {
		return nil, nil
	}
	return at.listeners[len(at.listeners)-1], at.changed
}

// change tells hand. It is called with doors.mu held.
func (at *door) change() {
	close(at.changed)
	at.changed = make(chan struct{})
}

// leave takes a listener out. With the last one the socket is closed.
func (at *door) leave(l *doorListener) {
	at.doors.mu.Lock()
	defer at.doors.mu.Unlock()
	at.listeners = slices.DeleteFunc(at.listeners, func(other *doorListener) bool { return other == l })
	at.change()
	if len(at.listeners) == 0 {
		delete(at.doors.byFD, at.fd)
		_ = at.socket.Close() // nothing is lost by it
	}
}

// doorListener is what one of Caddy's configurations has of a door.
type doorListener struct {
	door     *door
	accepted chan accepted
	closed   chan struct{}
	closing  sync.Once
}

// Accept implements [net.Listener].
func (l *doorListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *doorListener) Close() error {
	l.closing.Do(func() {
		l.door.leave(l)
		close(l.closed)
	})
	return nil
}

// Addr implements [net.Listener].
func (l *doorListener) Addr() net.Addr { return l.door.socket.Addr() }
