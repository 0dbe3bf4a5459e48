package relay

import "slices"

// The queue of `max_requests`: a node has so many slots, and who finds none free waits in line. A slot is held
// until the answer's body is closed.

// setLimit sets how many slots there are; 0 is any number.
func (n *node) setLimit(limit int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.limit != limit {
		n.limit = limit
		n.admit()
	}
}

// enter takes a slot for an attempt, or returns a channel that is closed when it has got one.
func (n *node) enter(a *attempt) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.limit == 0 || (n.busy < n.limit && len(n.queue) == 0) {
		n.busy++
		a.slot = true
		return nil
	}
	a.admitted = make(chan struct{})
	n.queue = append(n.queue, a)
	return a.admitted
}

// leave gives the slot of an attempt to the next in line, or, if it has none yet, leaves the line.
func (n *node) leave(a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !a.slot {
		n.queue = slices.DeleteFunc(n.queue, func(other *attempt) bool { return other == a })
		return
	}
	a.slot = false
	n.busy--
	n.admit()
}

// admit gives free slots to those who wait, first come, first served.
func (n *node) admit() {
	for len(n.queue) > 0 && (n.limit == 0 || n.busy < n.limit) {
		a := n.queue[0]
		n.queue = slices.Delete(n.queue, 0, 1)
		n.busy++
		a.slot = true
		close(a.admitted)
	}
}
