package plugin_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// askers asks the same question many times at once, without waiting for the answers.
type askers struct {
	sync.WaitGroup
	byAnswer sync.Map // of *atomic.Int64
}

func (a *askers) ask(h *house, n int, text string) {
	for range n {
		a.askFrom(h, inside, text)
	}
}

func (a *askers) askFrom(h *house, client, text string) {
	q := question(h.t, text)
	a.Go(func() {
		answer := words(h.exchange(&test.ResponseWriter{RemoteIP: client}, q))
		count, _ := a.byAnswer.LoadOrStore(answer, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
	})
}

func (a *askers) got(answer string) int64 {
	if count, ok := a.byAnswer.Load(answer); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

func TestManagedNamesWaitForTheFirstRound(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "printer A 192.168.1.9")
	synctest.Test(t, func(t *testing.T) {
		h := coldHouse(t, dir, nil, with(oneProxy, "answer proxies first", "zonefile internal "+zonefile)...)
		for question, want := range map[string]string{
			"printer.home.duckdns.org. A": "192.168.1.9",
			"none.home.duckdns.org. A":    "nxdomain",
			"example.org. A":              "refused",
		} {
			if got := h.ask(inside, question); got != want {
				t.Errorf("%s does not wait: got %s, want %s", question, got, want)
			}
		}
		var waiting askers
		for _, name := range []string{"", "plex.", "plex1."} {
			waiting.ask(h, 1, name+zone+" A")
		}
		synctest.Wait()
		if got := h.Waiting(); got != 3 {
			t.Errorf("%d questions wait, want 3", got)
		}
		h.kill("192.168.1.2:443")
		h.revive("plex2")
		synctest.Wait()
		if got := h.Waiting(); got != 3 {
			t.Errorf("%d questions wait after the first verdicts, want 3: the round has not ended", got)
		}
		h.board.FirstRoundDone(began)
		h.show()
		waiting.Wait()
		// The main name and the apex lead to the node that is up, plex1 to itself.
		if up, own := waiting.got("192.168.1.12"), waiting.got("192.168.1.11"); up != 2 || own != 1 {
			t.Errorf("got %d times the node that is up and %d times plex1 itself, want 2 and 1", up, own)
		}
		if got := h.Waiting(); got != 0 {
			t.Errorf("%d still wait", got)
		}
	})
}

// TestWhoWaitedIsAnsweredFromTheNewZones: while nothing is known every node has its share of the clients. Those
// whose node has turned out dead by the end of the round are spread over the others.
func TestWhoWaitedIsAnsweredFromTheNewZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := coldHouse(t, t.TempDir(), nil, with(twoNodes, "answer nodes spread")...)
		var waiting askers
		const clients = 32
		for i := range clients {
			waiting.askFrom(h, fmt.Sprintf("192.168.1.%d", 100+i), "plex.home.duckdns.org. A")
		}
		synctest.Wait()
		if got := h.Waiting(); got != clients {
			t.Fatalf("%d questions wait, want %d", got, clients)
		}
		h.kill("plex1")
		h.revive("plex2")
		h.board.FirstRoundDone(began)
		h.show()
		waiting.Wait()
		if got := waiting.got("192.168.1.12"); got != clients {
			t.Errorf("%d clients got the node that is up, want %d", got, clients)
		}
	})
}

func TestOnly256Wait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := coldHouse(t, t.TempDir(), nil, oneProxy...)
		var waiting askers
		waiting.ask(h, 256, "plex.home.duckdns.org. A")
		synctest.Wait()
		if got := h.Waiting(); got != 256 {
			t.Errorf("%d questions wait, want 256", got)
		}
		if got := h.ask(inside, "plex.home.duckdns.org. A"); got != "servfail" {
			t.Errorf("the 257th: got %s, want SERVFAIL", got)
		}
		h.board.FirstRoundDone(began)
		h.show()
		waiting.Wait()
		if got := waiting.got("192.168.1.2"); got != 256 {
			t.Errorf("%d of those that waited got the answer, want 256", got)
		}
	})
}

func TestWhoWaitsIsToldWhenTheInstanceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := coldHouse(t, t.TempDir(), nil, oneProxy...)
		var waiting askers
		waiting.ask(h, 2, "plex.home.duckdns.org. A")
		synctest.Wait()
		h.Quit()
		waiting.Wait()
		if got := waiting.got("servfail"); got != 2 {
			t.Errorf("%d got SERVFAIL, want 2", got)
		}
	})
}

// TestAnswersAreCopies changes every answer from many goroutines: with -race, and afterwards, the zone must be
// as it was.
func TestAnswersAreCopies(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "tv CNAME plex", "@ MX 10 printer", "printer A 192.168.1.9", "*.lab A 192.168.1.8",
		"sub NS ns.sub", "ns.sub A 192.168.1.53", "away DNAME example.net.")
	h := newHouseAt(t, dir, nil,
		with(twoNodes, "proxy 192.168.1.2", "proxy 192.168.1.3", "proxy 192.168.1.4", "wildcard", "zonefile internal "+zonefile)...)
	questions := []string{
		"plex.home.duckdns.org. A", "plex.home.duckdns.org. AAAA", "home.duckdns.org. SOA", "home.duckdns.org. NS",
		"home.duckdns.org. MX", "tv.home.duckdns.org. A", "tv.home.duckdns.org. MX", "x.lab.home.duckdns.org. A",
		"anything.home.duckdns.org. A", "_status.plex.home.duckdns.org. TXT", "plex.home.duckdns.org. ANY",
		"_acme-challenge.home.duckdns.org. TXT", "x.sub.home.duckdns.org. A", "x.away.home.duckdns.org. CNAME",
	}
	before := map[string]string{}
	for _, q := range questions {
		before[q] = h.send(inside, question(t, q)).String()
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, q := range questions {
				spoil(h.exchange(&test.ResponseWriter{RemoteIP: inside}, question(t, q)))
			}
		})
	}
	wg.Wait()
	for _, q := range questions {
		again := h.send(inside, question(t, q))
		if got, want := withoutID(again.String()), withoutID(before[q]); got != want {
			t.Errorf("%s has changed:\n%s\nwas\n%s", q, got, want)
		}
	}
}

// spoil changes all that it is given, and appends as `dnssec` does.
func spoil(m *dns.Msg) {
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for _, rr := range *section {
			rr.Header().Name = "spoilt.example."
			rr.Header().Ttl = 4711
			switch rr := rr.(type) {
			case *dns.A:
				rr.A[0] = 66
			case *dns.TXT:
				rr.Txt[0] = "spoilt"
			case *dns.SOA:
				rr.Serial = 66
			case *dns.NS:
				rr.Ns = "spoilt."
			}
		}
		*section = append(*section, &dns.NULL{Hdr: dns.RR_Header{Name: "spoilt.", Rrtype: dns.TypeNULL}})
	}
}
