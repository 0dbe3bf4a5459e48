package plugin_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	stock "github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"github.com/miekg/dns"
)

// tcp is a connection to a CoreDNS server whose one zone some plugins serve.
type tcp struct {
	t    testing.TB
	conn net.Conn
	buf  [4096]byte
}

// overTCP starts the server on loopback, with the plugins in the order given, and connects to it.
func overTCP(t testing.TB, chain ...plugin.Plugin) *tcp {
	t.Helper()
	return overTCPOf(t, map[string][]plugin.Plugin{zone: chain})
}

// overTCPOf is [overTCP] for several zones.
func overTCPOf(t testing.TB, chains map[string][]plugin.Plugin) *tcp {
	t.Helper()
	var configs []*dnsserver.Config
	for zone, chain := range chains {
		cfg := &dnsserver.Config{Zone: zone, ListenHosts: []string{"127.0.0.1"}, Port: "53", Transport: "dns"}
		for _, p := range chain {
			cfg.AddPlugin(p)
		}
		configs = append(configs, cfg)
	}
	s, err := dnsserver.NewServer(serverAddr, configs)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { _ = s.Serve(l) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = s.Stop()
		done.Wait()
	})
	return &tcp{t: t, conn: conn}
}

// served are the plugins of a house, with others in front.
func (h *house) served(front ...plugin.Plugin) []plugin.Plugin {
	return append(front, func(plugin.Handler) plugin.Handler { return h.Plex })
}

// exchange sends a packet with its length before it, and returns the answer until the next call.
func (c *tcp) exchange(framed []byte) []byte {
	if _, err := c.conn.Write(framed); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(c.conn, c.buf[:2]); err != nil {
		c.t.Fatal(err)
	}
	answer := c.buf[:binary.BigEndian.Uint16(c.buf[:2])]
	if _, err := io.ReadFull(c.conn, answer); err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// ask sends a message and returns the answer's bytes.
func (c *tcp) ask(q *dns.Msg) []byte {
	c.t.Helper()
	return bytes.Clone(c.exchange(framed(c.t, q)))
}

func framed(t testing.TB, q *dns.Msg) []byte {
	t.Helper()
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...) //nolint:gosec // some bytes
}

// looker sees each message, so that none is written as bytes.
func looker(next plugin.Handler) plugin.Handler {
	return plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		return next.ServeDNS(ctx, &seen{w}, r)
	})
}

type seen struct{ dns.ResponseWriter }

func (s *seen) Write([]byte) (int, error) { panic("bytes, where a message must be seen") }

// prometheusPlugin is that plugin.
func prometheusPlugin(next plugin.Handler) plugin.Handler {
	m := metrics.New("localhost:0")
	m.AddZone(zone)
	m.Next = next
	return m
}

// TestBytesAndMessagesAreTheSame asks a house once in a way that lets it write what lies ready, and once behind a
// plugin that must see each message.
func TestBytesAndMessagesAreTheSame(t *testing.T) {
	lines := with(oneProxy, "internal 127.0.0.1/32")
	for what, front := range map[string][]plugin.Plugin{
		"alone": nil, "behind prometheus": {prometheusPlugin}, "behind two": {prometheusPlugin, prometheusPlugin},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t, lines...)
			ready, full := overTCP(t, h.served(front...)...), overTCP(t, h.served(looker)...)
			for _, text := range append(hot, "plex.home.duckdns.org. ANY", "example.org. A", "_acme-challenge.home.duckdns.org. TXT") {
				for _, change := range []func(*dns.Msg){
					func(*dns.Msg) {},
					func(m *dns.Msg) { m.SetEdns0(1232, true) },
					func(m *dns.Msg) { m.RecursionDesired, m.CheckingDisabled = false, true },
					func(m *dns.Msg) { m.Question[0].Name = strings.ToUpper(m.Question[0].Name) },
				} {
					q := question(t, text)
					change(q)
					got, want := ready.ask(q), full.ask(q)
					if !bytes.Equal(got, want) {
						t.Errorf("%s: got\n%s\nwant\n%s", text, unpacked(t, got), unpacked(t, want))
					}
				}
			}
		})
	}
}

// TestBytesStayWithWhoFollowsACNAME: a zone of plugin file asks us for the target of its CNAME, and the client must get
// its answer, not ours.
func TestBytesStayWithWhoFollowsACNAME(t *testing.T) {
	h := newHouse(t, with(oneProxy, "internal 127.0.0.1/32")...)
	other := stockFileOf(t, "example.org.", "tv 60 CNAME plex.home.duckdns.org.", "gone 60 CNAME none.home.duckdns.org.")
	c := overTCPOf(t, map[string][]plugin.Plugin{zone: h.served(), "example.org.": {other}})
	for text, want := range map[string]string{
		"tv.example.org. A":        "CNAME plex.home.duckdns.org., 192.168.1.2",
		"tv.example.org. AAAA":     "CNAME plex.home.duckdns.org.",
		"gone.example.org. A":      "CNAME none.home.duckdns.org. nxdomain",
		"plex.home.duckdns.org. A": "192.168.1.2",
	} {
		q := question(t, text)
		m := unpacked(t, c.ask(q))
		if got := words(m); got != want || m.Question[0] != q.Question[0] {
			t.Errorf("%s: got %s to %s, want %s", text, got, m.Question[0].String(), want)
		}
	}
}

func unpacked(t *testing.T, packet []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("%x: %v", packet, err)
	}
	return m
}

// TestBytesOverTCPAllocateLess than stock `file` with the same zone.
func TestBytesOverTCPAllocateLess(t *testing.T) {
	stock := overTCP(t, stockFile(t))
	ours := overTCP(t, newHouse(t, with(oneProxy, "internal 127.0.0.1/32")...).served()...)
	for _, text := range []string{"plex.home.duckdns.org. A", "plex.home.duckdns.org. AAAA", "none.home.duckdns.org. A"} {
		q := framed(t, question(t, text))
		with := testing.AllocsPerRun(500, func() { ours.exchange(q) })
		without := testing.AllocsPerRun(500, func() { stock.exchange(q) })
		t.Logf("%s: %v allocations, %v of file", text, with, without)
		if with >= without {
			t.Errorf("%s: %v allocations, want fewer than file's %v", text, with, without)
		}
	}
}

// stockFile is CoreDNS's plugin file with the zone of a house.
func stockFile(t testing.TB) plugin.Plugin {
	t.Helper()
	return stockFileOf(t, zone, "ns1 60 A 203.0.113.7", "plex 60 A 192.168.1.2")
}

// stockFileOf is that plugin with some records.
func stockFileOf(t testing.TB, zone string, records ...string) plugin.Plugin {
	t.Helper()
	records = append([]string{"@ 60 SOA ns1 hostmaster 1 300 60 1209600 60", "@ 60 NS ns1"}, records...)
	z, err := stock.Parse(strings.NewReader(strings.Join(records, "\n")+"\n"), zone, "db", 0)
	if err != nil {
		t.Fatal(err)
	}
	z.Upstream = upstream.New()
	return func(next plugin.Handler) plugin.Handler {
		return stock.File{Next: next, Zones: stock.Zones{Z: map[string]*stock.Zone{zone: z}, Names: []string{zone}}}
	}
}

// BenchmarkOverTCP is what a whole exchange over a connection costs, server and client, beside that of stock `file`.
func BenchmarkOverTCP(b *testing.B) {
	h := newHouse(b, with(oneProxy, "internal 127.0.0.1/32")...)
	for _, text := range []string{"plex.home.duckdns.org. A", "plex.home.duckdns.org. AAAA", "none.home.duckdns.org. A"} {
		q := framed(b, question(b, text))
		for _, server := range []struct {
			what  string
			chain []plugin.Plugin
		}{
			{"plex", h.served()},
			{"plex, seen", h.served(looker)},
			{"file", []plugin.Plugin{stockFile(b)}},
		} {
			b.Run(text+"/"+server.what, func(b *testing.B) {
				c := overTCP(b, server.chain...)
				b.ReportAllocs()
				for b.Loop() {
					c.exchange(q)
				}
			})
		}
	}
}
