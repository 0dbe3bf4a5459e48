package cluster

import (
	"context"
	"time"
)

// watchPlaybacks tells when playbacks begin and end, those too that end by their silence.
func (s *Setup) watchPlaybacks(ctx context.Context) error {
	plays := s.cluster.plays
	news, cancel := plays.Subscribe()
	defer cancel()
	for {
		var silent <-chan time.Time
		if due := plays.Due(); !due.IsZero() {
			silent = time.After(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
			s.cluster.changed()
		case <-silent:
			plays.Expire(time.Now())
		}
	}
}
