package plugin_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"plexha/plugin/lane"
	"plexha/plugin/pack"
)

// chain is a CoreDNS server that reads and sends its packets without a socket: the path of a question for which no
// lane has an answer.
type chain struct {
	t    testing.TB
	conn *memoryConn
	port atomic.Uint32
	busy sync.WaitGroup // questions that are not done with, although they may have their answers
}

// serve starts the server's UDP side.
func serve(t testing.TB, s *dnsserver.Server) *chain {
	t.Helper()
	c := &chain{t: t, conn: newMemoryConn()}
	var done sync.WaitGroup
	done.Go(func() { _ = s.ServePacket(c.conn) })
	t.Cleanup(func() {
		_ = c.conn.Close()
		_ = s.Stop()
		done.Wait()
	})
	return c
}

// exchange sends a packet and returns what comes back, nil for those that nobody answers.
func (c *chain) exchange(packet []byte, from netip.Addr) []byte {
	c.t.Helper()
	answer, err := c.try(packet, from)
	if err != nil {
		c.t.Errorf("%x from %s: %v", packet, from, err)
	}
	return answer
}

// try is [chain.exchange] that leaves it to the caller to fail.
func (c *chain) try(packet []byte, from netip.Addr) ([]byte, error) {
	const flagQR = 1 << 15
	if len(packet) < 12 || binary.BigEndian.Uint16(packet[2:])&flagQR != 0 {
		return nil, nil // miekg/dns lets the client wait for ever
	}
	client := netip.AddrPortFrom(from, uint16(1024+c.port.Add(1)%60000)) //nolint:gosec // below 65536
	return c.conn.exchange(packet, client)
}

// memoryConn is a [net.PacketConn] of channels.
type memoryConn struct {
	in     chan datagram
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	out map[netip.AddrPort]chan []byte
}

type datagram struct {
	packet []byte
	from   netip.AddrPort
}

func newMemoryConn() *memoryConn {
	return &memoryConn{in: make(chan datagram), closed: make(chan struct{}), out: map[netip.AddrPort]chan []byte{}}
}

func (c *memoryConn) exchange(packet []byte, from netip.AddrPort) ([]byte, error) {
	answer := make(chan []byte, 1)
	c.mu.Lock()
	c.out[from] = answer
	c.mu.Unlock()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case c.in <- datagram{packet, from}:
	case <-late.C:
		return nil, os.ErrDeadlineExceeded
	}
	select {
	case b := <-answer:
		return b, nil
	case <-late.C:
		return nil, os.ErrDeadlineExceeded
	}
}

// ReadFrom implements [net.PacketConn].
func (c *memoryConn) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-c.in:
		return copy(b, d.packet), net.UDPAddrFromAddrPort(d.from), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements [net.PacketConn].
func (c *memoryConn) WriteTo(b []byte, to net.Addr) (int, error) {
	addr := to.(*net.UDPAddr).AddrPort()
	c.mu.Lock()
	answer := c.out[addr]
	delete(c.out, addr)
	c.mu.Unlock()
	if answer == nil {
		return 0, net.ErrClosed // a second answer to one question
	}
	answer <- append([]byte(nil), b...)
	return len(b), nil
}

// Close implements [net.PacketConn].
func (c *memoryConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// LocalAddr implements [net.PacketConn].
func (*memoryConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 168, 1, 53), Port: 53} }

// SetDeadline implements [net.PacketConn].
func (*memoryConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.PacketConn].
func (*memoryConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.PacketConn].
func (*memoryConn) SetWriteDeadline(time.Time) error { return nil }

// server returns a CoreDNS server that has these houses, each with its zones.
func coreDNS(t testing.TB, houses ...*house) *chain {
	t.Helper()
	var configs []*dnsserver.Config
	for _, h := range houses {
		for _, origin := range h.cfg.Cluster.Origins {
			c := &dnsserver.Config{Zone: origin, Transport: "dns", Port: "53", ListenHosts: []string{""}}
			c.AddPlugin(func(plugin.Handler) plugin.Handler { return h.Plex })
			configs = append(configs, c)
		}
	}
	s, err := dnsserver.NewServer(serverAddr, configs)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, s)
}

const serverAddr = "dns://:53"

// worker does with packets what a lane's worker does, all but their transport.
type worker struct {
	addr    string
	routes  *lane.Routes
	tallies map[lane.Block]lane.Tally
	q       pack.Question
	buf     []byte
}

func newWorker(routes *lane.Routes) *worker {
	return &worker{addr: serverAddr, routes: routes, tallies: map[lane.Block]lane.Tally{}, buf: make([]byte, 0, 1500)}
}

// answer returns the lane's answer until the next one, or nil if the packet is CoreDNS's.
func (w *worker) answer(packet []byte, from netip.Addr) []byte {
	if !w.q.Read(packet) {
		return nil
	}
	b := w.routes.Find(&w.q)
	if b == nil {
		return nil
	}
	tally := w.tallies[b]
	if tally == nil {
		tally = b.Tally(w.addr)
		w.tallies[b] = tally
	}
	return b.Answer(w.buf[:0], &w.q, from, tally)
}

// flush ends a batch.
func (w *worker) flush() {
	for _, t := range w.tallies {
		t.Flush()
	}
}

// routesTo returns the routes of a server that has these houses.
func routesTo(t testing.TB, houses ...*house) *lane.Routes {
	t.Helper()
	cuts := map[string]lane.Block{}
	for _, h := range houses {
		for _, origin := range h.cfg.Cluster.Origins {
			cuts[wireName(t, origin)] = h.Plex
		}
	}
	return lane.NewRoutes(cuts)
}
