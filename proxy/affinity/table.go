package affinity

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"plexha/zones"
)

// What the rules of placement wait for, in seconds.
const (
	pinLasts     = 30 * 24 * 3600 // since its last use
	playLasts    = 60             // a playback lives so long after its last sign: a paused one shows one every 10 or 20 s
	homeQuiet    = 600            // without playback before a pin returns home
	homeUp       = 300            // home has been up
	drainQuiet   = 60             // without playback before a pin leaves a node that is being drained
	askAgain404s = 2              // after all nodes have denied a session: a player may ask before it has begun
	askAgain401s = 60             // after all nodes have denied a token
)

// maxSize bounds a table's size: its slots are numbered in 32 bits.
const maxSize = 1 << 30

// Table is what has been learned: pins of clients and tokens, and sessions. Its methods may be called at once
// from several goroutines. It knows all of them by secret hashes only, in 45 bytes each; a full table of
// 100,000 pins and 100,000 sessions takes 9 MB.
type Table struct {
	mu       sync.Mutex
	seed     uint64
	uses     uint64
	pins     lru[pin]     // by hash of client or token
	sessions lru[session] // by hash of session
	names    []zones.NodeName
	numbers  map[zones.NodeName]uint16 // indices of names; 0 is no node
	denied   denials
}

// pin says which node a client or token belongs to.
type pin struct {
	spot

	used   uint32 // when, in Unix seconds
	played uint32 // the last sign of playback, its end included; 0: none
	ended  bool   // that sign was its end
	proven bool   // of a token: the node has accepted it
}

// spot is where a pin is.
type spot struct {
	node uint16
	home uint16 // where it was first put
	// was is the node that the client may still believe it talks to, if it was not asked before the move.
	was uint16
	// unconfirmed: the client may believe that it talks to another node.
	unconfirmed bool
}

// session says which node began a session.
type session struct {
	owner uint64 // the pin of the client that began it; 0: not known
	used  uint32 // when, in Unix seconds
	node  uint16
}

// Sizes says how much a table holds.
type Sizes struct{ Pins, Sessions int }

// NewTable returns an empty table of at most size pins and size sessions.
func NewTable(size int) *Table {
	t := &Table{seed: rand.Uint64()}
	t.empty(min(size, maxSize))
	return t
}

func (t *Table) empty(size int) {
	t.pins, t.sessions = newLRU[pin](size), newLRU[session](size)
	t.names, t.numbers = []zones.NodeName{""}, map[zones.NodeName]uint16{}
	t.denied = denials{}
}

// Sizes returns how much the table holds now.
func (t *Table) Sizes() Sizes {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Sizes{Pins: t.pins.len(), Sessions: t.sessions.len()}
}

// Uses returns a number that grows whenever Save would write something else than before.
func (t *Table) Uses() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.uses
}

// number returns the number by which entries refer to a node. So many nodes that numbers run out count as
// none, and their clients have no pins.
func (t *Table) number(name zones.NodeName) uint16 {
	if i, ok := t.numbers[name]; ok || name == "" || len(t.names) > math.MaxUint16 {
		return i
	}
	i := uint16(len(t.names)) //nolint:gosec // checked above
	t.names, t.numbers[name] = append(t.names, name), i
	return i
}

// request is one request in a table's terms.
type request struct {
	*Keys

	nodes     *Nodes
	byClient  bool
	now       uint32 // Unix seconds
	clientKey uint64 // 0: the request has none
	tokenKey  uint64
}

func (t *Table) request(k *Keys, n *Nodes, now time.Time) request {
	return request{
		Keys: k, nodes: n, now: unix(now),
		clientKey: secretHash(t.seed, ofClient, k.client),
		tokenKey:  secretHash(t.seed, ofToken, k.token),
	}
}

// identity returns the pin's key of whoever asks: the client, or else the token.
func (q *request) identity() uint64 {
	if q.clientKey != 0 {
		return q.clientKey
	}
	return q.tokenKey
}

// spreadBy returns what a new pin is placed by.
func (q *request) spreadBy() string {
	if q.token == "" || q.byClient && q.client != "" {
		return q.client
	}
	return q.token
}

// node returns a node by its number, or nil if the cluster has it no more.
func (t *Table) node(q *request, number uint16) *Node { return q.nodes.Get(t.names[number]) }

// pin returns the pin of a key, or nil if there is none or it has not been used for too long.
func (t *Table) pin(q *request, key uint64) *pin {
	if key == 0 {
		return nil
	}
	p := t.pins.get(key)
	if p == nil || since(q.now, p.used) > pinLasts {
		return nil
	}
	p.used = q.now
	return p
}

func (t *Table) newPin(q *request, key uint64, s spot) {
	*t.pins.put(key) = pin{spot: s, used: q.now}
}

// plays reports whether the client of a pin has a live playback.
func (p *pin) plays(now uint32) bool {
	return p.played != 0 && !p.ended && since(now, p.played) < playLasts
}

// quiet reports whether the client of a pin has shown no playback for so many seconds.
func (p *pin) quiet(now, seconds uint32) bool {
	return p.played == 0 || since(now, p.played) >= seconds
}

func unix(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), math.MaxUint32)) //nolint:gosec // checked
}

// since returns the seconds from then to now, none if a clock has been put back meanwhile.
func since(now, then uint32) uint32 { return max(now, then) - then }

// denials remembers which keys no node knew, each until another one takes its place: asking all nodes again
// and again would let one client load all of them. It is small, and forgetting only costs a question.
type denials [512]struct{ key, at uint32 }

func (d *denials) note(key uint64, now uint32) {
	d[key%uint64(len(d))] = struct{ key, at uint32 }{uint32(key >> 32), now} //nolint:gosec // a part of it will do
}

func (d *denials) within(key uint64, now, seconds uint32) bool {
	e := d[key%uint64(len(d))]
	return e.at != 0 && uint64(e.key) == key>>32 && since(now, e.at) < seconds
}

func (d *denials) forget(key uint64) { d[key%uint64(len(d))] = struct{ key, at uint32 }{} }
