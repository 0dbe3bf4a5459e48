package zones

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Variant names the one member that a client's answers lead to with `spread`. The empty variant is the
// only one where answers are the same for all clients of a view.
type Variant string

// Spreader maps clients to variants. It gives each client the same one each time, and any number of goroutines may use
// it; the zero value knows the empty variant alone.
type Spreader struct {
	variants []Variant
	weights  []float64 // nil: all alike
	picked   *picked   // nil: picking is quicker than looking up what was picked
}

// Spreader returns how the snapshot spreads internal clients. External answers have no variants.
func (s *Snapshot) Spreader() Spreader {
	c := s.tiers().main(asIs)
	if c.mode != Spread || len(c.members) < 2 {
		return Spreader{}
	}
	var sp Spreader
	alike := true
	for _, m := range c.members {
		sp.variants = append(sp.variants, Variant(m.name))
		sp.weights = append(sp.weights, float64(max(m.weight, 1)))
		alike = alike && m.weight == c.members[0].weight
	}
	if alike {
		sp.weights = nil
	}
	if n := len(sp.variants); n >= worthKeeping && n < keptIndex {
		sp.picked = new(picked)
	}
	return sp
}

// Variants returns every variant that Pick may give, in file order: one empty one if there is no choice.
func (sp Spreader) Variants() []Variant {
	if len(sp.variants) == 0 {
		return []Variant{""}
	}
	return slices.Clone(sp.variants)
}

// Pick returns the variant of the clients in network: a single IPv4 address, an IPv6 /64, or the prefix
// that a trusted resolver sent (longer IPv6 ones count as their /64). It is a weighted rendezvous hash, so
// that a member that leaves moves no client but its own.
func (sp Spreader) Pick(network netip.Prefix) Variant {
	if len(sp.variants) == 0 {
		return ""
	}
	return sp.variants[sp.Index(network)]
}

// Index is [Spreader.Pick] as an index into Variants.
func (sp Spreader) Index(network netip.Prefix) int {
	if len(sp.variants) == 0 {
		return 0
	}
	key := networkKey(network)
	if sp.picked == nil {
		return sp.pick(key)
	}
	kept, i := sp.picked.of(key)
	if i < 0 {
		i = sp.pick(key)
		sp.picked.keep(kept, key, i)
	}
	return i
}

func (sp Spreader) pick(key uint64) int {
	best, bestScore := 0, math.Inf(-1)
	for i, v := range sp.variants {
		u := uniform(key, v)
		if sp.weights != nil {
			u = weighted(u, sp.weights[i])
		}
		if u > bestScore {
			best, bestScore = i, u
		}
	}
	return best
}

// picked remembers what was picked for the networks that ask often. A word holds an index, plus one, in its lowest
// eight bits, and above them those of the mixed network that its place does not tell.
type picked [keptWords]atomic.Uint64

const (
	worthKeeping = 8    // variants: a guess
	keptWords    = 4096 // 32 KiB
	keptIndex    = 1<<8 - 1
)

// of returns the word for a network, and what was picked for it or -1.
func (p *picked) of(key uint64) (word *atomic.Uint64, index int) {
	mixed := mix(key)
	word = &p[mixed%keptWords]
	kept := word.Load()
	if kept == 0 || (kept^mixed)>>8 != 0 {
		return word, -1
	}
	return word, int(kept&keptIndex) - 1
}

func (*picked) keep(word *atomic.Uint64, key uint64, index int) {
	word.Store(mix(key)&^keptIndex | uint64(index+1)) //nolint:gosec // an index
}

// mix gives each number another one, in which all bits have a part in the lowest ones (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Network returns the network that a client at addr is spread by: its IPv4 address or its IPv6 /64.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return netip.PrefixFrom(addr, 32)
	}
	p, _ := addr.Prefix(64)
	return p
}

func networkKey(p netip.Prefix) uint64 {
	p = unmapped(p)
	if p.Addr().Is4() {
		a := p.Masked().Addr().As4()
		return uint64(binary.BigEndian.Uint32(a[:]))
	}
	a := netip.PrefixFrom(p.Addr(), min(p.Bits(), 64)).Masked().Addr().As16()
	return binary.BigEndian.Uint64(a[:8])
}

// uniform returns a number in (0, 1) that only the network and the variant decide.
func uniform(key uint64, v Variant) float64 {
	var buf [8 + 64]byte // a network, and a DNS label or an address with its port
	binary.BigEndian.PutUint64(buf[:8], key)
	n := copy(buf[8:], v)
	return (float64(xxhash.Sum64(buf[:8+n])>>11) + 0.5) / (1 << 53)
}

// weighted is the logarithmic method of weighted rendezvous hashing: weight / -ln(u) (Schindelhauer,
// Schomaker: Weighted Distributed Hash Tables, 2005). It grows with u, so that members of one weight
// compare as their numbers do.
func weighted(u, weight float64) float64 { return weight / -math.Log(u) }
