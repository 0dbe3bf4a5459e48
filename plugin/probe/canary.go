package probe

import (
	"context"
	"time"

	"plexha/plugin/via"
	"plexha/zones/board"
)

// startCanary asks the canary whenever the board wants to know whether we are the ones cut off.
func (p *Prober) startCanary(ctx context.Context) {
	if p.cfg.Canary == "" {
		return
	}
	var a asker = newEndpoint(p.cfg.Canary, via.Path{}, p.opts.names, p.lookupTimeout())
	if p.opts.ask != nil {
		a = p.opts.ask(place{})
	}
	p.wg.Go(func() { p.watchCanary(ctx, a) })
}

func (p *Prober) watchCanary(ctx context.Context, a asker) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.opts.Board.Canary():
		}
		asking, cancel := withTimeout(ctx, p.cfg.Timeout)
		found := askSafely(asking, a, true)
		cancel()
		if ctx.Err() == nil {
			p.opts.Board.CanaryResult(found.result == board.OK, time.Now())
		}
	}
}
