package zones_test

import (
	"fmt"
	"net/netip"
	"testing"

	"plexha/zones"
)

// A change compiles every variant of the internal view once.
func BenchmarkRecords(b *testing.B) {
	for _, n := range []int{2, 64} {
		for name, w := range map[string]*world{
			"spread":  cluster(nodes(numbered(n)...), uplinks("wan")),
			"proxies": cluster(nodes(numbered(n)...), proxies("proxy1", "proxy2"), uplinks("wan")),
		} {
			b.Run(fmt.Sprintf("%s/nodes=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				variant := w.Spreader().Variants()[0]
				for b.Loop() {
					w.Records(zones.Internal, variant)
				}
			})
		}
	}
}

// BenchmarkSplit is what a change costs that every variant feels.
func BenchmarkSplit(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			w := cluster(nodes(numbered(n)...), uplinks("wan"))
			b.ReportAllocs()
			for b.Loop() {
				w.Split(zones.Internal)
			}
		})
	}
}

// BenchmarkSpreaderPick picks for a client that asks often, and for ever new ones.
func BenchmarkSpreaderPick(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			sp := cluster(nodes(numbered(n)...)).Spreader()
			client := netip.MustParseAddr("192.168.1.77")
			for b.Loop() {
				sp.Pick(zones.Network(client))
			}
		})
		b.Run(fmt.Sprintf("nodes=%d/new", n), func(b *testing.B) {
			b.ReportAllocs()
			sp := cluster(nodes(numbered(n)...)).Spreader()
			client := netip.MustParseAddr("10.0.0.0")
			for b.Loop() {
				sp.Pick(zones.Network(client))
				client = client.Next()
			}
		})
	}
}

func BenchmarkViewsOf(b *testing.B) {
	p := zones.Prefixes{
		Private: true, Onlink: true,
		External: parsePrefixes("192.168.50.0/24", "fd12:3456:0:50::/64"),
	}
	v := p.Compile(parsePrefixes("192.168.1.0/24", "2001:db8:1::/64"))
	for _, client := range []string{"192.168.1.77", "203.0.113.9", "2001:db8:1::77"} {
		b.Run(client, func(b *testing.B) {
			b.ReportAllocs()
			addr := netip.MustParseAddr(client)
			for b.Loop() {
				v.Of(addr)
			}
		})
	}
}
