package lane_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/lane"
)

// exchange sends a question and returns the answer, and fails if none comes in time or from another address.
func exchange(tb testing.TB, from net.Conn, m *dns.Msg) *dns.Msg {
	tb.Helper()
	conn := &dns.Conn{Conn: from, UDPSize: 4096}
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

func hot() *dns.Msg { return new(dns.Msg).SetQuestion(hotName, dns.TypeA) }

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
			var from netip.Addr
			b.before = func(addr netip.Addr) { from = addr }
			i := start(t, &lanes, config{addr: addr, chain: &words{say: "chain"}, plan: lane.Plan{Routes: routesTo(b), Sockets: 1}})
			defer i.stop()
			for _, asked := range c.asked {
				client := dial(t, net.JoinHostPort(asked, port))
				reply := exchange(t, client, hot())
				if got, want := reply.Answer[0].String(), rr(t, hotName+" 10 IN A 192.0.2.1").String(); got != want {
					t.Errorf("%s: answer %q, want %q", asked, got, want)
				}
				local := client.LocalAddr().(*net.UDPAddr).AddrPort()
				if from != local.Addr().Unmap() {
					t.Errorf("%s: the block sees the client %s, want %s", asked, from, local.Addr())
				}
				reply = exchange(t, client, new(dns.Msg).SetQuestion("other.example.", dns.TypeTXT))
				got := reply.Answer[0].(*dns.TXT).Txt
				want := []string{"chain", "*net.UDPAddr " + local.String(), i.sockets[0].LocalAddr().String()}
				if strings.Join(got, "|") != strings.Join(want, "|") {
					t.Errorf("%s: CoreDNS's answer %q, want %q", asked, got, want)
				}
			}
			if got := b.flushed.Load(); got != int64(len(c.asked)) {
				t.Errorf("%d answers counted, want %d", got, len(c.asked))
			}
		})
	}
}
