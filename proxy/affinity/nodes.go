package affinity

import (
	"net"
	"slices"
	"strconv"
	"time"

	"plexha/zones"
)

// Node is a node as the rules see it at one instant.
type Node struct {
	Name     zones.NodeName
	Dial     string // the Corefile's HOST:PORT, which `uri_hash` hashes
	ID       string // the machineIdentifier that it must have, or has; empty: not known
	Weight   int    // 1 or more
	Backup   bool   // used only when no other is up
	Up       bool   // takes requests: up, or ordered up, or nothing is known of any and so all are tried
	Draining bool   // keeps what it has
	New      bool   // gets new pins, and requests that are bound to no node
	UpSince  time.Time
}

// Nodes is all nodes of a cluster at one instant, in file order. It is immutable.
type Nodes struct {
	All []Node
}

// NodesOf returns the nodes of a snapshot.
func NodesOf(s *zones.Snapshot) *Nodes {
	serving := s.Serving()
	n := &Nodes{All: make([]Node, 0, len(s.Nodes))}
	for i := range s.Nodes {
		h := &s.Nodes[i]
		takesNew := slices.Contains(serving, h)
		node := Node{
			Name:     h.Name,
			Dial:     net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port))),
			ID:       h.ID,
			Weight:   max(h.Weight, 1),
			Backup:   h.Backup,
			Up:       h.Serves() || takesNew,
			Draining: h.Order == zones.OrderDrain,
			New:      takesNew,
		}
		if node.ID == "" {
			node.ID = h.Identity
		}
		if h.State.IsUp() {
			node.UpSince = h.Since
		}
		n.All = append(n.All, node)
	}
	return n
}

// Get returns the node of that name, or nil.
func (n *Nodes) Get(name zones.NodeName) *Node {
	for i := range n.All {
		if n.All[i].Name == name {
			return &n.All[i]
		}
	}
	return nil
}

// byID returns the node with that machineIdentifier, or nil.
func (n *Nodes) byID(id string) *Node {
	if id == "" {
		return nil
	}
	for i := range n.All {
		if n.All[i].ID == id {
			return &n.All[i]
		}
	}
	return nil
}
