package dnsmain

import (
	"context"
	"net/netip"
)

// NewPulse returns what asks servers whether they answer.
func NewPulse() func(context.Context, netip.AddrPort) error {
	return (&pulse{answered: map[netip.AddrPort]bool{}}).ask
}

// Reachable is where this machine reaches a socket of its own.
var Reachable = reachable
