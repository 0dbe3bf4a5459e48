package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/miekg/dns"
)

// Answer is a reply as bytes. It holds for any name that is asked: where an owner is the asked name, the question's
// own bytes stand. It never changes, and any number of goroutines may use it.
type Answer struct {
	header [headerSize]byte // without what is the question's: id, RD and CD

	before part // the records before those that take turns, which are all if none do
	turns  ring
	after  part
}

// part is some records in a row.
type part struct {
	bytes  []byte
	owners []int // where in bytes the asked name belongs
}

// ring is a set of addresses of which each may be the first. Its records are of one size.
type ring struct {
	bytes []byte // without the owners, if they are the asked name
	size  int    // of a record in bytes
	count int
	asked bool // the owner is the asked name
}

// errMeta is for what a packed answer cannot hold since it depends on the question.
var errMeta = errors.New("an OPT or TSIG record is made for each question anew")

// New packs a reply. Owners that are the same text as qname become the name that is asked, whichever that is. What
// the reply says of its question has no meaning. It is only read, so that others may read its records meanwhile.
//
// If the answer section ends with two or more addresses of one name, they take turns.
func New(m *dns.Msg, qname string) (*Answer, error) {
	if m.Truncated || m.Opcode != dns.OpcodeQuery || m.Rcode&^flagRcode != 0 {
		return nil, fmt.Errorf("packing a reply with opcode %d, rcode %d, TC %t: no plain reply", m.Opcode, m.Rcode, m.Truncated)
	}
	a := &Answer{}
	binary.BigEndian.PutUint16(a.header[2:], flagsOf(m)&^(flagRD|flagCD)|flagQR)
	binary.BigEndian.PutUint16(a.header[4:], 1)
	for i, section := range [...][]dns.RR{m.Answer, m.Ns, m.Extra} {
		if len(section) > math.MaxUint16-1 { // there may be an OPT
			return nil, fmt.Errorf("packing a reply: %d records in a section", len(section))
		}
		binary.BigEndian.PutUint16(a.header[6+2*i:], uint16(len(section)))
	}
	first := len(m.Answer) - LastAddresses(m.Answer)
	p := packer{qname: qname}
	p.add(&a.before, m.Answer[:first])
	p.turn(a, m.Answer[first:])
	p.add(&a.after, m.Ns)
	p.add(&a.after, m.Extra)
	if p.err != nil {
		return nil, fmt.Errorf("packing a reply: %w", p.err)
	}
	return a, nil
}

// LastAddresses returns how many records at the end of a section are the addresses of one name, of one family: those
// that take turns, if there are several.
func LastAddresses(rrs []dns.RR) (n int) {
	if len(rrs) == 0 || rrs[len(rrs)-1] == nil {
		return 0
	}
	last := rrs[len(rrs)-1].Header()
	if last.Rrtype != dns.TypeA && last.Rrtype != dns.TypeAAAA {
		return 0
	}
	for _, rr := range slices.Backward(rrs) {
		if rr == nil || rr.Header().Rrtype != last.Rrtype || rr.Header().Name != last.Name {
			break
		}
		n++
	}
	return n
}

// packer packs records until the first error.
type packer struct {
	qname string
	err   error
}

// pack returns a record's bytes, without the owner if that is the asked name.
func (p *packer) pack(rr dns.RR) (bytes []byte, asked bool) {
	switch {
	case p.err != nil:
		return nil, false
	case rr == nil:
		p.err = errors.New("a record is missing")
		return nil, false
	case rr.Header().Rrtype == dns.TypeOPT || rr.Header().Rrtype == dns.TypeTSIG:
		p.err = errMeta
		return nil, false
	}
	one := dns.Msg{Answer: []dns.RR{rr}} // dns.PackRR would write into the record, which others may be reading
	b, err := one.Pack()
	if err != nil {
		p.err = fmt.Errorf("%s %s: %w", rr.Header().Name, dns.Type(rr.Header().Rrtype), err)
		return nil, false
	}
	b = b[headerSize:]
	if rr.Header().Name != p.qname {
		return b, false
	}
	var owner [maxName]byte
	length, err := dns.PackDomainName(p.qname, owner[:], 0, nil, false)
	if err != nil {
		p.err = err
		return nil, false
	}
	return b[length:], true
}

// add appends records to a part.
func (p *packer) add(to *part, rrs []dns.RR) {
	for _, rr := range rrs {
		b, asked := p.pack(rr)
		if asked {
			to.owners = append(to.owners, len(to.bytes))
		}
		to.bytes = append(to.bytes, b...)
	}
}

// turn packs the addresses that end the answer section: as a ring if there are several.
func (p *packer) turn(a *Answer, rrs []dns.RR) {
	var all part
	p.add(&all, rrs)
	size := 0
	if len(rrs) > 1 {
		size = len(all.bytes) / len(rrs)
	}
	if size == 0 || !evenly(rrs) {
		p.add(&a.before, rrs)
		return
	}
	a.turns = ring{bytes: all.bytes, size: size, count: len(rrs), asked: len(all.owners) > 0}
}

// evenly reports whether the records of a set have one size: an address may be left out.
func evenly(rrs []dns.RR) bool {
	return !slices.ContainsFunc(rrs, func(rr dns.RR) bool { return dns.Len(rr) != dns.Len(rrs[0]) })
}

// Rcode returns the reply's code.
func (a *Answer) Rcode() int { return int(a.header[3] & flagRcode) }

// Size returns the bytes that the answer takes in memory.
func (a *Answer) Size() int {
	const word = int(unsafe.Sizeof(int(0)))
	return int(unsafe.Sizeof(*a)) + cap(a.before.bytes) + cap(a.turns.bytes) + cap(a.after.bytes) +
		word*(cap(a.before.owners)+cap(a.after.owners))
}

// Len returns the length of the reply to a question in bytes.
func (a *Answer) Len(q *Question) int {
	names := 1 + len(a.before.owners) + len(a.after.owners)
	if a.turns.asked {
		names += a.turns.count
	}
	n := headerSize + typeAndClass + names*len(q.Name) + len(a.before.bytes) + len(a.turns.bytes) + len(a.after.bytes)
	if q.EDNS {
		n += optSize
	}
	return n
}

// Append appends the reply to a question. The addresses that take turns begin with number turn, modulo their number.
// If dst is empty, it may be the beginning of the packet that the question was read from: the name stays where it is.
//
// It is what CoreDNS sends for the message that was packed: without compression, with an OPT record if the question
// has one, which says the client's own size and the flags of its upper half.
func (a *Answer) Append(dst []byte, q *Question, turn uint32) []byte {
	dst = slices.Grow(dst, a.Len(q))
	begin := len(dst)
	dst = append(dst, a.header[:]...)
	header := dst[begin:]
	binary.BigEndian.PutUint16(header, q.ID)
	header[2] |= byte(q.Flags & flagRD >> 8)
	header[3] |= byte(q.Flags & flagCD)
	if q.EDNS {
		binary.BigEndian.PutUint16(header[10:], 1+binary.BigEndian.Uint16(header[10:]))
	}
	dst = append(dst, q.Name...)
	dst = append(dst, byte(q.Type>>8), byte(q.Type), 0, dns.ClassINET)
	dst = a.before.append(dst, q.Name)
	dst = a.turns.append(dst, q.Name, turn)
	dst = a.after.append(dst, q.Name)
	if q.EDNS {
		dst = appendOPT(dst, q)
	}
	return dst
}

func (p *part) append(dst, name []byte) []byte {
	done := 0
	for _, at := range p.owners {
		dst = append(dst, p.bytes[done:at]...)
		dst = append(dst, name...)
		done = at
	}
	return append(dst, p.bytes[done:]...)
}

func (r *ring) append(dst, name []byte, turn uint32) []byte {
	if r.count == 0 {
		return dst
	}
	first := int(turn%uint32(r.count)) * r.size //nolint:gosec // a section's count has 16 bits
	if !r.asked {
		dst = append(dst, r.bytes[first:]...)
		return append(dst, r.bytes[:first]...)
	}
	for at := first; at < len(r.bytes); at += r.size {
		dst = append(dst, name...)
		dst = append(dst, r.bytes[at:at+r.size]...)
	}
	for at := 0; at < first; at += r.size {
		dst = append(dst, name...)
		dst = append(dst, r.bytes[at:at+r.size]...)
	}
	return dst
}

// appendOPT returns the client's size, and of its flags the upper half, DO among them, as CoreDNS does.
func appendOPT(dst []byte, q *Question) []byte {
	const root, rcode, version, options = 0, 0, 0, 0
	dst = append(dst, root, 0, byte(dns.TypeOPT), byte(q.Size>>8), byte(q.Size))
	return append(dst, rcode, version, byte(q.EDNSFlags>>8), 0, options, options)
}
