package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// sound is a name server for a home that answers as it should.
type sound struct {
	home   *home
	serial uint32
}

func (s *sound) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name, qtype := q.Question[0].Name, q.Question[0].Qtype
	label := strings.TrimSuffix(strings.ToLower(name), homeZone)
	soa := rr("%s 10 SOA ns1.%[1]s hostmaster.%[1]s %d 300 60 1209600 10", homeZone, s.serial)
	least, at := s.home.expected(label, qtype)
	switch {
	case strings.HasPrefix(label, "missing"):
		m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
	case least == 0:
		m.Ns = []dns.RR{soa}
	case qtype == dns.TypeSOA:
		soa.Header().Name = name
		m.Answer = []dns.RR{soa}
	case at != nil:
		for _, a := range at {
			m.Answer = append(m.Answer, rr("%s 10 A %s", name, a))
		}
	default:
		data := map[uint16]string{dns.TypeNS: "ns1", dns.TypeAAAA: "fd12:3456::20", dns.TypeTXT: "text"}
		m.Answer = []dns.RR{rr("%s 10 %s %s", name, dns.TypeToString[qtype], data[qtype])}
	}
	return m
}

func rr(format string, args ...any) dns.RR {
	r, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err)
	}
	return r
}

// serve answers over UDP on loopback until the test ends. What answer returns nil for stays without an answer.
func serve(t *testing.T, answer func(*dns.Msg) *dns.Msg) string {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if m := answer(q); m != nil {
			_ = w.WriteMsg(m)
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		wg.Wait()
	})
	return conn.LocalAddr().String()
}

// loaded is what `load` prints.
type loaded struct{ sent, answered, lost, wrong, late, changes, micros int }

func loadOf(t *testing.T, args ...string) loaded {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), append([]string{"load", "-seconds", "0.3", "-timeout", "10s"}, args...), &out); err != nil {
		t.Fatal(err)
	}
	var l loaded
	_, err := fmt.Sscanf(out.String(), "measured %d %d %d %d %d %d %d\n", &l.sent, &l.answered, &l.lost, &l.wrong, &l.late, &l.changes, &l.micros)
	if err != nil {
		t.Fatalf("reading %q: %v", out.String(), err)
	}
	return l
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		home   home
		asked  string
		qtype  uint16
		spoil  func(m *dns.Msg)
		reason string // empty: the answer is right
	}{
		{"as it should be", home{nodes: 2}, "pLex.", dns.TypeA, func(*dns.Msg) {}, ""},
		{"no answer at all", home{nodes: 2}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Response = false }, "no answer"},
		{"not authoritative", home{nodes: 2}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Authoritative = false }, "authoritative false"},
		{"other letters", home{nodes: 2}, "pLex.", dns.TypeA, func(m *dns.Msg) { m.Question[0].Name = "plex." + homeZone }, "another question"},
		{"refused", home{nodes: 2}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "REFUSED"},
		{"a name that is there after all", home{nodes: 2}, "missing1.", dns.TypeA, func(m *dns.Msg) { m.Rcode = dns.RcodeSuccess }, "NOERROR"},
		{"NXDOMAIN without SOA", home{nodes: 2}, "missing1.", dns.TypeA, func(m *dns.Msg) { m.Ns = nil }, "the SOA"},
		{"addresses of no family", home{nodes: 2}, "plex.", dns.TypeAAAA, func(m *dns.Msg) { m.Answer = m.Ns }, "no record"},
		{"a node is missing", home{nodes: 2}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer = m.Answer[1:] }, "1 records, want 2"},
		{"a node that flaps is missing", home{nodes: 2, flapping: 1}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer = m.Answer[1:] }, ""},
		{"one node for each client", home{nodes: 2, spread: true}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer = m.Answer[1:] }, ""},
		{"of two moments", home{nodes: 2, flapping: 1}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer[1].Header().Ttl = 1 }, "not like the others"},
		{"a TTL that is too long", home{nodes: 1}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer[0].Header().Ttl = 11 }, "not like the others"},
		{"twice the same", home{nodes: 2}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer[1] = m.Answer[0] }, "twice"},
		{"another node", home{nodes: 2}, "plex1.", dns.TypeA, func(m *dns.Msg) { m.Answer = []dns.RR{rr("plex1.%s 10 A %s", homeZone, nodeAddr(1))} }, "leads to"},
		{"the inside, outside", home{nodes: 2, outside: true}, "plex.", dns.TypeA, func(m *dns.Msg) { m.Answer[0] = rr("plex.%s 10 A %s", homeZone, nodeAddr(1)) }, "leads to"},
		{"a static name", home{nodes: 2, names: 10}, "n7.", dns.TypeA, func(*dns.Msg) {}, ""},
		{"another static name's", home{nodes: 2, names: 10}, "n7.", dns.TypeA, func(m *dns.Msg) { m.Answer = []dns.RR{rr("n7.%s 10 A %s", homeZone, nameAddr(8))} }, "leads to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := question{name: tt.asked + homeZone, qtype: tt.qtype}
			m := (&sound{&tt.home, 1}).answer(new(dns.Msg).SetQuestion(q.name, q.qtype))
			tt.spoil(m)
			err := tt.home.judge(q, m)
			if tt.reason == "" && err != nil || tt.reason != "" && (err == nil || !strings.Contains(err.Error(), tt.reason)) {
				t.Errorf("got %v, want %q", err, tt.reason)
			}
		})
	}
}

// TestZoneHoldsWhatIsAsked: what the peers are given answers the questions as they are judged.
func TestZoneHoldsWhatIsAsked(t *testing.T) {
	for _, h := range []*home{{nodes: 2, names: 10}, {nodes: 64, names: 1000}, {nodes: 2, names: 10, outside: true}} {
		var text strings.Builder
		h.zone(&text)
		held := map[string]int{} // records by owner and type
		parser := dns.NewZoneParser(strings.NewReader(text.String()), "", "")
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			held[fmt.Sprint(rr.Header().Name, rr.Header().Rrtype)]++
		}
		if err := parser.Err(); err != nil {
			t.Fatal(err)
		}
		qs, err := h.questions()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range qs {
			name := strings.ToLower(q.name)
			want, _ := h.expected(strings.TrimSuffix(name, homeZone), q.qtype)
			if got := held[fmt.Sprint(name, q.qtype)]; got < want || want == 0 && got > 0 {
				t.Errorf("%s %s: %d records, want %d", name, dns.TypeToString[q.qtype], got, want)
			}
		}
	}
}

func TestQuestionsAreMixed(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"questions"}, &out); err != nil {
		t.Fatal(err)
	}
	var total, withEDNS, withDO, upper int
	for b := []byte(out.String()); len(b) > 0; total++ {
		n := int(binary.BigEndian.Uint16(b))
		m := new(dns.Msg)
		if err := m.Unpack(b[2 : 2+n]); err != nil {
			t.Fatal(err)
		}
		if opt := m.IsEdns0(); opt != nil {
			withEDNS++
			if opt.Do() {
				withDO++
			}
		}
		if name := m.Question[0].Name; name != strings.ToLower(name) {
			upper++
		}
		b = b[2+n:]
	}
	if total != 1000 || withEDNS < 450 || withEDNS > 550 || withDO < 30 || withDO > 100 || upper < 250 || upper > 400 {
		t.Errorf("%d questions, %d with EDNS, %d with DO, %d with letters of both cases", total, withEDNS, withDO, upper)
	}
}

func TestAnswersFindsWhatIsWrong(t *testing.T) {
	good := &sound{&home{nodes: 2, names: 10}, 1}
	if err := run(t.Context(), []string{"answers", serve(t, good.answer)}, io.Discard); err != nil {
		t.Errorf("a server that is right: %v", err)
	}
	wrong := serve(t, func(q *dns.Msg) *dns.Msg {
		m := good.answer(q)
		if q.Question[0].Qtype == dns.TypeTXT {
			m.Answer = nil
		}
		return m
	})
	if err := run(t.Context(), []string{"answers", wrong}, io.Discard); err == nil || !strings.Contains(err.Error(), " TXT: ") {
		t.Errorf("a server that is wrong about TXT: %v", err)
	}
}

func TestLoadCounts(t *testing.T) {
	h := &home{nodes: 2, names: 10}
	good := &sound{h, 7}
	every := func(n int, f func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
		var mu sync.Mutex
		i := 0
		return func(q *dns.Msg) *dns.Msg {
			mu.Lock()
			defer mu.Unlock()
			if i++; i%n == 0 {
				return f(good.answer(q))
			}
			return good.answer(q)
		}
	}
	older := &sound{h, 6}
	tests := []struct {
		name   string
		answer func(*dns.Msg) *dns.Msg
		args   []string
		want   func(l loaded) bool
	}{
		{"a server that is right", good.answer, nil, func(l loaded) bool {
			return l.lost == 0 && l.wrong == 0 && l.late == 0 && l.answered == l.sent
		}},
		{"from many addresses", good.answer, []string{"-clients", "1000"}, func(l loaded) bool {
			return l.lost == 0 && l.wrong == 0 && l.answered == l.sent
		}},
		{"at a rate", good.answer, []string{"-rate", "1000"}, func(l loaded) bool {
			return l.sent > 100 && l.sent <= 300 && l.answered == l.sent
		}},
		{"one that does not answer all", every(50, func(*dns.Msg) *dns.Msg { return nil }), []string{"-timeout", "100ms"}, func(l loaded) bool {
			return l.lost > 0 && l.wrong == 0 && l.answered+l.lost == l.sent
		}},
		{"one that is wrong at times", every(50, func(m *dns.Msg) *dns.Msg {
			m.Authoritative = false
			return m
		}), nil, func(l loaded) bool { return l.wrong > 0 && l.wrong < l.answered/4 && l.lost == 0 }},
		{"one that answers another question", every(50, func(m *dns.Msg) *dns.Msg {
			other := good.answer(new(dns.Msg).SetQuestion("plex."+homeZone, dns.TypeSOA))
			other.Id = m.Id
			return other
		}), nil, func(l loaded) bool { return l.wrong > 0 && l.wrong < l.answered/4 }},
		{"one with answers of the past", every(10, func(m *dns.Msg) *dns.Msg {
			return older.answer(m)
		}), nil, func(l loaded) bool { return l.wrong > 0 && l.wrong < l.answered/4 && l.lost == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := serve(t, tt.answer)
			for rounds := 1; ; rounds++ {
				got := loadOf(t, append(tt.args, server)...)
				if got.sent > 0 && tt.want(got) {
					return
				}
				if got.sent >= 1000 || rounds == 10 { // fewer say little: the machine has stood still
					t.Fatalf("got %+v", got)
				}
			}
		})
	}
}

// TestLoadAsksFromAllClients: each address asks.
func TestLoadAsksFromAllClients(t *testing.T) {
	var mu sync.Mutex
	seen := map[netip.Addr]bool{}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for buf := make([]byte, 512); ; {
			_, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			mu.Lock()
			seen[from.Addr()] = true
			mu.Unlock()
		}
	})
	loadOf(t, "-clients", "40", "-sockets", "4", "-rate", "1000", "-window", "1024", "-timeout", "10ms", conn.LocalAddr().String())
	_ = conn.Close()
	wg.Wait()
	for i := range 40 {
		if a := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}); !seen[a] {
			t.Errorf("nothing came from %s", a)
		}
	}
}

func TestNodesFlap(t *testing.T) {
	port := fmt.Sprint(freePort(t))
	ctx, cancel := context.WithCancel(t.Context())
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"nodes", "-port", port, "-flapping", "1", "-every", "20ms"}, told(func() { close(begun) }))
	}()
	<-begun
	was := map[bool]int{}
	for was[true] < 3 || was[false] < 3 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(nodeAddr(0).String(), port))
		was[err == nil]++
		if err == nil {
			_ = conn.Close()
		}
		if res, err := http.Get("http://" + net.JoinHostPort(nodeAddr(1).String(), port) + "/identity"); err != nil {
			t.Fatalf("the other one flaps as well: %v", err)
		} else {
			_ = res.Body.Close()
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), []string{"ports", "1"}, &out); err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(out.String(), &port); err != nil {
		t.Fatal(err)
	}
	return port
}

// TestFloodsAreWhatTheySay looks at what would be sent.
func TestFloodsAreWhatTheySay(t *testing.T) {
	f := &flood{rng: rand.New(rand.NewPCG(1, 1))} //nolint:gosec // a test
	q, err := newQuestion(f.rng, "plex."+homeZone, dns.TypeA, 1)
	if err != nil {
		t.Fatal(err)
	}
	names, broken := map[string]bool{}, 0
	for range 1000 {
		m := new(dns.Msg)
		if err := m.Unpack(f.randomName(nil)); err != nil {
			t.Fatal(err)
		}
		names[m.Question[0].Name] = true
		if b := f.malformed(q.packet); !bytes.Equal(b, q.packet) {
			broken++
		}
	}
	if len(names) < 990 || broken < 990 {
		t.Errorf("of 1000, %d names are different, %d packets are broken", len(names), broken)
	}
}

func TestFloodArrives(t *testing.T) {
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.UDPConn).SetReadBuffer(1 << 20)
	sent := 0
	for rounds := 0; sent < 20 && rounds < 10; rounds++ { // one may be over before it begins, on a machine that stands still
		var out strings.Builder
		if err := run(t.Context(), []string{"flood", "-seconds", "0.1", "-rate", "1000", "random", conn.LocalAddr().String()}, &out); err != nil {
			t.Fatal(err)
		}
		var now, micros int
		if _, err := fmt.Sscanf(out.String(), "measured %d %d", &now, &micros); err != nil || now > 1+micros/1000 {
			t.Errorf("it says %q", out.String())
		}
		sent += now
	}
	if sent < 20 {
		t.Errorf("%d were sent in ten floods", sent)
	}
	came := 0
	for buf := make([]byte, 512); ; came++ {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, _, err := conn.ReadFrom(buf); err != nil {
			break
		}
	}
	if came != sent {
		t.Errorf("%d came, %d were sent", came, sent)
	}
}

func TestTrend(t *testing.T) {
	var out strings.Builder
	lines := "0 10240\n10 15360\n20 20480\n30 20480\n40 20480\n50 20480\n60 20480\n70 22528\n"
	if err := run(t.Context(), []string{"trend", file(t, lines)}, &out); err != nil {
		t.Fatal(err)
	}
	want := "memory: 10.0 MiB at first, then 10.0 to 22.0; 20.0 in the second quarter, 21.0 in the last: +5.0%, +90.0 MiB an hour\n"
	if diff := cmp.Diff(out.String(), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if err := run(t.Context(), []string{"trend", file(t, "0 1\n1 none\n")}, io.Discard); err == nil {
		t.Error("no error for what is no size")
	}
}

func TestTableOfNameServers(t *testing.T) {
	samples := file(t, strings.Join([]string{
		"dns\tmixed\t0\tplexdns\t1000\t1000000\t4000\t2048\t0",
		"dns\tmixed\t0\tgdnsd\t1000\t1000000\t5000\t1024\t3",
		"growth\tnodes\t0\t64\t1000\t1000000\t4000\t2048\t0",
		"",
	}, "\n"))
	var out strings.Builder
	if err := run(t.Context(), []string{"table", samples}, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	want := []string{
		"mixed      queries/s  CPU a query  x plexdns  x gdnsd  x C echo  memory      lost",
		"  plexdns  1000       4.00 us      1          0.80     -         2048.0 KiB  0",
		"  gdnsd    1000       5.00 us      1.25       1        -         1024.0 KiB  3",
		"",
		"nodes  queries/s  CPU a query  memory      lost",
		"  64   1000       4.00 us      2048.0 KiB  0",
		"",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the table (-got +want):\n%s", diff)
	}
}

// TestWatchFailsWithItsServer: a benchmark is not to go on while nobody looks.
func TestWatchFailsWithItsServer(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errors.New("nothing was noticed"))
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, `<body data-look="a">`)
	}))
	addr := server.Listener.Addr().String()
	begun := told(func() {
		server.CloseClientConnections()
		server.Listener.Close()
	})
	if err := run(ctx, []string{"watch", "-every", "10ms", addr, addr}, begun); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
	server.Close()
}

func TestEchoSendsBack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"echo", addr}, io.Discard) }()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 64)
	for n := 0; n != 12; { // until it listens
		if ctx.Err() != nil {
			t.Fatal("nothing came back")
		}
		_, _ = conn.Write(make([]byte, 12))
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, _ = conn.Read(buf)
	}
	if buf[2] != 0x84 {
		t.Errorf("the flags are %x", buf[2])
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
