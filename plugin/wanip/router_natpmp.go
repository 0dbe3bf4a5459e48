package wanip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"

	"plexha/plugin/via"
	"plexha/zones"
)

// natPMPMargin is how long before its context what the library does ends, so that mostly nothing is left behind.
const natPMPMargin = 50 * time.Millisecond

var errNoNATPMP = errors.New("no answer by NAT-PMP, which may be turned off")

// natPMP asks a router by NAT-PMP (RFC 6886, 3.2).
type natPMP struct {
	at netip.Addr // of the router; the zero Addr: the one that the path leads through
}

func (n natPMP) ask(ctx context.Context, path via.Path) (netip.Addr, error) {
	router := n.at
	if !router.IsValid() {
		var err error
		if router, err = gateway(path); err != nil {
			return netip.Addr{}, err
		}
	}
	local, err := localIPv4(path)
	if err != nil {
		return netip.Addr{}, err
	}
	deadline, _ := ctx.Deadline()
	client := natpmp.NewClientWithLocalAndTimeout(router.AsSlice(), local, time.Until(deadline)-natPMPMargin)
	said := make(chan natPMPAnswer, 1)
	// The library knows no context. What it does ends with the deadline at the latest, if nobody waits any more.
	go func() {
		result, err := client.GetExternalAddress()
		said <- natPMPAnswer{result, err}
	}()
	select {
	case <-ctx.Done():
		err := context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // on a busy machine the library may come too late to say so
			err = errNoNATPMP
		}
		return netip.Addr{}, fmt.Errorf("asking the router %v: %w", router, err)
	case a := <-said:
		if a.err != nil {
			return netip.Addr{}, fmt.Errorf("asking the router %v: %w", router, natPMPError(a.err))
		}
		return outside(netip.AddrFrom4(a.result.ExternalIPAddress))
	}
}

type natPMPAnswer struct {
	result *natpmp.GetExternalAddressResult
	err    error
}

// natPMPError finds better words for what most often goes wrong.
func natPMPError(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("it does not speak NAT-PMP, or that is turned off")
	case strings.HasPrefix(err.Error(), "Timed out"):
		return errNoNATPMP
	default:
		return err
	}
}

// localIPv4 returns the address that questions by a path come from, nil where the kernel may choose. The library
// cannot bind an interface, but the router that it asks is on that interface's own network.
func localIPv4(path via.Path) (net.IP, error) {
	if source := path.Source.Unmap(); source.Is4() {
		return source.AsSlice(), nil
	}
	if path.Interface == "" {
		return nil, nil
	}
	ifc, err := upInterface(path.Interface)
	if err != nil {
		return nil, err
	}
	addr, err := addrOfInterface(ifc.Index, netip.Addr{}, zones.IPv4)
	if err != nil {
		return nil, fmt.Errorf("the interface %s: %w", path.Interface, err)
	}
	return addr.AsSlice(), nil
}
