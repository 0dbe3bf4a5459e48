package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// patience is how long a right answer may take. With the defaults (interval 2s, rise 2) a member that comes
	// back needs about 2.5 s, an external address 5 s to 10 s, a film of a dead node the 5 s of `retry`, all else
	// here milliseconds.
	patience = 20 * time.Second
	// pace is the time between two questions while a right answer is awaited: the resolution of the times.
	pace = time.Millisecond
	// pagePace is the same between two visits, each of which is more work than a question.
	pagePace = 5 * time.Millisecond
)

var errPatience = fmt.Errorf("no right answer within %s", patience)

// look is something that is looked at until it is right.
type look[T any] struct {
	what  string        // is being done, for errors
	want  string        // likewise
	pace  time.Duration // 0: the usual one
	see   func(context.Context) (T, error)
	right func(T) bool
}

// until looks until what is seen is right, and returns that.
func until[T any](ctx context.Context, l look[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	tick := time.NewTicker(cmp.Or(l.pace, pace))
	defer tick.Stop()
	var last T
	var lastErr error
	for {
		seen, err := l.see(ctx)
		if err == nil && l.right(seen) {
			return seen, nil
		}
		if ctx.Err() == nil || lastErr == nil && err == nil { // else it says no more than that the time is over
			last, lastErr = seen, err
		}
		select {
		case <-ctx.Done():
			return last, l.miss(context.Cause(ctx), last, lastErr)
		case <-tick.C:
		}
	}
}

// miss says why nothing right was seen: cause is what ended the wait, err how looking failed last.
func (l look[T]) miss(cause error, last T, err error) error {
	switch {
	case !errors.Is(cause, errPatience):
		return cause
	case err != nil:
		return fmt.Errorf("%s: %w: %w", l.what, cause, err)
	default:
		return fmt.Errorf("%s: %w: got %v, want %s", l.what, cause, last, l.want)
	}
}

// settle returns when all are up.
func (w World) settle(ctx context.Context) error {
	_, err := until(ctx, look[Answer]{
		what: "starting it all", want: leadsTo(Proxy).words,
		see:   func(ctx context.Context) (Answer, error) { return w.Ask(ctx, inside()) },
		right: leadsTo(Proxy).holds,
	})
	return err
}
