package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/socket"
	"plexha/proxy/playback"
	"plexha/zones"
)

// How playbacks are waited for.
const (
	countEvery = time.Second // how often plexproxy is asked
	mostSilent = time.Minute // how long it may be silent: a restart takes less

	// A plexproxy knows of a playback when its app gives a sign, every 10 or 20 seconds. One that is younger than
	// this may not know of all.
	settledAfter = 30 * time.Second
)

// giveAndWait drains a node, and returns when nobody plays there any more.
func (o *orderOptions) giveAndWait(ctx context.Context, name string, out io.Writer) error {
	proxies, err := o.proxies(ctx)
	if err != nil {
		return err
	}
	all, err := o.give(ctx, name, zones.OrderDrain, out)
	if err != nil {
		return err
	}
	ctx, cancel := limited(ctx, o.timeout)
	defer cancel()
	p := &printer{w: out}
	for _, g := range all {
		w := waiting{given: g, p: p, count: func(ctx context.Context) (count, error) { return g.playbacks(ctx, proxies) }}
		if err := w.run(ctx); err != nil {
			return err
		}
	}
	return p.err
}

var errTimeout = errors.New("the time is up")

// limited returns a context that ends after a time, if one is given.
func limited(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if most == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, most, errTimeout)
}

// proxies returns the instances of plexproxy that are asked who plays. Without any, nothing is ordered.
func (o *orderOptions) proxies(ctx context.Context) ([]socket.Client, error) {
	clients, err := o.clients()
	if err != nil {
		return nil, err
	}
	told, err := o.answered(look(ctx, clients))
	var found []socket.Client
	for _, s := range told {
		if s.Program == socket.Plexproxy {
			found = append(found, s.Client)
		}
	}
	if found == nil && err == nil {
		err = errors.New("no plexproxy runs here, and only that sees playbacks: name one with -at, or leave out -wait")
	}
	return found, err
}

// waiting is the end of a drain.
type waiting struct {
	given

	p     *printer
	count func(context.Context) (count, error) // asks who plays

	limited bool // it was said what plexproxy cannot see
}

// count is who plays on the node.
type count struct {
	playing, paused int
	unsettled       bool // there may be more, of whom a plexproxy has not heard yet
}

func (c count) all() int { return c.playing + c.paused }

func (c count) String() string {
	noun := "playbacks"
	if c.all() == 1 {
		noun = "playback"
	}
	s := fmt.Sprintf("%d %s", c.all(), noun)
	if c.paused > 0 {
		s += fmt.Sprintf(", %d of them paused", c.paused)
	}
	return s
}

// run tells of each change until nobody plays.
func (w *waiting) run(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	before, heard := count{playing: -1}, time.Now()
	var silent error
	for {
		now, err := w.count(ctx)
		switch {
		case ctx.Err() != nil:
			return w.givenUp(ctx, before)
		case err == nil && now.all() == 0 && !now.unsettled:
			w.p.printf("%s: no playback is left that plexproxy sees%s\n", w.name, w.limits())
			return w.p.err
		case err == nil:
			heard, silent = time.Now(), nil
			w.tell(now, before)
			before = now
		case time.Since(heard) > mostSilent:
			return fmt.Errorf("waiting for playbacks to end: %w; the order stays", err)
		case silent == nil:
			silent = err
			w.p.printf("%s: %v: waiting for it to come back\n", w.name, plain(err.Error()))
		}
		select {
		case <-ctx.Done():
			return w.givenUp(ctx, before)
		case <-tick.C:
		}
	}
}

// tell tells how many there are, if that is news.
func (w *waiting) tell(now, before count) {
	switch {
	case now == before:
	case now.all() == 0:
		w.p.printf("%s: plexproxy has just started: who plays is known %v after its start\n", w.name, settledAfter)
	case !w.limited:
		w.p.printf("%s: %s that plexproxy sees%s\n", w.name, now, w.limits())
	case now.playing != before.playing || now.paused != before.paused:
		w.p.printf("%s: %s\n", w.name, now)
	}
}

// limits says once what no count can hold.
func (w *waiting) limits() string {
	if w.limited {
		return ""
	}
	w.limited = true
	return "; what goes past the proxy is invisible"
}

// givenUp is why the waiting ends before the playbacks do.
func (w *waiting) givenUp(ctx context.Context, last count) error {
	left := "playbacks"
	if last.all() > 0 {
		left = last.String()
	}
	err := fmt.Errorf("%w: %s left at %s; the order stays: plexctl undrain %s takes it back", context.Cause(ctx), left, w.name, w.name)
	if errors.Is(err, errTimeout) {
		return &command.ExitError{Code: exitUnwell, Err: err}
	}
	return err
}

// playbacks asks all proxies who plays on the node. The error is that of one that does not answer.
func (g given) playbacks(ctx context.Context, proxies []socket.Client) (count, error) {
	var sum count
	for _, c := range proxies {
		d, err := c.ProxyStatus(ctx)
		if err != nil {
			return count{}, err
		}
		for i := range d.Clusters {
			if k := &d.Clusters[i]; k.Zone == g.zone {
				sum = sum.plus(g.name, k.Playing)
				sum.unsettled = sum.unsettled || d.At.Sub(k.WatchingSince) < settledAfter
			}
		}
	}
	return sum, nil
}

func (c count) plus(name string, plays []playback.Playback) count {
	for _, play := range plays {
		switch {
		case string(play.Node) != name:
		case play.State == playback.Paused:
			c.paused++
		default:
			c.playing++
		}
	}
	return c
}
