package lane_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"plexha/plugin/lane"
)

// exchange sends a question and returns the answer, and fails if none comes in time or from another address.
func exchange(tb testing.TB, from net.Conn, m *dns.Msg) *dns.Msg {
	tb.Helper()
	conn := &dns.Conn{Conn: from, UDPSize: 8192}
	if err := from.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	if err := conn.WriteMsg(m); err != nil {
		tb.Fatal(err)
	}
	reply, err := conn.ReadMsg()
	if err != nil {
		tb.Fatal(err)
	}
	return reply
}

// dial returns a client of the address, which takes answers from nowhere else.
func dial(tb testing.TB, addr string) net.Conn {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(context.Background(), "udp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn
}

func TestLaneAnswersFromTheAddressAsked(t *testing.T) {
	for _, c := range []struct {
		name, bound string
		asked       []string
	}{
		{"an IPv4 address", "127.0.0.1", []string{"127.0.0.1"}},
		{"an IPv6 address", "::1", []string{"::1"}},
		{"all addresses", "", []string{"127.0.0.1", "127.0.0.2", "127.9.9.9", "::1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := freePort(t, c.bound)
			_, port, _ := net.SplitHostPort(addr)
			var lanes lane.Lanes
			b := newBlock(t, "192.0.2.1")
			seen := make(chan netip.Addr, 10)
			b.before = func(addr netip.Addr) { seen <- addr }
			i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b), Sockets: 1}})
			defer i.stop()
			for _, asked := range c.asked {
				client := dial(t, net.JoinHostPort(asked, port))
				reply := exchange(t, client, hot())
				if got, want := reply.Answer[0].String(), rr(t, hotName+" 10 IN A 192.0.2.1").String(); got != want {
					t.Errorf("%s: answer %q, want %q", asked, got, want)
				}
				local := client.LocalAddr().(*net.UDPAddr).AddrPort()
				if from := <-seen; from != local.Addr().Unmap() {
					t.Errorf("%s: the block sees the client %s, want %s", asked, from, local.Addr())
				}
				reply = exchange(t, client, question("other.example.", dns.TypeTXT))
				got := reply.Answer[0].(*dns.TXT).Txt
				want := []string{"chain", "*net.UDPAddr " + local.String(), i.sockets[0].LocalAddr().String()}
				if strings.Join(got, "|") != strings.Join(want, "|") {
					t.Errorf("%s: CoreDNS's answer %q, want %q", asked, got, want)
				}
			}
			until(t, "all answers are counted", func() bool { return b.flushed.Load() == int64(len(c.asked)) })
		})
	}
}

// metric returns the sum of the values that the lanes give for a metric.
func metric(tb testing.TB, lanes *lane.Lanes, name string) (sum float64) {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(lanes)
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "coredns_plex_lane_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestAllPacketsReachTheLane(t *testing.T) {
	for _, c := range []struct {
		name            string
		host            string
		sockets, others int
	}{
		{"one socket beside one", "127.0.0.1", 1, 1},
		{"three sockets beside one", "127.0.0.1", 3, 1},
		{"two sockets beside three", "::1", 2, 3},
		{"one socket beside two, all addresses", "", 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lanes lane.Lanes
			b := newBlock(t, "192.0.2.1")
			addr := freePort(t, c.host)
			i := start(t, &lanes, config{
				addr: addr, chain: &words{say: "chain"}, sockets: c.others,
				plan: lane.Plan{Routes: routesTo(b), Sockets: c.sockets},
			})
			defer i.stop()
			_, port, _ := net.SplitHostPort(addr)
			if c.host == "" {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			const clients = 50
			for range clients {
				exchange(t, dial(t, addr), hot())
				exchange(t, dial(t, addr), question("other.example.", dns.TypeTXT))
			}
			for name, want := range map[string]float64{
				"answers_total": clients, "handed_total": clients, "strays_total": 0, "sockets": float64(c.sockets), "read_errors_total": 0,
			} {
				until(t, name, func() bool { return metric(t, &lanes, name) == want })
			}
		})
	}
}

// A place of the group that somebody else has is found and left out: no lane may count on who bound first.
func TestLaneFindsItsPlacesAmongOthers(t *testing.T) {
	var lanes lane.Lanes
	addr := freePort(t, "127.0.0.1")
	for range 3 { // bound before, and nobody reads them
		pc, err := reuseport.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
	}
	b := newBlock(t, "192.0.2.1")
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b), Sockets: 2}})
	defer i.stop()
	if diff := cmp.Diff(lanes.Places("dns://"+addr), []int{4, 5}); diff != "" {
		t.Errorf("places (-got +want):\n%s", diff)
	}
	for range 50 {
		exchange(t, dial(t, addr), hot())
	}
}

func TestLaneServesWhereItCannotFindItsPlaces(t *testing.T) {
	var lanes lane.Lanes
	lanes.LoseSights()
	b := newBlock(t, "192.0.2.1")
	addr := freePort(t, "127.0.0.1")
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, sockets: 2, plan: lane.Plan{Routes: routesTo(b), Sockets: 2}})
	defer i.stop()
	for range 50 {
		exchange(t, dial(t, addr), hot())
	}
	if got := metric(t, &lanes, "strays_total"); got != 0 {
		t.Errorf("%v strays, want 0", got)
	}
}

func TestNoLaneWithoutTheRight(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(*lane.Lanes)
		want   string
	}{
		"no socket": {
			func(l *lane.Lanes) { l.RefuseListening(0, syscall.EMFILE) },
			"opening a socket: too many open files",
		},
		"no second socket": {
			func(l *lane.Lanes) { l.RefuseListening(1, syscall.EMFILE) },
			"opening a socket: too many open files",
		},
		"no program": {
			func(l *lane.Lanes) { l.RefuseSteering(syscall.EPERM) },
			"leading packets to it: operation not permitted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var lanes lane.Lanes
			c.refuse(&lanes)
			var said []string
			addr := freePort(t, "127.0.0.1")
			b := newBlock(t, "192.0.2.1")
			i := start(t, &lanes, config{
				addr: addr, chain: &words{say: "chain"}, sockets: 2,
				plan: lane.Plan{Routes: routesTo(b), Sockets: 2, Warn: func(format string, args ...any) {
					said = append(said, fmt.Sprintf(format, args...))
				}},
			})
			defer i.stop()
			if diff := cmp.Diff(said, []string{"no fast lane at dns://" + addr + ", CoreDNS answers alone: " + c.want}); diff != "" {
				t.Errorf("said (-got +want):\n%s", diff)
			}
			if got := metric(t, &lanes, "sockets"); got != 0 {
				t.Errorf("%v sockets, want 0", got)
			}
			for range 20 {
				if reply := exchange(t, dial(t, addr), hot()); reply.Answer[0].Header().Rrtype != dns.TypeTXT {
					t.Fatalf("not CoreDNS's answer: %v", reply)
				}
			}
		})
	}
}

func TestLargeQuestionsComeWhole(t *testing.T) {
	var lanes lane.Lanes
	addr := freePort(t, "127.0.0.1")
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1"))}})
	defer i.stop()
	for _, size := range []int{1400, 4000, 8192} {
		m := question("other.example.", dns.TypeTXT)
		m.SetEdns0(4096, false)
		padding := &dns.EDNS0_PADDING{}
		m.IsEdns0().Option = []dns.EDNS0{padding}
		padding.Padding = make([]byte, size-m.Len())
		if got := len(packed(t, m)); got != size {
			t.Fatalf("the question has %d bytes, want %d", got, size)
		}
		if reply := exchange(t, dial(t, addr), m); reply.Rcode != dns.RcodeSuccess {
			t.Errorf("%d bytes: %s", size, dns.RcodeToString[reply.Rcode])
		}
	}
	m := packed(t, question("other.example.", dns.TypeTXT))
	client := dial(t, addr)
	if _, err := client.Write(append(m, make([]byte, 9000)...)); err != nil {
		t.Fatal(err)
	}
	if reply := exchange(t, client, hot()); len(reply.Answer) == 0 {
		t.Errorf("no answer after a packet that is cut: %v", reply)
	}
}

// Small answers have no number to be put together by; the first long one is divided if it must be.
func TestLongAnswersMayBeDivided(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			var lanes lane.Lanes
			addr := freePort(t, host)
			i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{
				Routes: routesTo(newBlock(t, "192.0.2.1")), Sockets: 1,
			}})
			defer i.stop()
			exchange(t, dial(t, addr), hot())
			exchange(t, dial(t, addr), question("other.example.", dns.TypeTXT))
			if lanes.Divides("dns://" + addr) {
				t.Error("small answers may be divided")
			}
			m := question(longName, dns.TypeTXT)
			m.SetEdns0(8192, false)
			if reply := exchange(t, dial(t, addr), m); reply.Len() < 4000 {
				t.Errorf("a reply of %d bytes, want a long one", reply.Len())
			}
			if !lanes.Divides("dns://" + addr) {
				t.Error("long answers may not be divided")
			}
			exchange(t, dial(t, addr), hot())
		})
	}
}

func TestTSIGHoldsBehindTheLane(t *testing.T) {
	var lanes lane.Lanes
	addr := freePort(t, "127.0.0.1")
	secret := map[string]string{"key.example.": "c2VjcmV0IG9mIGEga2V5"}
	i := start(t, &lanes, config{
		addr: addr, secrets: secret, chain: &signed{}, plan: lane.Plan{Routes: routesTo(newBlock(t, "192.0.2.1"))},
	})
	defer i.stop()
	m := hot()
	m.SetTsig("key.example.", dns.HmacSHA256, 300, time.Now().Unix())
	client := &dns.Client{Net: "udp", TsigSecret: secret}
	reply, _, err := client.Exchange(m, addr) // verifies
	if err != nil {
		t.Fatal(err)
	}
	if reply.IsTsig() == nil || reply.Rcode != dns.RcodeSuccess {
		t.Errorf("no signed answer: %v", reply)
	}
}

// signed is a plugin that signs what it answers to a signed question.
type signed struct{ words }

func (*signed) ServeDNS(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	m := new(dns.Msg).SetReply(r)
	if w.TsigStatus() != nil {
		m.Rcode = dns.RcodeNotAuth
	}
	m.SetTsig("key.example.", dns.HmacSHA256, 300, time.Now().Unix())
	return dns.RcodeSuccess, w.WriteMsg(m)
}

// What the kernel does not send stops a batch; the answers behind it must go out all the same.
func TestAnAnswerThatIsNotSentHoldsUpNobody(t *testing.T) {
	var lanes lane.Lanes
	addr := freePort(t, "127.0.0.1")
	b := newBlock(t, "192.0.2.1")
	b.large = true
	entered, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.before = func(netip.Addr) { once.Do(func() { close(entered); <-free }) }
	i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b), Sockets: 1}})
	defer i.stop()
	clients := []net.Conn{dial(t, addr), dial(t, addr), dial(t, addr)}
	for n, m := range []*dns.Msg{hot(), question("large.home.example.", dns.TypeA), hot()} {
		if _, err := clients[n].Write(packed(t, m)); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-entered // what is sent now is read as one batch
		}
	}
	close(free)
	for _, n := range []int{0, 2} {
		_ = clients[n].SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := clients[n].Read(make([]byte, 512)); err != nil {
			t.Errorf("client %d: %v", n, err)
		}
	}
	until(t, "the one that is not sent is counted", func() bool { return metric(t, &lanes, "dropped_total") == 1 })
}

// The kernel gives a copy of a packet to many hosts to each socket, whatever the steering: CoreDNS has one as well.
func TestPacketsToManyHostsAreTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		to    string
		local string // the address that the kernel would answer from; none for a socket for both families
		want  bool
	}{
		{"IPv6", "2001:db8::1", "", false},
		{"IPv6, link-local", "fe80::1", "", false},
		{"IPv6, all nodes", "ff02::1", "", true},
		{"IPv4 on a socket for both", "::ffff:192.0.2.1", "", false},
		{"IPv4 on a socket for both, all hosts", "::ffff:224.0.0.1", "", true},
		{"IPv4 on a socket for both, broadcast", "::ffff:255.255.255.255", "", true},
		{"IPv4", "192.0.2.1", "192.0.2.1", false},
		{"IPv4, broadcast of the subnet", "192.0.2.255", "192.0.2.1", true},
		{"IPv4, all hosts", "224.0.0.1", "192.0.2.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lane.IsShared(c.to, c.local); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Only who waits has the kernel call for each packet.
func TestSocketIsWatchedWhileSomebodyWaits(t *testing.T) {
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := descriptors()
	s := lane.OpenSocket(t, "127.0.0.1:0")
	client, err := new(net.Dialer).DialContext(t.Context(), "udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	type read struct {
		n   int
		err error
	}
	reads := make(chan read)
	wait := func() {
		go func() {
			n, err := s.Read()
			reads <- read{n, err}
		}()
	}
	for range 3 {
		if n, err := s.Poll(); n != 0 || err != nil || s.Watched(t) {
			t.Fatalf("polled in quiet: %d, %v, watched %v", n, err, s.Watched(t))
		}
		if n, err := s.Wait(); n != 0 || err != nil || s.Watched(t) {
			t.Fatalf("waited in quiet: %d, %v, watched %v", n, err, s.Watched(t))
		}
		if _, err := client.Write(make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Wait(); n != 1 || err != nil || s.Watched(t) {
			t.Fatalf("waited for one: %d, %v, watched %v", n, err, s.Watched(t))
		}
		wait()
		until(t, "it is watched", func() bool { return s.Watched(t) })
		if _, err := client.Write(make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
		if got := <-reads; got.n != 1 || got.err != nil {
			t.Fatalf("read %d, %v, want 1", got.n, got.err)
		}
		if !s.Watched(t) {
			t.Fatal("not watched after a wait: the next one would cost more")
		}
	}

	wait()
	until(t, "it is watched", func() bool { return s.Watched(t) })
	s.Stop()
	if got := <-reads; !errors.Is(got.err, os.ErrDeadlineExceeded) {
		t.Errorf("a wait that was stopped: %v", got.err)
	}
	if _, err := client.Write(make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a wait after that: %v", err)
	}
	if n, err := s.Poll(); n != 1 || err != nil {
		t.Errorf("what came meanwhile: %d, %v, want 1", n, err)
	}
	if err := errors.Join(s.Close(), client.Close()); err != nil {
		t.Error(err)
	}
	until(t, "its descriptors are closed", func() bool { return descriptors() <= before })
}
