package plugin

import (
	"slices"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"plexha/plugin/probe"
	"plexha/plugin/runtime"
	"plexha/zones"
)

// The metrics that count. Their labels take values from the Corefile alone, which bounds their number.
var (
	answers = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace,
		Subsystem: name,
		Name:      "answers_total",
		Help:      "Counter of answers given from our zones, by view and kind of name.",
	}, []string{"zone", "view", "kind"})

	transitions = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace,
		Subsystem: name,
		Name:      "transitions_total",
		Help:      "Counter of changes of state, by the state that a subject came to.",
	}, []string{"zone", "kind", "subject", "to"})

	probeDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:                   plugin.Namespace,
		Subsystem:                   name,
		Name:                        "probe_duration_seconds",
		Help:                        "Histogram of the time a probe took, by its result.",
		Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	}, []string{"zone", "kind", "subject", "result"})

	probePanics = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace,
		Subsystem: name,
		Name:      "probe_panics_total",
		Help:      "Counter of probes that panicked. Each counts as a failed one.",
	}, []string{"zone"})

	compileDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:                   plugin.Namespace,
		Subsystem:                   name,
		Name:                        "compile_duration_seconds",
		Help:                        "Histogram of the time it took to compile the zones of a snapshot.",
		Buckets:                     []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	}, []string{"zone"})
)

func init() { prometheus.MustRegister(collector{}) }

// countAnswer counts one answer.
func countAnswer(z *zone, state request.Request) {
	answers.WithLabelValues(z.origin, z.view.String(), z.kind(state.Name()).String()).Inc()
}

// observe counts one probe.
func (p *Plex) observe(o probe.Observation) {
	if o.Panicked {
		probePanics.WithLabelValues(p.zone()).Inc()
	}
	p.series.Lock()
	defer p.series.Unlock()
	if !hasSubject(p.board.Snapshot(), o.Subject) {
		return // its series are gone already
	}
	probeDuration.WithLabelValues(p.zone(), o.Subject.Kind.String(), o.Subject.Name, o.Result.String()).
		Observe(o.Took.Seconds())
}

// collector gives the metrics that show how things are, read from the newest snapshots when Prometheus
// asks: they are never stale, and what a reload has removed is gone from them.
type collector struct{}

func desc(metric, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, name, metric), help, labels, nil)
}

var (
	stateDesc = desc("state", "1 for the state that a subject is in, 0 for all others.",
		"zone", "kind", "subject", "state")
	orderDesc = desc("order", "1 for the operator's order on a subject. No series: no order.",
		"zone", "kind", "subject", "order")
	ageDesc        = desc("snapshot_age_seconds", "Seconds since the newest snapshot was made.", "zone")
	lastResortDesc = desc("last_resort", "1 while nothing is up and the main name answers all the same.", "zone")
	isolatedDesc   = desc("isolated", "1 while the canary does not answer either and verdicts are held.", "zone")
	stalledDesc    = desc("probe_stalled", "Number of probe loops that give no sign of life.", "zone")
	serialDesc     = desc("serial", "SOA serial of a view.", "zone", "view")
)

// Describe implements [prometheus.Collector].
func (collector) Describe(ch chan<- *prometheus.Desc) {
	own := []*prometheus.Desc{stateDesc, orderDesc, ageDesc, lastResortDesc, isolatedDesc, stalledDesc, serialDesc}
	for _, d := range slices.Concat(own, externalDescs) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (collector) Collect(ch chan<- prometheus.Metric) {
	// While a reload gives a zone to another block, two blocks have it for a moment: Prometheus refuses all
	// metrics over one that comes twice.
	seen := map[string]bool{}
	for _, c := range runtime.All() {
		p, ok := c.(*Plex)
		if !ok {
			continue
		}
		p.collect(ch)
		for _, origin := range p.cfg.Cluster.Origins {
			if !seen[origin] {
				seen[origin] = true
				p.collectSerials(ch, origin)
			}
		}
	}
}

func (p *Plex) collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{p.zone()}, labels...)...)
	}
	snap := p.board.Snapshot()
	gauge(ageDesc, time.Since(snap.At).Seconds())
	gauge(isolatedDesc, number(snap.Isolated))
	gauge(lastResortDesc, number(p.current.Load().lastResort))
	gauge(stalledDesc, float64(len(p.stalled())))
	p.collectExternal(gauge)
	p.collectDuckDNS(gauge)
	for subject, health := range snap.Subjects {
		for _, s := range zones.States() {
			gauge(stateDesc, number(s == health.State), subject.Kind.String(), subject.Name, s.String())
		}
		if health.Order != zones.NoOrder {
			gauge(orderDesc, 1, subject.Kind.String(), subject.Name, health.Order.String())
		}
	}
}

func (p *Plex) collectSerials(ch chan<- prometheus.Metric, origin string) {
	c := p.current.Load()
	for _, view := range []zones.View{zones.External, zones.Internal} {
		z := c.zone(origin, client{view: view}) // all variants have the same
		ch <- prometheus.MustNewConstMetric(serialDesc, prometheus.GaugeValue, float64(z.SOA.Serial), origin, view.String())
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
