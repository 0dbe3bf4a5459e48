package plugin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"

	"plexha/plugin/runtime"
	"plexha/zones"
)

// errNoAddress refuses a transfer: a secondary that gets no addresses would forget those that it has.
var errNoAddress = errors.New("the external address is not known, so the zone is not transferred")

// Transfer implements [transfer.Transferer] with the external view.
func (p *Plex) Transfer(zone string, serial uint32) (<-chan []dns.RR, error) {
	for _, p := range p.siblings {
		if slices.Contains(p.cfg.Cluster.Origins, zone) {
			return p.transfer(zone, serial)
		}
	}
	return nil, transfer.ErrNotAuthoritative
}

func (p *Plex) transfer(zone string, serial uint32) (<-chan []dns.RR, error) {
	z := p.current.Load().zone(zone, client{view: zones.External})
	if z.failing {
		return nil, errNoAddress
	}
	if serial != 0 && !runtime.Newer(z.SOA.Serial, serial) {
		serial = z.SOA.Serial // the client's is as new: the library answers with the SOA alone
	}
	return z.Transfer(serial)
}

// announceEvery is how long a change of the external view waits for others, so that a flap gives one NOTIFY.
const announceEvery = time.Second

// announceChanges sends NOTIFY to the secondaries after the external view has changed.
func (p *Plex) announceChanges(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.announce:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(announceEvery):
		}
		if p.xfer != nil {
			p.notify(ctx)
		}
	}
}

// notify tells every secondary, and gives up waiting when the instance ends: the library takes no context,
// and ends by itself after three tries of two seconds for each secondary.
func (p *Plex) notify(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, origin := range p.cfg.Cluster.Origins {
			if err := p.xfer.Notify(origin); err != nil {
				log.Warningf("telling the secondaries of %s: %v", origin, err)
			}
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
