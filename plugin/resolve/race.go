package resolve

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// outcome is what one runner of a race has brought.
type outcome[T any] struct {
	value T
	err   error
}

// race asks the first of some servers, and the next one as well whenever one has failed or all were silent for
// so long. The first good answer ends it; discard, if not nil, gets those that come too late. The error is that
// of the server that failed first.
func race[S, T any](
	ctx context.Context, servers []S, patience time.Duration, ask func(context.Context, S) (T, error), discard func(T),
) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	var (
		wg       sync.WaitGroup
		started  int
		failed   []error
		outcomes = make(chan outcome[T], len(servers))
		late     = time.NewTimer(patience)
	)
	defer func() {
		cancel()
		wg.Wait()
		for range len(outcomes) {
			if o := <-outcomes; o.err == nil && discard != nil {
				discard(o.value)
			}
		}
	}()
	start := func() {
		if started < len(servers) && ctx.Err() == nil {
			server := servers[started]
			started++
			wg.Go(func() {
				value, err := ask(ctx, server)
				outcomes <- outcome[T]{value, err}
			})
		}
		late.Reset(patience)
	}
	for start(); len(failed) < started; {
		select {
		case <-late.C:
			start()
		case o := <-outcomes:
			if o.err == nil {
				return o.value, nil
			}
			failed = append(failed, o.err)
			start()
		}
	}
	var none T
	return none, summary(ctx, failed)
}

// summary returns the error of a race that nobody has won.
func summary(ctx context.Context, failed []error) error {
	switch len(failed) {
	case 0:
		return context.Cause(ctx)
	case 1:
		return failed[0]
	default:
		return fmt.Errorf("%w (nor has it worked with %d more)", failed[0], len(failed)-1)
	}
}
