// Package affinity decides which node must serve a request, from what the request names and from what earlier
// ones have taught.
//
// Plex apps learn at `GET /` which server they talk to, and refuse another one later; item, part, session and
// queue numbers mean something on the server alone that gave them out. So a client stays where it is, and a
// playback stays where it began. The package is pure: no I/O, and every call carries its time.
package affinity

import (
	"net/http"
	"time"

	"plexha/zones"
)

// Node is a node as the rules see it at one instant.
type Node struct {
	Name     zones.NodeName
	Dial     string // the Corefile's HOST:PORT, which `uri_hash` hashes
	ID       string // the machineIdentifier that it has, or must have; empty: not known
	Weight   int    // 1 or more
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
func NodesOf(s *zones.Snapshot) *Nodes { return &Nodes{} }

// Get returns the node of that name, or nil.
func (n *Nodes) Get(name zones.NodeName) *Node { return nil }

// Class is what a request is for.
type Class uint8

// The classes of requests.
const (
	Other     Class = iota // any other: library, hubs, ...
	Root                   // GET / or /identity, where an app learns which server it talks to
	Web                    // Plex Web's own files, /web/*, and the favicon
	Photo                  // /photo/:/transcode
	Decision               // .../transcode/universal/decision or start*: begins a session
	Segment                // a part of a session: bound to the node that began it
	Part                   // /library/parts/*: a file, or a piece of it
	PlayQueue              // /playQueues*
	Timeline               // /:/timeline and the like: writes in the shape of a GET
	Push                   // a websocket or an event stream
	Write                  // any other POST, PUT, PATCH or DELETE
)

// String returns the class's word, as used in metrics.
func (c Class) String() string { return "" }

// Classes returns all classes.
func Classes() []Class { return nil }

// Keys is what a request names, with no memory of its own: strings are parts of the request.
type Keys struct {
	Class Class
	Host  zones.NodeName // the node whose own name was asked for, set by the caller; empty: the main name
	// The rest is unexported or documented where it is filled in.
}

// Parse returns what the request names. It does not allocate.
func Parse(r *http.Request) Keys { return Keys{} }

// By says what has decided a placement.
type By uint8

// What decides, strongest first.
const (
	ByNothing By = iota // unbound: the `balance` policy chooses
	ByHost              // the node's own name
	ByServer            // uri=server://ID or machineIdentifier=ID
	BySession           // a session that is known
	ByClient            // X-Plex-Client-Identifier
	ByCookie            // our cookie
	ByToken             // X-Plex-Token
)

// String returns the word, as used in metrics.
func (b By) String() string { return "" }

// Ask says after which answers the other nodes are asked once as well.
type Ask uint8

// The answers that may come from the wrong node. Bits.
const (
	AskOn404 Ask = 1 << iota
	AskOn401
)

// Placement is where a request must go.
type Placement struct {
	Node   zones.NodeName // empty: bound to no node
	By     By
	Stay   bool // no other node may answer, whatever happens: 503 rather than another node
	Refuse bool // the client has been moved and its new node is not confirmed: 503 with Retry-After
	Moved  bool // this request has moved the pin
	Ask    Ask
}

// Table is what has been learned: pins of clients and tokens, and sessions. Its methods may be called at once
// from several goroutines.
type Table struct{}

// Sizes says how much a table holds.
type Sizes struct{ Pins, Sessions int }

// NewTable returns an empty table of at most size pins and size sessions.
func NewTable(size int) *Table { return &Table{} }

// Place decides where a request goes, and makes or moves its pin if it has to. It is called again for the
// same request when its node has gone down meanwhile.
func (t *Table) Place(k Keys, n *Nodes, byClient bool, now time.Time) Placement { return Placement{} }

// Answered learns from an answer: which node gave it, and with which status.
func (t *Table) Answered(k Keys, p Placement, from zones.NodeName, status int, n *Nodes, now time.Time) {
}

// Sizes returns how much the table holds now.
func (t *Table) Sizes() Sizes { return Sizes{} }
