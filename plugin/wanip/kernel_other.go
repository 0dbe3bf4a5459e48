//go:build !linux

package wanip

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// lookEvery bounds how long a change of an address goes unnoticed where the kernel is not followed.
const lookEvery = 10 * time.Second

// followKernel calls changed when this host's addresses change, until ctx ends.
func followKernel(ctx context.Context, changed func()) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := sortedAddrs()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if now := sortedAddrs(); !slices.Equal(now, last) {
				last = now
				changed()
			}
		}
	}
}

func sortedAddrs() []netip.Addr {
	addrs, err := hostAddrs()
	if err != nil {
		return nil
	}
	out := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		out[i] = a.Addr
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}
