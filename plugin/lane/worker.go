package lane

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"plexha/plugin/pack"
)

const (
	// batchSize is how many packets are read and sent at a time at most. With more, what they need no longer fits into
	// the CPU's nearest cache; the cost of a system call is a fiftieth of what they cost already.
	batchSize = 32
	// turnSize is how many packets a worker answers before it gives others a turn: some 2 ms' worth.
	turnSize = 32 * batchSize
	// packetSize is the longest packet that is read whole. Nobody sends a longer question: what is cut is no longer a
	// message, and gets the FORMERR that CoreDNS gives to one it has cut (at 512 bytes). It is no power of two, else the
	// first lines of all buffers would share one place in the cache.
	packetSize = 8192 + 192
	// headerSize is the length of the header of a message (RFC 1035, 4.1.1).
	headerSize = 12
	// response is the bit of a message's third byte that makes it a response.
	response = 0x80
)

// slot is one place of a batch: a packet and what is answered to it.
type slot struct {
	packet []byte         // whole, as read, with room behind it for its answer, which takes its place
	from   netip.AddrPort // the client, IPv4 as such, without zone
	answer []byte         // nil: nothing
	shared bool           // the packet went to all hosts, or to many, and so to each socket
}

// conn is a socket that gives and takes packets in batches. One worker uses it, but any goroutine may call reply.
type conn interface {
	// read waits for packets and reads what is there into the slots. It returns [os.ErrDeadlineExceeded] after stop.
	read(slots []slot) (n int, err error)
	// poll is read that does not wait, and works after stop as well: it returns 0 if there is no packet.
	poll(slots []slot) (n int, err error)
	// wait is read that waits for patience, some milliseconds at most, and returns 0 if no packet has come by then. nap
	// waits for napTime, packets or not. Both have whoever comes to want the CPU wait too.
	wait(slots []slot) (n int, err error)
	nap()
	// write sends the answers to the packets that the slots held at the last read. It returns how many were not sent.
	write(slots []slot) (refused int)
	// path returns how an answer to the packet of a slot reaches its client.
	path(i int) path
	// reply sends one packet.
	reply(packet []byte, p *path) error
	// zone returns the words for the interface that a link-local client is on.
	zone(p *path) string

	// local returns the address that the socket is bound to.
	local() net.Addr
	// retire has the kernel give the socket no more packets than it has. It still sends.
	retire() error
	// stop ends a read that waits, and each later one at once.
	stop()
	close() error
}

// worker answers what comes to one socket.
type worker struct {
	conn    conn
	service *atomic.Pointer[service] // the lane's
	counts  *counts
	number  int                                  // among the lane's
	sight   func(number int, packet []byte) bool // takes those of the lane's own packets that are no messages; nil: there are none
	ended   chan struct{}                        // closed when it runs no more
	warned  *atomic.Int64                        // when a panic was last said, in Unix nanoseconds; the lane's

	busy sync.Mutex // held while a batch is answered; whoever has had it knows that the service from before is out of use

	slots    [batchSize]slot
	question pack.Question
	routes   *Routes // that the tallies are for
	tallies  []Tally // by number of the block; nil: not asked yet
	asked    []bool  // by number: in this batch
	turn     int     // packets since others had their turn
	handed   bool    // the last batch had something for CoreDNS
	pace     pace
}

// run answers until the socket is stopped. What then is left to read is for drain.
func (w *worker) run() {
	w.pace.began = time.Now()
	for {
		n, err := w.read()
		switch {
		case err == nil:
			w.pace.packets += n
			w.serve(n)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			// The kernel gives a socket's pending error once, then the packets that are there. Should it have no room for
			// the watch, it may have later.
			w.counts.errors.Add(1)
			<-time.After(napTime)
		}
		w.yield(max(n, 1))
	}
}

// read reads a batch. Where packets rush in it waits in the cheapest way; but not while CoreDNS has much to do, which may
// be waiting for this CPU.
func (w *worker) read() (int, error) {
	took := time.Since(w.pace.began)
	if w.pace.rushed && !w.handed && took < 2*turnTime { // longer if there were packets all the time
		if n, err := w.conn.poll(w.slots[:]); n > 0 || err != nil {
			return n, err
		}
		if took < turnTime {
			w.yield(turnSize)
			read := w.conn.wait
			if w.pace.naps {
				w.conn.nap()
				read = w.conn.poll
			}
			if n, err := read(w.slots[:]); n > 0 || err != nil {
				return n, err
			}
		}
	}
	w.pace.turn()
	return w.conn.read(w.slots[:])
}

// yield gives others a turn after each turnSize packets. A worker that finds packets each time it reads would have
// the CPU for 10 ms until the scheduler takes it away, and with one CPU everybody else would wait for that.
func (w *worker) yield(n int) {
	if w.turn += n; w.turn >= turnSize {
		w.turn = 0
		runtime.Gosched()
	}
}

// drain answers what there is to read, without waiting for more.
func (w *worker) drain() {
	for {
		n, err := w.conn.poll(w.slots[:])
		if err != nil || n == 0 {
			return
		}
		w.serve(n)
	}
}

// serve answers the first n slots.
func (w *worker) serve(n int) {
	w.busy.Lock()
	defer w.busy.Unlock()
	s := w.service.Load()
	w.handle(s, n)
	if refused := w.conn.write(w.slots[:n]); refused > 0 {
		w.counts.refused.Add(uint64(refused)) //nolint:gosec // counts from 0
	}
	for i, asked := range w.asked {
		if asked {
			w.asked[i] = false
			w.flush(s, i)
		}
	}
}

// handle makes the answers of a batch, and hands on what is not for it.
func (w *worker) handle(s *service, n int) {
	if s.plan.Routes != w.routes {
		w.routes = s.plan.Routes
		w.tallies = make([]Tally, len(w.routes.blocks))
		w.asked = make([]bool, len(w.routes.blocks))
	}
	var b batch
	for from := 0; from < n; {
		from = w.handleFrom(s, from, n, &b)
	}
	w.handed = b.handed+b.overflow > 0
	w.counts.add(b)
}

// handleFrom handles the slots of a batch from a place on, and returns where to go on. That is at the end, but for a
// block that has panicked: CoreDNS answers that question, and reports the panic of its own if there is one.
func (w *worker) handleFrom(s *service, from, n int, b *batch) (next int) {
	i := from
	defer func() {
		if r := recover(); r != nil {
			w.panicked(s, r)
			w.slots[i].answer = nil
			w.hand(s, i, b)
			next = i + 1
		}
	}()
	for ; i < n; i++ {
		at := &w.slots[i]
		at.answer = nil
		switch {
		case len(at.packet) < headerSize && w.sight != nil && w.sight(w.number, at.packet):
			b.own++
		case isIdle(at):
			b.ignored++
		default:
			if at.answer = w.answer(s, i); at.answer != nil {
				b.answered++
			} else {
				w.hand(s, i, b)
			}
		}
	}
	return n
}

// hand hands the packet of a slot to CoreDNS.
func (w *worker) hand(s *service, i int, b *batch) {
	if s.handOff(w.slots[i].packet).take(w.conn, i, &w.slots[i]) {
		b.handed++
	} else {
		b.overflow++
	}
}

// isIdle reports whether CoreDNS gives no answer, whatever the packet says: it has no header, or is an answer itself
// (two servers that a forged packet has set on each other go no further), or nothing can be sent to its port; or it
// has a copy of its own.
func isIdle(at *slot) bool {
	return len(at.packet) < headerSize || at.packet[2]&response != 0 || at.from.Port() == 0 || at.shared
}

// answer returns the answer of the block that the packet of a slot asks, or nil if CoreDNS shall answer.
func (w *worker) answer(s *service, i int) []byte {
	at := &w.slots[i]
	if !w.question.Read(at.packet) {
		return nil
	}
	number := w.routes.find(&w.question)
	if number == chain {
		return nil
	}
	block := w.routes.blocks[number]
	if w.tallies[number] == nil {
		w.tallies[number] = block.Tally(s.plan.Addr)
	}
	w.asked[number] = true
	return block.Answer(at.packet[:0], &w.question, at.from.Addr(), w.tallies[number])
}

// flush has the block of the number take over what its tally holds.
func (w *worker) flush(s *service, number int) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked(s, r)
		}
	}()
	w.tallies[number].Flush()
}

// panicked counts a block's panic, and says it once a minute.
func (w *worker) panicked(s *service, reason any) {
	w.counts.panics.Add(1)
	now, last := time.Now().UnixNano(), w.warned.Load()
	if now-last >= int64(time.Minute) && w.warned.CompareAndSwap(last, now) {
		s.plan.Warn("the fast lane at %s leaves questions to CoreDNS over a panic: %v", s.plan.Addr, reason)
	}
}

// forget returns when the worker has finished the batch that it has begun, and knows nothing of the service from before:
// one that nobody asks would keep all that an instance had.
func (w *worker) forget() {
	w.busy.Lock()
	defer w.busy.Unlock()
	w.routes, w.tallies, w.asked = nil, nil, nil
}
