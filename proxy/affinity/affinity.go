// Package affinity decides which node must serve a request, from what the request names and from what earlier
// ones have taught.
//
// Plex apps learn at `GET /` which server they talk to, and refuse another one later; item, part, session and
// queue numbers mean something on the server alone that gave them out. So a client stays where it is, and a
// playback stays where it began. The package is pure: no I/O of its own, and every call carries its time.
package affinity

import "plexha/zones"

// CookieName is the name of our cookie, which holds a node's name. It helps browsers, whose requests for Plex
// Web's own files name nobody; apps keep no cookies.
const CookieName = "plexha_node"

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
	Part                   // a read of /library/parts/*: a file, or a piece of it
	PlayQueue              // /playQueues*
	Timeline               // /:/timeline and the like: writes in the shape of a GET
	Push                   // a websocket or an event stream
	Write                  // any other POST, PUT, PATCH or DELETE
)

var classNames = [...]string{
	"other", "root", "web", "photo", "decision", "segment", "part", "playqueue", "timeline", "push", "write",
}

// String returns the class's word, as used in metrics.
func (c Class) String() string { return classNames[c] }

// Classes returns all classes.
func Classes() []Class {
	return []Class{Other, Root, Web, Photo, Decision, Segment, Part, PlayQueue, Timeline, Push, Write}
}

// bound reports whether requests of the class mean something on one node alone: they name things by numbers
// that it gave out, or change them. They move no pin.
func (c Class) bound() bool {
	switch c {
	case Decision, Segment, Part, PlayQueue, Timeline, Write:
		return true
	default:
		return false
	}
}

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

var byNames = [...]string{"nothing", "host", "server", "session", "client", "cookie", "token"}

// String returns the word, as used in metrics.
func (b By) String() string { return byNames[b] }

// Ask says after which answers the other nodes are asked once as well. It holds beside Stay, which is about
// nodes that do not answer.
type Ask uint8

// The answers that may come from the wrong node. Bits.
const (
	AskOn404 Ask = 1 << iota
	AskOn401
)

// Placement is where a request must go.
type Placement struct {
	// Node is empty if the request is bound to none. It may be one that is not up: while none is, or with Stay.
	Node   zones.NodeName
	By     By
	Stay   bool // no other node may answer in its place, whatever happens: 503 rather than another node
	Refuse bool // the client has been moved and its new node is not confirmed: 503 with Retry-After
	Moved  bool // this request has moved the pin, or will when it has been answered
	Ask    Ask
}
