package probe

import "sync"

// round tells when everything that was expected has been met once.
type round struct {
	mu      sync.Mutex
	pending map[any]struct{}
	ended   bool
	over    chan struct{}
}

// setup is the key that keeps a round open while what to expect is still being found out.
const setup = "setup"

func newRound() *round {
	return &round{pending: map[any]struct{}{setup: {}}, over: make(chan struct{})}
}

// expect keeps the round open until key is met.
func (r *round) expect(key any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[key] = struct{}{}
}

// met ends the round when key was the last one expected.
func (r *round) met(key any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, key)
	if len(r.pending) == 0 {
		r.close()
	}
}

// end ends the round, whatever is still expected.
func (r *round) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close()
}

func (r *round) close() {
	if !r.ended {
		r.ended = true
		close(r.over)
	}
}
