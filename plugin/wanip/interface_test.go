package wanip_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

const ever = time.Duration(1<<63 - 1)

func host(addr string, lasts time.Duration, flags ...wanip.AddrFlags) wanip.HostAddr {
	a := wanip.HostAddr{Addr: netip.MustParseAddr(addr), Index: 2, Preferred: lasts}
	for _, f := range flags {
		a.Flags |= f
	}
	return a
}

func TestIPv6OfThisHost(t *testing.T) {
	for _, tc := range []struct {
		name  string
		addrs []wanip.HostAddr
		want  string
	}{
		{"the only one", []wanip.HostAddr{host("2a02:8106::7", time.Hour)}, "2a02:8106::7"},
		{"none", nil, "invalid IP"},
		{
			"no unique local, link-local or IPv4 one",
			[]wanip.HostAddr{host("fd12::7", ever, wanip.Permanent), host("fe80::7", ever, wanip.Permanent), host("8.8.4.4", ever)},
			"invalid IP",
		},
		{
			"a temporary one never, though it lasts longer",
			[]wanip.HostAddr{host("2a02:8106::bad", ever, wanip.Temporary), host("2a02:8106::7", time.Hour, wanip.ManageTempAddr)},
			"2a02:8106::7",
		},
		{"a temporary one never, though alone", []wanip.HostAddr{host("2a02:8106::bad", time.Hour, wanip.Temporary)}, "invalid IP"},
		{"a deprecated one never", []wanip.HostAddr{host("2a02:8106::bad", 0, wanip.Deprecated|wanip.StablePrivacy)}, "invalid IP"},
		{"a tentative one never", []wanip.HostAddr{host("2a02:8106::bad", ever, wanip.Tentative|wanip.Permanent)}, "invalid IP"},
		{"one that another host has never", []wanip.HostAddr{host("2a02:8106::bad", ever, wanip.DadFailed|wanip.Permanent)}, "invalid IP"},
		{
			"stable for privacy before one that lasts longer",
			[]wanip.HostAddr{host("2a02:8106::8", 2*time.Hour), host("2a02:8106::7", time.Hour, wanip.StablePrivacy)},
			"2a02:8106::7",
		},
		{
			"permanent before one that lasts as long",
			[]wanip.HostAddr{host("2a02:8106::1", ever), host("2a02:8106::7", ever, wanip.Permanent)},
			"2a02:8106::7",
		},
		{
			"of two prefixes that which lasts longer",
			[]wanip.HostAddr{host("2a02:8106:1::7", time.Hour, wanip.StablePrivacy), host("2a02:8106:2::7", 2*time.Hour, wanip.StablePrivacy)},
			"2a02:8106:2::7",
		},
		{
			"of two that are alike the lower, whatever their order",
			[]wanip.HostAddr{host("2a02:8106::9", ever, wanip.Permanent), host("2a02:8106::7", ever, wanip.Permanent)},
			"2a02:8106::7",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wanip.ChooseIPv6(tc.addrs, netip.Addr{}); got.String() != tc.want {
				t.Errorf("%v, want %s", got, tc.want)
			}
			slices.Reverse(tc.addrs)
			if got := wanip.ChooseIPv6(tc.addrs, netip.Addr{}); got.String() != tc.want {
				t.Errorf("%v, want %s, in the other order", got, tc.want)
			}
		})
	}
}

func TestIPv6StaysWhileItIsAboutAsGood(t *testing.T) {
	old, fresh := netip.MustParseAddr("2a02:8106:1::7"), netip.MustParseAddr("2a02:8106:2::7")
	for _, tc := range []struct {
		name  string
		addrs []wanip.HostAddr
		want  netip.Addr
	}{
		{
			"two prefixes that are refreshed in turn",
			[]wanip.HostAddr{host(old.String(), 1700*time.Second), host(fresh.String(), 1800*time.Second)},
			old,
		},
		{
			"a prefix that is not refreshed any more",
			[]wanip.HostAddr{host(old.String(), 800*time.Second), host(fresh.String(), 1800*time.Second)},
			fresh,
		},
		{
			"a prefix that was taken back",
			[]wanip.HostAddr{host(old.String(), 0, wanip.Deprecated), host(fresh.String(), 1800*time.Second)},
			fresh,
		},
		{"an address that is gone", []wanip.HostAddr{host(fresh.String(), 1800*time.Second)}, fresh},
		{
			"a stable address beside it",
			[]wanip.HostAddr{host(old.String(), ever), host(fresh.String(), 1800*time.Second, wanip.StablePrivacy)},
			fresh,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wanip.ChooseIPv6(tc.addrs, old); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestIPv4OfAnInterface(t *testing.T) {
	for _, tc := range []struct {
		name  string
		addrs []wanip.HostAddr
		want  string
	}{
		{"the only one", []wanip.HostAddr{host("8.8.4.4", ever)}, "8.8.4.4"},
		{"the first", []wanip.HostAddr{host("8.8.4.4", ever), host("8.8.8.8", ever)}, "8.8.4.4"},
		{"one that is not secondary", []wanip.HostAddr{host("8.8.4.4", ever, wanip.Secondary), host("8.8.8.8", ever)}, "8.8.8.8"},
		{"an external one beside the modem's", []wanip.HostAddr{host("192.168.100.2", ever), host("8.8.4.4", ever, wanip.Secondary)}, "8.8.4.4"},
		{"carrier-grade NAT's beside the modem's", []wanip.HostAddr{host("192.168.100.2", ever), host("100.64.1.1", ever)}, "100.64.1.1"},
		{"an external one beside carrier-grade NAT's", []wanip.HostAddr{host("100.64.1.1", ever), host("8.8.4.4", ever)}, "8.8.4.4"},
		{"a private one alone, for the judge to refuse", []wanip.HostAddr{host("10.0.0.2", ever), host("2a02:8106::7", ever)}, "10.0.0.2"},
		{"none of its family", []wanip.HostAddr{host("2a02:8106::7", ever)}, "invalid IP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := wanip.ChooseIPv4(tc.addrs, netip.Addr{}).String(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// loopback returns the interface that every host has.
func loopback(t *testing.T) net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 })
	if i < 0 {
		t.Fatal("no loopback interface that is up")
	}
	return all[i]
}

func TestInterface(t *testing.T) {
	lo := loopback(t).Name
	source := wanip.InterfaceSource(lo)
	if source.Name != "interface "+lo || source.Interface != lo || source.Nature != wanip.Host || !source.Secure {
		t.Errorf("source %q for %q of nature %v, secure %v", source.Name, source.Interface, source.Nature, source.Secure)
	}
	for _, f := range zones.Families() {
		if got := words(source.Ask(t.Context(), via.Path{}, f)); got != "nothing" {
			t.Errorf("the loopback interface has an %v address for others: %s", f, got)
		}
		got := words(wanip.InterfaceSource("plexha-none").Ask(t.Context(), via.Path{}, f))
		if want := `error: this host has no interface "plexha-none"`; got != want {
			t.Errorf("an interface that is missing: %s, want %s", got, want)
		}
	}
}

func TestIPv6ByAPath(t *testing.T) {
	if got := words(wanip.HostIPv6(via.Path{Interface: loopback(t).Name})); got != "nothing" {
		t.Errorf("by the loopback interface: %s", got)
	}
	got := words(wanip.HostIPv6(via.Path{Interface: "plexha-none"}))
	if want := `error: this host has no interface "plexha-none"`; got != want {
		t.Errorf("by an interface that is missing: %s, want %s", got, want)
	}
	addr, err := wanip.HostIPv6(via.Path{})
	if err == nil && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		t.Errorf("by the routing table: %v", addr)
	}
}

// What the kernel tells by netlink is what the standard library knows, loopback and link-local addresses apart.
func TestAddressesOfThisHost(t *testing.T) {
	addrs, err := wanip.HostAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ifc, err := net.InterfaceByIndex(a.Index)
		if err != nil {
			t.Errorf("%v is of an interface that is unknown: %v", a.Addr, err)
			continue
		}
		known, err := ifc.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(known, func(k net.Addr) bool { return netip.MustParsePrefix(k.String()).Addr().Unmap() == a.Addr }) {
			t.Errorf("%v is no address of %s: %v", a.Addr, ifc.Name, known)
		}
		if a.Addr.IsLoopback() || a.Addr.IsLinkLocalUnicast() {
			t.Errorf("%v is known on one link only", a.Addr)
		}
	}
}
