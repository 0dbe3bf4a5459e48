package dnsmain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/coredns/caddy"

	"plexha/plugin/runtime"
	"plexha/zones"
)

// pulse tells whether plexdns is well: its servers answer at their sockets, and its probes give signs of life.
type pulse struct {
	newest   func() *caddy.Instance
	answered map[netip.AddrPort]bool // which of the addresses have ever answered us: of others silence says nothing
}

// well returns what is wrong, if anything is.
func (p *pulse) well(ctx context.Context) error {
	for _, c := range runtime.All() {
		probes, ok := c.(interface{ Stalled() []zones.Subject })
		if !ok {
			continue
		}
		if stalled := probes.Stalled(); len(stalled) > 0 {
			return fmt.Errorf("the probes of %v give no sign of life", stalled[0])
		}
	}
	instance := p.newest()
	if instance == nil {
		return nil // a reload has begun, or the end
	}
	for _, server := range instance.Servers() {
		at, ok := server.LocalAddr().(*net.UDPAddr)
		if !ok {
			continue
		}
		if err := p.ask(ctx, reachable(at.AddrPort())); err != nil {
			return err
		}
	}
	return nil
}

// reachable returns where this machine reaches a socket of its own.
func reachable(at netip.AddrPort) netip.AddrPort {
	addr := at.Addr().Unmap()
	switch {
	case !addr.IsUnspecified():
	case addr.Is4():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		addr = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(addr, at.Port())
}

// noQuestion is the header of a DNS message that has no question. Servers answer it by themselves, with FORMERR: no
// plugin logs, counts or refuses it.
var noQuestion = []byte{0x70, 0x6c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// ask sends a message, and waits for what comes back.
func (p *pulse) ask(ctx context.Context, at netip.AddrPort) error {
	err := exchange(ctx, at)
	switch {
	case err == nil:
		p.answered[at] = true
		return nil
	case p.answered[at]:
		return fmt.Errorf("asking ourselves at %v: %w", at, err)
	default:
		return nil
	}
}

func exchange(ctx context.Context, at netip.AddrPort) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("a deadline is needed")
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(noQuestion); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, len(noQuestion)))
	return err
}
