package plugin_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// hot holds the questions of a house that is asked a lot.
var hot = []string{
	"plex.home.duckdns.org. A", "plex.home.duckdns.org. AAAA", "PLEX2.home.duckdns.org. A", "home.duckdns.org. SOA",
	"home.duckdns.org. NS", "_status.home.duckdns.org. TXT", "none.home.duckdns.org. A", "a.lab.home.duckdns.org. A",
}

// hotHouse has an answer for each of them.
func hotHouse(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	return newHouseAt(t, dir, nil, with(oneProxy, "proxy 192.168.1.3", "zonefile internal "+file(t, dir, "zone", "*.lab A 192.168.1.99"))...)
}

// plainly returns a question as a lane has it.
func plainly(t testing.TB, q *dns.Msg) *pack.Question {
	t.Helper()
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var out pack.Question
	if !out.Read(packet) {
		t.Fatalf("%s: not a plain question", q.Question[0].String())
	}
	return &out
}

// BenchmarkAnswer is what an answer costs that a lane gives, without its sockets.
func BenchmarkAnswer(b *testing.B) {
	h := hotHouse(b)
	for _, text := range hot {
		b.Run(text, func(b *testing.B) { h.benchmarkAnswer(b, plainly(b, question(b, text).SetEdns0(1232, false))) })
	}
}

// BenchmarkAnswerSpread has a variant for each node.
func BenchmarkAnswerSpread(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		h := newHouse(b, numbered(n)...)
		q := plainly(b, question(b, "plex.home.duckdns.org. A"))
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) { h.benchmarkAnswer(b, q) })
	}
}

func (h *house) benchmarkAnswer(b *testing.B, q *pack.Question) {
	b.ReportAllocs()
	t := h.Tally("dns://:53")
	addr := netip.MustParseAddr(inside)
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		if h.Answer(buf, q, addr, t) == nil {
			b.Fatal("left to CoreDNS")
		}
		t.Flush()
	}
}

// BenchmarkServeDNS is what an answer costs that CoreDNS asks us for, with a plugin in front that must see messages.
func BenchmarkServeDNS(b *testing.B) {
	h := hotHouse(b)
	w := &test.ResponseWriter{RemoteIP: inside}
	for _, text := range hot {
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

// numbered are the lines of a house with that many nodes, over which its clients are spread.
func numbered(nodes int) []string {
	lines := []string{"internal 192.168.1.0/24", "uplink wan 203.0.113.7"}
	for i := range nodes {
		lines = append(lines, fmt.Sprintf("node plex%d 192.168.1.%d", i+1, i+100))
	}
	return lines
}

// BenchmarkCompile is what a change of health costs until the new answers are served to one client, by the number of
// nodes and that of names in a zone file.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) { newHouse(b, numbered(n)...).benchmarkFlaps(b) })
	}
	for _, n := range []int{10, 1_000, 100_000} {
		dir := b.TempDir()
		var zone strings.Builder
		for i := range n {
			fmt.Fprintf(&zone, "host%d A 192.168.%d.%d\n", i, i/250%250, i%250+1)
		}
		lines := with(numbered(2), "zonefile internal "+file(b, dir, "zone", zone.String()))
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) { newHouseAt(b, dir, nil, lines...).benchmarkFlaps(b) })
	}
}

// benchmarkFlaps orders a node down and up.
func (h *house) benchmarkFlaps(b *testing.B) {
	b.ReportAllocs()
	q := plainly(b, question(b, "plex.home.duckdns.org. A"))
	tally, addr := h.Tally("dns://:53"), netip.MustParseAddr(inside)
	for b.Loop() {
		h.flap("plex1")
		if h.Answer(nil, q, addr, tally) == nil {
			b.Fatal("left to CoreDNS")
		}
	}
}

// BenchmarkSettled is what a change costs that touches no record, such as one of an order's words.
func BenchmarkSettled(b *testing.B) {
	h := newHouse(b, numbered(64)...)
	b.ReportAllocs()
	for b.Loop() {
		h.show()
	}
}
