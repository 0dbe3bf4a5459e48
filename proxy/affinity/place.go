package affinity

import (
	"time"

	"plexha/zones"
)

// Place decides where a request goes, and makes or moves its pin if it has to. It is called again for the
// same request when its node has gone down meanwhile. A request that is bound to a node which is not up has
// that node all the same: the caller waits for it, and calls again when more is known.
func (t *Table) Place(k Keys, n *Nodes, byClient bool, now time.Time) Placement {
	if k.Host != "" {
		return Placement{Node: k.Host, By: ByHost, Stay: true}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.request(&k, n, now)
	q.byClient = byClient
	if node := n.byID(k.server); node != nil {
		return t.placeAtServer(&q, node)
	}
	if node := t.sessionsNode(&q); node != "" {
		return Placement{Node: node, By: BySession, Stay: true}
	}
	p := t.placeByIdentity(&q)
	p.Ask = t.asks(&q, &p)
	return p
}

// placeAtServer follows a request that names its server: its client knows that one, and is pinned there once the
// node has accepted the request. Anybody can name a server and another's client id.
func (t *Table) placeAtServer(q *request, node *Node) Placement {
	pin := t.pin(q, q.clientKey)
	if pin != nil {
		t.uses++
	}
	return Placement{
		Node: node.Name, By: ByServer, Stay: true,
		Moved: node.Up && pin != nil && t.names[pin.node] != node.Name && !pin.plays(q.now),
	}
}

// sessionsNode returns the node of the first session that the request names and the table knows. An app that
// sends its last session's key with everything is bound by it in what belongs to a playback alone, and never
// where it learns which server it talks to: else it could not leave a node that has died.
func (t *Table) sessionsNode(q *request) zones.NodeName {
	if q.Class == Root || q.clientKey != 0 && !q.Class.ofSession() {
		return ""
	}
	for _, id := range q.sessions {
		if id == "" || id == q.client { // some apps call sessions by their own name, always the same
			continue
		}
		s := t.sessions.get(secretHash(t.seed, ofSession, id))
		if s == nil {
			continue
		}
		node := t.node(q, s.node)
		if node == nil || t.overtaken(q, s, node) {
			continue
		}
		s.used = q.now
		t.uses++
		return node.Name
	}
	return ""
}

// ofSession reports whether requests of the class belong to a session, if they name one.
func (c Class) ofSession() bool {
	switch c {
	case Decision, Segment, Part, Timeline:
		return true
	default:
		return false
	}
}

// overtaken reports whether a session that is about to begin anew is no longer where its client is.
func (t *Table) overtaken(q *request, s *session, node *Node) bool {
	if q.Class != Decision || q.clientKey == 0 {
		return false
	}
	p := t.pins.peek(q.clientKey)
	return p != nil && p.node != s.node && (!node.Up || since(q.now, s.used) >= playLasts)
}

func (t *Table) placeByIdentity(q *request) Placement {
	if q.clientKey != 0 {
		return t.placeByPin(q, ByClient)
	}
	if node := q.nodes.Get(q.Cookie); node != nil && (node.Up || q.Class.bound()) {
		return Placement{Node: node.Name, By: ByCookie, Stay: q.Class.bound()}
	}
	if q.tokenKey != 0 {
		return t.placeByPin(q, ByToken)
	}
	return Placement{}
}

// placeByPin places a request by the pin of its client or token, which it makes or moves if it has to.
func (t *Table) placeByPin(q *request, by By) Placement {
	moved := false
	if p := t.pin(q, q.identity()); p != nil {
		moved = t.settle(q, p)
	} else if s, ok := t.birth(q); ok {
		t.newPin(q, q.identity(), s)
	} else {
		return unplaced(q, by)
	}
	t.uses++
	t.takeTokenAlong(q, moved)
	p := t.pins.peek(q.identity())
	here := t.node(q, p.node)
	if here == nil { // gone, and nobody takes its clients
		return unplaced(q, by)
	}
	if to := t.farewell(q, p, here); to != nil {
		return Placement{Node: to.Name, By: by, Moved: true}
	}
	return Placement{
		Node: here.Name, By: by, Stay: q.Class.bound(),
		Refuse: p.unconfirmed && q.Class.bound(),
		Moved:  moved,
	}
}

// unplaced is where a request waits while no node takes new pins: where its pin will be if all nodes return.
func unplaced(q *request, by By) Placement {
	node := q.nodes.ideal(q.spreadBy())
	if node == nil {
		return Placement{}
	}
	return Placement{Node: node.Name, By: by, Stay: q.Class.bound()}
}

// asks says after which answers other nodes are asked as well.
func (t *Table) asks(q *request, p *Placement) Ask {
	if !q.read || p.Refuse {
		return 0
	}
	var ask Ask
	if q.Class == Web {
		ask |= AskOn404
	}
	if q.inPath && !t.denied.within(secretHash(t.seed, ofSession, q.sessions[0]), q.now, askAgain404s) {
		ask |= AskOn404
	}
	if q.tokenKey != 0 && p.By != ByNothing && !q.Class.bound() && !t.proven(q, p.Node) &&
		!t.denied.within(q.tokenKey, q.now, askAgain401s) {
		ask |= AskOn401
	}
	return ask
}

// proven reports whether a node has accepted the request's token.
func (t *Table) proven(q *request, node zones.NodeName) bool {
	p := t.pins.peek(q.tokenKey)
	return p != nil && p.proven && t.names[p.node] == node
}
