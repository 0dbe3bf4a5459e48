package cluster

import (
	"net"
	"slices"
	"strconv"
	"time"

	"plexha/proxy/playback"
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
	Zone     string       `json:"zone"`             // its first one, as a person writes it
	Version  string       `json:"version"`          // plexproxy's
	At       time.Time    `json:"at"`               // when it was made
	Ready    string       `json:"ready"`            // may clients be sent here: ready, or else starting, maintenance, no_node or stopped
	Changed  time.Time    `json:"changed,omitzero"` // when something last went wrong or right again: doubts, orders and reloads apart
	Isolated bool         `json:"isolated"`         // the canary is silent too: we are the ones cut off, and verdicts are held
	Nodes    []NodeStatus `json:"nodes"`            // in file order, those that were found last
	// Playing is the playbacks that this proxy sees, in the order in which they began.
	Playing []playback.Playback `json:"playing"`
	// WatchingSince is when the process began to look for playbacks. What has played since before shows at its next
	// sign: apps send a timeline every 10 or 20 seconds.
	WatchingSince time.Time `json:"watching_since"`

	Hosts        []HostStatus  `json:"hosts"`                  // the names of the first zone, and where they lead
	Certificates []Certificate `json:"certificates,omitempty"` // those that are served
	Pins         int           `json:"pins"`                   // clients and tokens whose node is known
	Sessions     int           `json:"sessions"`               // sessions whose node is known
	Stalled      []string      `json:"stalled,omitempty"`      // whose probes give no sign of life
}

// HostStatus is where a name leads.
type HostStatus struct {
	Host string           `json:"host"`          // as a person writes it
	To   []zones.NodeName `json:"to"`            // the nodes that new clients are given; empty: they get 503, unless Redirect
	Why  string           `json:"why,omitempty"` // in a few words
	// Redirect is the name that clients are sent to. Empty: to none.
	Redirect string `json:"redirect,omitempty"`
}

// Certificate is one that clients are shown.
type Certificate struct {
	Hosts     []string  `json:"hosts"`            // the names of ours that it is for
	Issuer    string    `json:"issuer,omitempty"` // empty: there is no certificate
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Trouble   string    `json:"trouble,omitempty"` // why there is none
}

// NodeStatus is one node of a [Status].
type NodeStatus struct {
	Name       zones.NodeName `json:"name"`
	Dial       string         `json:"dial"` // HOST:PORT, as the Corefile has it
	State      string         `json:"state"`
	Since      time.Time      `json:"since,omitzero"`  // when State last changed
	Why        string         `json:"why,omitempty"`   // the last probe's words; none while all is well
	New        bool           `json:"new,omitempty"`   // came with a reload, and is not used before it has a state
	Order      string         `json:"order,omitempty"` // what the operator said
	OrderUntil time.Time      `json:"order_until,omitzero"`
	OrderWhy   string         `json:"order_why,omitempty"`
	Identity   string         `json:"identity,omitempty"` // the machineIdentifier
	Asked      bool           `json:"asked"`              // it has said whether its administration is open
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
		Nodes: []NodeStatus{}, Playing: append([]playback.Playback{}, c.plays.List(now)...), Hosts: []HostStatus{},
		Changed: changed(c.past.timeline.Since(0)), WatchingSince: c.began.UTC(), Pins: sizes.Pins, Sessions: sizes.Sessions,
	}
	for _, subject := range c.Stalled(now) {
		s.Stalled = append(s.Stalled, subject.String())
	}
	m := c.Now()
	if m == nil {
		return s
	}
	s.Isolated = m.Snapshot.Isolated
	plays := c.plays.Count(now)
	for i := range m.Snapshot.Nodes {
		n := c.nodeStatus(m, &m.Snapshot.Nodes[i])
		n.Playbacks = plays[n.Name]
		s.Nodes = append(s.Nodes, n)
	}
	s.Hosts = append(s.Hosts, m.hosts()...)
	return s
}

func (c *Cluster) nodeStatus(m *Moment, n *zones.NodeHealth) NodeStatus {
	s := NodeStatus{
		Name: n.Name, Dial: net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))),
		State: n.State.String(), Since: utc(n.Since), Why: n.Why, New: n.New, Identity: n.Identity,
		Asked: c.admin.isKnown(n), Open: c.admin.isOpen(n), Refused: m.Open[n.Name], Draining: n.Order == zones.OrderDrain,
	}
	if n.Order != zones.NoOrder {
		s.Order, s.OrderUntil, s.OrderWhy = n.Order.String(), utc(n.OrderUntil), n.OrderWhy
	}
	return s
}

// utc returns a time in UTC; the zero Time stays what it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
