package board_test

import (
	"fmt"
	"testing"
	"time"

	"plexha/zones"
	"plexha/zones/board"
)

// The steady case: a good verdict on a node that is up, several times a second for each of them.
func BenchmarkReportOK(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			cfg := house(nodes(n))
			bo := board.New(cfg, time.Now())
			last := cfg.Cluster.Nodes[n-1]
			v := board.Verdict{Subject: last.Subject(), Addr: parseAddrs(last.Host)[0], Identity: "1111", At: time.Now()}
			for b.Loop() {
				bo.Report(v)
			}
		})
	}
}

// A change of state with its snapshot.
func BenchmarkReportChange(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			cfg := house(nodes(n), thresholds(1, 1))
			bo := board.New(cfg, time.Now())
			v := board.Verdict{
				Subject: zones.Subject{Name: "plex1"}, Addr: parseAddrs("10.0.0.1")[0], Result: board.OK, At: time.Now(),
			}
			for b.Loop() {
				v.Result ^= board.OK ^ board.Gone
				bo.Report(v)
			}
		})
	}
}
