package plugin

import (
	"net/netip"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"plexha/plugin/duckdns"
	"plexha/plugin/wanip"
	"plexha/zones"
)

var (
	detections = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace,
		Subsystem: name,
		Name:      "external_detect_total",
		Help:      "Counter of questions for an external address, by what the source said.",
	}, []string{"zone", "uplink", "source", "family", "result"})

	detectionDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:                   plugin.Namespace,
		Subsystem:                   name,
		Name:                        "external_detect_duration_seconds",
		Help:                        "Histogram of the time that a source took.",
		Buckets:                     []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	}, []string{"zone", "source"})

	pushes = promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace,
		Subsystem: name,
		Name:      "duckdns_push_total",
		Help:      "Counter of updates sent to DuckDNS, by what came of them.",
	}, []string{"zone", "result"})

	pushDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:                   plugin.Namespace,
		Subsystem:                   name,
		Name:                        "duckdns_push_duration_seconds",
		Help:                        "Histogram of the time that an update of DuckDNS took.",
		Buckets:                     []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
	}, []string{"zone"})
)

// observeDetection counts one question for an external address.
func (p *Plex) observeDetection(o wanip.Observation) {
	detections.WithLabelValues(p.zone(), o.Uplink, o.Source, o.Family.String(), o.Result.String()).Inc()
	detectionDuration.WithLabelValues(p.zone(), o.Source).Observe(o.Took.Seconds())
}

// observePush counts one update of DuckDNS.
func (p *Plex) observePush(r duckdns.Result, took time.Duration) {
	pushes.WithLabelValues(p.zone(), string(r)).Inc()
	pushDuration.WithLabelValues(p.zone()).Observe(took.Seconds())
}

var (
	externalDesc = desc("external_address_info", "1 for the address of an uplink that was found last.",
		"zone", "uplink", "family", "address")
	confirmedDesc = desc("external_confirmed_timestamp_seconds",
		"When a source last said that this is still the address. No series: not since the process began.",
		"zone", "uplink", "family")
	changedDesc = desc("external_changed_timestamp_seconds", "When the address became what it is.",
		"zone", "uplink", "family")
	agreeDesc = desc("external_sources_agree", "1 while no source contradicts another.", "zone", "uplink", "family")

	recordDesc = desc("duckdns_address_info",
		"1 for the address that DuckDNS's record should hold, was last given, and was last seen with.",
		"zone", "family", "kind", "address")
	pushedDesc = desc("duckdns_push_timestamp_seconds", "When DuckDNS last took an update.", "zone", "family")
	seenDesc   = desc("duckdns_verified_timestamp_seconds", "When DuckDNS's name servers last showed what they should.",
		"zone", "family")
	failingDesc = desc("duckdns_failing", "1 while updates fail.", "zone", "family")
	driftDesc   = desc("duckdns_drift", "1 while DuckDNS's name servers show another address.", "zone", "family")
)

// externalDescs are those that collectExternal gives.
var externalDescs = []*prometheus.Desc{
	externalDesc, confirmedDesc, changedDesc, agreeDesc, recordDesc, pushedDesc, seenDesc, failingDesc, driftDesc,
}

// collectExternal gives what is known of the external addresses and of DuckDNS's record.
func (p *Plex) collectExternal(gauge func(d *prometheus.Desc, value float64, labels ...string)) {
	for _, r := range p.External() {
		for _, f := range zones.Families() {
			of := r.Of(f)
			if !of.Known.Addr.IsValid() {
				continue
			}
			gauge(externalDesc, 1, r.Uplink, f.String(), of.Known.Addr.String())
			gauge(agreeDesc, number(of.Agree), r.Uplink, f.String())
			gaugeTime(gauge, confirmedDesc, of.Known.Confirmed, r.Uplink, f.String())
			gaugeTime(gauge, changedDesc, of.Known.Since, r.Uplink, f.String())
		}
	}
}

// gaugeTime gives a time in Unix seconds, if there is one.
func gaugeTime(gauge func(*prometheus.Desc, float64, ...string), d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		gauge(d, float64(t.UnixMilli())/1000, labels...)
	}
}

// gaugeAddr gives an address of DuckDNS's record, if there is one.
func gaugeAddr(gauge func(*prometheus.Desc, float64, ...string), a netip.Addr, f zones.Family, kind string) {
	if a.IsValid() {
		gauge(recordDesc, 1, f.String(), kind, a.String())
	}
}

// collectDuckDNS gives what is known of DuckDNS's record.
func (p *Plex) collectDuckDNS(gauge func(d *prometheus.Desc, value float64, labels ...string)) {
	r := p.DuckDNS()
	if r == nil {
		return
	}
	for _, f := range zones.Families() {
		of := r.Of(f)
		if of.Off {
			continue
		}
		gaugeAddr(gauge, of.Wanted, f, "wanted")
		gaugeAddr(gauge, of.Published, f, "published")
		if of.View == duckdns.Verified {
			gaugeAddr(gauge, of.Published, f, "verified")
		}
		gauge(failingDesc, number(!of.FailingSince.IsZero()), f.String())
		gauge(driftDesc, number(!of.Since.IsZero()), f.String())
		gaugeTime(gauge, pushedDesc, of.PublishedAt, f.String())
		gaugeTime(gauge, seenDesc, of.Verified, f.String())
	}
}
