package lane

import (
	"context"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

const (
	// queued is how many packets may wait for CoreDNS: a burst. Its own socket has room for 280.
	queued = 512
	// together is how many of them the server reads before others have their turn. Each gets a goroutine that runs at
	// once, so this bounds how long a flood of them keeps the only CPU from a worker: some 0.7 ms, of each 3.
	together = 64
	// inFlight is how many packets CoreDNS may be busy with, most of them waiting for an upstream that does not answer.
	// Beyond these two a packet is dropped: a flood takes no more than some 30 MB.
	inFlight = 2048
	// inFlightOwn is the same for questions within the blocks' names, which seldom wait for anything.
	inFlightOwn = 512

	// shutdownTime is how long to wait for what CoreDNS is busy with: as long as CoreDNS waits when it stops.
	shutdownTime = 5 * time.Second
	// endTime is the same for a lane that ends. At the end of the process CoreDNS waits for its own after that, and
	// whoever has asked for the end may wait for 10 s in all.
	endTime = 2 * time.Second
)

// handOff gives packets to a server of CoreDNS, in order, as if it had read them from a socket of its own. It is the
// [net.PacketConn] that a server of the dns library reads from.
type handOff struct {
	target *dnsserver.Server
	server *dns.Server
	queue  chan *handed
	busy   chan struct{}  // has a value for each packet that CoreDNS is busy with
	left   sync.WaitGroup // a count of packets that are queued or with CoreDNS

	turn     int            // packets that were read since others had their turn
	ended    atomic.Bool    // it takes nothing any more
	over     sync.WaitGroup // the server
	finish   sync.Once
	finished chan struct{} // closed: there is nothing more to read
}

// handed is a packet on its way to CoreDNS.
type handed struct {
	data   []byte
	client *client
}

// client is the address of a client. To plugins it is a plain [net.UDPAddr]; it knows how to reply from the address
// that the client asked.
type client struct {
	net.UDPAddr
	conn conn
	path path
}

// Unwrap returns the address as the net package has it.
func (c *client) Unwrap() net.Addr { return &c.UDPAddr }

var packets = sync.Pool{New: func() any { return new(handed) }}

// newHandOff starts a hand-off to a server that may be busy with so many packets. The writer is the one that the
// server's own packets have, or nil.
func newHandOff(target *dnsserver.Server, writer dns.DecorateWriter, most int) *handOff {
	h := &handOff{
		target:   target,
		queue:    make(chan *handed, queued),
		busy:     make(chan struct{}, most),
		finished: make(chan struct{}),
	}
	started := make(chan struct{})
	h.server = &dns.Server{
		PacketConn: h, Net: "udp", UDPSize: packetSize,
		Handler: h, TsigSecret: target.TsigSecret, DecorateWriter: writer,
		MsgAcceptFunc: h.accept, MsgInvalidFunc: func([]byte, error) { h.done() },
		NotifyStartedFunc: func() { close(started) },
	}
	h.over.Go(func() { _ = h.server.ActivateAndServe() }) // its only error is one of the connection, which is ours
	<-started
	return h
}

// take queues the packet of a slot, and reports whether there was room.
func (h *handOff) take(from conn, i int, at *slot) bool {
	if len(h.queue) == cap(h.queue) || h.ended.Load() {
		return false // the usual case of a flood costs nothing
	}
	p := packets.Get().(*handed) //nolint:forcetypeassert // nothing else is put
	p.data = append(p.data[:0], at.packet...)
	p.client = &client{conn: from, path: from.path(i)}
	p.client.IP = at.from.Addr().AsSlice()
	p.client.Port = int(at.from.Port())
	h.left.Add(1)
	select {
	case h.queue <- p:
		return true
	default:
		h.left.Done()
		packets.Put(p)
		return false
	}
}

// close waits until nothing is left, for a time at most, and ends the server. Nobody may call take any more.
func (h *handOff) close(wait time.Duration) {
	empty := make(chan struct{})
	go func() {
		h.left.Wait()
		close(empty)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	select {
	case <-empty:
	case <-ctx.Done():
	}
	h.ended.Store(true)
	if h.server.ShutdownContext(ctx) == nil {
		h.over.Wait()
	}
}

// done is called once for each packet that was read, when CoreDNS has done with it.
func (h *handOff) done() {
	<-h.busy
	h.left.Done()
}

// accept is the rule that CoreDNS has where no plugin asks for more opcodes; none of ours does.
func (h *handOff) accept(header dns.Header) dns.MsgAcceptAction {
	action := dns.DefaultMsgAcceptFunc(header)
	if action != dns.MsgAccept {
		h.done()
	}
	return action
}

// ServeDNS implements [dns.Handler] as CoreDNS does for its own sockets.
func (h *handOff) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	defer h.done()
	ctx := context.WithValue(context.Background(), dnsserver.Key{}, h.target)
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
	h.target.ServeDNS(ctx, writer{w}, r)
}

// writer shows plugins the addresses that they would see on a socket: some ask for the very type.
type writer struct{ dns.ResponseWriter }

// RemoteAddr implements [dns.ResponseWriter].
func (w writer) RemoteAddr() net.Addr {
	addr := w.ResponseWriter.RemoteAddr()
	if c, ok := addr.(*client); ok {
		return c.Unwrap()
	}
	return addr
}

// LocalAddr implements [dns.ResponseWriter].
func (w writer) LocalAddr() net.Addr {
	if c, ok := w.ResponseWriter.RemoteAddr().(*client); ok {
		return c.conn.local()
	}
	return w.ResponseWriter.LocalAddr()
}

// ReadFrom implements [net.PacketConn].
func (h *handOff) ReadFrom(buf []byte) (int, net.Addr, error) {
	if h.turn++; h.turn >= together {
		h.turn = 0
		runtime.Gosched()
	}
	select {
	case h.busy <- struct{}{}:
	case <-h.finished:
		return 0, nil, os.ErrDeadlineExceeded
	}
	select {
	case p := <-h.queue:
		n, from := copy(buf, p.data), p.client
		p.client = nil
		packets.Put(p)
		if zone := from.conn.zone(&from.path); zone != "" {
			from.Zone = zone
		}
		return n, from, nil
	case <-h.finished:
		<-h.busy
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo implements [net.PacketConn].
func (h *handOff) WriteTo(packet []byte, to net.Addr) (int, error) {
	c, ok := to.(*client)
	if !ok {
		return 0, net.InvalidAddrError("not the address of a packet that was handed over")
	}
	if err := c.conn.reply(packet, &c.path); err != nil {
		return 0, err
	}
	return len(packet), nil
}

// SetReadDeadline implements [net.PacketConn]. One that has passed ends reading for good: so does the library shut a
// server down. The others only have it look again from time to time whether it was.
func (h *handOff) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		h.finish.Do(func() { close(h.finished) })
	}
	return nil
}

// SetDeadline implements [net.PacketConn].
func (h *handOff) SetDeadline(t time.Time) error { return h.SetReadDeadline(t) }

// SetWriteDeadline implements [net.PacketConn]. Writing does not wait.
func (h *handOff) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements [net.PacketConn]. Each packet has one of its own.
func (h *handOff) LocalAddr() net.Addr { return new(net.UDPAddr) }

// Close implements [net.PacketConn]. The sockets are the lane's.
func (h *handOff) Close() error { return nil }
