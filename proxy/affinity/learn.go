package affinity

import (
	"net/http"
	"time"

	"plexha/zones"
)

// Answered learns from the answer that goes out to the client: which node gave it, and with which status. It
// is called once for a request, with its last placement; from is another node than p.Node if that has answered
// when others were asked.
func (t *Table) Answered(k Keys, p Placement, from zones.NodeName, status int, n *Nodes, now time.Time) {
	if k.namesNobody() || n.Get(from) == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uses++
	q := t.request(&k, n, now)
	number := t.number(from)
	t.learnSessions(&q, number, status)
	if q.Class == Root && status == http.StatusOK {
		t.confirm(&q, &p, number)
	}
	if p.By == ByServer && status < http.StatusBadRequest && !q.open {
		t.settleAtServer(&q, number)
	}
	t.learnToken(&q, &p, number, status)
	if status < http.StatusBadRequest && q.act != NoAct {
		t.notePlay(&q, number)
	}
}

// learnSessions takes down who owns the sessions that a request names: a node that begins them, or one that
// has given a part of an unknown one. A 404 says nothing of a known one: players ask early.
func (t *Table) learnSessions(q *request, from uint16, status int) {
	good := status < http.StatusBadRequest
	switch {
	case good && q.Class == Decision:
		for _, id := range q.sessions {
			if id != "" {
				t.learnSession(q, id, from)
			}
		}
	case !q.inPath:
	case good:
		s := t.sessions.peek(secretHash(t.seed, ofSession, q.sessions[0]))
		if s == nil || s.node != from {
			t.learnSession(q, q.sessions[0], from)
		}
	case status == http.StatusNotFound:
		t.denied.note(secretHash(t.seed, ofSession, q.sessions[0]), q.now)
	}
}

func (t *Table) learnSession(q *request, id string, from uint16) {
	*t.sessions.put(secretHash(t.seed, ofSession, id)) = session{node: from, owner: q.identity(), used: q.now}
}

// settleAtServer pins a client to the server that it has named. One that plays elsewhere stays pinned where it plays.
func (t *Table) settleAtServer(q *request, from uint16) {
	if q.clientKey == 0 {
		return
	}
	at := spot{node: from, home: from}
	moved := false
	switch pin := t.pin(q, q.clientKey); {
	case pin == nil:
		t.newPin(q, q.clientKey, at)
	case pin.node == from:
		pin.confirm()
		return
	case pin.plays(q.now):
		return
	default:
		pin.spot, moved = at, true
	}
	t.takeTokenAlong(q, moved)
}

// learnToken takes down that a node knows a token. If it was found by asking all, its client goes there too,
// and for good, unless it plays where it is.
func (t *Table) learnToken(q *request, p *Placement, from uint16, status int) {
	if q.tokenKey == 0 || q.open || p.By != ByClient && p.By != ByCookie && p.By != ByToken {
		return
	}
	switch {
	case status == http.StatusUnauthorized:
		if p.Ask&AskOn401 != 0 {
			t.denied.note(q.tokenKey, q.now)
		}
	case p.Ask&AskOn401 != 0 && t.names[from] != p.Node && status < http.StatusInternalServerError:
		t.settleAt(q, from) // a 404 too: it says that the token was good enough to look
	case status < http.StatusBadRequest:
		if t.pin(q, q.tokenKey) == nil { // by the cookie: its client's pin, where it is new, will follow
			t.newPin(q, q.tokenKey, spot{node: from, home: from})
		}
		t.prove(q, from)
	}
}

func (t *Table) settleAt(q *request, from uint16) {
	at := spot{node: from, home: from}
	if p := t.pin(q, q.clientKey); p != nil && !p.plays(q.now) {
		p.spot = at
	}
	t.newPin(q, q.tokenKey, at)
	t.prove(q, from)
}

func (t *Table) prove(q *request, from uint16) {
	if p := t.pin(q, q.tokenKey); p != nil && p.node == from && !p.proven {
		p.proven = true
		t.denied.forget(q.tokenKey)
	}
}

// confirm takes down that a client has been told which node it talks to. It is bound to that one even if its
// pin has been moved while the answer was on its way.
func (t *Table) confirm(q *request, placed *Placement, from uint16) {
	if placed.By != ByClient && placed.By != ByToken {
		return
	}
	p := t.pin(q, q.identity())
	if p == nil {
		return
	}
	moved := p.node != from
	p.node, p.proven = from, p.proven && !moved
	p.confirm()
	t.takeTokenAlong(q, moved)
	// Who sends the token alone, a player that a client has handed a file to, can't ask by itself.
	if p := t.pin(q, q.tokenKey); p != nil && p.node == from {
		p.confirm()
	}
}

// notePlay keeps the playback of a client alive at its node, or ends it. Segments name no client, but their
// session does.
func (t *Table) notePlay(q *request, from uint16) {
	key := q.identity()
	for _, id := range q.sessions {
		if key != 0 || id == "" {
			break
		}
		if s := t.sessions.peek(secretHash(t.seed, ofSession, id)); s != nil {
			key = s.owner
		}
	}
	if p := t.pin(q, key); p != nil && p.node == from {
		p.played, p.ended = q.now, q.act == Ends
	}
}
