package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// attempt is one request to one node. It is also the body of the answer, whose closing ends it.
type attempt struct {
	node      *node // nil: over
	cancel    context.CancelCauseFunc
	body      io.ReadCloser // as the node sends it
	connected bool          // a connection was there; known of writes alone

	// Guarded by node.mu.
	next, prev *attempt // in node.waiting
	letGo      bool
	slot       bool
	admitted   chan struct{} // closed when the slot is there; nil: did not wait
}

// attempt sends the request to a node and returns its answer, whose body must be closed.
func (t *trip) attempt(ctx context.Context, a *attempt, n *node) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	*a = attempt{node: n, cancel: cancel}
	n.watch(a)
	res, err := t.send(ctx, a)
	if letGo := n.unwatch(a); letGo && err == nil {
		_ = res.Body.Close() // it came at the very moment, and its connection is closed already
		err = errLetGo
	}
	if err != nil {
		a.end()
		return nil, err
	}
	a.body = res.Body
	if res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = t.relay.tunnel(a)
	} else {
		res.Body = a
	}
	return res, nil
}

// send waits for a slot if slots are few, and then for the node's headers.
func (t *trip) send(ctx context.Context, a *attempt) (*http.Response, error) {
	if !t.relay.now().up(a.node) {
		return nil, errLetGo // gone down before it was watched
	}
	if err := t.queue(ctx, a); err != nil {
		return nil, err
	}
	return a.node.transport.RoundTrip(t.requestFor(ctx, a))
}

var errQueue = errors.New("all slots of the node are taken")

// queue takes one of the node's slots, in turn. Websockets and event streams need none: they stay for hours
// and cost the node next to nothing. Nor does who asks another node with an answer in his hands: he holds the slot
// of that one, and might wait for somebody who waits for it.
func (t *trip) queue(ctx context.Context, a *attempt) error {
	if t.view.moment.Config.MaxRequests == 0 || isPush(t.keys.Class) || t.from != nil {
		return nil
	}
	admitted := a.node.enter(a)
	if admitted == nil {
		return nil
	}
	timer := time.NewTimer(max(t.retryLeft(), 0))
	defer timer.Stop()
	select {
	case <-admitted:
		return nil
	case <-timer.C:
		return errQueue
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// requestFor returns the request as it goes to the node. A failed attempt's request may still be read by
// net/http, so that each has its own.
func (t *trip) requestFor(ctx context.Context, a *attempt) *http.Request {
	if trace := t.trace(a); trace != nil {
		ctx = httptrace.WithClientTrace(ctx, trace)
	}
	req := t.req.WithContext(ctx)
	u := *t.req.URL
	u.Scheme, u.Host = a.node.scheme(), a.node.dial
	req.URL = &u
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &uploaded{ReadCloser: req.Body, bytes: &a.node.stats.received}
		req.GetBody = readOnce
	}
	return req
}

// trace returns what net/http is to tell of the attempt, or nil. Only of writes does it matter whether they can
// have reached the node.
func (t *trip) trace(a *attempt) *httptrace.ClientTrace {
	if t.reads && t.hints == nil {
		return nil
	}
	trace := new(httptrace.ClientTrace)
	if t.hints != nil {
		trace.Got1xxResponse = t.hints.forward
	}
	if !t.reads {
		trace.GotConn = func(httptrace.GotConnInfo) { a.connected = true }
	}
	return trace
}

var errReadOnce = errors.New("the request's body has been read")

// readOnce lets net/http send a request again on another connection if nothing of it, and so nothing of its
// body, was written to one that the node had closed: it asks for a new body only if some was read.
func readOnce() (io.ReadCloser, error) { return nil, errReadOnce }

// uploaded counts the bytes of a request's body.
type uploaded struct {
	io.ReadCloser
	bytes *atomic.Uint64
}

func (u *uploaded) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	u.bytes.Add(uint64(n))
	return n, err
}

// reached reports whether something of a write may have reached the node.
func (a *attempt) reached(err error) bool {
	_, dial := errors.AsType[dialError](err)
	return a.connected && !dial
}

// kindOf says how an attempt has failed.
func kindOf(a *attempt, err error) kind {
	_, dial := errors.AsType[dialError](err)
	switch {
	case a.letGo || errors.Is(err, errLetGo):
		return kindLetGo
	case dial:
		return kindDial
	case errors.Is(err, errQueue):
		return kindQueue
	default:
		return kindBroken
	}
}

// Read implements [io.Reader].
func (a *attempt) Read(p []byte) (int, error) { return a.body.Read(p) }

// Close implements [io.Closer].
func (a *attempt) Close() error {
	if a.node == nil {
		return nil
	}
	err := a.body.Close()
	a.end()
	return err
}

// end gives back what the attempt holds, once: its slot and its context. It closes no body.
func (a *attempt) end() {
	if a.node == nil {
		return
	}
	if a.admitted != nil || a.slot { // who waits in line is given a slot by others, and so asks for it in leave
		a.node.leave(a)
	}
	a.cancel(nil)
	a.node = nil
}
