package plugin_test

import (
	"testing"

	"github.com/miekg/dns"
)

// tcpAddr is where the server listens for connections.
func (s *server) tcpAddr() string {
	for _, l := range s.instance.Servers() {
		if a := l.Addr(); a != nil {
			return a.String()
		}
	}
	s.t.Fatal("the server listens for no connections")
	return ""
}

// TestTwoBlocksInAServerBlock: CoreDNS tells cache and transfer of one of them.
func TestTwoBlocksInAServerBlock(t *testing.T) {
	one, two := startNode(t, "127.0.1.1"), startNode(t, "127.0.1.2")
	s := startServer(t, `home.duckdns.org:0 example.org:0 {
	bind 127.0.0.1
	cache 3600
	transfer {
		to *
	}
	plex home.duckdns.org {
		node plex1 `+one.addr+`
		ns   ns1 203.0.113.53
		lane off
		`+chainViews+`
	}
	plex example.org {
		node plex1 `+two.addr+`
		ns   ns1 203.0.113.54
		lane off
		`+chainViews+`
	}
	errors
}
`)
	for range 3 {
		for question, want := range map[string]struct{ inside, outside string }{
			"plex.home.duckdns.org. A": {"127.0.1.1", "203.0.113.7"},
			"plex.example.org. A":      {"127.0.1.2", "203.0.113.7"},
		} {
			if got := s.says(insideLo, question); got != want.inside {
				t.Errorf("%s inside: got %s, want %s", question, got, want.inside)
			}
			if got := s.says(outsideLo, question); got != want.outside {
				t.Errorf("%s outside: got %s, want %s", question, got, want.outside)
			}
		}
	}
	for _, origin := range []string{"home.duckdns.org.", "example.org."} {
		records := 0
		ch, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr(origin), s.tcpAddr())
		if err != nil {
			t.Fatal(err)
		}
		for envelope := range ch {
			if envelope.Error != nil {
				t.Errorf("transferring %s: %v", origin, envelope.Error)
			}
			records += len(envelope.RR)
		}
		if records < 5 {
			t.Errorf("transferring %s: %d records", origin, records)
		}
	}
}

// TestReadyIsThatOfAllBlocks of a server block.
func TestReadyIsThatOfAllBlocks(t *testing.T) {
	ready := newHouse(t, twoNodes...)
	cold := coldHouse(t, t.TempDir(), nil, with(oneProxy, "keys example.org")...)
	ready.Beside(cold.Plex)
	if ready.Ready() {
		t.Error("ready before the other block is")
	}
	cold.board.FirstRoundDone(began)
	cold.show()
	if !ready.Ready() {
		t.Error("not ready, though all blocks are")
	}
}
