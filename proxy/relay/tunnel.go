package relay

import (
	"errors"
	"io"
	"sync"
	"time"
)

// tunnel is the node's side of a websocket. Caddy's reverse_proxy copies between it and the client's, and may
// close it from several goroutines, after the request's handler has returned: it holds nothing of the trip.
type tunnel struct {
	io.ReadWriteCloser
	stats *stats
	end   func()

	mu     sync.Mutex
	ending *time.Timer // nil: the client has not left
	closed bool
}

// goodbye is how long a node may go on after its client has left: time for its own close frame. A websocket has
// no half that stays open (RFC 6455, section 7.1.1), and a node that is frozen would never end it.
const goodbye = 3 * time.Second

// tunnel turns the attempt that has switched protocols into a tunnel.
func (r *Relay) tunnel(a *attempt) io.ReadCloser {
	rwc, ok := a.body.(io.ReadWriteCloser)
	if !ok {
		return a // reverse_proxy says that it is no tunnel, and closes it
	}
	held := *a
	a.node = nil
	r.streams[streamWebsocket].Add(1)
	return &tunnel{ReadWriteCloser: rwc, stats: held.node.stats, end: sync.OnceFunc(func() {
		r.streams[streamWebsocket].Add(-1)
		held.end()
	})}
}

// Read implements [io.Reader].
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.stats.sent.Add(uint64(n))
	return n, err
}

// Write implements [io.Writer].
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Write(p)
	t.stats.received.Add(uint64(n))
	return n, err
}

// CloseWrite tells the node that the client has left, and ends the tunnel a little later.
func (t *tunnel) CloseWrite() error {
	half, ok := t.ReadWriteCloser.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported // ends it now
	}
	t.mu.Lock()
	if !t.closed && t.ending == nil {
		t.ending = time.AfterFunc(goodbye, func() { _ = t.Close() })
	}
	t.mu.Unlock()
	return half.CloseWrite()
}

// Close implements [io.Closer].
func (t *tunnel) Close() error {
	t.mu.Lock()
	t.closed = true
	if t.ending != nil {
		t.ending.Stop()
	}
	t.mu.Unlock()
	defer t.end()
	return t.ReadWriteCloser.Close()
}

var _ io.ReadWriteCloser = (*tunnel)(nil)
