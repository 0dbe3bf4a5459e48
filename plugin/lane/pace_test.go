package lane_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/lane"
)

// A worker lets packets gather where they rush in, but not where that would only keep clients waiting, and seldom keeps
// others on its CPU waiting for longer than a turn.
func TestWorkerNapsWhereItPays(t *testing.T) {
	ours := lane.Packet{Data: packed(t, hot()), From: someone}
	others := lane.Packet{Data: packed(t, question("other.example.", dns.TypeTXT)), From: someone}
	for _, c := range []struct {
		name        string
		stream      *lane.Stream
		least, most int // naps in 0.4 s
		gets        int // packets in it, at least
	}{
		{"now and then", &lane.Stream{Packet: ours, Rate: 1_000}, 0, 0, 399},
		{"often", &lane.Stream{Packet: ours, Rate: 90_000}, 0, 0, 35_900},
		{"a rush", &lane.Stream{Packet: ours, Rate: 300_000}, 2_500, 3_500, 119_000},
		{"a rush for CoreDNS", &lane.Stream{Packet: others, Rate: 110_000}, 0, 2, 43_000},
		// Naps that bring less than there was before are only tried: in a fifth of the time.
		{"four at a time", &lane.Stream{Packet: ours, Window: 4, Away: 20 * time.Microsecond}, 100, 700, 65_000},
		{"32 at a time", &lane.Stream{Packet: ours, Window: 32, Away: 20 * time.Microsecond}, 100, 700, 500_000},
		{"as many, but busy", &lane.Stream{Packet: ours, Window: 32, Away: 95 * time.Microsecond}, 2_500, 3_500, 115_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.stream
				got := s.Run(quiet(newBlock(t, "192.0.2.1")), server(t, &words{say: "chain"}), 400*time.Millisecond)
				if s.Naps < c.least || s.Naps > c.most {
					t.Errorf("%d naps, want %d to %d", s.Naps, c.least, c.most)
				}
				if got < c.gets {
					t.Errorf("%d packets, want at least %d", got, c.gets)
				}
				if longest := lane.TurnTime + 2*lane.NapTime; s.Longest > longest {
					t.Errorf("others had to wait for %v, want %v at most", s.Longest, longest)
				}
			})
		})
	}
}
