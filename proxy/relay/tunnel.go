package relay

import (
	"errors"
	"io"
	"sync"
)

// tunnel is the node's side of a websocket. Caddy's reverse_proxy copies between it and the client's, and may
// close it from several goroutines, after the request's handler has returned: it holds nothing of the trip.
type tunnel struct {
	io.ReadWriteCloser
	stats *stats
	end   func()
}

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

// CloseWrite tells the node that the client has no more to say. The bodies of net/http can do it.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements [io.Closer].
func (t *tunnel) Close() error {
	defer t.end()
	return t.ReadWriteCloser.Close()
}

var _ io.ReadWriteCloser = (*tunnel)(nil)
