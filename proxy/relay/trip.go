package relay

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"plexha/proxy/affinity"
)

// tripVar names the request variable that holds the [trip].
const tripVar = "plexha.trip"

// trip is one request on its way: where it must go, where it has been, and the answer. Trips are used again
// for other requests, so nothing that may outlive the handler may hold one: net/http's transport keeps a
// request's context for a while after it has answered.
type trip struct {
	relay  *Relay
	site   site
	client string // the client's address

	// Set by the policy.
	policy *Policy
	w      http.ResponseWriter // for policies that set a cookie
	keys   affinity.Keys
	view   *view // the one that the next two are of
	side   *side
	place  affinity.Placement
	node   *node // where it goes next; nil: to be chosen

	// Set by the transport.
	req    *http.Request
	reads  bool      // may be asked twice: GET, HEAD or OPTIONS without a body
	tried  []*node   // not to be tried again before the next pause
	until  time.Time // when `retry` ends; zero: it has not begun
	missed miss      // the last attempt that failed
	first  attempt
	failed *failure       // why there is no answer
	stub   *http.Response // what reverse_proxy gets for an answer
	parted bool           // reverse_proxy has its part done: the rest is the handler "plexha"'s
	hints  *hints         // nil: reverse_proxy passes them on
	res    *http.Response
	from   *node // who gave it
	status int   // what the client was told; 0: it has left

	late lateFlush
}

// miss is an attempt that has failed.
type miss struct {
	kind  kind
	node  *node // nil: none has
	cause error
}

// usualNodes is how many nodes a trip can try without allocating.
const usualNodes = 8

func newTrip(r *Relay) *trip {
	t := &trip{relay: r, tried: make([]*node, 0, usualNodes)}
	t.stub = &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}
	t.late.init()
	return t
}

// begin starts the trip of a request.
func (r *Relay) begin(req *http.Request, s site, client string) *trip {
	t := r.trips.Get().(*trip)
	t.site, t.client = s, client
	caddyhttp.SetVar(req.Context(), tripVar, t)
	return t
}

// tripOf returns the trip of a request that has passed the handler "plexha".
func tripOf(ctx context.Context) (*trip, bool) {
	t, ok := caddyhttp.GetVar(ctx, tripVar).(*trip)
	return t, ok
}

// end counts the request and gives the trip back.
func (t *trip) end(req *http.Request) {
	t.first.end()
	t.count()
	caddyhttp.SetVar(req.Context(), tripVar, nil)
	t.reset()
	t.relay.trips.Put(t)
}

// reset forgets the request, and all that belongs to it.
func (t *trip) reset() {
	clear(t.tried)
	t.site, t.client = "", ""
	t.policy, t.w, t.keys = nil, nil, affinity.Keys{}
	t.view, t.side, t.place, t.node = nil, nil, affinity.Placement{}, nil
	t.req, t.reads, t.tried, t.until = nil, false, t.tried[:0], time.Time{}
	t.missed, t.first, t.failed = miss{}, attempt{}, nil
	t.parted, t.hints, t.res, t.from, t.status = false, nil, nil, nil, 0
}

// placeIn decides where the request goes as things are in v, and makes or moves its pin if it has to.
func (t *trip) placeIn(v *view) {
	t.view, t.side, t.node = v, v.sideOf(t.client), nil
	t.tried = t.tried[:0]
	switch {
	case v.moment == nil:
		t.place = affinity.Placement{}
	case v.moment.Config.Affinity.Off && t.site == "":
		t.place = affinity.Placement{}
	case v.moment.Config.Affinity.Off:
		t.place = affinity.Placement{Node: t.site, By: affinity.ByHost, Stay: true}
	default:
		t.place = t.relay.pins.Place(t.keys, t.side.all, v.moment.Config.Affinity.ByClient, time.Now())
	}
	t.node = t.choose()
}

// choose returns the node to try now, or nil if there is none that has not just failed.
func (t *trip) choose() *node {
	if t.view.moment == nil {
		return nil
	}
	if t.place.Node != "" {
		if n := t.side.up(t.view, t.place.Node); n != nil && !slices.Contains(t.tried, n) {
			return n
		}
		return nil
	}
	p := t.side.pool
	if len(t.tried) > 0 {
		p = p.less(t.tried)
	}
	if len(p.nodes) == 0 {
		return nil
	}
	return t.policy.pick(p, t)
}

// bound reports whether the request is bound to a node.
func (t *trip) bound() bool { return t.place.Node != "" }

// carry brings the request to a node and returns its answer.
func (t *trip) carry() (*http.Response, error) {
	req := t.req
	t.reads = (req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions) &&
		(req.Body == nil || req.Body == http.NoBody)
	for {
		if err := t.next(); err != nil {
			return nil, err
		}
		res, err := t.attempt(t.req.Context(), &t.first, t.node)
		if err == nil {
			return t.arrive(res), nil
		}
		if err := t.stumble(&t.first, err); err != nil {
			return nil, err
		}
	}
}

// next finds the node to try now, and waits for one while there is none.
func (t *trip) next() error {
	for {
		news := t.relay.news.wait()
		if v := t.relay.now(); v != t.view {
			t.placeIn(v)
			if t.place.Moved && t.missed.node != nil {
				t.missed.kind = kindMoved
			}
		}
		if f := t.refused(); f != nil {
			return t.fail(f)
		}
		if t.node == nil {
			t.node = t.choose()
		}
		if t.node != nil {
			return nil
		}
		if err := t.pause(news); err != nil {
			return err
		}
	}
}

// refused returns why the request goes nowhere whatever happens, or nil.
func (t *trip) refused() *failure {
	switch {
	case t.place.Refuse:
		return &failure{why: whyMoved, node: t.place.Node}
	case t.view.moment != nil && t.view.refuses(t.side, t.place.Node):
		return &failure{why: whyOpen, node: t.place.Node}
	default:
		return nil
	}
}

// pause waits for the time between two retries, or for news, whichever comes first. After it all nodes may be
// tried again.
func (t *trip) pause(news <-chan struct{}) error {
	left := t.retryLeft()
	if left <= 0 || t.pointless() {
		return t.fail(t.gaveUp())
	}
	timer := time.NewTimer(min(left, max(t.view.retryEvery(), time.Millisecond)))
	defer timer.Stop()
	t.relay.waiting.Add(1)
	defer t.relay.waiting.Add(-1)
	select {
	case <-news:
	case <-timer.C:
	case <-t.req.Context().Done():
		return t.req.Context().Err()
	}
	t.tried = t.tried[:0]
	return nil
}

// retryLeft returns how long the request may still wait. The time begins when it first has to.
func (t *trip) retryLeft() time.Duration {
	if t.until.IsZero() {
		t.until = time.Now().Add(t.view.retryFor())
	}
	return time.Until(t.until)
}

// pointless reports whether nothing can come of waiting: a write that belongs to a node that is down is told
// at once. An app that waits for it shows nothing meanwhile, and knows best whether to send it again.
func (t *trip) pointless() bool {
	writes := !t.reads || t.keys.Class == affinity.Timeline
	return writes && t.place.Stay && t.view.moment != nil && t.side.up(t.view, t.place.Node) == nil
}

// stumble says what to do after an attempt that has failed: nothing, if the request may be tried again, here
// or elsewhere, which the next choice decides. It may if nothing has reached the node, or if it only reads.
func (t *trip) stumble(a *attempt, err error) error {
	if gone := t.req.Context().Err(); gone != nil {
		return gone
	}
	n := t.node
	t.missed = miss{kind: kindOf(a, err), node: n, cause: err}
	t.tried = append(t.tried, n)
	t.node = nil
	if t.missed.kind == kindQueue {
		return t.fail(&failure{why: whyBusy, node: n.name, cause: err})
	}
	if !t.reads && a.reached(err) {
		why := whyBroken
		if a.letGo {
			why = whySilent
		}
		return t.fail(&failure{why: why, node: n.name, cause: err})
	}
	if t.view.retryFor() <= 0 {
		return t.fail(t.gaveUp())
	}
	n.stats.retries[t.missed.kind].Add(1)
	return nil
}

// gaveUp says why no node has answered when `retry` has ended.
func (t *trip) gaveUp() *failure {
	f := &failure{why: whyNoneUp, cause: t.missed.cause}
	switch {
	case t.bound() && (t.view.moment == nil || t.side.up(t.view, t.place.Node) == nil):
		f.why, f.node = whyDown, t.place.Node
	case t.missed.node != nil:
		f.why, f.node = whyUnreachable, t.missed.node.name
		if t.missed.kind != kindDial {
			f.why = whyBroken
		}
	case t.view.moment == nil || !t.view.ready:
		f.why = whyStarting
	}
	return f
}

// fail keeps why there is no answer, and returns it.
func (t *trip) fail(f *failure) error {
	t.failed = f
	return f
}

// arrive takes the answer of the node, and asks the others where it looks as if the request were theirs.
func (t *trip) arrive(res *http.Response) *http.Response {
	t.from, t.status = t.node, res.StatusCode
	switch {
	case t.missed.node != nil:
		t.from.stats.saves[t.missed.kind].Add(1)
	case t.place.Moved:
		t.from.stats.saves[kindMoved].Add(1)
	}
	if t.mayAsk(res.StatusCode) {
		res = t.askOthers(res)
	}
	if c := t.view.moment.Config; !c.Affinity.Off {
		t.relay.pins.Answered(t.keys, t.place, t.from.name, t.status, t.side.all, time.Now())
	}
	t.res = res
	return res
}
