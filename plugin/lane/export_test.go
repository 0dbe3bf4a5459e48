package lane

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

// What tests of bounds need to know.
const (
	BatchSize    = batchSize
	Queued       = queued
	InFlight     = inFlight
	InFlightOwn  = inFlightOwn
	SettleTime   = settleTime
	HealTimeMost = healTimeMost
	NapTime      = napTime
	TurnTime     = turnTime
)

// Packet is a packet with where it came from.
type Packet struct {
	Data []byte
	From netip.AddrPort
}

// memory is a conn without a socket.
type memory struct {
	in       []Packet
	buffers  [batchSize][packetSize]byte
	mu       sync.Mutex
	answers  [][]byte // by place in the batch
	replies  chan []byte
	readWait chan struct{}
}

func (m *memory) poll(slots []slot) (int, error) {
	n := min(len(slots), len(m.in))
	for i, p := range m.in[:n] {
		slots[i].packet, slots[i].from = m.buffers[i][:copy(m.buffers[i][:], p.Data)], p.From
	}
	m.in = m.in[n:]
	return n, nil
}

func (m *memory) wait(slots []slot) (int, error) { return m.poll(slots) }
func (*memory) nap()                             {}

func (m *memory) read(slots []slot) (int, error) {
	if n, err := m.poll(slots); n > 0 {
		return n, err
	}
	<-m.readWait
	return 0, os.ErrDeadlineExceeded
}

func (m *memory) write(slots []slot) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range slots {
		m.answers = append(m.answers, slices.Clone(s.answer))
	}
	return 0
}

func (m *memory) reply(packet []byte, _ *path) error {
	m.replies <- slices.Clone(packet)
	return nil
}

func (*memory) path(int) path     { return path{} }
func (*memory) zone(*path) string { return "" }
func (*memory) local() net.Addr   { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 53), Port: 53} }
func (m *memory) stop()           { close(m.readWait) }
func (*memory) retire() error     { return nil }
func (*memory) close() error      { return nil }

// Desk is a worker with a hand-off and without a socket.
type Desk struct {
	Replies chan []byte // what CoreDNS answered

	conn   *memory
	worker *worker
	at     atomic.Pointer[service]
	warned atomic.Int64
}

// NewDesk starts a desk that hands packets to the server.
func NewDesk(p Plan, s *dnsserver.Server, writer dns.DecorateWriter) *Desk {
	d := &Desk{Replies: make(chan []byte, 2*(queued+inFlight))}
	d.conn = &memory{replies: d.Replies, readWait: make(chan struct{})}
	d.at.Store(newService(d, p, s, writer))
	d.worker = &worker{conn: d.conn, service: &d.at, counts: new(counts), warned: &d.warned}
	return d
}

// Handle has the worker handle one batch, and returns its answers by place: empty for what it did not answer.
func (d *Desk) Handle(packets ...Packet) [][]byte {
	d.conn.in, d.conn.answers = packets, nil
	d.worker.drain()
	return d.conn.answers
}

// Counts returns what the worker has counted.
func (d *Desk) Counts() (answered, handed, ignored, overflow, panics uint64) {
	c := d.worker.counts
	return c.answered.Load(), c.handed.Load(), c.ignored.Load(), c.overflow.Load(), c.panics.Load()
}

// Close waits for CoreDNS and ends the desk.
func (d *Desk) Close() { d.at.Load().close(shutdownTime) }

// Spin has the worker handle the same batch again and again.
func (d *Desk) Spin(b *testing.B, packets ...Packet) {
	b.ReportAllocs()
	for b.Loop() {
		d.conn.in = packets
		n, _ := d.conn.poll(d.worker.slots[:])
		d.worker.handle(d.at.Load(), n)
		for i, asked := range d.worker.asked {
			if asked {
				d.worker.flush(d.at.Load(), i)
			}
		}
	}
}

// Stream is a conn that packets come to over time: so many a second, or a window of them, and another one as soon as
// that is answered.
type Stream struct {
	Packet Packet
	Rate   int           // a second
	Window int           // instead
	Away   time.Duration // until those of a window come again

	Naps    int
	Longest time.Duration // without a wait together with others

	memory
	began, waited, answered time.Time
	taken                   int
	stopped                 atomic.Bool
}

// Run has a worker answer what comes for a time, and returns how many packets that were.
func (s *Stream) Run(p Plan, to *dnsserver.Server, d time.Duration) int {
	var at atomic.Pointer[service]
	at.Store(newService(s, p, to, nil))
	s.memory = memory{replies: make(chan []byte, queued)}
	s.began = time.Now()
	s.waited = s.began
	time.AfterFunc(d, func() { s.stopped.Store(true) })
	go func() {
		for range s.replies {
		}
	}()
	w := &worker{conn: s, service: &at, counts: new(counts)}
	w.run()
	at.Load().close(shutdownTime)
	close(s.replies)
	return s.taken
}

func (s *Stream) poll(slots []slot) (int, error) {
	n := int(time.Since(s.began).Seconds()*float64(s.Rate)) - s.taken
	if s.Window > 0 && time.Since(s.answered) >= s.Away {
		n = s.Window
	}
	s.in = slices.Repeat([]Packet{s.Packet}, max(0, min(n, len(slots))))
	s.taken += len(s.in)
	if s.Window > 0 && len(s.in) > 0 {
		s.answered = time.Now()
	}
	return s.memory.poll(slots)
}

func (s *Stream) read(slots []slot) (int, error) {
	for !s.stopped.Load() {
		n, err := s.poll(slots)
		if n > 0 || err != nil {
			return n, err
		}
		s.Longest = max(s.Longest, time.Since(s.waited))
		time.Sleep(time.Microsecond)
		s.waited = time.Now()
	}
	return 0, os.ErrDeadlineExceeded
}

func (s *Stream) wait(slots []slot) (int, error) {
	for began := time.Now(); time.Since(began) < patience && !s.stopped.Load(); time.Sleep(time.Microsecond) {
		if n, err := s.poll(slots); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

func (s *Stream) nap() {
	s.Naps++
	time.Sleep(napTime)
}

// Own reports whether a packet asks first for a name that is a block's.
func (r *Routes) Own(packet []byte) bool { return r.own(packet) }

// Reachable returns where a lane at the address sends what finds its sockets.
func Reachable(at netip.AddrPort) []netip.AddrPort { return reachable(net.UDPAddrFromAddrPort(at)) }

// RefuseListening has the system refuse a socket after so many, RefuseSteering each program.
func (l *Lanes) RefuseListening(after int, err error) {
	k := systems
	var opened atomic.Int64
	k.listen = func(addr string, cpu int) (conn, error) {
		if opened.Add(1) > int64(after) {
			return nil, err
		}
		return systems.listen(addr, cpu)
	}
	l.kernel = &k
}

// RefuseSteering has the system refuse each program.
func (l *Lanes) RefuseSteering(err error) {
	k := systems
	k.steer = func(conn, steering) error { return err }
	l.kernel = &k
}

// KnowNoCPU has the system treat the lane's sockets as it does others: each may get what is led to none.
func (l *Lanes) KnowNoCPU() {
	k := systems
	k.listen = func(addr string, _ int) (conn, error) { return systems.listen(addr, -1) }
	l.kernel = &k
}

// LoseSights has what a lane sends to itself get lost, as a firewall would have it.
func (l *Lanes) LoseSights() {
	k := systems
	k.ask = func(context.Context, netip.AddrPort, [][]byte) error { return nil }
	l.kernel = &k
}

// Places returns where the sockets of the lane at the address are in the kernel's group, and how often it has been led.
func (l *Lanes) Places(addr string) []int {
	_, at := l.find(nil, addr)
	if at == nil {
		return nil
	}
	at.shape.Lock()
	defer at.shape.Unlock()
	return slices.Clone(at.places)
}

// Settled reports whether packets that go astray are looked after at the address by now.
func (l *Lanes) Settled(addr string) bool {
	_, at := l.find(nil, addr)
	return at != nil && at.settled()
}

// Has reports whether there is a lane at the address.
func (l *Lanes) Has(addr string) bool {
	_, at := l.find(nil, addr)
	return at != nil
}

// Kept is a lane in memory whose looks for its sockets can be watched.
type Kept struct {
	Looks  atomic.Int64 // how often it has led its packets
	Grants atomic.Int64 // how often the system may be asked to lead packets before it refuses, if not 0
	lane   *lane
}

// OpenKept opens a lane of one socket.
func OpenKept(p Plan, s *dnsserver.Server) (*Kept, error) {
	k := &Kept{}
	p.Sockets = 1
	k.lane = newLane(kernel{
		listen: func(string, int) (conn, error) { return &memory{readWait: make(chan struct{})}, nil },
		steer: func(_ conn, s steering) error {
			if s.key == (key{}) {
				k.Looks.Add(1)
			}
			if k.Grants.Load() > 0 && k.Grants.Add(-1) == 0 {
				return os.ErrPermission
			}
			return nil
		},
		unsteer: func(conn) error { return nil },
		ask:     func(context.Context, netip.AddrPort, [][]byte) error { return os.ErrPermission },
	}, newService(nil, p, s, nil), &ledger{})
	return k, k.lane.open()
}

// Decorator returns what CoreDNS's own sockets are decorated with.
func (k *Kept) Decorator() dns.DecorateWriter { return k.lane.watch(nil) }

// Resize gives the lane so many sockets, as a reload may.
func (k *Kept) Resize(sockets int) error {
	s := *k.lane.service.Load()
	s.plan.Sockets = sockets
	k.lane.give(&s)
	return k.lane.resize()
}

// End ends the lane.
func (k *Kept) End() { k.lane.end() }
