package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// answer is what a look-up has found. It is never empty.
type answer[T any] struct {
	values []T
	ttl    time.Duration
}

// lookup asks one server all that there is to ask for one answer.
type lookup[T any] func(ctx context.Context, ask asker) (answer[T], error)

// step is one way to an answer.
type step[T any] func(ctx context.Context) (answer[T], error)

// steps returns the ways that lead through the resolver's servers.
func steps[T any](r *Resolver, look lookup[T]) []step[T] {
	var out []step[T]
	if servers := those(r.opts.Servers, Server.overTLS); len(servers) > 0 {
		out = append(out, func(ctx context.Context) (answer[T], error) {
			return race(ctx, servers, thirdOf(ctx), func(ctx context.Context, s Server) (answer[T], error) {
				return askOverTLS(ctx, r.opts, s, look)
			}, nil)
		})
	}
	if servers := those(r.opts.Servers, Server.inTheClear); len(servers) > 0 {
		out = append(out, func(ctx context.Context) (answer[T], error) {
			return race(ctx, servers, thirdOf(ctx), func(ctx context.Context, s Server) (answer[T], error) {
				return askInTheClear(ctx, r.opts.Path, s, look)
			}, nil)
		})
	}
	return out
}

func those(servers []Server, want func(Server) bool) []Server {
	return slices.DeleteFunc(slices.Clone(servers), func(s Server) bool { return !want(s) })
}

// thirdOf returns how long a server may be silent before the next one is asked as well.
func thirdOf(ctx context.Context) time.Duration { return timeLeft(ctx) / 3 }

func timeLeft(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end)
}

// run takes one step after the other until one finds something. Each gets half of the time that is left, the
// last one all of it.
func run[T any](ctx context.Context, doing string, steps []step[T]) (answer[T], error) {
	ctx, cancel := withTimeout(ctx, lookupTimeout)
	defer cancel()
	err := errors.New("no server is given")
	for i, next := range steps {
		share := timeLeft(ctx)
		if i < len(steps)-1 {
			share /= 2
		}
		found, failed := within(ctx, share, next)
		switch {
		case failed == nil:
			return found, nil
		case i == 0:
			err = failed
		default:
			err = fmt.Errorf("%w; %w", err, failed)
		}
	}
	return answer[T]{}, fmt.Errorf("%s: %w", doing, err)
}

func within[T any](ctx context.Context, share time.Duration, next step[T]) (answer[T], error) {
	ctx, cancel := withTimeout(ctx, share)
	defer cancel()
	return next(ctx)
}

// withTimeout bounds a context. The cause says so in words, and is a [context.DeadlineExceeded].
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, timeoutError(d))
}

// timeoutError says how long nobody has answered.
type timeoutError time.Duration

// Error implements error.
func (e timeoutError) Error() string {
	return fmt.Sprintf("no answer within %s", time.Duration(e).Round(10*time.Millisecond))
}

// Timeout is that of [net.Error].
func (timeoutError) Timeout() bool { return true }

// Is makes it a [context.DeadlineExceeded].
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
