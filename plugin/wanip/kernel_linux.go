package wanip

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// followKernel calls changed when this host's addresses or its ways to the Internet change, until ctx ends. It
// returns an error where the kernel does not tell.
//
// The kernel tells much more than that: each router advertisement announces the same address again. Such repeats,
// link-local addresses and the routes of containers are not worth a round.
func followKernel(ctx context.Context, changed func()) error {
	for {
		lost, err := followOnce(ctx, changed)
		if err != nil || !lost {
			return err
		}
		// The kernel has told more than we could take (ENOBUFS), and what is lost may have mattered.
		changed()
	}
}

// followOnce follows by one subscription. It was lost when the kernel's side ended it.
func followOnce(ctx context.Context, changed func()) (lost bool, err error) {
	done := make(chan struct{})
	addrs := make(chan netlink.AddrUpdate)
	routes := make(chan netlink.RouteUpdate)
	if err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{}); err != nil {
		return false, fmt.Errorf("following the addresses of this host: %w", err)
	}
	defer drain(addrs) // runs after done is closed: the library's goroutine may be in the middle of a send
	if err := netlink.RouteSubscribeWithOptions(routes, done, netlink.RouteSubscribeOptions{}); err != nil {
		close(done)
		return false, fmt.Errorf("following the routes of this host: %w", err)
	}
	defer drain(routes)
	defer close(done)
	known := knownNow()
	for {
		var news, open bool
		select {
		case <-ctx.Done():
			return false, nil
		case u, ok := <-addrs:
			news, open = ok && known.addr(&u), ok
		case u, ok := <-routes:
			news, open = ok && known.route(&u), ok
		}
		switch {
		case !open:
			return true, nil
		case news:
			changed()
		}
	}
}

func drain[T any](c <-chan T) {
	for range c {
	}
}

// kernelView is what the kernel has told, to tell news from repeats.
type kernelView struct {
	addrs  map[addrKey]addrFlags
	routes map[routeKey]bool
}

type addrKey struct {
	index  int
	prefix netip.Prefix
}

// routeKey tells default routes from each other.
type routeKey struct {
	family, table, index, priority int
	gateway                        netip.Addr
}

// knownNow returns what there is already. Where the kernel does not tell, the first repeat of each counts as news.
func knownNow() *kernelView {
	k := &kernelView{addrs: make(map[addrKey]addrFlags), routes: make(map[routeKey]bool)}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		addrs = nil
	}
	for _, a := range addrs {
		if a.IPNet != nil {
			k.addr(&netlink.AddrUpdate{LinkAddress: *a.IPNet, LinkIndex: a.LinkIndex, Flags: a.Flags, Scope: a.Scope, NewAddr: true})
		}
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		routes = nil
	}
	for _, r := range routes {
		k.route(&netlink.RouteUpdate{Type: unix.RTM_NEWROUTE, Route: r})
	}
	return k
}

// addr reports whether an update is news: an address of global scope that comes, goes or changes its flags.
func (k *kernelView) addr(u *netlink.AddrUpdate) bool {
	addr, ok := netip.AddrFromSlice(u.LinkAddress.IP)
	if !ok || u.Scope != unix.RT_SCOPE_UNIVERSE {
		return false
	}
	ones, _ := u.LinkAddress.Mask.Size()
	key := addrKey{u.LinkIndex, netip.PrefixFrom(addr.Unmap(), ones)}
	was, had := k.addrs[key]
	if !u.NewAddr {
		delete(k.addrs, key)
		return had
	}
	flags := addrFlags(u.Flags) //nolint:gosec // 32 bits in the kernel (IFA_FLAGS)
	k.addrs[key] = flags
	return !had || was != flags
}

// route reports whether an update is news: a default route of whichever table that comes or goes.
//
// The kernel does not tell that an IPv4 route went with its interface. But it tells a route that was added from one
// that was said again, and adds none twice.
func (k *kernelView) route(u *netlink.RouteUpdate) bool {
	if u.Type != unix.RTM_NEWROUTE && u.Type != unix.RTM_DELROUTE || !isDefault(&u.Route) {
		return false
	}
	gateway, _ := netip.AddrFromSlice(u.Gw)
	key := routeKey{u.Family, u.Table, u.LinkIndex, u.Priority, gateway.Unmap()}
	had := k.routes[key]
	if u.Type == unix.RTM_DELROUTE {
		delete(k.routes, key)
		return had
	}
	k.routes[key] = true
	added := u.Family == netlink.FAMILY_V4 && u.NlFlags&unix.NLM_F_REPLACE == 0
	return !had || added
}

func isDefault(r *netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST {
		return false
	}
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}
