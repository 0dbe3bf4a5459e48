package certs

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// What bounds the turns and the looks.
const (
	LongestTurn = longestTurn
	LookEvery   = lookEvery
	BlindFor    = blindFor
)

// Sighting is what one look has shown.
type Sighting struct {
	Shown, Without []netip.AddrPort
	Blind          error
}

func exported(s sighting) Sighting { return Sighting{s.shown, s.without, s.blind} }

// AwaitRecord waits until look shows the record.
func AwaitRecord(ctx context.Context, timeout time.Duration, look func(context.Context) Sighting) (Sighting, error) {
	seen, err := awaitRecord(ctx, timeout, func(ctx context.Context) sighting {
		s := look(ctx)
		return sighting{s.Shown, s.Without, s.Blind}
	})
	return exported(seen), err
}

// Look asks the name servers for the record.
func (p *Provider) Look(ctx context.Context, servers []netip.AddrPort, text string) Sighting {
	return exported(p.look(ctx, servers, text))
}

// FindNameServers returns where DuckDNS's name servers are.
func (p *Provider) FindNameServers(ctx context.Context) ([]netip.AddrPort, error) {
	return p.nameServers(ctx)
}

// Present does what AppendRecords does, but for the record itself.
func (p *Provider) Present(ctx context.Context, text string) error {
	t, err := p.take(ctx)
	if err == nil {
		p.keep(text, t)
	}
	return err
}

// End does what DeleteRecords does, but for the record itself.
func (p *Provider) End(text string) { p.forget(text).end(time.Duration(p.Hold)) }

// SetLogger replaces Caddy's.
func (p *Provider) SetLogger(l *zap.Logger) { p.logger = l }

// SetLogger replaces Caddy's.
func (m *Manager) SetLogger(l *zap.Logger) { m.logger = l }
