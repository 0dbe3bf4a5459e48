package plugin

import (
	"context"
	"fmt"
	"strings"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/zones"
)

// zone is one immutable zone: an origin as one view sees it, in one variant.
type zone struct {
	origin  string
	view    zones.View
	variant zones.Variant
	*file.Zone

	names     map[string]bool     // all that exist, be it without records
	kinds     map[string]nameKind // the managed names
	failing   map[string]bool     // managed names whose A and AAAA are SERVFAIL
	anyStatic bool                // a zone file stands beside this view or the other
}

// nameKind says what a name is, for metrics.
type nameKind string

// The kinds of names.
const (
	kindMain   nameKind = "main" // the main host, the apex and the wildcard, which answer alike
	kindNode   nameKind = "node"
	kindNS     nameKind = "ns"
	kindStatus nameKind = "status"
	kindOther  nameKind = "other" // of a zone file, or none at all
)

// result is what a look-up gives: three sections that belong to the caller, and a code.
type result struct {
	answer, ns, extra []dns.RR
	code              file.Result
}

// zoneSpec is what a zone is built from.
type zoneSpec struct {
	origin  string
	view    zones.View
	variant zones.Variant
	cluster *zones.Cluster
	answers zones.Answers
	static  []dns.RR
	serial  uint32

	anyStatic bool // a zone file stands beside this view or the other
}

// newZone builds a zone of our records and those of the zone file.
func newZone(spec zoneSpec) (*zone, error) {
	z := &zone{
		origin: spec.origin, view: spec.view, variant: spec.variant,
		Zone:  file.NewZone(spec.origin, ""),
		names: map[string]bool{}, kinds: map[string]nameKind{}, failing: map[string]bool{},
		anyStatic: spec.anyStatic,
	}
	z.Upstream = upstream.New()
	for _, label := range spec.answers.Managed {
		name := fqdn(label, spec.origin)
		z.kinds[name] = kindOf(label, spec.cluster)
		z.exist(name)
	}
	for _, label := range spec.answers.Failing {
		z.failing[fqdn(label, spec.origin)] = true
	}
	if hasApexAddress(spec.static, spec.origin) {
		delete(z.failing, spec.origin)
	}
	for _, rr := range append([]dns.RR{soa(spec)}, ours(spec)...) {
		if err := z.insert(rr); err != nil {
			return nil, err
		}
	}
	for _, rr := range spec.static {
		if z.isOurs(rr) {
			continue
		}
		if err := z.insert(dns.Copy(rr)); err != nil {
			return nil, err
		}
	}
	return z, nil
}

func (z *zone) insert(rr dns.RR) error {
	if err := z.Insert(rr); err != nil {
		return fmt.Errorf("inserting %s: %w", rr.Header().Name, err)
	}
	z.exist(rr.Header().Name) // as Insert spells it
	return nil
}

// exist makes a name, and those between it and the origin, known to the file.Zone without a record: it then
// gives NODATA for them, and lets no wildcard stand in for what is below (RFC 4592, 3.3.1).
func (z *zone) exist(name string) {
	for ; !z.names[name]; name = parent(name) {
		z.names[name] = true
		none := &dns.NULL{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeNULL, Class: dns.ClassINET}}
		z.Tree.Insert(none)
		elem, _ := z.Search(name)
		elem.Delete(none)
		if name == z.origin {
			return
		}
	}
}

// parent returns the name without its first label; the root's is itself.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// isOurs reports whether a zone file's record stands where only we speak. Files are checked when they are
// read, but a node that a `nodes` line finds later may take a name over.
func (z *zone) isOurs(rr dns.RR) bool {
	h := rr.Header()
	return z.kinds[h.Name] != "" && h.Name != z.origin && h.Rrtype != dns.TypeTXT
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

// owner returns the name whose records answer for qname: its own, that of the wildcard which stands in for
// it, or "" if the zone has neither.
func (z *zone) owner(qname string) string {
	if z.names[qname] {
		return qname
	}
	closest := qname // encloser, RFC 4592, 3.3.1
	for !z.names[closest] && closest != "." {
		closest = parent(closest)
	}
	if wildcard := "*." + closest; z.names[wildcard] {
		return wildcard
	}
	return ""
}

// kind says what a name is. Our own wildcard does not stand in for ACME challenges: whoever asks for one
// would take NODATA for "not there yet", and an address for nothing that it can use.
func (z *zone) kind(qname string) nameKind {
	owner := z.owner(qname)
	k, ok := z.kinds[owner]
	if !ok || owner != qname && isChallenge(qname) {
		return kindOther
	}
	return k
}

// isManaged reports whether we alone say what the name holds.
func (z *zone) isManaged(qname string) bool { return z.kind(qname) != kindOther }

// isStatic reports whether the name comes from a zone file.
func (z *zone) isStatic(qname string) bool {
	owner := z.owner(qname)
	return owner != "" && z.kinds[owner] == ""
}

// dependsOnClient reports whether another client may get another answer for the name.
func (z *zone) dependsOnClient(qname string) bool { return z.anyStatic || z.isManaged(qname) }

// lookup answers a question from the zone. The records are copies with the question's own letter case, so
// that the plugins in front may change them.
func (z *zone) lookup(ctx context.Context, state request.Request) result {
	qname, qtype := state.Name(), state.QType()
	switch {
	case z.fails(qname, qtype):
		return result{code: file.ServerFailure}
	case isChallenge(qname) && z.kinds[z.owner(qname)] != "":
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
		case res.code == file.Success && z.names[target]:
			res.ns, res.code = z.negative(file.NoData).ns, file.NoData // RFC 2308, 2.2
		}
	}
	res.own(qname, state.QName())
	return res
}

// fails reports whether the addresses of a name are an error.
func (z *zone) fails(name string, qtype uint16) bool {
	return len(z.failing) > 0 && isAddress(qtype) && z.failing[z.owner(name)]
}

// negative is the answer without records.
func (z *zone) negative(code file.Result) result {
	return result{ns: []dns.RR{dns.Copy(z.SOA)}, code: code}
}

// any answers ANY with one HINFO record (RFC 8482, 4.2) where there are records, and as any other type where
// there are none. To find out it asks for CNAME, the one type for which no chain is followed.
func (z *zone) any(ctx context.Context, state request.Request) result {
	var res result
	qname, asked := state.Name(), state.QName()
	res.answer, res.ns, res.extra, res.code = z.Lookup(ctx, state.NewWithQuestion(qname, dns.TypeCNAME), qname)
	elem, exists := z.Search(z.owner(qname))
	if res.code == file.Delegation || !exists || elem.Empty() && qname != z.origin {
		res.own(qname, asked)
		return res
	}
	return result{answer: []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: asked, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: z.SOA.Hdr.Ttl},
		Cpu: "RFC8482",
	}}}
}

// own copies all sections, with the asked letter case where the owner is the asked name.
func (r *result) own(qname, asked string) {
	for _, section := range []*[]dns.RR{&r.answer, &r.ns, &r.extra} {
		if len(*section) == 0 {
			*section = nil
			continue
		}
		own := make([]dns.RR, len(*section))
		for i, rr := range *section {
			own[i] = dns.Copy(rr)
			if h := own[i].Header(); h.Name == qname {
				h.Name = asked
			}
		}
		*section = own
	}
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
