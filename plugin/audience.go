package plugin

import "sync"

// audience is who wants to know that something has changed. The zero value has nobody.
type audience struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

// subscribe returns a channel that holds a value at once, and whenever there was a call of tell since it was read,
// and a function that ends the subscription.
func (a *audience) subscribe() (news <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	signal(ch)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.subs == nil {
		a.subs = map[chan struct{}]struct{}{}
	}
	a.subs[ch] = struct{}{}
	return ch, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.subs, ch)
	}
}

// tell never waits.
func (a *audience) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ch := range a.subs {
		signal(ch)
	}
}
