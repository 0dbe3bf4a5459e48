package certs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// How long orders through one domain wait for each other. Both are guesses on the safe side: an order takes a
// minute or two, most of it the CA's.
const (
	// longestTurn is how long an order may keep its record: if nothing has cleared it by then, nothing will.
	longestTurn = 10 * time.Minute
	// longestWait is how long an order waits for its turn: for the one before, and for another one.
	longestWait = 20 * time.Minute
)

var errNoTurn = errors.New("other orders through that domain take too long")

// turn is the right to a domain's TXT record: a lock in the storage.
type turn struct {
	storage certmagic.Storage
	lock    string
	logger  *zap.Logger
	once    sync.Once
	lapse   *time.Timer // ends it, if nobody else does
}

// take waits for the turn of an order.
func (p *Provider) take(ctx context.Context) (*turn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longestWait, errNoTurn)
	defer cancel()
	t := &turn{storage: p.storage, lock: providerName + "_" + p.Domain, logger: p.logger}
	if err := p.storage.Lock(ctx, t.lock); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("waiting for the TXT record of %s%s: %w", p.Domain, duckDNS, err)
	}
	return t, nil
}

// end lets the next order have its turn after a while. Only the first call counts.
func (t *turn) end(after time.Duration) {
	t.once.Do(func() {
		if t.lapse != nil {
			t.lapse.Stop()
		}
		if after == 0 {
			t.unlock()
			return
		}
		time.AfterFunc(after, t.unlock)
	})
}

// unlock does not depend on the order's context, which may have ended.
func (t *turn) unlock() {
	if err := t.storage.Unlock(context.Background(), t.lock); err != nil {
		t.logger.Warn("giving up the lock of DuckDNS's TXT record", zap.String("lock", t.lock), zap.Error(err))
	}
}

// keep remembers whose turn it is while its record is set.
func (p *Provider) keep(text string, t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns[text] = t
	t.lapse = time.AfterFunc(longestTurn, func() {
		if p.forget(text) != nil {
			p.logger.Warn("nobody has cleared DuckDNS's TXT record: the next order may overwrite it",
				zap.String("domain", p.Domain), zap.Duration("after", longestTurn))
			t.end(0)
		}
	})
}

// forget returns whose turn it is, for the last time: nil if it has ended.
func (p *Provider) forget(text string) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.turns[text]
	delete(p.turns, text)
	return t
}
