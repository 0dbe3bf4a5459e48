package cluster

import (
	"net"
	"slices"
	"strconv"
	"time"

	"plexha/zones"
)

// The words of [Cluster.Ready].
const (
	wordReady       = "ready"       // a node is up
	wordStarting    = "starting"    // the first round of probes has not ended
	wordMaintenance = "maintenance" // no node is up, and one at least answers that it starts
	wordNoNode      = "no_node"     // no node is up
	wordStopped     = "stopped"
)

// Ready reports whether requests can be served, and says in one word why, or why not.
func (c *Cluster) Ready() (ok bool, word string) {
	m := c.Now()
	_, ended := c.state()
	isStarting := func(n zones.NodeHealth) bool { return n.State == zones.Starting }
	switch {
	case ended:
		return false, wordStopped
	case m == nil:
		return false, wordStarting
	case anyServes(m.Snapshot):
		return true, wordReady
	case !m.Snapshot.Ready:
		return false, wordStarting
	case slices.ContainsFunc(m.Snapshot.Nodes, isStarting):
		return false, wordMaintenance
	default:
		return false, wordNoNode
	}
}

// Status is what plexproxy shows of a cluster. Its times are UTC, and it holds nothing secret.
type Status struct {
	Zone     string       `json:"zone"` // as a person writes it
	Version  string       `json:"version"`
	At       time.Time    `json:"at"`
	Ready    string       `json:"ready"` // the word of [Cluster.Ready]
	Isolated bool         `json:"isolated"`
	Nodes    []NodeStatus `json:"nodes"`
	Pins     int          `json:"pins"`
	Sessions int          `json:"sessions"`
	Stalled  []string     `json:"stalled,omitempty"` // whose probes give no sign of life
}

// NodeStatus is one node of a [Status].
type NodeStatus struct {
	Name       zones.NodeName `json:"name"`
	Dial       string         `json:"dial"` // HOST:PORT, as the Corefile has it
	State      string         `json:"state"`
	Since      time.Time      `json:"since,omitzero"` // when State last changed
	Why        string         `json:"why,omitempty"`
	Order      string         `json:"order,omitempty"`
	OrderUntil time.Time      `json:"order_until,omitzero"`
	OrderWhy   string         `json:"order_why,omitempty"`
	Identity   string         `json:"identity,omitempty"` // the machineIdentifier
	Open       bool           `json:"open"`               // its administration is, to whoever comes through the proxy
	Refused    bool           `json:"refused"`            // and so to clients from outside: no `open_ok` names it
	Draining   bool           `json:"draining"`           // it keeps its clients, and gets no new ones
	Playbacks  int            `json:"playbacks"`          // that this proxy sees on it, paused ones included
}

// Status returns what is known at now.
func (c *Cluster) Status(now time.Time) Status {
	_, word := c.Ready()
	sizes := c.pins.Sizes()
	s := Status{
		Zone: c.domain(), Version: c.opts.Version, At: now.UTC(), Ready: word,
		Nodes: []NodeStatus{}, Pins: sizes.Pins, Sessions: sizes.Sessions,
	}
	for _, subject := range c.Stalled(now) {
		s.Stalled = append(s.Stalled, subject.String())
	}
	m := c.Now()
	if m == nil {
		return s
	}
	s.Isolated = m.Snapshot.Isolated
	for i := range m.Snapshot.Nodes {
		s.Nodes = append(s.Nodes, c.nodeStatus(m, &m.Snapshot.Nodes[i]))
	}
	return s
}

func (c *Cluster) nodeStatus(m *Moment, n *zones.NodeHealth) NodeStatus {
	s := NodeStatus{
		Name: n.Name, Dial: net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))),
		State: n.State.String(), Since: n.Since.UTC(), Why: n.Why, Identity: n.Identity,
		Open: c.admin.isOpen(n), Refused: m.Open[n.Name], Draining: n.Order == zones.OrderDrain,
	}
	if n.Order != zones.NoOrder {
		s.Order, s.OrderUntil, s.OrderWhy = n.Order.String(), n.OrderUntil.UTC(), n.OrderWhy
	}
	return s
}
