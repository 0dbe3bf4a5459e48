package relay

import (
	"math"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// balancer is the `balance` policy: it chooses among the nodes that a request may go to which is bound to none.
type balancer interface {
	pick(p pool, r *http.Request, w http.ResponseWriter) *node
	// carefree reports whether it makes no difference to the policy how many requests are under way.
	carefree() bool
}

// uriHash is Caddy's own uri_hash: the node with the highest xxhash64 of HOST:PORT and the request's target,
// without its allocations. With weights it is a weighted rendezvous hash over the same numbers.
type uriHash struct{}

func (uriHash) carefree() bool { return true }

func (uriHash) pick(p pool, r *http.Request, _ http.ResponseWriter) *node {
	if p.weights != nil {
		return weightedHash(p, r.RequestURI)
	}
	var best *node
	var highest uint64
	for _, n := range p.nodes {
		if h := n.hashOf(r.RequestURI); h > highest || best == nil {
			best, highest = n, h
		}
	}
	return best
}

// hashOf returns the xxhash64 of the node's HOST:PORT and uri.
func (n *node) hashOf(uri string) uint64 {
	d := n.hash
	_, _ = d.WriteString(uri)
	return d.Sum64()
}

// weightedHash is the logarithmic method of weighted rendezvous hashing, weight / -ln(u) (Schindelhauer,
// Schomaker: Weighted Distributed Hash Tables, 2005).
func weightedHash(p pool, uri string) *node {
	var best *node
	highest := math.Inf(-1)
	for i, n := range p.nodes {
		u := (float64(n.hashOf(uri)>>11) + 0.5) / (1 << 53)
		if score := p.weights[i] / -math.Log(u); score > highest {
			best, highest = n, score
		}
	}
	return best
}

// caddyPolicy is any other of Caddy's policies. It sees the nodes' counts of requests, which Caddy keeps.
type caddyPolicy struct{ reverseproxy.Selector }

func (caddyPolicy) carefree() bool { return false }

func (c caddyPolicy) pick(p pool, r *http.Request, w http.ResponseWriter) *node {
	chosen := c.Select(p.upstreams, r, w)
	for i, u := range p.upstreams {
		if u == chosen {
			return p.nodes[i]
		}
	}
	return nil
}
