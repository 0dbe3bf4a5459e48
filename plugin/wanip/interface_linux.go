package wanip

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"plexha/plugin/via"
	"plexha/zones"
)

// maxDumps bounds how often the kernel is asked again because something changed while it answered.
const maxDumps = 3

// hostAddrs returns the addresses of this host that other hosts may reach, in the kernel's order.
func hostAddrs() ([]hostAddr, error) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	for range maxDumps - 1 {
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		addrs, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
	}
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	var out []hostAddr
	for i := range addrs {
		if a, ok := hostAddrOf(&addrs[i]); ok {
			out = append(out, a)
		}
	}
	return out, nil
}

func hostAddrOf(a *netlink.Addr) (hostAddr, bool) {
	if a.IPNet == nil || a.Scope != unix.RT_SCOPE_UNIVERSE {
		return hostAddr{}, false
	}
	addr, ok := netip.AddrFromSlice(a.IP)
	return hostAddr{
		Addr:      addr.Unmap(),
		Index:     a.LinkIndex,
		Flags:     addrFlags(a.Flags), //nolint:gosec // 32 bits in the kernel (IFA_FLAGS)
		Preferred: lifetime(a.PreferedLft),
	}, ok
}

// lifetime reads a lifetime as the kernel has it (linux/if_addr.h, ifa_cacheinfo): seconds, all bits set for ever.
func lifetime(seconds int) time.Duration {
	s := uint32(seconds) //nolint:gosec // 32 bits in the kernel
	if s == math.MaxUint32 {
		return math.MaxInt64
	}
	return time.Duration(s) * time.Second
}

// way is how packets leave this host.
type way struct {
	index   int        // of the interface
	gateway netip.Addr // the router that takes them; the zero Addr: none does, as on a point-to-point link
}

// farAway are addresses of the Internet that the kernel is asked the way to. No packet is sent there.
var farAway = map[zones.Family]netip.Addr{
	zones.IPv4: netip.MustParseAddr("1.1.1.1"),
	zones.IPv6: netip.MustParseAddr("2606:4700:4700::1111"),
}

// wayOut asks the kernel how it would send packets to the Internet by a path. Rules and further routing tables
// count, which a look at the default routes would miss.
func wayOut(path via.Path, f zones.Family) (way, error) {
	options := &netlink.RouteGetOptions{Oif: path.Interface}
	if f.Has(path.Source) {
		options.SrcAddr = path.Source.AsSlice()
	}
	routes, err := netlink.RouteGetWithOptions(farAway[f].AsSlice(), options)
	if err != nil {
		return way{}, fmt.Errorf("asking the kernel for the way to the Internet: %w", err)
	}
	if len(routes) == 0 {
		return way{}, errors.New("the kernel knows no way to the Internet")
	}
	gateway, _ := netip.AddrFromSlice(routes[0].Gw)
	return way{routes[0].LinkIndex, gateway.Unmap()}, nil
}
