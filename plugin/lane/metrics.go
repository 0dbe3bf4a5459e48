package lane

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/cpu"
)

// sizes is how many classes of batches are told apart: those of 1 packet, of 2, to 4, to 8, to 16, to 32.
const sizes = 6

// counts are what one worker counts. They only grow, and outlive it. Only the worker adds to them, after each batch:
// a packet costs none of this.
type counts struct {
	answered, handed           atomic.Uint64
	ignored, overflow, refused atomic.Uint64 // packets that were dropped, by reason
	strays, panics, errors     atomic.Uint64
	packets                    atomic.Uint64 // in all batches
	batches                    [sizes]atomic.Uint64
	_                          cpu.CacheLinePad // that of another CPU's worker shall not share a line with it
}

// batch is what became of the packets of a batch.
type batch struct{ own, answered, handed, ignored, overflow uint64 }

func (c *counts) add(b batch) {
	n := b.answered + b.handed + b.ignored + b.overflow
	if n == 0 {
		return // the lane's own
	}
	c.packets.Add(n)
	c.batches[bits.Len64(n-1)].Add(1)
	addSome(&c.answered, b.answered)
	addSome(&c.handed, b.handed)
	addSome(&c.ignored, b.ignored)
	addSome(&c.overflow, b.overflow)
}

func addSome(to *atomic.Uint64, n uint64) {
	if n > 0 {
		to.Add(n)
	}
}

// ledger has the counts of the workers that a lane has and has had, by their number.
type ledger struct {
	mu     sync.Mutex
	counts []*counts
}

// of returns the counts of the worker with the number.
func (l *ledger) of(number int) *counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.counts) <= number {
		l.counts = append(l.counts, new(counts))
	}
	return l.counts[number]
}

// all returns the counts of all workers.
func (l *ledger) all() []*counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.counts)
}

func desc(metric, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, "plex_lane", metric), help,
		append([]string{"server"}, labels...), nil)
}

var (
	answersDesc = desc("answers_total", "Counter of questions that the fast lane has answered.")
	handedDesc  = desc("handed_total", "Counter of packets that the fast lane has handed to CoreDNS.")
	droppedDesc = desc("dropped_total", "Counter of packets that the fast lane has dropped: queue (CoreDNS is too busy), "+
		"send (the kernel did not send the answer), ignored (nobody answers such a packet).", "reason")
	straysDesc  = desc("strays_total", "Counter of packets that came to CoreDNS's sockets beside the fast lane.")
	panicsDesc  = desc("panics_total", "Counter of questions over which the fast lane panicked. CoreDNS has answered them.")
	errorsDesc  = desc("read_errors_total", "Counter of errors of the fast lane's sockets.")
	socketsDesc = desc("sockets", "Number of sockets of the fast lane. 0: CoreDNS answers alone.")
	batchDesc   = desc("batch_size", "Histogram of the packets that were read and answered at a time.")
)

// Describe implements [prometheus.Collector].
func (l *Lanes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		answersDesc, handedDesc, droppedDesc, straysDesc, panicsDesc, errorsDesc, socketsDesc, batchDesc,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (l *Lanes) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for addr := range l.claims {
		var sockets int64
		if lane := l.lanes[addr]; lane != nil {
			sockets = lane.sockets.Load()
		}
		ch <- prometheus.MustNewConstMetric(socketsDesc, prometheus.GaugeValue, float64(sockets), addr)
		l.ledgers[addr].collect(ch, addr)
	}
}

// collect gives the sums of what the workers of a lane have counted.
func (l *ledger) collect(ch chan<- prometheus.Metric, addr string) {
	all := l.all()
	counter := func(d *prometheus.Desc, of func(*counts) *atomic.Uint64, reason ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(sum(all, of)), append([]string{addr}, reason...)...)
	}
	counter(answersDesc, func(c *counts) *atomic.Uint64 { return &c.answered })
	counter(handedDesc, func(c *counts) *atomic.Uint64 { return &c.handed })
	counter(droppedDesc, func(c *counts) *atomic.Uint64 { return &c.overflow }, "queue")
	counter(droppedDesc, func(c *counts) *atomic.Uint64 { return &c.refused }, "send")
	counter(droppedDesc, func(c *counts) *atomic.Uint64 { return &c.ignored }, "ignored")
	counter(straysDesc, func(c *counts) *atomic.Uint64 { return &c.strays })
	counter(panicsDesc, func(c *counts) *atomic.Uint64 { return &c.panics })
	counter(errorsDesc, func(c *counts) *atomic.Uint64 { return &c.errors })

	var total uint64
	buckets := make(map[float64]uint64, sizes)
	for class := range sizes {
		total += sum(all, func(c *counts) *atomic.Uint64 { return &c.batches[class] })
		buckets[float64(int(1)<<class)] = total
	}
	packets := sum(all, func(c *counts) *atomic.Uint64 { return &c.packets })
	ch <- prometheus.MustNewConstHistogram(batchDesc, total, float64(packets), buckets, addr)
}

func sum(all []*counts, of func(*counts) *atomic.Uint64) uint64 {
	var n uint64
	for _, c := range all {
		n += of(c).Load()
	}
	return n
}
