package duckdns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Result is how a push has ended, as metrics name it.
type Result string

// The results of pushes.
const (
	Updated  Result = "updated"
	NoChange Result = "nochange"
	KO       Result = "ko"
	HTTP     Result = "http"     // another status than 200
	Foreign  Result = "foreign"  // an answer that is not DuckDNS's
	Timeout  Result = "timeout"  // no answer in time
	Mismatch Result = "mismatch" // an answer that repeats another address
	Failed   Result = "error"    // all else
)

// What a hanging network may take of the loop's time. The publisher and the verifier have shorter deadlines of
// their own.
const (
	longestPush = 30 * time.Second
	longestLook = 15 * time.Second
)

var (
	errPushTooLong = errors.New("the push took too long")
	errLookTooLong = errors.New("the look took too long")
)

// keep acts for one family until nothing is due. Each push and each look put the next one off.
func (w *Worker) keep(ctx context.Context, k *keeper) {
	for ctx.Err() == nil {
		w.readToken()
		now := time.Now()
		k.record, k.sight = k.record.onTime(now), k.sight.onTime(now, w.lookEvery(k))
		k.plan = decide(k.record, w.evidence(k), now)
		switch {
		case k.plan.push:
			w.push(ctx, k)
		case k.plan.look:
			w.look(ctx, k)
		default:
			return
		}
		w.tell(false)
	}
}

func (w *Worker) evidence(k *keeper) evidence {
	return evidence{
		candidates: ofFamily(w.o.Candidates(), k.family), sight: k.sight,
		refresh: w.o.Config.Refresh, verify: k.looks, tokenless: w.tokenErr != nil,
	}
}

// push tells DuckDNS the wanted address.
func (w *Worker) push(ctx context.Context, k *keeper) {
	began, c := time.Now(), k.plan.wanted
	reply, err := w.publish(ctx, c.Addr)
	now := time.Now().UTC()
	if err != nil && ctx.Err() != nil {
		k.record, w.unsaved = k.record.cutOff(c.Addr), true
		return
	}
	w.o.Observe(resultOf(reply, err), now.Sub(began))
	before := k.record
	if err != nil {
		k.record = before.failed(c.Addr, err, now, w.o.jitter)
		if k.record.Doubt {
			k.sight = k.sight.afterDoubt(now)
		}
		w.sayFailed(k, err)
	} else {
		k.record = before.taken(c, k.plan.why, reply, now)
		k.sight = k.sight.afterPush(now)
		w.sayTaken(k, before)
	}
	w.save()
}

// publish gives the publisher its time.
func (w *Worker) publish(ctx context.Context, addr netip.Addr) (Reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestPush, errPushTooLong)
	defer cancel()
	return w.o.Publisher.Publish(ctx, addr)
}

// resultOf classes the end of a push.
func resultOf(reply Reply, err error) Result {
	_, isStatus := errors.AsType[*StatusError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case err == nil && reply.Changed:
		return Updated
	case err == nil:
		return NoChange
	case errors.Is(err, ErrRefused):
		return KO
	case errors.Is(err, ErrEcho):
		return Mismatch
	case errors.Is(err, ErrForeign):
		return Foreign
	case isStatus:
		return HTTP
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errPushTooLong), isNetwork && network.Timeout():
		return Timeout
	default:
		return Failed
	}
}

// look looks at what the name servers show.
func (w *Worker) look(ctx context.Context, k *keeper) {
	looking, cancel := context.WithTimeoutCause(ctx, longestLook, errLookTooLong)
	defer cancel()
	shown, err := w.o.Verifier.Look(looking, k.family)
	if ctx.Err() != nil {
		return
	}
	now := time.Now().UTC()
	f := judge(shown, err, k.record.Published, w.o.Refuse)
	if r, ok := k.record.adopted(f, k.plan.wanted.Uplink); ok {
		before := k.record
		k.record, w.unsaved = r, true
		w.sayTaken(k, before)
		f = judge(shown, err, r.Published, w.o.Refuse)
	}
	before, record := k.sight, k.record
	k.sight = before.after(f, now, w.lookEvery(k), w.o.jitter)
	if f.view == Verified {
		k.record, w.unsaved = record.verified(f, now), true
	}
	w.saySeen(k, before, record)
	if f.view == Verified && record.Verified.IsZero() {
		w.save()
	}
}

// lookEvery is how far apart steady looks are.
func (w *Worker) lookEvery(k *keeper) time.Duration {
	if !k.record.Published.IsValid() {
		return max(w.o.Config.Every, strangerEvery)
	}
	return w.o.Config.Every
}
