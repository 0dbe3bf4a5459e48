package zones

import (
	"net/netip"
	"slices"
	"time"
)

// State is what the probes say of a subject, or of one of its addresses.
type State uint8

// The states. Up and Failing count as up, all others as not up.
const (
	Unknown    State = iota // no verdict yet
	Up                      // healthy
	Failing                 // up, with a failed or late probe that is not confirmed yet
	Down                    // not healthy
	Recovering              // down, with a good probe that is not confirmed yet
	Starting                // answers "Maintenance": not up, no alarm
	Impostor                // answers, but as another server than it should be
)

var stateNames = [...]string{"unknown", "up", "failing", "down", "recovering", "starting", "impostor"}

// String returns the state's word in the glossary.
func (s State) String() string { return stateNames[s] }

// IsUp reports whether a subject in state s counts as up.
func (s State) IsUp() bool { return s == Up || s == Failing }

// InDoubt reports whether state s may end within a few hundred milliseconds.
func (s State) InDoubt() bool { return s == Failing || s == Recovering }

// States returns all states, for metrics and tests.
func States() []State { return []State{Unknown, Up, Failing, Down, Recovering, Starting, Impostor} }

// Order is what the operator said of a subject. The real state goes on being tracked beside it.
type Order uint8

// The orders.
const (
	NoOrder    Order = iota
	OrderUp          // answer as if it were up
	OrderDrain       // as if it were down while another is up
	OrderDown        // as if it were dead
)

var orderNames = [...]string{"none", "up", "drain", "down"}

// String returns the order's word in the orders file, or "none".
func (o Order) String() string { return orderNames[o] }

// OrderOf returns the order of a word that String returns.
func OrderOf(word string) (o Order, ok bool) {
	i := slices.Index(orderNames[:], word)
	return Order(max(i, 0)), i >= 0 //nolint:gosec // one of four
}

// Health is how one subject is at the instant of a snapshot.
type Health struct {
	State State
	Since time.Time // when State last changed; zero while unknown
	Why   string    // the last probe's words; empty while all is well
	New   bool      // came with a reload and has no verdict yet: stays out of answers

	Order      Order
	OrderUntil time.Time // when the order ends; zero: never
	OrderWhy   string    // the operator's words

	Addrs []AddrHealth // one for each known address, IPv4 before IPv6
}

// AddrHealth is how a subject is at one of its addresses.
type AddrHealth struct {
	Addr  netip.Addr
	State State
	Since time.Time
	Why   string
}

// NodeHealth is a node and how it is.
type NodeHealth struct {
	Node
	Health

	Identity string // the machineIdentifier that it last answered with as itself; empty: none yet
}

// ProxyHealth is a proxy and how it is.
type ProxyHealth struct {
	Proxy
	Health
}

// UplinkHealth is an uplink and how it is. Its Health.Addrs are its external addresses.
type UplinkHealth struct {
	Uplink
	Health
}

// Snapshot is one immutable value with all that is known at one instant. Whoever reads it must not
// change it, nor anything it refers to.
type Snapshot struct {
	Cluster *Cluster
	Seq     uint64    // grows by one with each snapshot of a board
	At      time.Time // when it was made
	Ready   bool      // the first round of probes has ended
	// Isolated: a canary did not answer either, so that we are the ones cut off and verdicts are held.
	Isolated bool

	Views   *Views
	Nodes   []NodeHealth // in file order, those that were found in the DNS last
	Proxies []ProxyHealth
	Uplinks []UplinkHealth

	HostAddrs []netip.Addr // this host's addresses that a name server record may hold
}

// Node returns the node of that name, or nil.
func (s *Snapshot) Node(name NodeName) *NodeHealth {
	for i := range s.Nodes {
		if s.Nodes[i].Name == name {
			return &s.Nodes[i]
		}
	}
	return nil
}

// Subjects calls yield for each subject with its health: nodes, proxies, uplinks, each in file order.
func (s *Snapshot) Subjects(yield func(Subject, *Health) bool) {
	for i := range s.Nodes {
		if !yield(s.Nodes[i].Subject(), &s.Nodes[i].Health) {
			return
		}
	}
	for i := range s.Proxies {
		if !yield(s.Proxies[i].Subject(), &s.Proxies[i].Health) {
			return
		}
	}
	for i := range s.Uplinks {
		if !yield(s.Uplinks[i].Subject(), &s.Uplinks[i].Health) {
			return
		}
	}
}
