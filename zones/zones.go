// Package zones says what the DNS zone of a cluster holds: which names exist, and which addresses each
// view gives for them while its nodes, proxies and uplinks have the states of one snapshot.
//
// It is pure: no I/O, no clock, no DNS library. What a cluster is comes from the Corefile (package
// corefile), how its members are comes from package board, and package plugin turns [Answers] into
// resource records.
package zones

import (
	"net/netip"
	"time"
)

// NodeName is the name of a node, a lower-case DNS label such as "plex1".
type NodeName string

// View says which answers a client gets.
type View uint8

// The two views. The zero value is external: who is not known to be in the house is outside.
const (
	External View = iota
	Internal
)

// String returns "internal" or "external", as written in the Corefile and in metrics.
func (v View) String() string {
	if v == Internal {
		return "internal"
	}
	return "external"
}

// Kind says what a subject is.
type Kind uint8

// The kinds of subjects.
const (
	KindNode Kind = iota
	KindProxy
	KindUplink
)

// String returns "node", "proxy" or "uplink".
func (k Kind) String() string {
	switch k {
	case KindProxy:
		return "proxy"
	case KindUplink:
		return "uplink"
	default:
		return "node"
	}
}

// Subject names one thing that has a state: a node by its name, a proxy by its first ADDRESS:PORT, an
// uplink by its name. It is comparable, and unique within a cluster.
type Subject struct {
	Kind Kind
	Name string
}

// String returns kind and name, for example "node plex1".
func (s Subject) String() string { return s.Kind.String() + " " + s.Name }

// Node is one Plex Media Server.
type Node struct {
	Name   NodeName
	Host   string       // an address or a host name, as the Corefile has it
	Port   uint16       // 1 to 65535
	HTTPS  bool         // the node speaks TLS
	Verify bool         // its certificate is checked; only with HTTPS
	At     []netip.Addr // what clients are told instead of Host's addresses; empty: Host's
	Weight int          // its share with spread, 1 or more
	Backup bool         // used only when no other node is up
	ID     string       // the machineIdentifier that it must have; empty: any
	Group  string       // the name of the `nodes` line that found it; empty for a `node` line
}

// Subject returns the node as a subject.
func (n Node) Subject() Subject { return Subject{KindNode, string(n.Name)} }

// Proxy is one plexproxy as clients reach it: one address, or one of each family.
type Proxy struct {
	Addrs []netip.AddrPort // one or two, never two of one family
}

// Subject returns the proxy as a subject, named by its first address and port.
func (p Proxy) Subject() Subject { return Subject{KindProxy, p.Addrs[0].String()} }

// Uplink is one Internet connection.
type Uplink struct {
	Name  string
	Addrs []netip.Addr // given in the Corefile; empty: detected
	Auto  bool         // the addresses are detected
	Probe string       // HOST:PORT asked over TCP to tell whether it is up; empty: up while an address is known
}

// Subject returns the uplink as a subject.
func (u Uplink) Subject() Subject { return Subject{KindUplink, u.Name} }

// NameServer is one name server of the zone.
type NameServer struct {
	Name  string       // a label below each origin
	Addrs []netip.Addr // empty: this host's inside, the uplinks' outside
}

// Tier says what the main name leads to.
type Tier uint8

// The tiers of an answer.
const (
	Nodes Tier = iota
	Proxies
)

// String returns "nodes" or "proxies".
func (t Tier) String() string {
	if t == Proxies {
		return "proxies"
	}
	return "nodes"
}

// Mode says how many of a tier's members one answer holds.
type Mode uint8

// The modes of an answer.
const (
	All    Mode = iota // every healthy one
	First              // the first healthy one in file order
	Spread             // one healthy one per client, by weighted rendezvous hash
)

// String returns "all", "first" or "spread".
func (m Mode) String() string {
	switch m {
	case First:
		return "first"
	case Spread:
		return "spread"
	default:
		return "all"
	}
}

// AllDown says what the main name answers inside when nothing is up.
type AllDown uint8

// What to answer when nothing is up.
const (
	LastResort AllDown = iota // the first tier as if all of it were up
	Servfail                  // SERVFAIL
	Empty                     // NODATA
)

// String returns "last_resort", "servfail" or "empty".
func (a AllDown) String() string {
	switch a {
	case Servfail:
		return "servfail"
	case Empty:
		return "empty"
	default:
		return "last_resort"
	}
}

// Cluster is what the Corefile says of the zone: names, members, how to answer. It is immutable once
// package corefile has validated it; nothing here checks it again.
type Cluster struct {
	Origins  []string // the zones, fully qualified and lower-case
	Main     string   // the main host's label, "plex"
	Nodes    []Node   // in file order
	Proxies  []Proxy  // in file order
	Uplinks  []Uplink // in file order, which is the order of preference
	NS       []NameServer
	Prefixes Prefixes
	Tier     Tier
	Mode     Mode
	AllDown  AllDown
	TTL      time.Duration // of addresses, while nothing is in doubt
	MinTTL   time.Duration // while a subject of the answer is failing or recovering
	Negative time.Duration // SOA minimum and SOA TTL
	Wildcard bool          // any other name answers as the main name
}

// OnlyLoopback reports whether every internal prefix of the Corefile is a loopback prefix: a trial on
// one machine, where nodes on loopback are reachable for all clients that there are.
func (c *Cluster) OnlyLoopback() bool {
	p := c.Prefixes
	if p.Private || p.Onlink || len(p.Internal) == 0 {
		return false
	}
	for _, prefix := range p.Internal {
		if !prefix.Addr().IsLoopback() {
			return false
		}
	}
	return true
}
