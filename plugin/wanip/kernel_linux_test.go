package wanip_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"plexha/plugin/wanip"
)

// address is what the kernel says of an address that has come.
func address(prefix string, flags int) netlink.AddrUpdate {
	ip, ipnet, err := net.ParseCIDR(prefix)
	if err != nil {
		panic(err)
	}
	ipnet.IP = ip
	scope := unix.RT_SCOPE_UNIVERSE
	if ip.IsLinkLocalUnicast() {
		scope = unix.RT_SCOPE_LINK
	}
	return netlink.AddrUpdate{LinkAddress: *ipnet, LinkIndex: 2, Flags: flags, Scope: scope, NewAddr: true, ValidLft: 3600}
}

func gone(u netlink.AddrUpdate) netlink.AddrUpdate {
	u.NewAddr = false
	return u
}

// route is what the kernel says of a route that has come.
func route(dst, gateway string) netlink.RouteUpdate {
	_, ipnet, err := net.ParseCIDR(dst)
	if err != nil {
		panic(err)
	}
	gw := netip.MustParseAddr(gateway)
	family := netlink.FAMILY_V4
	if gw.Is6() {
		family = netlink.FAMILY_V6
	}
	return netlink.RouteUpdate{Type: unix.RTM_NEWROUTE, NlFlags: unix.NLM_F_CREATE, Route: netlink.Route{
		Family: family, Dst: ipnet, Gw: gw.AsSlice(), LinkIndex: 2, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST, Priority: 100,
	}}
}

func withdrawn(u netlink.RouteUpdate) netlink.RouteUpdate {
	u.Type = unix.RTM_DELROUTE
	return u
}

func TestNewsOfAddresses(t *testing.T) {
	const stable, tentative, deprecated = unix.IFA_F_STABLE_PRIVACY, unix.IFA_F_TENTATIVE, unix.IFA_F_DEPRECATED
	other := address("2a02:8106::7/64", stable)
	other.LinkIndex = 3
	fresh := address("2a02:8106::7/64", stable)
	fresh.ValidLft = 7200
	k := wanip.NewKernelView()
	for _, step := range []struct {
		what string
		u    netlink.AddrUpdate
		news bool
	}{
		{"an address comes", address("2a02:8106::7/64", stable|tentative), true},
		{"it is not tentative any more", address("2a02:8106::7/64", stable), true},
		{"a router advertisement refreshes it", fresh, false},
		{"another interface has it", other, true},
		{"it is deprecated", address("2a02:8106::7/64", stable|deprecated), true},
		{"it goes", gone(address("2a02:8106::7/64", stable|deprecated)), true},
		{"it goes again", gone(address("2a02:8106::7/64", stable)), false},
		{"it comes back", address("2a02:8106::7/64", stable), true},
		{"an IPv4 address comes", address("192.168.1.2/24", unix.IFA_F_PERMANENT), true},
		{"its lease is renewed", address("192.168.1.2/24", unix.IFA_F_PERMANENT), false},
		{"a container's interface gets its link-local address", address("fe80::7/64", unix.IFA_F_PERMANENT), false},
		{"and loses it", gone(address("fe80::7/64", unix.IFA_F_PERMANENT)), false},
		{"one that we did not know goes", gone(address("192.168.1.3/24", 0)), false},
	} {
		if got := k.Addr(step.u); got != step.news {
			t.Errorf("%s: news = %v, want %v", step.what, got, step.news)
		}
	}
}

func TestNewsOfRoutes(t *testing.T) {
	again := route("0.0.0.0/0", "192.168.1.1")
	again.Dst, again.NlFlags = nil, unix.NLM_F_REPLACE
	unreachable := route("::/0", "fe80::1")
	unreachable.Type = unix.RTN_UNREACHABLE
	backup := route("0.0.0.0/0", "192.168.2.1")
	backup.Priority = 200
	k := wanip.NewKernelView()
	for _, step := range []struct {
		what string
		u    netlink.RouteUpdate
		news bool
	}{
		{"a default route comes", route("0.0.0.0/0", "192.168.1.1"), true},
		{"it is said again", again, false},
		{"it comes again, having gone silently with its interface", route("0.0.0.0/0", "192.168.1.1"), true},
		{"a second one comes", backup, true},
		{"an IPv6 one comes", route("::/0", "fe80::1"), true},
		{"a router advertisement says it again", route("::/0", "fe80::1"), false},
		{"a route to a network comes", route("172.17.0.0/16", "192.168.1.1"), false},
		{"a route to a half of the world comes", route("0.0.0.0/1", "10.8.0.1"), false},
		{"the kernel's own unreachable route", unreachable, false},
		{"the first one goes", withdrawn(route("0.0.0.0/0", "192.168.1.1")), true},
		{"it goes again", withdrawn(route("0.0.0.0/0", "192.168.1.1")), false},
		{"it comes back", route("0.0.0.0/0", "192.168.1.1"), true},
	} {
		if got := k.Route(step.u); got != step.news {
			t.Errorf("%s: news = %v, want %v", step.what, got, step.news)
		}
	}
}

// What there is when we begin is no news when the kernel says it again.
func TestWhatIsKnownIsNoNews(t *testing.T) {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}
	if len(addrs) == 0 {
		t.Fatal("this host has no address, not even the loopback's")
	}
	k := wanip.KnownNow()
	for _, a := range addrs {
		u := netlink.AddrUpdate{LinkAddress: *a.IPNet, LinkIndex: a.LinkIndex, Flags: a.Flags, Scope: a.Scope, NewAddr: true}
		if k.Addr(u) {
			t.Errorf("%v is news", a)
		}
	}
}

func TestFollowingTheKernelEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- wanip.FollowKernel(ctx, func() {}) }()
	select {
	case err := <-ended:
		t.Fatalf("following ended by itself: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("following does not end with its context")
	}
}

func TestLifetimes(t *testing.T) {
	for seconds, want := range map[int]time.Duration{
		0: 0, 3600: time.Hour, 1<<32 - 1: ever, -1: ever, // the last is the one before where an int has 32 bits
	} {
		if got := wanip.Lifetime(seconds); got != want {
			t.Errorf("%d: %v, want %v", seconds, got, want)
		}
	}
}
