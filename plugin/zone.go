package plugin

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/plugin/runtime"
	"plexha/zones"
)

// The SOA's times in seconds. Secondaries are told of changes by NOTIFY, so refresh bounds what a lost
// NOTIFY costs, and expire keeps them answering through two weeks without us.
const (
	soaRefresh = 300
	soaRetry   = 60
	soaExpire  = 1209600
)

// zone is one immutable zone: an origin as one view sees it, in one variant.
type zone struct {
	origin  string
	view    zones.View
	variant zones.Variant
	*file.Zone

	kinds     map[string]nameKind // the managed names
	failing   map[string]bool     // managed names whose A and AAAA are SERVFAIL
	bare      map[string]bool     // managed names without any record
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

// fqdn returns the name of a label below an origin.
func fqdn(label zones.Label, origin string) string {
	if label == zones.Apex {
		return origin
	}
	return string(label) + "." + origin
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
}

// newZone builds a zone of our records and those of the zone file.
func newZone(spec zoneSpec) (*zone, error) {
	z := &zone{
		origin: spec.origin, view: spec.view, variant: spec.variant,
		Zone:  file.NewZone(spec.origin, ""),
		kinds: map[string]nameKind{}, failing: map[string]bool{}, bare: map[string]bool{},
	}
	z.Upstream = upstream.New()
	for _, label := range spec.answers.Managed {
		z.kinds[fqdn(label, spec.origin)] = kindOf(label, spec.cluster)
		z.bare[fqdn(label, spec.origin)] = true
	}
	for _, label := range spec.answers.Failing {
		z.failing[fqdn(label, spec.origin)] = true
	}
	rrs := append([]dns.RR{soa(spec)}, ours(spec)...)
	for _, rr := range spec.static {
		rrs = append(rrs, dns.Copy(rr))
	}
	if hasApexAddress(spec.static, spec.origin) {
		delete(z.failing, spec.origin)
	}
	for _, rr := range rrs {
		if err := z.Insert(rr); err != nil {
			return nil, fmt.Errorf("inserting %s: %w", rr.Header().Name, err)
		}
		delete(z.bare, rr.Header().Name)
	}
	return z, nil
}

func kindOf(label zones.Label, c *zones.Cluster) nameKind {
	if strings.HasPrefix(string(label), string(zones.StatusPrefix)) {
		return kindStatus
	}
	for _, ns := range c.NS {
		if zones.Label(ns.Name) == label {
			return kindNS
		}
	}
	switch label {
	case zones.Apex, zones.Wildcard, zones.Label(c.Main):
		return kindMain
	}
	return kindNode
}

func soa(spec zoneSpec) dns.RR {
	negative := seconds(spec.cluster.Negative)
	return &dns.SOA{
		Hdr:     dns.RR_Header{Name: spec.origin, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negative},
		Ns:      fqdn(zones.Label(spec.cluster.NS[0].Name), spec.origin),
		Mbox:    "hostmaster." + spec.origin,
		Serial:  spec.serial,
		Refresh: soaRefresh,
		Retry:   soaRetry,
		Expire:  soaExpire,
		Minttl:  negative,
	}
}

func seconds(d time.Duration) uint32 { return uint32((d + time.Second - 1) / time.Second) } //nolint:gosec // checked in corefile

// ours returns our records, without the apex's addresses where the zone file has some.
func ours(spec zoneSpec) []dns.RR {
	replaced := hasApexAddress(spec.static, spec.origin)
	var out []dns.RR
	for _, r := range spec.answers.Records {
		if replaced && r.Label == zones.Apex && r.Addr.IsValid() {
			continue
		}
		out = append(out, toRR(r, spec.origin))
	}
	return out
}

func toRR(r zones.Record, origin string) dns.RR {
	hdr := dns.RR_Header{Name: fqdn(r.Label, origin), Rrtype: uint16(r.Type), Class: dns.ClassINET, Ttl: r.TTL}
	switch r.Type {
	case zones.TypeNS:
		return &dns.NS{Hdr: hdr, Ns: fqdn(r.Target, origin)}
	case zones.TypeTXT:
		return &dns.TXT{Hdr: hdr, Txt: []string{r.Text}}
	case zones.TypeA:
		return &dns.A{Hdr: hdr, A: net.IP(r.Addr.AsSlice())}
	default:
		return &dns.AAAA{Hdr: hdr, AAAA: net.IP(r.Addr.AsSlice())}
	}
}

func hasApexAddress(rrs []dns.RR, origin string) bool {
	for _, rr := range rrs {
		t := rr.Header().Rrtype
		if (t == dns.TypeA || t == dns.TypeAAAA) && rr.Header().Name == origin {
			return true
		}
	}
	return false
}

func (z *zone) isManaged(qname string) bool {
	_, ok := z.kinds[qname]
	return ok || z.kinds[fqdn(zones.Wildcard, z.origin)] != "" && !z.has(qname)
}

// has reports whether the zone holds records of that very name.
func (z *zone) has(qname string) bool {
	_, ok := z.Search(qname)
	return ok
}

// dependsOnClient reports whether another client may get another answer for the name.
func (z *zone) dependsOnClient(qname string) bool {
	return z.anyStatic || qname == z.origin || z.isManaged(qname)
}

// kind says what a name is.
func (z *zone) kind(qname string) nameKind {
	if k, ok := z.kinds[qname]; ok {
		return k
	}
	if z.kinds[fqdn(zones.Wildcard, z.origin)] != "" && !z.has(qname) {
		return kindMain
	}
	return kindOther
}

// lookup answers a question from the zone. The records are copies with the question's own letter case, so
// that the plugins in front may change them.
func (z *zone) lookup(ctx context.Context, state request.Request) result {
	qname := state.Name()
	if res, ok := z.marked(qname, state.QType()); ok {
		return res
	}
	if state.QType() == dns.TypeANY {
		return z.any(ctx, state)
	}
	var res result
	res.answer, res.ns, res.extra, res.code = z.Lookup(ctx, state, qname)
	if res, ok := z.unknown(qname, state.QType(), res); ok {
		return res
	}
	if target := lastTarget(res.answer, state.QType()); target != "" {
		if m, ok := z.marked(target, state.QType()); ok && m.code == file.ServerFailure {
			return result{code: file.ServerFailure}
		}
	}
	if res.code == file.Success && len(res.answer) == 0 {
		res.code = file.NoData // an empty non-terminal, RFC 8020
	}
	res.own(qname, state.QName())
	return res
}

// marked answers for names that a file.Zone cannot hold: managed ones without any record, and those whose
// addresses are an error.
func (z *zone) marked(qname string, qtype uint16) (result, bool) {
	switch {
	case z.failing[qname] && isAddress(qtype):
		return result{code: file.ServerFailure}, true
	case z.bare[qname]:
		return z.noData(), true
	default:
		return result{}, false
	}
}

// unknown answers for a name that the zone does not have where a wildcard has no records to give.
func (z *zone) unknown(qname string, qtype uint16, res result) (result, bool) {
	if res.code != file.NameError || isChallenge(qname) {
		return result{}, false
	}
	return z.marked(fqdn(zones.Wildcard, z.origin), qtype)
}

func (z *zone) noData() result {
	return result{ns: []dns.RR{dns.Copy(z.SOA)}, code: file.NoData}
}

// any answers ANY with one HINFO record (RFC 8482, 4.2), and as any other type where the name does not exist.
func (z *zone) any(ctx context.Context, state request.Request) result {
	_, ns, _, code := z.Lookup(ctx, state, state.Name())
	if code == file.NameError {
		if res, ok := z.unknown(state.Name(), dns.TypeANY, result{code: code}); ok {
			return res
		}
		res := result{ns: ns, code: code}
		res.own("", "")
		return res
	}
	return result{answer: []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: state.QName(), Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: z.SOA.Hdr.Ttl},
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

// compiled is one snapshot with the zones that follow from it.
type compiled struct {
	snap    *zones.Snapshot
	spread  zones.Spreader
	inside  map[string]map[zones.Variant]*zone
	outside map[string]*zone
	raised  []string // origins whose external serial is higher than before
}

// zone returns the zone that a client sees.
func (c *compiled) zone(origin string, who client) *zone {
	if who.view == zones.External {
		return c.outside[origin]
	}
	return c.inside[origin][who.variant]
}

// staticSet holds the zone files' records: by view, then by origin.
type staticSet map[zones.View]map[string][]dns.RR

func (s staticSet) empty() bool { return len(s) == 0 }

// compile builds the zones of a snapshot.
func compile(snap *zones.Snapshot, static staticSet, serials map[string]*runtime.Serials, now time.Time) (*compiled, error) {
	c := &compiled{
		snap: snap, spread: snap.Spreader(),
		inside: map[string]map[zones.Variant]*zone{}, outside: map[string]*zone{},
	}
	external := snap.Records(zones.External, "")
	internal := map[zones.Variant]zones.Answers{}
	for _, v := range c.spread.Variants() {
		internal[v] = snap.Records(zones.Internal, v)
	}
	for _, origin := range snap.Cluster.Origins {
		spec := zoneSpec{origin: origin, cluster: snap.Cluster}
		err := c.compileExternal(spec, external, static, serials[origin], now)
		if err == nil {
			err = c.compileInternal(spec, internal, static, serials[origin], now)
		}
		if err != nil {
			return nil, fmt.Errorf("compiling %s: %w", origin, err)
		}
	}
	return c, nil
}

func (c *compiled) compileExternal(spec zoneSpec, answers zones.Answers, static staticSet, serials *runtime.Serials, now time.Time) error {
	spec.view, spec.answers, spec.static = zones.External, answers, static[zones.External][spec.origin]
	var h recordHash
	h.add(spec)
	n, raised := serials.For(zones.External, h.sum, now)
	if raised {
		c.raised = append(c.raised, spec.origin)
	}
	spec.serial = n
	z, err := newZone(spec)
	if err != nil {
		return err
	}
	z.anyStatic = !static.empty()
	c.outside[spec.origin] = z
	return nil
}

func (c *compiled) compileInternal(spec zoneSpec, answers map[zones.Variant]zones.Answers, static staticSet, serials *runtime.Serials, now time.Time) error {
	spec.view, spec.static = zones.Internal, static[zones.Internal][spec.origin]
	var h recordHash
	for _, v := range c.spread.Variants() {
		spec.answers = answers[v]
		h.add(spec)
	}
	spec.serial, _ = serials.For(zones.Internal, h.sum, now)
	c.inside[spec.origin] = map[zones.Variant]*zone{}
	for v, a := range answers {
		spec.variant, spec.answers = v, a
		z, err := newZone(spec)
		if err != nil {
			return err
		}
		z.anyStatic = !static.empty()
		c.inside[spec.origin][v] = z
	}
	return nil
}
