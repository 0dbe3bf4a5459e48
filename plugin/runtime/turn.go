package runtime

// turns has one slot: an instance holds it while it is being replaced.
var turns = make(chan struct{}, 1)

// Turn belongs to one CoreDNS instance and lets nobody else be replaced while that is.
//
// A signal and the `reload` plugin may want to replace one instance at once. Then the second one waits until
// the first is through, and fails, since it finds the listeners gone. Without that both would come to serve.
type Turn struct {
	taken bool // guarded by the order of setup
	held  chan struct{}
}

// Taken reports whether it has been called before, so that one block of an instance speaks for all.
func (t *Turn) Taken() bool {
	before := t.taken
	t.taken, t.held = true, make(chan struct{}, 1)
	return before
}

// Begin waits for the turn. It is called when the instance is about to be replaced.
func (t *Turn) Begin() error {
	turns <- struct{}{}
	t.held <- struct{}{}
	return nil
}

// End gives the turn up. It is called when the instance has been replaced, or was not after all, and does
// nothing when the instance ends without being replaced.
func (t *Turn) End() error {
	select {
	case <-t.held:
		<-turns
	default:
	}
	return nil
}
