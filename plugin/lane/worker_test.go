package lane_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/plugin/lane"
	"plexha/plugin/pack"
)

var someone = netip.MustParseAddrPort("192.0.2.7:5353")

// server returns a server of CoreDNS that has no sockets.
func server(tb testing.TB, chain plugin.Handler) *dnsserver.Server {
	tb.Helper()
	s, err := dnsserver.NewServer("dns://:53", []*dnsserver.Config{{
		Zone: ".", Plugin: []plugin.Plugin{func(plugin.Handler) plugin.Handler { return chain }},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func packed(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	data, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func question(name string, kind uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, kind) }

func hot() *dns.Msg { return question(hotName, dns.TypeA) }

func unpacked(tb testing.TB, data []byte) *dns.Msg {
	tb.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(data); err != nil {
		tb.Fatalf("%v: %s", err, hex.EncodeToString(data))
	}
	return m
}

func quiet(b *block) lane.Plan {
	ignore := func(string, ...any) {}
	return lane.Plan{Addr: "dns://:53", Routes: routesTo(b), Info: ignore, Warn: ignore}
}

func TestFind(t *testing.T) {
	home, guest := newBlock(t, "192.0.2.1"), newBlock(t, "192.0.2.2")
	routes := lane.NewRoutes(map[string]lane.Block{
		wire("home.example."): home, wire("guest.home.example."): guest, wire("chain.home.example."): nil,
	})
	for name, want := range map[string]lane.Block{
		"home.example.":             home,
		"HOME.example.":             home,
		"plex.home.example.":        home,
		"guest.home.example.":       guest,
		"a.b.c.guest.home.example.": guest,
		"notguest.home.example.":    home,
		"chain.home.example.":       nil,
		"x.chain.home.example.":     nil,
		"example.":                  nil,
		"athome.example.":           nil,
		"home.example.org.":         nil,
		".":                         nil,
		strings.Repeat("a.", 120) + "home.example.":       home,
		strings.Repeat("a.", 114) + "chain.home.example.": nil,
	} {
		var q pack.Question
		if !q.Read(packed(t, question(name, dns.TypeA))) {
			t.Fatalf("%s is not read", name)
		}
		if got := routes.Find(&q); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	var q pack.Question
	q.Read(packed(t, hot()))
	if got := lane.NewRoutes(map[string]lane.Block{".": nil}).Find(&q); got != nil {
		t.Errorf("no block: got %v", got)
	}
	if got := lane.NewRoutes(map[string]lane.Block{"\x00": home}).Find(&q); got != home {
		t.Errorf("the root's block: got %v", got)
	}
}

func TestWorkerAnswersOrHandsOn(t *testing.T) {
	b := newBlock(t, "192.0.2.1")
	chain := &words{say: "chain"}
	desk := lane.NewDesk(quiet(b), server(t, chain), nil)
	defer desk.Close()

	response := hot()
	response.Response = true
	packet := func(m *dns.Msg) lane.Packet { return lane.Packet{Data: packed(t, m), From: someone} }
	answers := desk.Handle(
		packet(hot()),
		packet(question("other.example.", dns.TypeTXT)),
		packet(question(hotName, dns.TypeMX)),
		packet(response),
		lane.Packet{Data: packed(t, hot()), From: netip.AddrPortFrom(someone.Addr(), 0)},
		lane.Packet{From: someone},
		lane.Packet{Data: []byte("eleven byte"), From: someone},
		packet(hot()),
	)
	var answered []int
	for i, a := range answers {
		if len(a) > 0 {
			answered = append(answered, i)
			if m := unpacked(t, a); len(m.Answer) != 1 || !m.Response {
				t.Errorf("answer %d: %v", i, m)
			}
		}
	}
	if diff := cmp.Diff(answered, []int{0, 7}); diff != "" {
		t.Errorf("answered (-got +want):\n%s", diff)
	}
	for range 2 {
		m := unpacked(t, <-desk.Replies)
		if txt, ok := m.Answer[0].(*dns.TXT); !ok || txt.Txt[0] != "chain" || txt.Txt[1] != "*net.UDPAddr 192.0.2.7:5353" || txt.Txt[2] != "192.0.2.53:53" {
			t.Errorf("CoreDNS's reply: %v", m)
		}
	}
	got := fmt.Sprint(desk.Counts())
	if want := "2 2 4 0 0"; got != want {
		t.Errorf("counts: got %q, want %q (answered, handed, ignored, overflow, panics)", got, want)
	}
	if got := b.flushed.Load(); got != 2 {
		t.Errorf("%d answers flushed, want 2", got)
	}
}

// What the library's server refuses without asking the chain must give its room in the hand-off back.
func TestHandOffAnswersAsCoreDNS(t *testing.T) {
	chain := &words{say: "chain"}
	desk := lane.NewDesk(quiet(newBlock(t, "192.0.2.1")), server(t, chain), nil)
	defer desk.Close()
	update := question(hotName, dns.TypeSOA)
	update.Opcode = dns.OpcodeUpdate
	two := packed(t, hot())
	two[5] = 2
	cut := packed(t, hot())[:20]
	for name, c := range map[string]struct {
		packet []byte
		rcode  int
	}{
		"an opcode that nobody has": {packed(t, update), dns.RcodeNotImplemented},
		"two questions":             {two, dns.RcodeFormatError},
		"a cut question":            {cut, dns.RcodeFormatError},
		"another question":          {packed(t, question("other.example.", dns.TypeTXT)), dns.RcodeSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			for range lane.InFlight + 1 {
				desk.Handle(lane.Packet{Data: c.packet, From: someone})
				m := unpacked(t, <-desk.Replies)
				if m.Rcode != c.rcode {
					t.Fatalf("rcode %s, want %s", dns.RcodeToString[m.Rcode], dns.RcodeToString[c.rcode])
				}
			}
		})
	}
}

func TestHandOffIsBounded(t *testing.T) {
	free := make(chan struct{})
	chain := &words{say: "chain", wait: func() { <-free }}
	b := newBlock(t, "192.0.2.1")
	desk := lane.NewDesk(quiet(b), server(t, chain), nil)
	slow := lane.Packet{Data: packed(t, question("slow.example.", dns.TypeTXT)), From: someone}

	const most = lane.InFlight + lane.Queued
	var handed uint64
	for handed < most { // the server reads the queue meanwhile
		desk.Handle(slow)
		_, handed, _, _, _ = desk.Counts()
	}
	desk.Handle(slow, slow)
	if answers := desk.Handle(lane.Packet{Data: packed(t, hot()), From: someone}); len(answers[0]) == 0 {
		t.Error("a question with an answer has none while CoreDNS is too busy")
	}
	_, handed, _, overflow, _ := desk.Counts()
	if handed != most || overflow < 2 {
		t.Errorf("%d handed, %d dropped, want %d and at least the last 2", handed, overflow, most)
	}
	close(free)
	for range most {
		<-desk.Replies
	}
	desk.Close()
	if got := chain.asked.Load(); got != most {
		t.Errorf("CoreDNS was asked %d times, want %d", got, most)
	}
}

// A flood of questions whose upstream never answers fills its own part of the hand-off alone.
func TestHandOffKeepsRoomForOurNames(t *testing.T) {
	free := make(chan struct{})
	chain := &slowOutside{free: free}
	desk := lane.NewDesk(quiet(newBlock(t, "192.0.2.1")), server(t, chain), nil)
	flood := lane.Packet{Data: packed(t, question("slow.example.", dns.TypeTXT)), From: someone}
	for overflow := uint64(0); overflow < 2*lane.Queued; {
		desk.Handle(flood)
		_, _, _, overflow, _ = desk.Counts()
	}
	withOption := question("node.HOME.example.", dns.TypeTXT)
	withOption.SetEdns0(1232, false)
	withOption.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}
	for range 2 * lane.InFlightOwn {
		desk.Handle(lane.Packet{Data: packed(t, withOption), From: someone})
		m := unpacked(t, <-desk.Replies)
		if m.Question[0].Name != "node.HOME.example." {
			t.Fatalf("the reply to another question: %v", m)
		}
	}
	close(free)
	desk.Close()
}

// slowOutside is a plugin that waits with answers to what is not in the block's zone.
type slowOutside struct {
	words
	free chan struct{}
}

func (h *slowOutside) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if !dns.IsSubDomain("home.example.", strings.ToLower(r.Question[0].Name)) {
		<-h.free
	}
	return h.words.ServeDNS(ctx, w, r)
}

// FuzzOwn compares how the names of unusual packets are told with how those of the plain ones are.
func FuzzOwn(f *testing.F) {
	b := newBlock(f, "192.0.2.1")
	routes := lane.NewRoutes(map[string]lane.Block{wire("home.example."): b, wire("chain.home.example."): nil})
	for _, name := range []string{".", "plex.HOME.example.", "x.chain.home.example.", "example.", strings.Repeat("a.", 120) + "home.example."} {
		f.Add(packed(f, question(name, dns.TypeA)))
	}
	f.Add([]byte{})
	f.Add(make([]byte, 12))
	f.Add(append(make([]byte, 12), 0xc0, 0x0c))
	f.Fuzz(func(t *testing.T, packet []byte) {
		got := routes.Own(packet)
		var q pack.Question
		if q.Read(packet) && got != (routes.Find(&q) != nil) {
			t.Errorf("own: %v, found: %v", got, routes.Find(&q))
		}
	})
}

func TestSightsStayOnTheHost(t *testing.T) {
	for at, want := range map[string][]string{
		"127.0.0.53:53":   {"127.0.0.53:53"},
		"[::1]:53":        {"[::1]:53"},
		"[::]:53":         {"127.0.0.1:53", "127.0.0.2:53", "[::1]:53"},
		"0.0.0.0:53":      {"127.0.0.1:53", "127.0.0.2:53", "[::1]:53"},
		"192.0.2.1:53":    nil, // another host's
		"[2001:db8::1]:5": nil,
	} {
		var got []string
		for _, a := range lane.Reachable(netip.MustParseAddrPort(at)) {
			got = append(got, a.String())
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", at, diff)
		}
	}
}

func TestDecoratedWriterHasTheRepliesOfHandOffs(t *testing.T) {
	var wrote int
	desk := lane.NewDesk(quiet(newBlock(t, "192.0.2.1")), server(t, &words{say: "chain"}), func(w dns.Writer) dns.Writer {
		return writerFunc(func(p []byte) (int, error) {
			wrote++
			return w.Write(p)
		})
	})
	defer desk.Close()
	desk.Handle(lane.Packet{Data: packed(t, question("other.example.", dns.TypeTXT)), From: someone})
	<-desk.Replies
	if wrote != 1 {
		t.Errorf("the writer wrote %d replies, want 1", wrote)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestPanicsGoToCoreDNSAndAreSaidOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlock(t, "192.0.2.1")
		b.before = func(netip.Addr) { panic("a defect") }
		var said []string
		plan := quiet(b)
		plan.Warn = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		desk := lane.NewDesk(plan, server(t, &words{say: "chain"}), nil)
		defer desk.Close()
		ask := func() {
			desk.Handle(lane.Packet{Data: packed(t, hot()), From: someone})
			if m := unpacked(t, <-desk.Replies); len(m.Answer) != 1 {
				t.Errorf("CoreDNS's reply: %v", m)
			}
		}
		ask()
		ask()
		time.Sleep(time.Minute)
		ask()
		want := "the fast lane at dns://:53 leaves questions to CoreDNS over a panic: a defect"
		if diff := cmp.Diff(said, []string{want, want}); diff != "" {
			t.Errorf("said (-got +want):\n%s", diff)
		}
		if got, want := fmt.Sprint(desk.Counts()), "0 3 0 0 3"; got != want {
			t.Errorf("counts: got %q, want %q", got, want)
		}
		b.before = func(netip.Addr) {
			b.before = nil
			panic("a defect")
		}
		one := lane.Packet{Data: packed(t, hot()), From: someone}
		answers := desk.Handle(one, one, one)
		if len(answers[0]) != 0 || len(answers[1]) == 0 || len(answers[2]) == 0 {
			t.Errorf("those behind a panic: %x", answers)
		}
		<-desk.Replies
		if answers := desk.Handle(lane.Packet{Data: packed(t, hot()), From: someone}); len(answers[0]) == 0 {
			t.Error("no answer after the panics")
		}
	})
}

func TestWorkerAllocatesNothing(t *testing.T) {
	result := testing.Benchmark(BenchmarkWorker)
	if got := result.AllocsPerOp(); got != 0 {
		t.Errorf("%d allocations for a batch of %d, want 0", got, lane.BatchSize)
	}
}

// BenchmarkWorker measures what a batch of questions costs without the system calls.
func BenchmarkWorker(b *testing.B) {
	desk := lane.NewDesk(quiet(newBlock(b, "192.0.2.1")), server(b, &words{say: "chain"}), nil)
	defer desk.Close()
	m := hot()
	m.SetEdns0(1232, true)
	batch := make([]lane.Packet, lane.BatchSize)
	for i := range batch {
		batch[i] = lane.Packet{Data: packed(b, m), From: someone}
	}
	desk.Spin(b, batch...)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lane.BatchSize), "ns/question")
}
