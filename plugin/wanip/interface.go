package wanip

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"plexha/corefile"
	"plexha/plugin/probe"
	"plexha/plugin/via"
	"plexha/zones"
)

// hostAddr is an address of this host, with what the kernel knows of it.
type hostAddr struct {
	Addr      netip.Addr
	Index     int // of its interface, as [net.Interface] has it
	Flags     addrFlags
	Preferred time.Duration // for so long may new connections use it
}

// addrFlags are the kernel's flags of an address (linux/if_addr.h, IFA_F_*).
type addrFlags uint32

// The flags that matter here. The first one means something else for each family.
const (
	flagSecondary      addrFlags = 0x01 // IPv4: another address of the interface comes first
	flagTemporary      addrFlags = 0x01 // IPv6: it is replaced by another one within days, for privacy (RFC 8981)
	flagDadFailed      addrFlags = 0x08 // another host has it
	flagDeprecated     addrFlags = 0x20 // no new connection should use it
	flagTentative      addrFlags = 0x40 // it is not sure yet that no other host has it
	flagPermanent      addrFlags = 0x80
	flagManageTempAddr addrFlags = 0x100 // the temporary ones are made beside it: it is the stable one
	flagStablePrivacy  addrFlags = 0x800 // RFC 7217

	flagsUnfit  = flagTemporary | flagDadFailed | flagDeprecated | flagTentative
	flagsStable = flagPermanent | flagManageTempAddr | flagStablePrivacy
)

// globalUnicast are the IPv6 addresses that are handed out (RFC 4291, 2.5.4).
var globalUnicast = netip.MustParsePrefix("2000::/3")

// interfaceSource is the address that an interface of this host holds: known at once, without a packet.
func interfaceSource(name string) Source {
	s := corefile.Source{Kind: "interface", Args: []string{name}}
	return Source{
		Name: s.String(), Operator: s.Operator(), Nature: Host, Secure: s.Secure(), Interface: name,
		Ask: func(_ context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
			ifc, err := upInterface(name)
			if err != nil {
				return netip.Addr{}, err
			}
			return addrOfInterface(ifc.Index, path.Source, f)
		},
	}
}

func upInterface(name string) (*net.Interface, error) {
	ifc, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("this host has no interface %q", name)
	case ifc.Flags&net.FlagUp == 0:
		return nil, fmt.Errorf("the interface %s is down", name)
	}
	return ifc, nil
}

func addrOfInterface(index int, keep netip.Addr, f zones.Family) (netip.Addr, error) {
	addrs, err := hostAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the addresses of this host: %w", err)
	}
	addrs = slices.DeleteFunc(addrs, func(a hostAddr) bool { return a.Index != index })
	return chosen(addrs, keep, f)
}

// hostIPv6 returns the address of this host that IPv6 packets by a path should come from, so that an echo of them
// confirms it: the best one of the path's interface, or of the one that the routing table leads through. The
// path's source stays, if it is still about as good as the best.
func hostIPv6(path via.Path) (netip.Addr, error) {
	if path.Interface != "" {
		ifc, err := upInterface(path.Interface)
		if err != nil {
			return netip.Addr{}, err
		}
		return addrOfInterface(ifc.Index, path.Source, zones.IPv6)
	}
	if way, err := wayOut(via.Path{}, zones.IPv6); err == nil {
		if addr, err := addrOfInterface(way.index, path.Source, zones.IPv6); err == nil {
			return addr, nil
		}
	}
	return anyIPv6(path.Source)
}

// anyIPv6 is for a host whose way out holds no address of its own, or cannot be found. It looks at all interfaces
// but those of containers.
func anyIPv6(keep netip.Addr) (netip.Addr, error) {
	addrs, err := hostAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the addresses of this host: %w", err)
	}
	clients, _ := probe.LocalAddrs()
	addrs = slices.DeleteFunc(addrs, func(a hostAddr) bool { return !slices.Contains(clients, a.Addr) })
	return chosen(addrs, keep, zones.IPv6)
}

// chosen returns the address of a family that the world may know, or [ErrNothing].
func chosen(addrs []hostAddr, keep netip.Addr, f zones.Family) (netip.Addr, error) {
	choose := chooseIPv4
	if f == zones.IPv6 {
		choose = chooseIPv6
	}
	if addr := choose(addrs, keep); addr.IsValid() {
		return addr, nil
	}
	return netip.Addr{}, ErrNothing
}

// chooseIPv4 prefers the address that can be an external one, so that a modem's private address beside it does no
// harm; then the first that the kernel has. A private one alone is returned as well: the judge then tells why it
// will not do.
func chooseIPv4(addrs []hostAddr, _ netip.Addr) netip.Addr {
	var best hostAddr
	least := -1
	for _, a := range addrs {
		if rank := rankIPv4(a); zones.IPv4.Has(a.Addr) && rank > least {
			best, least = a, rank
		}
	}
	return best.Addr
}

func rankIPv4(a hostAddr) int {
	rank := 0
	switch {
	case IANA.Refuse(a.Addr, nil) == "":
		rank = 4
	case !a.Addr.IsPrivate() && !a.Addr.IsLinkLocalUnicast() && !a.Addr.IsLoopback():
		rank = 2 // carrier-grade NAT's, or documentation's: the operator may allow it
	}
	if a.Flags&flagSecondary == 0 {
		rank++
	}
	return rank
}

// chooseIPv6 prefers what does not change by itself, then what lasts longest; keep stays unless another one is
// clearly better, since a router that refreshes two prefixes in turn makes now this, now that one last longer.
// No address that is temporary, deprecated or in doubt is ever chosen.
func chooseIPv6(addrs []hostAddr, keep netip.Addr) netip.Addr {
	fit := slices.DeleteFunc(slices.Clone(addrs), func(a hostAddr) bool {
		return !globalUnicast.Contains(a.Addr) || a.Flags&flagsUnfit != 0
	})
	if len(fit) == 0 {
		return netip.Addr{}
	}
	best := slices.MinFunc(fit, betterIPv6)
	stays := slices.ContainsFunc(fit, func(a hostAddr) bool {
		return a.Addr == keep && a.isStable() == best.isStable() && a.Preferred >= best.Preferred/2
	})
	if stays {
		return keep
	}
	return best.Addr
}

func (a hostAddr) isStable() bool { return a.Flags&flagsStable != 0 }

// betterIPv6 sorts the better address first. Addresses that are alike are sorted by their value, so that the
// choice does not depend on the kernel's order.
func betterIPv6(a, b hostAddr) int {
	switch {
	case a.isStable() != b.isStable() && a.isStable():
		return -1
	case a.isStable() != b.isStable():
		return 1
	case a.Preferred != b.Preferred:
		return cmp.Compare(b.Preferred, a.Preferred)
	default:
		return a.Addr.Compare(b.Addr)
	}
}
