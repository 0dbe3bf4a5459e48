package wanip_test

import (
	"net/netip"
	"testing"

	"plexha/plugin/wanip"
)

func TestRefusedAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"10.0.0.1":               "10.0.0.1 is a private address (RFC 1918)",
		"172.15.255.255":         "",
		"172.16.0.1":             "172.16.0.1 is a private address (RFC 1918)",
		"172.31.255.255":         "172.31.255.255 is a private address (RFC 1918)",
		"172.32.0.0":             "",
		"192.168.1.2":            "192.168.1.2 is a private address (RFC 1918)",
		"100.63.255.255":         "",
		"100.64.1.1":             "100.64.1.1 is shared between customers: carrier-grade NAT (RFC 6598)",
		"100.127.255.255":        "100.127.255.255 is shared between customers: carrier-grade NAT (RFC 6598)",
		"100.128.0.0":            "",
		"0.0.0.0":                "0.0.0.0 is no address (RFC 1122)",
		"0.0.0.1":                "0.0.0.1 is an address of this network (RFC 791)",
		"127.0.0.1":              "127.0.0.1 is a loopback address (RFC 1122)",
		"169.254.169.254":        "169.254.169.254 is a link-local address (RFC 3927)",
		"192.0.0.2":              "192.0.0.2 is shared between customers: DS-Lite (RFC 7335)",
		"192.0.0.9":              "192.0.0.9 is kept for protocols (RFC 6890)",
		"192.0.1.1":              "",
		"192.0.2.1":              "192.0.2.1 is an address for documentation (RFC 5737)",
		"192.88.99.1":            "192.88.99.1 is an anycast address of 6to4 relays (RFC 7526)",
		"198.17.255.255":         "",
		"198.19.1.1":             "198.19.1.1 is an address for benchmarks (RFC 2544)",
		"198.51.100.7":           "198.51.100.7 is an address for documentation (RFC 5737)",
		"203.0.113.7":            "203.0.113.7 is an address for documentation (RFC 5737)",
		"223.255.255.255":        "",
		"224.0.0.251":            "224.0.0.251 is a multicast address (RFC 5771)",
		"250.1.1.1":              "250.1.1.1 is reserved (RFC 1112)",
		"255.255.255.255":        "255.255.255.255 is the broadcast address (RFC 919)",
		"8.8.8.8":                "",
		"::ffff:10.0.0.1":        "10.0.0.1 is a private address (RFC 1918)",
		"::ffff:8.8.8.8":         "",
		"::":                     ":: is no address (RFC 4291)",
		"::1":                    "::1 is a loopback address (RFC 4291)",
		"::8.8.8.8":              "::808:808 is outside the global unicast addresses, 2000::/3 (RFC 4291)",
		"64:ff9b::808:808":       "64:ff9b::808:808 is an IPv4 address as NAT64 writes it (RFC 6052)",
		"64:ff9b:1::1":           "64:ff9b:1::1 is an IPv4 address as a local NAT64 writes it (RFC 8215)",
		"2001::1":                "2001::1 is a Teredo address (RFC 4380)",
		"2001:1ff::1":            "2001:1ff::1 is kept for protocols (RFC 2928)",
		"2001:200::1":            "",
		"2001:db8::1":            "2001:db8::1 is an address for documentation (RFC 3849)",
		"2001:db9::1":            "",
		"2002:808:808::1":        "2002:808:808::1 is a 6to4 address (RFC 3056)",
		"2a02:8106:1:2::7":       "",
		"3fff:fff::1":            "3fff:fff::1 is an address for documentation (RFC 9637)",
		"3fff:1000::1":           "",
		"4000::1":                "4000::1 is outside the global unicast addresses, 2000::/3 (RFC 4291)",
		"fd12:3456::1":           "fd12:3456::1 is a unique local address (RFC 4193)",
		"fe80::1":                "fe80::1 is a link-local address (RFC 4291)",
		"fe80::1%eth0":           "fe80::1%eth0 has a zone: it is known on one link only",
		"2a02:8106:1:2::7%eth0":  "2a02:8106:1:2::7%eth0 has a zone: it is known on one link only",
		"::ffff:8.8.8.8%eth0":    "::ffff:8.8.8.8%eth0 has a zone: it is known on one link only",
		"ff02::fb":               "ff02::fb is a multicast address (RFC 4291)",
		"2620:4f:8000::42":       "2620:4f:8000::42 is an anycast address of AS112 (RFC 7534)",
		"2001:20:1:2:3:4:5:6":    "2001:20:1:2:3:4:5:6 is an identifier (ORCHIDv2) (RFC 7343)",
		"2001:4860:4802:32::a":   "",
		"2606:4700:4700::1111":   "",
		"2620:119:35::35":        "",
		"fec0::1":                "fec0::1 is a site-local address (RFC 3879)",
		"5f00::1":                "5f00::1 is an identifier of a segment (SRv6) (RFC 9602)",
		"100::1":                 "100::1 is an address whose packets are discarded (RFC 6666)",
		"2001:2::1":              "2001:2::1 is an address for benchmarks (RFC 5180)",
		"2001:2:1::1":            "2001:2:1::1 is kept for protocols (RFC 2928)",
		"2001:1::1":              "2001:1::1 is an anycast address (RFC 7723)",
		"192.31.196.1":           "192.31.196.1 is an anycast address of AS112 (RFC 7535)",
		"192.52.193.1":           "192.52.193.1 is an anycast address of AMT (RFC 7450)",
		"192.175.48.1":           "192.175.48.1 is an anycast address of AS112 (RFC 7534)",
		"2001:30::1":             "2001:30::1 is an identifier of a drone (RFC 9374)",
		"2001:10::1":             "2001:10::1 is an identifier (ORCHID) (RFC 4843)",
		"100:0:0:1::1":           "100:0:0:1::1 is a dummy address (RFC 9780)",
		"2001:4:112::1":          "2001:4:112::1 is an anycast address of AS112 (RFC 7535)",
		"2001:3::1":              "2001:3::1 is an anycast address of AMT (RFC 7450)",
		"2001:4:113::1":          "2001:4:113::1 is kept for protocols (RFC 2928)",
		"2003:e1:1234:5600::1":   "",
		"2a00:1450:4001:80e::8a": "",
	} {
		if got := wanip.IANA.Refuse(netip.MustParseAddr(addr), nil); got != want {
			t.Errorf("%s:\n got %q\nwant %q", addr, got, want)
		}
	}
	if got := wanip.IANA.Refuse(netip.Addr{}, nil); got != "it is no address" {
		t.Errorf("the zero Addr: %q", got)
	}
}

func TestAllowedPrefixesCountAsExternal(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("192.168.178.0/24"), netip.MustParsePrefix("2001:db8:1::/48")}
	for addr, refused := range map[string]bool{
		"192.168.178.20":          false,
		"::ffff:192.168.178.20":   false,
		"192.168.179.20":          true,
		"2001:db8:1::7":           false,
		"2001:db8:2::7":           true,
		"2001:db8:1::7%eth0":      true,
		"8.8.8.8":                 false,
		"fe80::192.168.178.20":    true,
		"::192.168.178.20":        true,
		"2a02:8106:1:2::7":        false,
		"64:ff9b::192.168.178.20": true,
	} {
		if got := wanip.IANA.Refuse(netip.MustParseAddr(addr), allow); (got != "") != refused {
			t.Errorf("%s: %q, want refused = %v", addr, got, refused)
		}
	}
}

func TestAnotherTable(t *testing.T) {
	table := wanip.Table{
		{Prefix: netip.MustParsePrefix("198.51.0.0/16"), Name: "the neighbour's", RFC: "his word"},
		{Prefix: netip.MustParsePrefix("198.51.100.0/24")},
	}
	for addr, want := range map[string]string{
		"198.51.7.1":   "198.51.7.1 is the neighbour's (his word)",
		"198.51.100.1": "",
		"10.0.0.1":     "",
	} {
		if got := table.Refuse(netip.MustParseAddr(addr), nil); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

func TestCarrierGradeNAT(t *testing.T) {
	for addr, want := range map[string]bool{
		"100.64.0.1": true, "::ffff:100.127.0.1": true, "192.0.0.2": true,
		"100.128.0.1": false, "192.0.0.8": false, "10.0.0.1": false, "8.8.8.8": false, "::": false,
	} {
		if got := wanip.IsCGNAT(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if wanip.IsCGNAT(netip.Addr{}) {
		t.Error("the zero Addr is one of carrier-grade NAT")
	}
}

func FuzzRefuse(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "10.0.0.1", "100.64.0.1", "::1", "fe80::1%eth0", "2001:db8::1", "ff02::1", "::ffff:1.2.3.4"} {
		a := netip.MustParseAddr(s)
		f.Add(a.AsSlice(), a.Zone())
	}
	f.Fuzz(func(t *testing.T, b []byte, zone string) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		why := wanip.IANA.Refuse(a, nil)
		a = a.Unmap()
		special := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
		if special && why == "" {
			t.Errorf("%v is not refused", a)
		}
		if wanip.IsCGNAT(a) && why == "" {
			t.Errorf("%v of carrier-grade NAT is not refused", a)
		}
		if why == "" && !a.IsGlobalUnicast() {
			t.Errorf("%v is no global address", a)
		}
		if wanip.IANA.Refuse(a, []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}) != "" {
			t.Errorf("%v is refused though it is allowed", a)
		}
		if zoned := a.WithZone(zone); zoned.Zone() != "" && wanip.IANA.Refuse(zoned, nil) == "" {
			t.Errorf("%v is not refused", zoned)
		}
	})
}
