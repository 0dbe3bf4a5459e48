package wanip_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/plugin/wanip"
	"plexha/zones"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func TestWhatIsPublished(t *testing.T) {
	v4, v6 := netip.MustParseAddr(home), netip.MustParseAddr("2001:db8:1:2::7")
	suffix := func(s string, bits int) corefile.UplinkDetect {
		return corefile.UplinkDetect{Name: "wan", Suffix: netip.MustParseAddr(s), Bits: bits}
	}
	for _, tc := range []struct {
		name  string
		offer wanip.Offer
		want  []netip.Addr
		why   string
	}{
		{"nothing is known", wanip.Offer{}, nil, ""},
		{"IPv4 leads to the router", wanip.Offer{IPv4: v4}, addrs(home), ""},
		{"this host's IPv6 address, if it is a proxy", wanip.Offer{IPv4: v4, IPv6: v6, Proxy: true}, addrs(home, "2001:db8:1:2::7"), ""},
		{
			"else none, with the reason",
			wanip.Offer{Uplink: corefile.UplinkDetect{Name: "wan"}, IPv4: v4, IPv6: v6},
			addrs(home),
			"no IPv6 address is published: 2001:db8:1:2::7 leads to this host, and no `proxy` address is this host's: " +
				"write `uplink wan auto ipv6` with a proxy's address, with its lower half as ::SUFFIX, or with off",
		},
		{"no IPv6 is no reason", wanip.Offer{IPv4: v4, Proxy: false}, addrs(home), ""},
		{"a given IPv6 address", wanip.Offer{Given: addrs("2001:db8::1"), IPv4: v4}, addrs("2001:db8::1", home), ""},
		{"the detected prefix with a suffix", wanip.Offer{Uplink: suffix("::10", 64), IPv6: v6}, addrs("2001:db8:1:2::10"), ""},
		{"a suffix, though this host is a proxy", wanip.Offer{Uplink: suffix("::10", 64), IPv6: v6, Proxy: true}, addrs("2001:db8:1:2::10"), ""},
		{"a prefix of 56 bits", wanip.Offer{Uplink: suffix("::ff03:0:0:0:10", 56), IPv6: v6}, addrs("2001:db8:1:3::10"), ""},
		{"a prefix of 57 bits", wanip.Offer{Uplink: suffix("::ffff:0:0:0:10", 57), IPv6: netip.MustParseAddr("2001:db8:1:80::7")}, addrs("2001:db8:1:ff::10"), ""},
		{"ipv6 off", wanip.Offer{Uplink: corefile.UplinkDetect{NoIPv6: true}, IPv4: v4, IPv6: v6, Proxy: true}, addrs(home), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, why := tc.offer.Publish()
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if why != tc.why {
				t.Errorf("why no IPv6: %q, want %q", why, tc.why)
			}
		})
	}
}

func TestWhetherThisHostIsAProxy(t *testing.T) {
	snap := &zones.Snapshot{HostAddrs: addrs("192.168.1.5", "2001:db8::5")}
	for _, tc := range []struct {
		name    string
		proxies []string // of one proxy
		want    bool
	}{
		{"one of its addresses is this host's", []string{"192.168.1.2:443", "[2001:db8::5]:443"}, true},
		{"none is", []string{"192.168.1.2:443"}, false},
		{"a trial on one machine", []string{"127.0.0.1:8443"}, true},
		{"no proxy", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p zones.Proxy
			for _, a := range tc.proxies {
				p.Addrs = append(p.Addrs, netip.MustParseAddrPort(a))
			}
			if got := wanip.IsProxy(snap, []zones.Proxy{p}); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
