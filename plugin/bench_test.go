package plugin_test

import (
	"fmt"
	"testing"

	"github.com/coredns/coredns/plugin/test"
)

func BenchmarkServeDNS(b *testing.B) {
	h := newHouse(b, oneProxy...)
	w := &test.ResponseWriter{RemoteIP: inside}
	for _, text := range []string{
		"plex.home.duckdns.org. A", "plex.home.duckdns.org. AAAA", "none.home.duckdns.org. A", "home.duckdns.org. SOA",
	} {
		q := question(b, text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.ServeDNS(b.Context(), w, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCompile is what a change of health costs until the new answers are served.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{2, 64} {
		lines := []string{"internal 192.168.1.0/24", "uplink wan 203.0.113.7"}
		for i := range n {
			lines = append(lines, fmt.Sprintf("node plex%d 192.168.1.%d", i+1, i+100))
		}
		h := newHouse(b, lines...)
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			for b.Loop() {
				h.show()
			}
		})
	}
}
