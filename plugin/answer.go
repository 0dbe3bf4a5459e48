package plugin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/lane"
	"plexha/plugin/pack"
)

// front is what stands before the plugin in its server block and concerns what a lane answers.
type front struct {
	metrics *metrics.Metrics // the prometheus plugin; nil: none
	writer  string           // the plugin that prometheus takes for who answers: the one behind it
	bufsize int              // what the bufsize plugin lets a client offer to take; 0: there is none
	dnssec  bool             // the dnssec plugin signs for who asks with DO, and has keys of its own

	// bytesUDP: bytes may be written to UDP clients. A plugin that decorates the server's writers would not see them.
	bytesUDP bool
}

// packed is an answer that lies ready, or the word that CoreDNS's own path must give it.
type packed struct {
	*pack.Answer // nil: CoreDNS's path

	name  string // whose it is, in lower-case wire form; empty: it holds for several names
	qtype uint16
	kind  nameKind

	turns bool // it has addresses of which each is the first in turn
	turn  atomic.Uint32
}

// leave is left to CoreDNS's path.
var leave = &packed{}

// isFor reports whether the answer was made for this very question.
func (a *packed) isFor(q *pack.Question) bool {
	return a.qtype == q.Type && a.name == string(q.Lower())
}

// next returns whose turn it is.
func (a *packed) next() uint32 {
	if !a.turns {
		return 0
	}
	return a.turn.Add(1) - 1
}

// Answer implements [lane.Block].
func (p *Plex) Answer(dst []byte, q *pack.Question, addr netip.Addr, t lane.Tally) []byte {
	c := p.current.Load()
	if c == nil || !c.snap.Ready || p.front.dnssec && isSigned(q) {
		return nil
	}
	if p.front.bufsize > 0 {
		q.Size = uint16(min(int(q.Size), p.front.bufsize)) //nolint:gosec // at most what it was
	}
	counts := t.(*tally)
	sitting := counts.given.seatOf(c, addr)
	at := counts.given.place(q)
	if !at.isFor(q, sitting) {
		a, z, kind := p.find(c, q, sitting)
		if a.Answer == nil || a.Len(q) > q.Limit(addr) {
			return nil
		}
		if !a.isFor(q) {
			at = &counts.given.other
		}
		*at = answered{a, sitting, counts.of(z, kind, q, a.Rcode())}
	} else if at.Len(q) > q.Limit(addr) {
		return nil
	}
	counts.count(&at.columns, q, addr)
	return at.Append(dst, q, at.next())
}

// find returns the packed answer to a plain question, or leave, with the zone that it is from and the kind of name.
func (p *Plex) find(c *compiled, q *pack.Question, sitting seat) (*packed, *zone, nameKind) {
	i := p.wires.origins.find(q)
	if i < 0 {
		return leave, nil, kindOther
	}
	z := c.zoneAt(i, sitting)
	a, kind := p.ready(z, q)
	return a, z, kind
}

// isSigned reports whether the dnssec plugin has a part in the answer.
func isSigned(q *pack.Question) bool {
	switch q.Type {
	case dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return true
	}
	return q.Do()
}

// ready returns the packed answer to a plain question, or leave if CoreDNS's path must give it, and what kind of name
// was asked.
func (p *Plex) ready(z *zone, q *pack.Question) (*packed, nameKind) {
	if a := z.hot.find(q); a != nil {
		return a, a.kind
	}
	if !isPlainType(q.Type) || isChallengeWire(q) || p.wires.passthrough.find(q) >= 0 {
		return leave, kindOther
	}
	own, closest := z.top.stand(q)
	switch {
	case own == nil && (closest == nil || closest.cut):
		return leave, kindOther
	case own == nil:
		if p.Next != nil && p.wires.fall.find(q) >= 0 {
			return leave, kindOther
		}
		return z.none(), kindOther
	case own.cut, own.failing && isAddress(q.Type):
		return leave, own.kind
	}
	if n := own.number(q.Type); n >= 0 {
		a := z.shelved(n, q, own)
		z.hot.keep(q, a)
		return a, own.kind
	}
	switch {
	case own.isCNAME():
		return leave, own.kind
	case len(q.Lower()) == z.wireLen:
		return z.emptyApex(), own.kind
	default:
		return z.empty(), own.kind
	}
}

// isPlainType reports whether a type is one that zones have records of. DS is the parent's to answer, and those that
// only stand in questions, or belong to signatures, have rules of their own (RFC 6895, 3.1).
func isPlainType(t uint16) bool {
	switch t {
	case dns.TypeNone, dns.TypeOPT, dns.TypeDS, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return false
	}
	return t < 128 || t > 255
}

// isChallengeWire is [isChallenge] for a question.
func isChallengeWire(q *pack.Question) bool {
	const label = "\x0f_acme-challenge"
	return q.Labels() > 1 && len(q.Lower()) > len(label) && string(q.Lower()[:len(label)]) == label
}

// wires are the names of the block's Corefile in lower-case wire form.
type wires struct{ origins, passthrough, fall wireNames }

func wiresOf(cfg *corefile.Config) wires {
	return wires{wireNamesOf(cfg.Cluster.Origins), wireNamesOf(cfg.Passthrough), wireNamesOf(cfg.Fallthrough)}
}

// wireNames are names that others may lie below.
type wireNames []wireName

type wireName struct {
	name   []byte
	labels int
}

func wireNamesOf(names []string) wireNames {
	var out wireNames
	for _, n := range names {
		out = append(out, wireName{[]byte(wireOf(n)), dns.CountLabel(n)})
	}
	return out
}

// find returns the index of the longest name that a question's is or lies below, or -1.
func (names wireNames) find(q *pack.Question) int {
	best, most := -1, -1
	for i := range names {
		n := &names[i]
		if n.labels > most && n.labels <= q.Labels() && bytes.Equal(q.Parent(q.Labels()-n.labels), n.name) {
			best, most = i, n.labels
		}
	}
	return best
}

// shelved returns an answer by its number, and makes it if nobody has asked for it before.
func (z *zone) shelved(number int, q *pack.Question, own *owner) *packed {
	if a := z.shelf.get(number); a != nil {
		return a
	}
	a := z.pack(q)
	if a != leave && z.top.ofWire(q.Lower()) == own {
		a.name, a.qtype, a.kind = string(q.Lower()), q.Type, own.kind
	}
	return z.shelf.put(number, a)
}

// pack makes the answer to a question as CoreDNS's path does.
func (z *zone) pack(q *pack.Question) *packed {
	name, _, err := dns.UnpackDomainName(q.Lower(), 0)
	if err != nil {
		return leave
	}
	w := &packer{}
	state := request.Request{W: w, Req: new(dns.Msg).SetQuestion(name, q.Type)}
	res := z.lookup(context.Background(), state)
	if w.left || res.code == file.Delegation || res.code == file.ServerFailure || slices.ContainsFunc(res.answer, isDNAME) {
		return leave
	}
	return packedOf(res, state.Name())
}

// packedOf packs what was looked up for a name.
func packedOf(res result, qname string) *packed {
	m := res.reply(new(dns.Msg).SetQuestion(qname, dns.TypeNone))
	a, err := pack.New(m, qname)
	if err != nil {
		log.Debugf("answering %s in full each time: %v", qname, err)
		return leave
	}
	return &packed{Answer: a, turns: pack.LastAddresses(m.Answer) > 1}
}

func isDNAME(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDNAME }

// packer stands for the client while an answer is packed, which must hold for all clients.
type packer struct {
	dns.ResponseWriter // nil: nobody writes

	left bool // the answer needs names that are not in the zone
}

// RemoteAddr implements [dns.ResponseWriter].
func (*packer) RemoteAddr() net.Addr { return &net.UDPAddr{} }

// targets resolves the targets of CNAMEs that lead out of a zone by asking CoreDNS, but not for answers that are
// packed.
type targets struct{ *upstream.Upstream }

var errLeft = errors.New("the target is not in the zone")

// Lookup implements [file.Upstreamer].
func (t targets) Lookup(ctx context.Context, state request.Request, name string, qtype uint16) (*dns.Msg, error) {
	if w, ok := state.W.(*packer); ok {
		w.left = true
		return nil, errLeft
	}
	return t.Upstream.Lookup(ctx, state, name, qtype)
}

// Interface guards.
var (
	_ lane.Block      = (*Plex)(nil)
	_ file.Upstreamer = targets{}
)
