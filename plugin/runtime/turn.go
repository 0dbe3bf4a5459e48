package runtime

import "errors"

// turns has one slot: an instance holds it while it is being replaced.
var turns = make(chan struct{}, 1)

// Turn belongs to one CoreDNS instance and lets nobody else be replaced while that is.
//
// A signal and the `reload` plugin may want to replace one instance at once. Then the second one waits until
// the first is through, and fails. Without that both would come to serve.
type Turn struct {
	taken bool // guarded by the order of setup
	held  chan struct{}
	over  bool // the instance has ended; guarded by the turn
}

// errReplaced ends a restart whose turn comes when the instance has been replaced already. It must not start
// anything: CoreDNS tells the instances that serve of its failure, and this one no longer does.
var errReplaced = errors.New("another reload was quicker")

// Taken reports whether it has been called before, so that one block of an instance speaks for all.
func (t *Turn) Taken() bool {
	if t.taken {
		return true
	}
	t.taken, t.held = true, make(chan struct{}, 1)
	return false
}

// Begin waits for the turn, and fails if the instance has been replaced meanwhile. It is called when the
// instance is about to be replaced.
func (t *Turn) Begin() error {
	turns <- struct{}{}
	t.held <- struct{}{}
	if t.over {
		return errReplaced
	}
	return nil
}

// Over gives the turn up for good. It is called when the instance has ended, be it replaced or not.
func (t *Turn) Over() error {
	if len(t.held) > 0 {
		t.over = true
	}
	return t.End()
}

// End gives the turn up. It is called when the instance was not replaced after all, and does nothing when it
// was not to be.
func (t *Turn) End() error {
	select {
	case <-t.held:
		<-turns
	default:
	}
	return nil
}
