package lane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin/pkg/transport"
	"github.com/miekg/dns"
)

const (
	// settleTime is how long packets that were on their way when the steering changed may come to CoreDNS's sockets.
	settleTime = time.Second
	// healTimeMost bounds how seldom a lane looks for its sockets while packets go astray; settleTime how often.
	healTimeMost = 5 * time.Minute
	// steerTime is how long the kernel may go on by a steering that was replaced: microseconds, if the CPU that does is
	// not taken away from a virtual machine.
	steerTime = 20 * time.Millisecond
)

// kernel is what a lane asks of the system.
type kernel struct {
	// listen opens a socket at an address such as :53, in the group of those of CoreDNS: the first one for what comes
	// by CPU 0, and so on.
	listen func(addr string, cpu int) (conn, error)
	// steer has the kernel lead the packets of the socket's group, unsteer leaves that to the kernel again.
	steer   func(to conn, s steering) error
	unsteer func(to conn) error
	// ask sends datagrams to an address of this host, in order.
	ask func(ctx context.Context, to netip.AddrPort, datagrams [][]byte) error
}

// lane is what answers at one address.
type lane struct {
	kernel  kernel
	addr    string // as CoreDNS's server has it
	service atomic.Pointer[service]
	ledger  *ledger
	warned  atomic.Int64           // when a panic was last said
	search  atomic.Pointer[search] // the last one; nil: there was none
	former  sync.WaitGroup         // hand-offs to servers that were replaced

	sockets atomic.Int64 // open ones, for metrics

	shape   sync.Mutex // of what follows
	workers []*worker
	places  []int // of the workers' sockets in the kernel's group
	blind   bool  // they are only a guess

	astray   chan struct{} // has a value after a packet has gone astray
	steered  atomic.Int64  // when the kernel was last told where to lead packets, in Unix nanoseconds
	over     atomic.Bool   // none does any more: CoreDNS answers alone
	stopKeep func()        // ends keep and waits for it
}

// newLane opens a lane that serves.
func newLane(k kernel, s *service, ledger *ledger) *lane {
	l := &lane{kernel: k, addr: s.plan.Addr, ledger: ledger, astray: make(chan struct{}, 1), stopKeep: func() {}}
	l.service.Store(s)
	return l
}

// wanted returns how many sockets the plan wants.
func (p Plan) wanted() int {
	if p.Sockets > 0 {
		return p.Sockets
	}
	return runtime.GOMAXPROCS(0)
}

// others returns how many sockets CoreDNS is said to have.
func (l *lane) others() int { return max(1, l.service.Load().plan.Others) }

// open opens the sockets, and leads the packets to them.
func (l *lane) open() error {
	l.shape.Lock()
	defer l.shape.Unlock()
	if err := l.grow(l.service.Load().plan.wanted()); err != nil {
		l.abandon()
		return err
	}
	if err := l.lead(context.Background()); err != nil {
		l.abandon()
		return err
	}
	l.startKeeping()
	return nil
}

// grow opens sockets until there are as many as wanted.
func (l *lane) grow(wanted int) error {
	for len(l.workers) < wanted {
		number := len(l.workers)
		c, err := l.kernel.listen(strings.TrimPrefix(l.addr, transport.DNS+"://"), number)
		if err != nil {
			return fmt.Errorf("opening a socket: %w", err)
		}
		w := &worker{
			conn: c, service: &l.service, counts: l.ledger.of(number), number: number,
			sight: l.sight, warned: &l.warned, ended: make(chan struct{}),
		}
		go func() {
			defer close(w.ended)
			w.run()
		}()
		l.workers = append(l.workers, w)
		l.sockets.Add(1)
	}
	return nil
}

// shrink closes sockets until there are as many as wanted, when they are led nothing any more and CoreDNS has answered
// what came by them.
func (l *lane) shrink(wanted int) error {
	if err := l.kernel.steer(l.workers[0].conn, steering{places: l.places[:wanted]}); err != nil {
		return err
	}
	surplus := l.workers[wanted:]
	l.workers, l.places = l.workers[:wanted], l.places[:wanted]
	retire(surplus)
	err := l.lead(context.Background()) // they may have left the group
	drain(surplus)
	l.swap(l.service.Load().again()).close(endTime)
	l.close(surplus)
	return errors.Join(err, l.lead(context.Background()))
}

// retire has the kernel give the workers no more packets than they have. Where it refuses, packets that come in the
// moment when a socket is closed are lost.
func retire(workers []*worker) {
	for _, w := range workers {
		_ = w.conn.retire()
	}
}

// drain ends the runs of workers that are retired, and answers what they have.
func drain(workers []*worker) {
	<-time.After(steerTime)
	for _, w := range workers {
		w.conn.stop()
		<-w.ended
		w.drain()
	}
}

// close closes the sockets of workers that are drained.
func (l *lane) close(workers []*worker) {
	for _, w := range workers {
		_ = w.conn.close() // nothing is left to lose
		l.sockets.Add(-1)
	}
}

// lead leads all packets to the lane's sockets. If it cannot find out where these are in the group, it goes by what
// CoreDNS is said to have, whose sockets were bound before.
func (l *lane) lead(ctx context.Context) error {
	guess := make([]int, len(l.workers))
	for i := range guess {
		guess[i] = l.others() + i
	}
	steered := guess
	if len(l.places) == len(l.workers) {
		steered = l.places
	}
	places := l.locate(ctx, steered)
	if l.blind = places == nil; l.blind {
		places = steered // what was found before is better than a guess
	}
	l.places = places
	err := l.kernel.steer(l.workers[0].conn, steering{places: places})
	l.steered.Store(time.Now().UnixNano())
	if err != nil {
		return fmt.Errorf("leading packets to it: %w", err)
	}
	return nil
}

// give gives the lane to another instance: from now on by its routes, and with a hand-off of its own by that. What the
// former one has been handed, it still answers.
func (l *lane) give(s *service) {
	l.shape.Lock()
	defer l.shape.Unlock()
	if former := l.swap(s); former.own != s.own {
		l.former.Go(func() { former.close(shutdownTime) })
	}
}

// swap replaces the service, and returns the one that no worker uses any more.
func (l *lane) swap(s *service) (former *service) {
	former = l.service.Swap(s)
	for _, w := range l.workers {
		w.forget()
	}
	return former
}

// resize gives the lane as many sockets as its plan says.
func (l *lane) resize() error {
	l.shape.Lock()
	defer l.shape.Unlock()
	wanted := l.service.Load().plan.wanted()
	switch {
	case wanted < len(l.workers):
		return l.shrink(wanted)
	case wanted > len(l.workers):
		return errors.Join(l.grow(wanted), l.lead(context.Background()))
	}
	return nil
}

// watch returns a decorator for CoreDNS's own sockets, which notices each packet that comes to them.
func (l *lane) watch(writer dns.DecorateWriter) dns.DecorateWriter {
	counts := l.ledger.of(0)
	return func(w dns.Writer) dns.Writer {
		if !l.over.Load() {
			counts.strays.Add(1)
		}
		if l.settled() {
			select {
			case l.astray <- struct{}{}:
			default:
			}
		}
		if writer != nil {
			return writer(w)
		}
		return w
	}
}

// settled reports whether packets that go astray do so for longer than a moment.
func (l *lane) settled() bool {
	return !l.over.Load() && time.Now().UnixNano()-l.steered.Load() >= int64(settleTime)
}

// startKeeping has keep run until stopKeep is called.
func (l *lane) startKeeping() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.keep(ctx)
	}()
	l.stopKeep = func() {
		cancel()
		<-ended
	}
}

// keep looks for the sockets again whenever packets go astray: others have come or gone, another process took away the
// steering. It does so ever more seldom if it cannot find them. If they are where they were, it may have been a packet
// to all hosts, of which each socket gets a copy.
func (l *lane) keep(ctx context.Context) {
	said := false
	for pause := settleTime; ; {
		began := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-l.astray:
		}
		moved, blind := l.heal(ctx)
		if pause = min(2*pause, healTimeMost); !blind && !moved || time.Since(began) >= healTimeMost {
			pause = settleTime
		}
		if (moved || blind) && !said && ctx.Err() == nil {
			said = true
			l.sayAstray(blind)
		}
		select {
		case <-l.astray: // one more from before
		default:
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

func (l *lane) sayAstray(blind bool) {
	info := l.service.Load().plan.Info
	if blind {
		info("packets go past the fast lane at %s, and where its sockets are cannot be told: CoreDNS answers those", l.addr)
		return
	}
	info("packets had gone past the fast lane at %s: it leads them again", l.addr)
}

// heal looks for the sockets and leads the packets to them. It reports whether they were elsewhere than before, and
// whether they could not be found.
func (l *lane) heal(ctx context.Context) (moved, blind bool) {
	l.shape.Lock()
	defer l.shape.Unlock()
	before := l.places
	_ = l.lead(ctx) // the packets that go past it are answered; the next look comes
	return !slices.Equal(before, l.places), l.blind
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// end leads the packets back to CoreDNS's sockets, answers those that are here, waits for CoreDNS to answer what it was
// handed, and closes the sockets.
func (l *lane) end() {
	l.stopKeep()
	l.shape.Lock()
	defer l.shape.Unlock()
	l.over.Store(true)
	if !l.blind {
		if places := l.locate(context.Background(), l.places); places != nil {
			l.places = places
		}
	}
	l.abandon()
}

// abandon is end for a lane that may have been opened only in part.
func (l *lane) abandon() {
	if len(l.workers) > 0 {
		// The last one is a member of the group as long as the steering is to be taken away.
		last := l.workers[len(l.workers)-1]
		_ = l.kernel.steer(last.conn, steering{places: []int{free(l.places)}}) // else the kernel goes on by its hash
		retire(l.workers[:len(l.workers)-1])
		_ = l.kernel.unsteer(last.conn)
		retire([]*worker{last})
		drain(l.workers)
	}
	l.service.Load().close(endTime)
	l.close(l.workers)
	l.workers = nil
}

// free returns the first place that is not the lane's: a socket of CoreDNS has it, and keeps it when those of the lane
// leave.
func free(places []int) int {
	place := 0
	for slices.Contains(places, place) {
		place++
	}
	return place
}
