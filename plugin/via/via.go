// Package via sends packets out through one network interface, for an uplink with `via INTERFACE`.
package via

import (
	"context"
	"net"
	"net/netip"
)

// Path is a way out. The zero Path is what the routing table says.
type Path struct {
	Interface string     // the interface that packets leave through; empty: the routing table's
	Source    netip.Addr // the address that they come from, for destinations of its family; the zero Addr: the kernel's choice
}

// Dial connects as [net.Dialer.DialContext] does. The destination should be an address: a name would be looked
// up by the system's resolver, by whatever way.
func (p Path) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}
