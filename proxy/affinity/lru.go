package affinity

import (
	"iter"
	"slices"
)

// lru maps hashed keys to values, and forgets what was used least lately once it is full. Its slots refer to
// one another by index: the garbage collector has nothing to follow in a large one, and an entry costs its
// slot and about one and a third bucket of 4 bytes.
type lru[V any] struct {
	size    int
	slots   []slot[V] // slot 0 is no entry: its next is the newest, its prev the oldest
	buckets []int32   // a power of two; the first slot of each chain, 0: none
}

type slot[V any] struct {
	key        uint64
	prev, next int32 // in the order of use
	chain      int32 // the next slot of the same bucket; 0: none
	value      V
}

const (
	minSize    = 4 // what one placement touches
	minBuckets = 64
)

func newLRU[V any](size int) lru[V] {
	return lru[V]{size: max(size, minSize), slots: make([]slot[V], 1), buckets: make([]int32, minBuckets)}
}

func (l *lru[V]) len() int { return len(l.slots) - 1 }

// The keys are hashes already: their low bits choose the bucket.
func (l *lru[V]) bucket(key uint64) *int32 { return &l.buckets[key&uint64(len(l.buckets)-1)] }

func (l *lru[V]) find(key uint64) int32 {
	i := *l.bucket(key)
	for i != 0 && l.slots[i].key != key {
		i = l.slots[i].chain
	}
	return i
}

// peek returns the value of a key without counting as a use, or nil. It is good until the next put.
func (l *lru[V]) peek(key uint64) *V {
	if i := l.find(key); i != 0 {
		return &l.slots[i].value
	}
	return nil
}

// get returns the value of a key, or nil. It is good until the next put.
func (l *lru[V]) get(key uint64) *V {
	i := l.find(key)
	if i == 0 {
		return nil
	}
	l.touch(i)
	return &l.slots[i].value
}

// put returns a zero value for the key in the place of any that it had.
func (l *lru[V]) put(key uint64) *V {
	i := l.find(key)
	if i != 0 {
		l.touch(i)
	} else {
		i = l.add(key)
	}
	var zero V
	l.slots[i].value = zero
	return &l.slots[i].value
}

func (l *lru[V]) add(key uint64) int32 {
	var i int32
	if l.len() < l.size {
		i = l.grow()
	} else {
		i = l.slots[0].prev
		l.unlink(i)
		l.unchain(i)
	}
	l.slots[i].key = key
	first := l.bucket(key)
	l.slots[i].chain, *first = *first, i
	l.link(i)
	return i
}

// grow returns a new slot. The slice never has room for more than size.
func (l *lru[V]) grow() int32 {
	if len(l.slots) == cap(l.slots) {
		grown := make([]slot[V], len(l.slots), min(2*len(l.slots), l.size+1))
		copy(grown, l.slots)
		l.slots = grown
	}
	l.slots = l.slots[:len(l.slots)+1]
	if l.len() > len(l.buckets) {
		l.rehash(2 * len(l.buckets))
	}
	return int32(l.len()) //nolint:gosec // NewTable bounds the size
}

// rehash spreads all entries but the newest slot, which has no key yet, over so many buckets.
func (l *lru[V]) rehash(buckets int) {
	l.buckets = make([]int32, buckets)
	for i := 1; i < l.len(); i++ {
		first := l.bucket(l.slots[i].key)
		l.slots[i].chain, *first = *first, int32(i) //nolint:gosec // NewTable bounds the size
	}
}

func (l *lru[V]) touch(i int32) {
	if l.slots[0].next != i {
		l.unlink(i)
		l.link(i)
	}
}

// link makes slot i the newest.
func (l *lru[V]) link(i int32) {
	second := l.slots[0].next
	l.slots[i].prev, l.slots[i].next = 0, second
	l.slots[second].prev, l.slots[0].next = i, i
}

func (l *lru[V]) unlink(i int32) {
	prev, next := l.slots[i].prev, l.slots[i].next
	l.slots[prev].next, l.slots[next].prev = next, prev
}

func (l *lru[V]) unchain(i int32) {
	at := l.bucket(l.slots[i].key)
	for *at != i {
		at = &l.slots[*at].chain
	}
	*at = l.slots[i].chain
}

// clone returns a copy that can be gone through, but not searched.
func (l *lru[V]) clone() lru[V] { return lru[V]{slots: slices.Clone(l.slots)} }

// oldestFirst returns all entries, from the one used least lately on.
func (l *lru[V]) oldestFirst() iter.Seq2[uint64, *V] {
	return func(yield func(uint64, *V) bool) {
		for i := l.slots[0].prev; i != 0; i = l.slots[i].prev {
			if !yield(l.slots[i].key, &l.slots[i].value) {
				return
			}
		}
	}
}
