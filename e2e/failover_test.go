package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
	"plexha/e2e/standin"
)

// BenchmarkFailover measures the time from a node's end to the first answer without it, with all the
// defaults. Run it with -benchtime 50x.
func BenchmarkFailover(b *testing.B) {
	b.Run("kill", func(b *testing.B) {
		// Without a link watch it is more than a second.
		if median := failover(b, nil, (*standIn).kill); median > 100*time.Millisecond {
			b.Errorf("the median is %s: the link watch does not work", median)
		}
	})
	b.Run("frozen", func(b *testing.B) { failover(b, nil, (*standIn).freeze) })
	b.Run("vanished", func(b *testing.B) {
		n := newNetwork(b)
		failover(b, n, func(s *standIn) { n.vanish(s.addr.Addr()) })
	})
	b.Run("500", func(b *testing.B) { failover(b, nil, func(s *standIn) { s.setMode(standin.Error500) }) })
	b.Run("hang", func(b *testing.B) { failover(b, nil, func(s *standIn) { s.setMode(standin.Hang) }) })
}

// TestFailoverWithinBounds ends one node in each way and checks the bound that the defaults promise. Where
// other tests may run beside this one, twice the bound will do.
func TestFailoverWithinBounds(t *testing.T) {
	tests := []struct {
		name  string
		bound time.Duration
		end   func(*standIn)
	}{
		{"killed", time.Second, (*standIn).kill}, // mostly about 3 ms; without the link watch more than 2 s
		{"answers 500", 2500 * time.Millisecond, func(s *standIn) { s.setMode(standin.Error500) }},
		{"frozen", 3500 * time.Millisecond, (*standIn).freeze},
		{"hangs", 3500 * time.Millisecond, func(s *standIn) { s.setMode(standin.Hang) }},
	}
	atMost := func(bound time.Duration) time.Duration {
		if gate.All() {
			return bound
		}
		return 2 * bound
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inTime(t, func() error { return failsWithin(t, nil, atMost(tt.bound), tt.end) })
		})
	}
	t.Run("vanished", func(t *testing.T) {
		n := newNetwork(t)
		inTime(t, func() error {
			return failsWithin(t, n, atMost(3*time.Second), func(s *standIn) { n.vanish(s.addr.Addr()) })
		})
	})
}

// failsWithin ends one of two nodes, and returns an error if it is answered for longer than that after its end.
func failsWithin(t *testing.T, n *network, bound time.Duration, end func(*standIn)) error {
	t.Helper()
	q := newQueue(t, n, 2)
	defer q.close()
	if took := q.fail(end); took > bound {
		return fmt.Errorf("took %s, want %s at most", took, bound)
	}
	return nil
}

// failover ends one node after the other, reports the median and the 99th percentile of the times, and returns
// the median.
func failover(b *testing.B, n *network, end func(*standIn)) (median time.Duration) {
	b.Helper()
	const perHome = 11
	var q *queue
	var times []time.Duration
	for b.Loop() {
		if q == nil || len(q.nodes) < 2 {
			q.close()
			q = newQueue(b, n, perHome)
		}
		// Anywhere between two probes.
		time.Sleep(rand.N(2 * time.Second))
		times = append(times, q.fail(end))
	}
	slices.Sort(times)
	percentile := func(p int) time.Duration { return times[(len(times)*p+99)/100-1] }
	report := func(d time.Duration, unit string) { b.ReportMetric(float64(d)/float64(time.Millisecond), unit) }
	report(percentile(50), "median-ms")
	report(percentile(99), "p99-ms")
	b.ReportMetric(0, "ns/op") // would be the time of building homes
	return percentile(50)
}

// queue is a plexdns that answers with the first node that is up: when that one ends, the next is answered.
// So each node ends but once, and none has to come back before the next measurement.
type queue struct {
	tb    testing.TB
	all   []*standIn
	nodes []*standIn // those that are left
	dns   *plexdns
	conn  *dns.Conn
}

// newQueue starts that many nodes and a plexdns, inside n if there is one, and waits until all are up.
func newQueue(tb testing.TB, n *network, nodes int) *queue {
	tb.Helper()
	q := &queue{tb: tb, dns: newPlexdns(tb)}
	h := &home{tb: tb, dns: q.dns}
	for i := range nodes {
		s := &standIn{tb: tb, kind: fmt.Sprintf("plex %040d", i)}
		if n == nil {
			addr := netip.AddrFrom4([4]byte{127, 2, byte(1 + i), 1})
			s.addr = netip.AddrPortFrom(addr, freePort(tb, addr))
		} else {
			s.ns, s.addr = n.there, netip.AddrPortFrom(n.host(), 32400)
		}
		s.start()
		h.nodes = append(h.nodes, s)
	}
	q.all, q.nodes = h.nodes, h.nodes
	dial := func() error {
		c, err := (&net.Dialer{}).DialContext(tb.Context(), "udp", q.dns.addr.String())
		q.conn = &dns.Conn{Conn: c}
		return err
	}
	q.dns.write(h.corefile(homeConfig{lines: []string{"answer nodes first"}}))
	if n != nil {
		q.dns.ns = n.here
		q.dns.launch()
		inNamespace(tb, n.here, dial)
	} else {
		q.dns.start()
		if err := dial(); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { q.conn.Close() })
	eventually(tb, 20*time.Second, func() error {
		m, err := exchange(q.conn, mainName)
		if err == nil && !slices.Equal(addresses(m), addrs(q.nodes[0])) {
			err = fmt.Errorf("%v, want %v", addresses(m), addrs(q.nodes[0]))
		}
		return err
	})
	return q
}

// close ends what is left of it, if there is one, so that it is no load to the next.
func (q *queue) close() {
	if q == nil {
		return
	}
	q.dns.stop()
	for _, s := range q.all {
		s.kill()
	}
}

// fail ends the first node and returns how long it was answered after that.
func (q *queue) fail(end func(*standIn)) time.Duration {
	q.tb.Helper()
	victim := q.nodes[0]
	q.nodes = q.nodes[1:]
	began := time.Now()
	end(victim)
	for {
		m, err := exchange(q.conn, mainName)
		if err != nil {
			q.tb.Fatal(err)
		}
		took := time.Since(began)
		if got := addresses(m); !slices.Contains(got, victim.addr.Addr()) {
			if !slices.Equal(got, addrs(q.nodes[0])) {
				q.tb.Errorf("after a node's end: %v, want %v", got, addrs(q.nodes[0]))
			}
			return took
		}
		if took > 30*time.Second {
			q.tb.Fatalf("still answered after %s", took)
		}
	}
}
