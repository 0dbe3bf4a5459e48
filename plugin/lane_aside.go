package plugin

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/bufsize"
	"github.com/coredns/coredns/plugin/metrics"
)

// transparent are the plugins before ours that have no part in the questions which a lane answers, or whose part it
// does as well.
var transparent = []string{
	"any",        // ANY is left to CoreDNS
	"bufsize",    // see front
	"cache",      // it lets our zones pass, see CacheBypassZones
	"cancel",     // there is nothing to wait for
	"chaos",      // other classes than IN are left to CoreDNS
	"dnssec",     // see front
	"errors",     // no answer of a lane is one
	"metadata",   // those who read it are not transparent
	"nsid",       // questions with options are left to CoreDNS
	"prometheus", // see front
	"shed",       // it knows writers, not questions
	"tls",        // ACME challenges are left to CoreDNS
	"transfer",   // AXFR and IXFR are left to CoreDNS
}

// before returns the plugins of a server block that a question meets before ours.
func before(server *dnsserver.Config) []plugin.Handler {
	all := server.Handlers()
	ours := slices.IndexFunc(all, func(h plugin.Handler) bool { return h.Name() == name })
	return all[:max(ours, 0)]
}

// frontOf returns what the plugins before ours make of an answer.
func frontOf(server *dnsserver.Config) front {
	f := front{bytesUDP: true} // as far as the server block goes, see look
	ahead := before(server)
	for i, h := range ahead {
		switch h := h.(type) {
		case bufsize.Bufsize:
			f.bufsize = h.Size
		case *metrics.Metrics:
			f.metrics, f.writer = h, name
			if i+1 < len(ahead) {
				f.writer = ahead[i+1].Name()
			}
		}
		f.dnssec = f.dnssec || h.Name() == "dnssec"
	}
	return f
}

// opaque returns the plugins of a server block that the lane stands aside for.
func (b *laneBlock) opaque(server *dnsserver.Config) []string {
	var all []string
	ahead := before(server)
	for _, h := range ahead {
		if !slices.Contains(transparent, h.Name()) {
			all = append(all, h.Name())
		}
	}
	if len(ahead) < b.before {
		all = append(all, "one without a name")
	}
	if len(server.FilterFuncs) > 0 {
		all = append(all, "view")
	}
	return all
}
