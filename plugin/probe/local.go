package probe

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// localEvery is how often this host's addresses are looked at. It bounds how long a new prefix of the
// Internet provider makes the house's own IPv6 clients external.
const localEvery = 10 * time.Second

// LocalBoard is told of this host's addresses; *board.Board is one.
type LocalBoard interface {
	SetLocal(hosts []netip.Addr, onlink []netip.Prefix, now time.Time)
}

// FollowLocal tells the board when this host's addresses change, until ctx ends.
func FollowLocal(ctx context.Context, b LocalBoard) error {
	tick := time.NewTicker(localEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			hosts, onlink := LocalAddrs()
			b.SetLocal(hosts, onlink, time.Now())
		}
	}
}

// bridges are the names that container engines and hypervisors give to interfaces behind which no client of
// the house stands.
var bridges = []string{"docker", "br-", "veth", "cni", "podman", "virbr", "lxc", "lxdbr", "flannel", "cali", "vmnet"}

// LocalAddrs returns this host's addresses, those of container bridges apart, and the prefixes of the
// interfaces that also hold a private IPv4 address. Both are sorted.
func LocalAddrs() (hosts []netip.Addr, onlink []netip.Prefix) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, nil
	}
	for _, ifc := range interfaces {
		if ifc.Flags&net.FlagUp == 0 || ifc.Flags&net.FlagLoopback != 0 || isBridge(ifc.Name) {
			continue
		}
		prefixes := prefixesOf(ifc)
		private := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() && p.Addr().IsPrivate() })
		for _, p := range prefixes {
			hosts = append(hosts, p.Addr())
			if private {
				onlink = append(onlink, p.Masked())
			}
		}
	}
	slices.SortFunc(hosts, netip.Addr.Compare)
	slices.SortFunc(onlink, netip.Prefix.Compare)
	return slices.Compact(hosts), slices.Compact(onlink)
}

func isBridge(name string) bool {
	return slices.ContainsFunc(bridges, func(b string) bool { return strings.HasPrefix(name, b) })
}

func prefixesOf(ifc net.Interface) []netip.Prefix {
	addrs, err := ifc.Addrs()
	if err != nil {
		return nil
	}
	var out []netip.Prefix
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(ipnet.IP)
		ones, _ := ipnet.Mask.Size()
		if !ok || addr.IsLinkLocalUnicast() {
			continue
		}
		out = append(out, netip.PrefixFrom(addr.Unmap(), ones))
	}
	return out
}
