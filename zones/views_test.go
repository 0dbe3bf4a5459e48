package zones_test

import (
	"net/netip"
	"testing"

	"plexha/zones"
)

// words is what holds without an `internal` line.
var words = zones.Prefixes{Private: true, Onlink: true}

func TestViewOfAClient(t *testing.T) {
	guests := zones.Prefixes{
		Private: true, Onlink: true,
		Internal: parsePrefixes("192.168.50.8/32", "2001:db8:1::/48"),
		External: parsePrefixes("192.168.50.0/24", "fd12:0:0:50::/64", "2001:db8:1:50::/64"),
	}
	listed := zones.Prefixes{Internal: parsePrefixes("192.168.1.0/24", "fd12:3456::/48")}
	for _, tc := range []struct {
		name     string
		prefixes zones.Prefixes
		onlink   []string
		client   string
		want     zones.View
	}{
		{"RFC 1918, 10/8", words, nil, "10.255.255.255", zones.Internal},
		{"RFC 1918, 172.16/12", words, nil, "172.31.0.1", zones.Internal},
		{"after 172.16/12", words, nil, "172.32.0.1", zones.External},
		{"RFC 1918, 192.168/16", words, nil, "192.168.77.1", zones.Internal},
		{"link-local", words, nil, "169.254.1.1", zones.Internal},
		{"ULA", words, nil, "fd12:3456::1", zones.Internal},
		{"link-local, IPv6, with its zone", words, nil, "fe80::1%eth0", zones.Internal},
		{"loopback", words, nil, "127.0.0.1", zones.Internal},
		{"loopback, IPv6", words, nil, "::1", zones.Internal},
		{"the world", words, nil, "203.0.113.9", zones.External},
		{"the world, IPv6", words, nil, "2001:db8::9", zones.External},
		{"unspecified", words, nil, "0.0.0.0", zones.External},
		{"IPv4 in IPv6", words, nil, "::ffff:192.168.1.7", zones.Internal},
		{"IPv4 in IPv6, the world", words, nil, "::ffff:203.0.113.9", zones.External},
		{"100.64/10", words, nil, "100.64.0.1", zones.External},
		{"100.64/10 on-link is not ours", words, []string{"100.64.0.0/10", "100.100.1.0/24"}, "100.100.1.1", zones.External},
		{"100.64/10 listed", zones.Prefixes{Internal: parsePrefixes("100.64.0.0/10")}, nil, "100.64.0.1", zones.Internal},
		{"on-link", words, []string{"2001:db8:7::/64"}, "2001:db8:7::1", zones.Internal},
		{"on-link, with host bits", words, []string{"2001:db8:7::1/64"}, "2001:db8:7::2", zones.Internal},
		{"beside on-link", words, []string{"2001:db8:7::/64"}, "2001:db8:7:1::1", zones.External},
		{
			"on-link without the word",
			zones.Prefixes{Private: true},
			[]string{"2001:db8:7::/64"},
			"2001:db8:7::1", zones.External,
		},

		{"a list replaces the words", listed, nil, "192.168.2.1", zones.External},
		{"in the list", listed, nil, "192.168.1.1", zones.Internal},
		{"in the list, IPv6", listed, nil, "fd12:3456::1", zones.Internal},
		{"loopback stays internal", listed, nil, "127.0.0.1", zones.Internal},
		{"loopback stays internal, IPv6", listed, nil, "::1", zones.Internal},
		{
			"IPv4 in IPv6 in the list",
			zones.Prefixes{Internal: parsePrefixes("::ffff:203.0.113.0/120")},
			nil, "203.0.113.7", zones.Internal,
		},

		{"a guest network", guests, nil, "192.168.50.7", zones.External},
		{"one in the guest network", guests, nil, "192.168.50.8", zones.Internal},
		{"beside the guest network", guests, nil, "192.168.51.8", zones.Internal},
		{"a guest network, IPv6", guests, nil, "fd12:0:0:50::1", zones.External},
		{"a guest network in what is listed", guests, nil, "2001:db8:1:50::1", zones.External},
		{"beside it", guests, nil, "2001:db8:1:51::1", zones.Internal},
		{
			"loopback listed external",
			zones.Prefixes{External: parsePrefixes("127.0.0.0/8")},
			nil, "127.0.0.1", zones.External,
		},
		{
			"part of loopback listed external",
			zones.Prefixes{External: parsePrefixes("127.9.9.0/24")},
			nil, "127.9.9.9", zones.External,
		},
		{
			"a private prefix listed external",
			zones.Prefixes{Private: true, External: parsePrefixes("10.0.0.0/8")},
			nil, "10.1.1.1", zones.External,
		},
		{
			"on-link listed external",
			zones.Prefixes{Onlink: true, External: parsePrefixes("2001:db8:7::/64")},
			[]string{"2001:db8:7::/64"},
			"2001:db8:7::1", zones.External,
		},
		{
			"everything listed external but loopback",
			zones.Prefixes{External: parsePrefixes("0.0.0.0/0")},
			nil, "127.0.0.1", zones.Internal,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := tc.prefixes.Compile(parsePrefixes(tc.onlink...))
			if got := v.Of(netip.MustParseAddr(tc.client)); got != tc.want {
				t.Errorf("%s is %s, want %s", tc.client, got, tc.want)
			}
		})
	}
}

func TestZeroViewsAreExternal(t *testing.T) {
	var v zones.Views
	if got := v.Of(netip.MustParseAddr("127.0.0.1")); got != zones.External {
		t.Errorf("got %s, want external", got)
	}
	if got := words.Compile(nil).Of(netip.Addr{}); got != zones.External {
		t.Errorf("no address: got %s, want external", got)
	}
}

// A prefix is internal only if it lies wholly inside an internal prefix with no external one within it; /0
// counts as none.
func TestViewOfAClientSubnet(t *testing.T) {
	guests := zones.Prefixes{
		Internal: parsePrefixes("192.168.0.0/16", "192.168.50.64/26", "fd12::/48"),
		External: parsePrefixes("192.168.50.0/24", "fd12:0:0:50::/64"),
	}
	for _, tc := range []struct {
		name   string
		subnet string
		want   zones.View
	}{
		{"inside", "192.168.1.0/24", zones.Internal},
		{"one address inside", "192.168.1.7/32", zones.Internal},
		{"half of it, beside the external one", "192.168.128.0/17", zones.Internal},
		{"the other half", "192.168.0.0/17", zones.External},
		{"the internal prefix with an external one within", "192.168.0.0/16", zones.External},
		{"part of it that holds the external one", "192.168.48.0/20", zones.External},
		{"part of it beside the external one", "192.168.52.0/22", zones.Internal},
		{"the external one", "192.168.50.0/24", zones.External},
		{"inside the external one", "192.168.50.0/26", zones.External},
		{"inside the internal one within the external one", "192.168.50.64/27", zones.Internal},
		{"wider than the internal prefix", "192.0.0.0/8", zones.External},
		{"outside", "203.0.113.0/24", zones.External},
		{"length 0", "0.0.0.0/0", zones.External},
		{"length 0, IPv6", "::/0", zones.External},
		{"loopback", "127.0.0.0/8", zones.Internal},
		{"wider than loopback", "126.0.0.0/7", zones.External},
		{"IPv6 inside", "fd12::/56", zones.External},
		{"IPv6 inside, beside the external one", "fd12:0:0:100::/56", zones.Internal},
		{"IPv6 wider", "fd12::/32", zones.External},
		{"IPv4 in IPv6 inside", "::ffff:192.168.1.0/120", zones.Internal},
		{"IPv4 in IPv6, external", "::ffff:192.168.50.0/120", zones.External},
		{"all of IPv4 in IPv6", "::ffff:0.0.0.0/96", zones.External},
		{"host bits are set", "192.168.1.7/24", zones.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := guests.Compile(nil).OfPrefix(netip.MustParsePrefix(tc.subnet)); got != tc.want {
				t.Errorf("%s is %s, want %s", tc.subnet, got, tc.want)
			}
		})
	}
	t.Run("no prefix", func(t *testing.T) {
		if got := guests.Compile(nil).OfPrefix(netip.Prefix{}); got != zones.External {
			t.Errorf("got %s, want external", got)
		}
	})
	t.Run("length 0 though all is internal", func(t *testing.T) {
		all := zones.Prefixes{Internal: parsePrefixes("0.0.0.0/0")}
		if got := all.Compile(nil).OfPrefix(netip.MustParsePrefix("0.0.0.0/0")); got != zones.External {
			t.Errorf("got %s, want external", got)
		}
	})
	t.Run("two halves are not one prefix", func(t *testing.T) {
		halves := zones.Prefixes{Internal: parsePrefixes("198.51.100.0/25", "198.51.100.128/25")}
		if got := halves.Compile(nil).OfPrefix(netip.MustParsePrefix("198.51.100.0/24")); got != zones.External {
			t.Errorf("got %s, want external", got)
		}
	})
}

// Views of all addresses of a network agree with the network's, or the network counts as external.
func TestSubnetAgreesWithItsClients(t *testing.T) {
	v := zones.Prefixes{
		Internal: parsePrefixes("10.0.0.0/26", "10.0.0.16/29"), External: parsePrefixes("10.0.0.8/30", "10.0.0.20/32"),
	}.Compile(nil)
	for bits := 25; bits <= 32; bits++ {
		for p := netip.MustParsePrefix("10.0.0.0/24"); p.Overlaps(netip.MustParsePrefix("10.0.0.0/25")); {
			p = netip.PrefixFrom(p.Addr(), bits)
			inside := true
			next := p.Addr()
			for ; p.Contains(next); next = next.Next() {
				inside = inside && v.Of(next) == zones.Internal
			}
			if got := v.OfPrefix(p) == zones.Internal; got != inside {
				t.Errorf("%s internal: %v, want %v", p, got, inside)
			}
			p = netip.PrefixFrom(next, bits)
		}
	}
}
