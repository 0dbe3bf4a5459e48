package status

import (
	"context"
	"slices"
	"sync"

	"plexha/zones/timeline"
)

// follow returns a channel that holds a value whenever what is shown may have changed, whoever is shown at the time.
// end is called when nobody listens any more.
func (s *server) follow(ctx context.Context, local bool) (news <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan struct{}, 1)
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			s.followHouse(ctx, local, out)
			signal(out)
		}
	})
	return out, func() {
		cancel()
		ended.Wait()
	}
}

// followHouse hands on the news of those that are shown until others are, or ctx ends.
func (s *server) followHouse(ctx context.Context, local bool, out chan<- struct{}) {
	changed := s.house.Load().changed
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	defer ended.Wait()
	defer cancel()
	for _, g := range s.shown(local) {
		ended.Go(func() { handOn(ctx, g, out) })
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// handOn hands on the news of one cluster.
func handOn(ctx context.Context, src Source, out chan<- struct{}) {
	news, cancel := src.Subscribe()
	defer cancel()
	for {
		select {
		case <-news:
			signal(out)
		case <-ctx.Done():
			return
		}
	}
}

// signal fills a channel of one slot.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// whileAlike returns a context that ends when the timelines that are shown are others.
func (s *server) whileAlike(ctx context.Context, local bool) (alike context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		defer cancel()
		changed, first := s.house.Load().changed, s.timelines(local)
		for slices.Equal(first, s.timelines(local)) {
			select {
			case <-changed:
				changed = s.house.Load().changed
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel()
		ended.Wait()
	}
}

func (s *server) timelines(local bool) []*timeline.Timeline {
	var all []*timeline.Timeline
	for _, g := range s.shown(local) {
		all = append(all, g.Timeline())
	}
	return all
}
