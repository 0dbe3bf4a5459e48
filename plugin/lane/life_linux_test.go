package lane_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"plexha/plugin/lane"
)

// load asks without a pause, from several clients, until it is stopped.
type load struct {
	tb      testing.TB
	stopped atomic.Bool
	running sync.WaitGroup
	hot     atomic.Int64 // answers from a block
	chain   atomic.Int64 // answers from CoreDNS
	lost    atomic.Int64
}

// patience is how long an answer may take before it counts as lost.
const patience = 10 * time.Second

func startLoad(tb testing.TB, addr string, clients int, questions ...*dns.Msg) *load {
	tb.Helper()
	l := &load{tb: tb}
	for n := range clients {
		client := dial(tb, addr)
		m := questions[n%len(questions)].Copy()
		l.running.Go(func() {
			for id := uint16(0); !l.stopped.Load(); id++ {
				m.Id = id
				l.ask(client, m)
			}
		})
	}
	return l
}

func (l *load) ask(client net.Conn, m *dns.Msg) {
	if _, err := client.Write(packed(l.tb, m)); err != nil {
		l.tb.Errorf("asking: %v", err)
		return
	}
	_ = client.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1500)
	n, err := client.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		l.lost.Add(1)
		return
	case err != nil:
		l.tb.Errorf("reading: %v", err)
		return
	}
	reply := unpacked(l.tb, buf[:n])
	if reply.Id != m.Id || len(reply.Answer) != 1 || reply.Question[0] != m.Question[0] {
		l.tb.Errorf("a wrong answer: %v", reply)
		return
	}
	if reply.Answer[0].Header().Rrtype == dns.TypeA {
		l.hot.Add(1)
	} else {
		l.chain.Add(1)
	}
}

// until waits until the condition holds, for an answer's worth of patience at most.
func until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !holds(); <-tick.C {
		if time.Since(began) > 3*patience {
			tb.Fatalf("not in time: %s", what)
		}
	}
}

// more waits for so many more answers.
func (l *load) more(n int64) {
	l.tb.Helper()
	from := l.hot.Load() + l.chain.Load()
	until(l.tb, "answers", func() bool { return l.hot.Load()+l.chain.Load() >= from+n })
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.running.Wait()
	if lost := l.lost.Load(); lost > 0 {
		l.tb.Errorf("%d of %d questions lost", lost, l.hot.Load()+l.chain.Load()+lost)
	}
}

func TestReloadsLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		sockets []int // of the lane, from reload to reload
		others  []int // of CoreDNS
	}{
		{"as it was", []int{2}, []int{1}},
		{"with more and fewer sockets", []int{1, 3, 2}, []int{1}},
		{"with more and fewer sockets of CoreDNS", []int{2}, []int{1, 3, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := freePort(t, "127.0.0.1")
			var lanes lane.Lanes
			next := func(n int, before *instance) (*instance, *block) {
				b := newBlock(t, "192.0.2.1")
				return start(t, &lanes, config{
					addr: addr, chain: &words{say: "chain"}, inherit: before, sockets: c.others[n%len(c.others)],
					plan: lane.Plan{Routes: routesTo(b), Sockets: c.sockets[n%len(c.sockets)]},
				}), b
			}
			i, b := next(0, nil)
			l := startLoad(t, addr, 4, hot(), question("other.example.", dns.TypeTXT))
			for n := range 20 {
				after, newer := next(n+1, i)
				l.more(50)
				i.stop() // which waits for the batch that asks it
				asked := b.flushed.Load()
				l.more(50)
				if got := b.flushed.Load(); got != asked {
					t.Errorf("reload %d: the former block has answered %d more", n, got-asked)
				}
				i, b = after, newer
			}
			l.stop()
			i.stop()
		})
	}
}

func TestLaneComesAndGoesWithoutALoss(t *testing.T) {
	for _, c := range []struct {
		name, host, asked string
		others            int
	}{
		{"one socket of CoreDNS", "127.0.0.1", "127.0.0.1", 1},
		{"several sockets of CoreDNS", "::1", "::1", 3},
		{"all addresses, IPv4", "", "127.0.0.2", 1},
		{"all addresses, IPv6", "", "::1", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := freePort(t, c.host)
			_, port, _ := net.SplitHostPort(addr)
			var lanes lane.Lanes
			var i *instance
			next := func(n int) {
				c := config{addr: addr, chain: &words{say: "chain"}, inherit: i, sockets: c.others}
				if n%2 == 0 {
					c.plan = lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1")), Sockets: 2}
				}
				former := i
				i = start(t, &lanes, c)
				if former != nil {
					former.stop()
				}
			}
			next(0)
			l := startLoad(t, net.JoinHostPort(c.asked, port), 4, hot(), question("other.example.", dns.TypeTXT))
			for n := range 10 {
				next(n + 1)
				l.more(50)
			}
			l.stop()
			if l.hot.Load() == 0 {
				t.Error("no lane has answered")
			}
			i.stop()
		})
	}
}

// A socket blocks for a moment when it is handed down. Who reads in that moment must end all the same: packets are led
// elsewhere.
func TestSocketsThatAreHandedDownKeepNobody(t *testing.T) {
	laned := lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1"))}
	for name, c := range map[string]struct{ first, next lane.Plan }{
		"by an instance with a lane":        {first: laned},
		"to the first instance with a lane": {next: laned},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config{addr: freePort(t, "127.0.0.1"), chain: &words{say: "chain"}, plan: c.first}
			var lanes lane.Lanes
			i := start(t, &lanes, cfg)
			if cfg.plan = c.next; cfg.plan.Routes != nil {
				cfg.claim(&lanes, i)
			}
			cfg.inherit = i
			heir := cfg.listen(t, i.servers[0], 0).(*net.UDPConn)
			letBlock(t, heir, true)
			_ = heir.SetReadDeadline(time.Now().Add(time.Millisecond))
			ended := make(chan error, 1)
			go func() {
				_, _, err := heir.ReadFrom(make([]byte, 1))
				ended <- err
			}()
			select {
			case err := <-ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("it reads still") // and would as long as nobody sends it a packet
			}
			letBlock(t, heir, false)
			heir.Close()
			i.stop()
		})
	}
}

// letBlock has a socket block or not, for all who have it.
func letBlock(tb testing.TB, c *net.UDPConn, blocks bool) {
	tb.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetNonblock(int(fd), !blocks) })
	if err := errors.Join(err, failed); err != nil {
		tb.Fatal(err)
	}
}

// Without what the lane does about it, packets are lost with sockets that are just being closed: about one for each
// 15 sockets in a flood, one in thousands here.
func TestNothingIsLostWhileOthersComeAndGo(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", ""} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			addr := freePort(t, host)
			_, port, _ := net.SplitHostPort(addr)
			var lanes lane.Lanes
			i := start(t, &lanes, config{
				addr: addr, chain: &words{say: "chain"},
				plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1")), Sockets: runtime.NumCPU()},
			})
			l := startLoad(t, net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port), 2, hot())
			for range 2000 {
				other, err := reuseport.ListenPacket("udp", addr)
				if err != nil {
					t.Fatal(err)
				}
				other.Close()
				l.more(1)
			}
			l.stop()
			i.stop()
		})
	}
}

// A socket that joins the group later is one more place, which the lane leaves to it only when it ends.
func TestReleaseGivesTheAddressBack(t *testing.T) {
	addr := freePort(t, "127.0.0.1")
	var lanes lane.Lanes
	i := start(t, &lanes, config{
		addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1")), Sockets: 2},
	})
	other, err := reuseport.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 50 {
		exchange(t, dial(t, addr), hot())
	}
	i.stop()
	for n := range 50 {
		client := dial(t, addr)
		want := fmt.Sprint("packet ", n)
		if _, err := client.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		_ = other.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 100)
		for got := ""; got != want; { // before them are those by which the lane found its places
			n, _, err := other.ReadFrom(buf)
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			got = string(buf[:n])
		}
	}
}

func TestLaneFindsItsPlacesAgain(t *testing.T) {
	for _, c := range []struct {
		name         string
		predecessors int // sockets in the group when the lane is opened
		says         bool
		disturb      func(t *testing.T, addr string, before []net.PacketConn)
	}{
		{"when a predecessor is gone", 2, true, func(_ *testing.T, _ string, before []net.PacketConn) {
			for _, pc := range before {
				pc.Close()
			}
		}},
		{"when another process takes its steering away", 0, false, func(t *testing.T, addr string, _ []net.PacketConn) {
			pc, err := reuseport.ListenPacket("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			raw, err := pc.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if e := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
			}); err != nil || e != nil {
				t.Fatal(err, e)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := freePort(t, "127.0.0.1")
			var before []net.PacketConn
			for range c.predecessors {
				pc, err := reuseport.ListenPacket("udp", addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { pc.Close() })
				before = append(before, pc)
			}
			said := make(chan string, 10)
			var lanes lane.Lanes
			lanes.KnowNoCPU() // else they would get it all
			i := start(t, &lanes, config{
				addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{
					Routes: routesTo(newBlock(t, "192.0.2.1")), Sockets: 2,
					Info: func(format string, args ...any) { said <- fmt.Sprintf(format, args...) },
				},
			})
			defer i.stop()
			until(t, "it has settled", func() bool { return lanes.Settled("dns://" + addr) })
			c.disturb(t, addr, before)
			l := startLoad(t, addr, 20, question("other.example.", dns.TypeTXT))
			until(t, "strays", func() bool { return metric(t, &lanes, "strays_total") > 0 })
			until(t, "no more strays", func() bool {
				strays := metric(t, &lanes, "strays_total")
				l.more(200)
				return metric(t, &lanes, "strays_total") == strays
			})
			l.stop()
			if c.says {
				if got, want := <-said, "packets had gone past the fast lane at dns://"+addr+": it leads them again"; got != want {
					t.Errorf("said %q, want %q", got, want)
				}
			}
		})
	}
}

func TestAFailedStartChangesNothing(t *testing.T) {
	addr := freePort(t, "127.0.0.1")
	var lanes lane.Lanes
	b := newBlock(t, "192.0.2.1")
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b)}})
	defer i.stop()
	failed := &instance{tb: t, lanes: &lanes}
	config{addr: addr, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.2"))}}.claim(&lanes, failed)
	exchange(t, dial(t, addr), hot())
	lanes.Release(failed)
	lanes.Release(failed)
	exchange(t, dial(t, addr), hot())
	until(t, "the block that serves has answered both", func() bool { return b.flushed.Load() == 2 })
}

// The first start of all may fail after its claim, and nobody says so.
func TestAClaimThatNeverServedKeepsNoLane(t *testing.T) {
	addr := freePort(t, "127.0.0.1")
	var lanes lane.Lanes
	failed := &instance{tb: t, lanes: &lanes}
	config{addr: addr, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.2"))}}.claim(&lanes, failed)
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1"))}})
	exchange(t, dial(t, addr), hot())
	i.stop()
	if lanes.Has("dns://" + addr) {
		t.Error("the lane stays")
	}
}

// CoreDNS calls the hook of a new instance in a goroutine, maybe after the old one has shut down.
func TestRoutesChangeAtReleaseIfTheNewServerIsLate(t *testing.T) {
	addr := freePort(t, "127.0.0.1")
	var lanes lane.Lanes
	b, newer := newBlock(t, "192.0.2.1"), newBlock(t, "192.0.2.2")
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b)}})
	late := &instance{tb: t, lanes: &lanes}
	config{addr: addr, plan: lane.Plan{Routes: routesTo(newer)}}.claim(&lanes, late)
	i.stop()
	reply := exchange(t, dial(t, addr), hot())
	if got, want := reply.Answer[0].(*dns.A).A.String(), "192.0.2.2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	lanes.Release(late)
	if got := metric(t, &lanes, "sockets"); got != 0 {
		t.Errorf("%v sockets, want 0", got)
	}
}

func TestWhatWasHandedIsAnsweredBeforeTheLaneEnds(t *testing.T) {
	addr := freePort(t, "")
	_, port, _ := net.SplitHostPort(addr)
	var lanes lane.Lanes
	asked, free := make(chan struct{}, 1), make(chan struct{})
	chain := &words{say: "chain", wait: func() { asked <- struct{}{}; <-free }}
	i := start(t, &lanes, config{addr: addr, chain: chain, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1"))}})
	client := dial(t, net.JoinHostPort("127.0.0.2", port))
	if _, err := client.Write(packed(t, question("slow.example.", dns.TypeTXT))); err != nil {
		t.Fatal(err)
	}
	<-asked
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lanes.Release(i)
	}()
	until(t, "the lane's sockets are retired", func() bool { return !lanes.Has("dns://" + addr) })
	close(free)
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 512)); err != nil {
		t.Errorf("no answer: %v", err)
	}
	<-ended
	i.stop()
}
