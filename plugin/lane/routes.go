package lane

import (
	"slices"

	"plexha/plugin/pack"
)

// chain is what a cut has instead of a number if CoreDNS's chain answers there.
const chain = -1

// maxName is the length of the longest name in wire form, maxLabel that of the longest label with its length before it
// (RFC 1035, 2.3.4).
const (
	maxName  = 255
	maxLabel = 64
)

// Routes tell whose a name is. They never change.
type Routes struct {
	cuts   map[string]int // by name, in lower-case wire form: the number of a block, or chain
	few    []cut          // the same, the longest first; nil: there are more than fewCuts
	labels int            // that the longest of these names has
	blocks []Block        // each once
}

// fewCuts is up to how many names are compared one by one, which is quicker than a map.
const fewCuts = 4

type cut struct {
	name   string
	labels int
	number int
}

// NewRoutes returns the routes that are cut at the names, given in lower-case wire form. A name belongs to the cut
// that is the name itself or the nearest above it. A nil Block, and no cut at all, leave it to CoreDNS.
func NewRoutes(cuts map[string]Block) *Routes {
	r := &Routes{cuts: make(map[string]int, len(cuts))}
	numbers := map[Block]int{}
	for name, block := range cuts {
		r.labels = max(r.labels, labels(name))
		if block == nil {
			r.cuts[name] = chain
			continue
		}
		number, ok := numbers[block]
		if !ok {
			number = len(r.blocks)
			numbers[block] = number
			r.blocks = append(r.blocks, block)
		}
		r.cuts[name] = number
	}
	if len(r.cuts) > fewCuts {
		return r
	}
	for name, number := range r.cuts {
		r.few = append(r.few, cut{name, labels(name), number})
	}
	slices.SortFunc(r.few, func(a, b cut) int { return b.labels - a.labels })
	return r
}

// Find returns the block whose the name of the question is, or nil if CoreDNS answers for it.
func (r *Routes) Find(q *pack.Question) Block {
	if n := r.find(q); n != chain {
		return r.blocks[n]
	}
	return nil
}

// find returns the number of that block. It begins at the longest name that has a cut: a flood of names with a hundred
// labels costs no more than one of short ones.
func (r *Routes) find(q *pack.Question) int {
	asked := q.Labels()
	for i := range r.few {
		if c := &r.few[i]; c.labels <= asked && string(q.Parent(asked-c.labels)) == c.name {
			return c.number
		}
	}
	if r.few != nil {
		return chain
	}
	for n := max(0, asked-r.labels); n <= asked; n++ {
		if number, ok := r.cuts[string(q.Parent(n))]; ok {
			return number
		}
	}
	return chain
}

// own reports whether a packet, however unusual, asks first for a name that is a block's.
func (r *Routes) own(packet []byte) bool {
	var name [maxName]byte // in lower case
	var at [maxName]uint8  // where its labels begin
	size, count := 0, 0
	for rest := packet[min(len(packet), headerSize):]; len(rest) > 0; {
		length := 1 + int(rest[0])
		if length > maxLabel || length > len(rest) || size+length > maxName {
			return false
		}
		at[count] = uint8(size) //nolint:gosec // less than maxName
		size += copy(name[size:], rest[:length])
		if length == 1 {
			return r.ownOf(lower(name[:size]), at[:count+1])
		}
		rest = rest[length:]
		count++
	}
	return false
}

// ownOf looks for the longest part of a name that has a cut, beginning at each of its labels.
func (r *Routes) ownOf(name []byte, at []uint8) bool {
	for _, from := range at[max(0, len(at)-1-r.labels):] {
		if number, ok := r.cuts[string(name[from:])]; ok {
			return number != chain
		}
	}
	return false
}

// lower turns a name into lower case where it stands. The length of a label is less than any letter.
func lower(name []byte) []byte {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	return name
}

// empty reports whether no name is a block's.
func (r *Routes) empty() bool { return r == nil || len(r.blocks) == 0 }

// labels counts the labels of a name in wire form, without the root's.
func labels(name string) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		n++
	}
	return n
}
