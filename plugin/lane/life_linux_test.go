package lane_test

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

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
const patience = 3 * time.Second

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
				i.stop()
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
	for _, others := range []int{1, 3} {
		t.Run(plural(others), func(t *testing.T) {
			addr := freePort(t, "127.0.0.1")
			var lanes lane.Lanes
			var i *instance
			next := func(n int) {
				c := config{addr: addr, chain: &words{say: "chain"}, inherit: i, sockets: others}
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
			l := startLoad(t, addr, 4, hot(), question("other.example.", dns.TypeTXT))
			for n := range 20 {
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

func plural(n int) string {
	if n == 1 {
		return "one socket of CoreDNS"
	}
	return "several sockets of CoreDNS"
}
