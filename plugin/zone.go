package plugin

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
	"plexha/zones"
)

// zone is one immutable zone: an origin as one view sees it, in one variant.
type zone struct {
	origin  string
	number  int // of the origin among those of the Corefile
	wireLen int // of the origin in wire form
	view    zones.View
	*file.Zone

	top       *layer // its names
	failing   bool   // there are managed names whose A and AAAA are SERVFAIL
	anyStatic bool   // a zone file stands beside this view or the other

	hot   hot   // the answers that were asked for last
	shelf shelf // those to types that a name has, and to usual ones

	none, empty, emptyApex readied // NXDOMAIN, and NODATA below the apex and at it

	turn atomic.Uint32 // of addresses that are given to questions which are not plain
}

// readied gives an answer that was made when it was asked for first.
type readied func() *packed

// nameKind says what a name is, for metrics.
type nameKind uint8

// The kinds of names.
const (
	kindOther nameKind = iota // of a zone file, or none at all
	kindMain                  // the main host, the apex and the wildcard, which answer alike
	kindNode
	kindNS
	kindStatus
)

var kindNames = [...]string{"other", "main", "node", "ns", "status"}

// String returns the kind's word in metrics.
func (k nameKind) String() string { return kindNames[k] }

// result is what a look-up gives: three sections that belong to the caller, and a code.
type result struct {
	answer, ns, extra []dns.RR
	code              file.Result
}

// newZone returns the zone of a stage.
func newZone(spec zoneSpec, st stage) *zone {
	z := &zone{
		origin: spec.origin, number: spec.number, wireLen: len(wireOf(spec.origin)), view: spec.view,
		Zone: file.NewZone(spec.origin, ""), top: st.layer, shelf: newShelf(st.layer.count),
		failing: st.failing, anyStatic: spec.anyStatic,
	}
	z.Upstream = targets{upstream.New()}
	z.Tree, z.SOA, z.Apex.NS = st.tree, soa(spec), nameServers(spec)
	z.none = z.prepare(file.NameError, "")
	z.empty = z.prepare(file.NoData, "")
	z.emptyApex = z.prepare(file.NoData, spec.origin)
	return z
}

// prepare gives the answer without records at a name; an empty one stands for those below the apex.
func (z *zone) prepare(code file.Result, qname string) readied {
	return sync.OnceValue(func() *packed { return packedOf(z.negative(code), qname) })
}

// parent returns the name without its first label; the root's is itself.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

func kindOf(label zones.Label, c *zones.Cluster) nameKind {
	if label == zones.StatusPrefix || strings.HasPrefix(string(label), string(zones.StatusPrefix)+".") {
		return kindStatus
	}
	for _, ns := range c.NS {
		if zones.Label(ns.Name) == label {
			return kindNS
		}
	}
	if label == zones.Apex || label == zones.Label(c.Main) || strings.HasPrefix(string(label), string(zones.Wildcard)) {
		return kindMain
	}
	return kindNode
}

// owner returns what answers for qname: the name itself, the wildcard which stands in for it, or nil if the zone has
// neither.
func (z *zone) owner(qname string) *owner {
	if o := z.top.of(qname); o != nil {
		return o
	}
	closest := qname // encloser, RFC 4592, 3.3.1
	for z.top.of(closest) == nil && closest != "." {
		closest = parent(closest)
	}
	return z.top.of("*." + closest)
}

// kind says what a name is. Our own wildcard does not stand in for ACME challenges: whoever asks for one
// would take NODATA for "not there yet", and an address for nothing that it can use.
func (z *zone) kind(qname string) nameKind {
	o := z.owner(qname)
	if o == nil || o.name != qname && isChallenge(qname) {
		return kindOther
	}
	return o.kind
}

// isManaged reports whether we alone say what the name holds.
func (z *zone) isManaged(qname string) bool { return z.kind(qname) != kindOther }

// isStatic reports whether the name comes from a zone file.
func (z *zone) isStatic(qname string) bool {
	o := z.owner(qname)
	return o != nil && o.kind == kindOther
}

// dependsOnClient reports whether another client may get another answer for the name.
func (z *zone) dependsOnClient(qname string) bool { return z.anyStatic || z.isManaged(qname) }

// lookup answers a question from the zone. The records are the zone's own, which nobody may change.
func (z *zone) lookup(ctx context.Context, state request.Request) result {
	qname, qtype := state.Name(), state.QType()
	switch {
	case z.fails(qname, qtype):
		return result{code: file.ServerFailure}
	case isChallenge(qname) && z.owner(qname).isManaged():
		return z.negative(file.NameError)
	case qtype == dns.TypeANY:
		return z.any(ctx, state)
	}
	var res result
	res.answer, res.ns, res.extra, res.code = z.Lookup(ctx, state, qname)
	if target := lastTarget(res.answer, qtype); target != "" {
		switch {
		case z.fails(target, qtype):
			return result{code: file.ServerFailure}
		case res.code == file.Success && z.top.of(target) != nil:
			res.ns, res.code = z.negative(file.NoData).ns, file.NoData // RFC 2308, 2.2
		}
	}
	return res
}

// fails reports whether the addresses of a name are an error.
func (z *zone) fails(name string, qtype uint16) bool {
	if !z.failing || !isAddress(qtype) {
		return false
	}
	o := z.owner(name)
	return o != nil && o.failing
}

// negative is the answer without records.
func (z *zone) negative(code file.Result) result {
	return result{ns: []dns.RR{z.SOA}, code: code}
}

// any answers ANY with one HINFO record (RFC 8482, 4.2) where there are records, and as any other type where
// there are none. To find out it asks for CNAME, the one type for which no chain is followed.
func (z *zone) any(ctx context.Context, state request.Request) result {
	var res result
	qname := state.Name()
	res.answer, res.ns, res.extra, res.code = z.Lookup(ctx, state.NewWithQuestion(qname, dns.TypeCNAME), qname)
	if o := z.owner(qname); res.code == file.Delegation || o == nil || !o.records {
		return res
	}
	return result{answer: []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: qname, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: z.SOA.Hdr.Ttl},
		Cpu: "RFC8482",
	}}}
}

// reply returns the answer to a question. Its records are those of the result.
func (r result) reply(to *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(to)
	m.Authoritative = r.code != file.Delegation || len(r.answer) > 0
	m.Answer, m.Ns, m.Extra = slices.Clip(r.answer), slices.Clip(r.ns), slices.Clip(r.extra)
	switch r.code {
	case file.NameError:
		m.Rcode = dns.RcodeNameError
	case file.ServerFailure:
		m.Rcode = dns.RcodeServerFailure // of a CNAME's target: RFC 6604, 3
	}
	return m
}

// own gives a message sections of its own, with the asked letter case where an owner is the asked name. Records are
// copied if somebody may change them, or if their owner changes. The addresses that the answer ends with begin with
// number turn.
func own(m *dns.Msg, qname, asked string, turn uint32, copied bool) {
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		if len(*section) == 0 {
			*section = nil
			continue
		}
		out := slices.Clone(*section)
		for i, rr := range out {
			renamed := asked != qname && rr.Header().Name == qname
			if copied || renamed {
				out[i] = dns.Copy(rr)
			}
			if renamed {
				out[i].Header().Name = asked
			}
		}
		*section = slices.Clip(out)
	}
	rotate(m.Answer, turn)
}

// rotate has the addresses that an answer ends with begin with number turn.
func rotate(answer []dns.RR, turn uint32) {
	n := pack.LastAddresses(answer)
	if n < 2 {
		return
	}
	ring := answer[len(answer)-n:]
	first := int(turn % uint32(n)) //nolint:gosec // a section's count has 16 bits
	copy(ring, slices.Concat(ring[first:], ring[:first]))
}

// lastTarget returns where the CNAMEs of an answer lead, if they lead to no record of the asked type.
func lastTarget(answer []dns.RR, qtype uint16) string {
	if len(answer) == 0 || qtype == dns.TypeCNAME {
		return ""
	}
	if cname, ok := answer[len(answer)-1].(*dns.CNAME); ok {
		return cname.Target
	}
	return ""
}

func isAddress(qtype uint16) bool { return qtype == dns.TypeA || qtype == dns.TypeAAAA }

// isChallenge reports whether a name is an ACME DNS-01 challenge (RFC 8555, 8.4).
func isChallenge(qname string) bool { return strings.HasPrefix(qname, "_acme-challenge.") }
