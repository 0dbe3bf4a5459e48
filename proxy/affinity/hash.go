package affinity

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// fits says which nodes a choice is made among.
type fits func(*Node) bool

func takesNew(n *Node) bool  { return n.New }
func isPrimary(n *Node) bool { return !n.Backup }
func isAny(*Node) bool       { return true }

// rendezvous returns the node that a key belongs to among those that fit, or nil. It has no memory and no
// secret, so that proxies which have never met agree, and a node that leaves moves no key but its own. A
// node's score is weight / -ln(u), the logarithmic method of weighted rendezvous hashing (Schindelhauer,
// Schomaker: Weighted Distributed Hash Tables, 2005), as the DNS answers are spread by.
func (n *Nodes) rendezvous(key string, fits fits) *Node {
	var ofKey xxhash.Digest
	ofKey.Reset()
	_, _ = ofKey.WriteString(key)
	var best *Node
	bestScore := math.Inf(-1)
	for i := range n.All {
		node := &n.All[i]
		if !fits(node) {
			continue
		}
		d := ofKey
		_, _ = d.WriteString(string(node.Name))
		u := (float64(d.Sum64()>>11) + 0.5) / (1 << 53) // in (0, 1)
		if score := float64(node.Weight) / -math.Log(u); score > bestScore {
			best, bestScore = node, score
		}
	}
	return best
}

// ideal returns the node that a key belongs to while all is well, or nil if there is no node.
func (n *Nodes) ideal(key string) *Node {
	if node := n.rendezvous(key, isPrimary); node != nil {
		return node
	}
	return n.rendezvous(key, isAny)
}

// What a hash is of, so that a token never finds the pin of a client that calls itself the same.
const (
	ofClient  = 'c'
	ofToken   = 't'
	ofSession = 's'
)

// secretHash is what a table knows a key by: no token is kept in memory longer than its request, nor on disk.
// It is never 0, which stands for no key.
func secretHash(seed uint64, of byte, key string) uint64 {
	if key == "" {
		return 0
	}
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write([]byte{of})
	_, _ = d.WriteString(key)
	return max(d.Sum64(), 1)
}
