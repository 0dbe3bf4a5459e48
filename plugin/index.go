package plugin

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/coredns/coredns/plugin/file/tree"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// owner is a name that exists in a zone, be it without records.
type owner struct {
	name    string // as a file.Zone spells it
	kind    nameKind
	failing bool // its A and AAAA are SERVFAIL

	records bool // it has some

	cut   bool     // it is a delegation or a DNAME, or lies below one: what is asked there is not ours to pack
	types []uint16 // that have an answer of their own, each with the next number
	first int      // number of the first of these answers in the zone
}

// chased holds the types that are asked of names which are a CNAME. Any type gets an answer of its own there, which
// is no reason to keep 65,536 of them.
var chased = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeCNAME, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeSVCB, dns.TypeCAA,
}

// usual holds the types that are asked of all names. They have an answer of their own even where that is NODATA, so
// that it is found as quickly as addresses are.
var usual = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS}

// ownTypes returns the types that have an answer of their own at an element of a zone; all others are NODATA.
func ownTypes(elem *tree.Elem) []uint16 {
	if elem.Type(dns.TypeCNAME) != nil {
		return chased
	}
	out := slices.Clip(usual)
	for _, t := range elem.Types() {
		if !slices.Contains(usual, t) {
			out = append(out, t)
		}
	}
	return out
}

// number returns the number of the answer to a type, or -1 if that is NODATA, or a rare one at a CNAME.
func (o *owner) number(qtype uint16) int {
	for i, t := range o.types {
		if t == qtype {
			return o.first + i
		}
	}
	return -1
}

// isManaged reports whether there is a name, and we alone say what it holds.
func (o *owner) isManaged() bool { return o != nil && o.kind != kindOther }

// isCNAME reports whether the name is a CNAME.
func (o *owner) isCNAME() bool { return len(o.types) > 0 && &o.types[0] == &chased[0] }

// layer is the names of a zone, or of a part of it that lies on others: a name here hides the same one below.
type layer struct {
	under  *layer // nil: none
	owners map[string]*owner
	wire   map[string]*owner // the same by lower-case wire form
	count  int               // of answers, those of the layers below included
	wild   bool              // there are wildcards, here or below
}

// newLayer returns a layer without names on another one. All know the origin: one that knows nothing else is left out.
func newLayer(under *layer) *layer {
	l := &layer{owners: map[string]*owner{}, wire: map[string]*owner{}}
	if under != nil && (under.under != nil || len(under.owners) > 1) {
		l.under, l.count, l.wild = under, under.count, under.wild
	}
	return l
}

// of returns the owner of a name, or nil.
func (l *layer) of(name string) *owner {
	for ; l != nil; l = l.under {
		if o := l.owners[name]; o != nil {
			return o
		}
	}
	return nil
}

// ofWire is [layer.of] for a name in lower-case wire form. It allocates nothing.
func (l *layer) ofWire(name []byte) *owner {
	for ; l != nil; l = l.under {
		if o := l.wire[string(name)]; o != nil {
			return o
		}
	}
	return nil
}

// add makes a name known, unless this layer knows it.
func (l *layer) add(name string) *owner {
	if o := l.owners[name]; o != nil {
		return o
	}
	o := &owner{name: name}
	l.owners[name] = o
	if wire := wireOf(name); wire != "" {
		l.wire[wire] = o
	}
	l.wild = l.wild || strings.HasPrefix(name, "*.")
	return o
}

// number gives the answers of a name their numbers.
func (l *layer) number(o *owner, types []uint16) {
	o.types, o.first = types, l.count
	l.count += len(types)
}

// wireOf returns a name in wire form, in lower case, or "" if it is none.
func wireOf(name string) string {
	var buf [256]byte
	n, err := dns.PackDomainName(strings.ToLower(name), buf[:], 0, nil, false)
	if err != nil {
		return ""
	}
	lower(buf[:n])
	return string(buf[:n])
}

// lower changes letters as DNS compares them (RFC 4343): those of ASCII. Lengths of labels are below all of them.
func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}

// stand says what answers for the name of a question: itself, or with closest, its closest encloser (RFC 4592, 3.3.1),
// the wildcard which stands in for it. Both are nil where nothing exists, not even the zone.
func (l *layer) stand(q *pack.Question) (own, closest *owner) {
	if o := l.ofWire(q.Lower()); o != nil {
		return o, nil
	}
	for i := 1; i <= q.Labels(); i++ {
		parent := q.Parent(i)
		if closest = l.ofWire(parent); closest == nil {
			continue
		}
		if !l.wild {
			return nil, closest
		}
		var buf [2 + 256]byte
		wildcard := append(append(buf[:0], 1, '*'), parent...)
		return l.ofWire(wildcard), closest
	}
	return nil, nil
}

// shelf holds the packed answers of a zone by number. It takes room as they are made.
type shelf struct {
	pages []atomic.Pointer[page]
}

// page is some answers in a row.
type page [pageSize]atomic.Pointer[packed]

const pageSize = 128

func newShelf(answers int) shelf {
	return shelf{make([]atomic.Pointer[page], (answers+pageSize-1)/pageSize)}
}

// get returns an answer, or nil as long as it was not put.
func (s shelf) get(number int) *packed {
	if p := s.pages[number/pageSize].Load(); p != nil {
		return p[number%pageSize].Load()
	}
	return nil
}

// put keeps an answer for good, unless somebody was first, and returns the one that is kept.
func (s shelf) put(number int, a *packed) *packed {
	at := &s.pages[number/pageSize]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new(page))
	}
	slot := &at.Load()[number%pageSize]
	slot.CompareAndSwap(nil, a)
	return slot.Load()
}

// hot holds those packed answers of a zone that were asked for last, by name and type. It has one place for each, which
// others may take over: to find an answer here is quicker, that is all.
type hot [hotSize]atomic.Pointer[packed]

const hotSize = 256 // 2 KiB: a house has a few dozen

// find returns the answer to a question if it is here, or nil.
func (h *hot) find(q *pack.Question) *packed {
	a := h.place(q).Load()
	if a != nil && a.isFor(q) {
		return a
	}
	return nil
}

// keep takes an answer in that was made for this very question. Others hold for several names.
func (h *hot) keep(q *pack.Question, a *packed) {
	if a.isFor(q) {
		h.place(q).Store(a)
	}
}

func (h *hot) place(q *pack.Question) *atomic.Pointer[packed] { return &h[spot(q)] }

// spot returns a number for a question, which may be that of others as well.
func spot(q *pack.Question) uint8 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio
	sum, name := uint64(q.Type), q.Lower()
	for ; len(name) >= 8; name = name[8:] {
		sum = (sum ^ binary.LittleEndian.Uint64(name)) * odd
		sum ^= sum >> 32
	}
	for _, c := range name {
		sum = (sum ^ uint64(c)) * odd
	}
	return uint8(sum >> (64 - 8))
}
