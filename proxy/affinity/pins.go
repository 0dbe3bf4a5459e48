package affinity

// birth returns where a new pin goes; false while no node takes any. It follows the pin of its token, also
// when that returns home. One that is not where all proxies would have put it is unconfirmed: who knows where
// that client was before.
func (t *Table) birth(q *request) (spot, bool) {
	if lead := t.leader(q); lead != nil {
		return lead.spot, true
	}
	node := q.nodes.rendezvous(q.spreadBy(), takesNew)
	if node == nil {
		return spot{}, false
	}
	number := t.number(node.Name)
	s := spot{node: number, home: number}
	if ideal := q.nodes.ideal(q.spreadBy()); ideal != node {
		s.unconfirmed, s.was = true, t.number(ideal.Name)
		if node.Backup {
			s.home = s.was
		}
	}
	return s, true
}

// leader returns the pin of the client's token if new pins of its clients follow it, or nil.
func (t *Table) leader(q *request) *pin {
	if q.clientKey == 0 || q.byClient {
		return nil
	}
	p := t.pin(q, q.tokenKey)
	if p == nil {
		return nil
	}
	if !t.takesNew(q, p.node) {
		return nil
	}
	return p
}

// settle moves a pin if it can't stay where it is, and reports whether it did.
func (t *Table) settle(q *request, p *pin) (moved bool) {
	here := t.node(q, p.node)
	switch {
	case p.unconfirmed && t.takesNew(q, p.was):
		p.goBack()
		return true
	case here == nil || !here.Up && !q.Class.bound():
		return t.flee(q, p)
	default:
		return false
	}
}

func (t *Table) takesNew(q *request, number uint16) bool {
	node := t.node(q, number)
	return node != nil && node.New
}

// goBack returns a pin to where its client still believes to be.
func (p *pin) goBack() {
	home := p.home
	if home == p.node {
		home = p.was
	}
	p.spot, p.proven = spot{node: p.was, home: home}, false
}

// flee moves a pin away from a node that is down or gone.
func (t *Table) flee(q *request, p *pin) bool {
	to := t.refuge(q, p)
	if to == nil {
		return false
	}
	if !p.unconfirmed {
		p.was = p.node
	}
	p.node, p.unconfirmed, p.proven = t.number(to.Name), true, false
	return true
}

// farewell returns the node that a client is led to while it asks whom it talks to, so that nothing is lost by
// it: home, or away from a node that is being drained. The pin moves when the client has been told.
func (t *Table) farewell(q *request, p *pin, here *Node) *Node {
	switch {
	case q.Class != Root:
		return nil
	case p.node != p.home && p.quiet(q.now, homeQuiet) && t.homeIsSteady(q, p):
		return t.node(q, p.home)
	case here.Draining && !here.New && p.quiet(q.now, drainQuiet):
		return t.refuge(q, p)
	default:
		return nil
	}
}

func (t *Table) homeIsSteady(q *request, p *pin) bool {
	home := t.node(q, p.home)
	return home != nil && home.New && !home.UpSince.IsZero() && since(q.now, unix(home.UpSince)) >= homeUp
}

// refuge returns where a pin goes that can't stay: home if that takes new pins, else where a new one would.
func (t *Table) refuge(q *request, p *pin) *Node {
	if home := t.node(q, p.home); home != nil && home.New {
		return home
	}
	if lead := t.leader(q); lead != nil {
		return t.node(q, lead.node)
	}
	return q.nodes.rendezvous(q.spreadBy(), takesNew)
}

func (p *pin) confirm() { p.unconfirmed, p.was = false, 0 }

// takeTokenAlong gives the client's token the same place if it has none, if its node is down, or if the
// client has just been moved: requests that carry the token alone go where the client is.
func (t *Table) takeTokenAlong(q *request, moved bool) {
	if q.clientKey == 0 || q.tokenKey == 0 {
		return
	}
	at := t.pins.peek(q.clientKey).spot
	p := t.pin(q, q.tokenKey)
	if p == nil {
		t.newPin(q, q.tokenKey, at)
		return
	}
	if p.node == at.node {
		return
	}
	if node := t.node(q, p.node); moved || node == nil || !node.Up {
		p.spot, p.proven = at, false
	}
}
