package plugin_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// subnet is a client subnet as it stands in a question. Empty address: the zero address of the family.
type subnet struct {
	family  uint16 // 1: IPv4, 2: IPv6, 0: none
	address string
	bits    uint8
	scope   uint8
}

// option returns the option as it goes over the wire: the library would clear the bits beyond the length.
func (s subnet) option() dns.EDNS0 {
	addr := net.ParseIP(s.address)
	if s.family != 2 {
		addr = addr.To4()
	}
	data := []byte{0, byte(s.family), s.bits, s.scope}
	return &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: append(data, addr[:(s.bits+7)/8]...)}
}

// askWith asks with a client subnet, as a resolver at the address from, through the wire format.
func (h *house) askWith(from string, s subnet, text string) *dns.Msg {
	h.t.Helper()
	return h.askWithAll(from, []subnet{s}, text)
}

// askWithAll is [house.askWith] with any number of client subnets in one question.
func (h *house) askWithAll(from string, subnets []subnet, text string) *dns.Msg {
	h.t.Helper()
	q := question(h.t, text)
	q.SetEdns0(1232, false)
	for _, s := range subnets {
		q.IsEdns0().Option = append(q.IsEdns0().Option, s.option())
	}
	wire, err := q.Pack()
	if err != nil {
		h.t.Fatalf("%+v: %v", subnets, err)
	}
	received := new(dns.Msg)
	if err := received.Unpack(wire); err != nil {
		h.t.Fatalf("%+v: %v", subnets, err)
	}
	return h.send(from, received)
}

// returned tells the client subnet of an answer, as SOURCE/LENGTH/SCOPE.
func returned(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				return fmt.Sprintf("%s/%d/%d", s.Address, s.SourceNetmask, s.SourceScope)
			}
		}
	}
	return "none"
}

func TestClientSubnet(t *testing.T) {
	const (
		trusted   = "192.0.2.53"   // outside
		trusting  = "192.168.1.1"  // inside
		untrusted = "198.51.100.9" // outside
	)
	h := newHouse(t,
		"node plex1 192.168.1.11", "uplink wan 203.0.113.7",
		"internal 192.168.0.0/16 fd12:3456::/48", "external 192.168.50.0/24 fd12:3456:0:50::/64",
		"trust_ecs 192.0.2.53 192.168.1.1",
	)
	const in, out = "192.168.1.11", "203.0.113.7"
	tests := []struct {
		what   string
		from   string
		subnet subnet
		want   string
		scope  string
	}{
		{"inside an internal prefix", trusted, subnet{1, "192.168.1.0", 24, 0}, in, "192.168.1.0/24/24"},
		{"one client inside", trusted, subnet{1, "192.168.1.77", 32, 0}, in, "192.168.1.77/32/32"},
		{"outside", trusted, subnet{1, "198.51.100.0", 24, 0}, out, "198.51.100.0/24/24"},
		{"outside, of a resolver in the house", trusting, subnet{1, "198.51.100.0", 24, 0}, out, "198.51.100.0/24/24"},
		{"in an exception", trusted, subnet{1, "192.168.50.0", 25, 0}, out, "192.168.50.0/25/25"},
		{"the exception itself", trusted, subnet{1, "192.168.50.0", 24, 0}, out, "192.168.50.0/24/24"},
		{"covers an exception", trusted, subnet{1, "192.168.48.0", 20, 0}, out, "192.168.48.0/20/20"},
		{"is an internal prefix that has an exception in it", trusted, subnet{1, "192.168.0.0", 16, 0}, out, "192.168.0.0/16/16"},
		{"covers an internal prefix", trusted, subnet{1, "192.0.0.0", 8, 0}, out, "192.0.0.0/8/8"},
		{"length 0 tells nothing: external", trusted, subnet{1, "", 0, 0}, out, "0.0.0.0/0/0"},
		{"length 0 from a resolver in the house", trusting, subnet{1, "", 0, 0}, out, "0.0.0.0/0/0"},
		{"family 0", trusted, subnet{0, "", 0, 0}, out, "0.0.0.0/0/0"},
		{"IPv6 inside", trusted, subnet{2, "fd12:3456:0:1::", 64, 0}, in, "fd12:3456:0:1::/64/64"},
		{"IPv6 outside", trusted, subnet{2, "2001:db8::", 56, 0}, out, "2001:db8::/56/56"},
		{"IPv6 in an exception", trusted, subnet{2, "fd12:3456:0:50::", 64, 0}, out, "fd12:3456:0:50::/64/64"},
		{"IPv6 covers an exception", trusted, subnet{2, "fd12:3456::", 48, 0}, out, "fd12:3456::/48/48"},
		{"IPv6 length 0", trusted, subnet{2, "", 0, 0}, out, "::/0/0"},
		{"a scope in a question", trusted, subnet{1, "192.168.1.0", 24, 24}, "formerr", "none"},
		{"bits beyond the length", trusted, subnet{1, "192.168.1.0", 20, 0}, "formerr", "none"},
		{"IPv6 bits beyond the length", trusted, subnet{2, "fd12:3456:0:1::", 60, 0}, "formerr", "none"},
		{"spoofed from outside", untrusted, subnet{1, "192.168.1.0", 24, 0}, out, "none"},
		{"spoofed from outside, malformed", untrusted, subnet{1, "192.168.1.0", 20, 24}, out, "none"},
		{"of an untrusted client in the house", inside, subnet{1, "198.51.100.0", 24, 0}, in, "none"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			m := h.askWith(tt.from, tt.subnet, "plex.home.duckdns.org. A")
			if got := words(m); got != tt.want {
				t.Errorf("answer: got %s, want %s", got, tt.want)
			}
			if got := returned(m); got != tt.scope {
				t.Errorf("subnet in the answer: got %s, want %s", got, tt.scope)
			}
		})
	}
}

func TestTwoClientSubnets(t *testing.T) {
	h := newHouse(t, with(oneProxy, "trust_ecs 192.0.2.53")...)
	in, out := subnet{1, "192.168.1.0", 24, 0}, subnet{1, "198.51.100.0", 24, 0}
	for _, tt := range []struct {
		what    string
		from    string
		subnets []subnet
		want    string
	}{
		{"of a trusted resolver", "192.0.2.53", []subnet{in, out}, "formerr"},
		{"of a trusted resolver, alike", "192.0.2.53", []subnet{in, in}, "formerr"},
		{"of anybody else: ignored", "198.51.100.9", []subnet{in, out}, "203.0.113.7"},
		{"of a client in the house: ignored", inside, []subnet{out, out}, "192.168.1.2"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			m := h.askWithAll(tt.from, tt.subnets, "plex.home.duckdns.org. A")
			if got := words(m); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := returned(m); got != "none" {
				t.Errorf("subnet in the answer: %s", got)
			}
		})
	}
}

func TestMalformedClientSubnet(t *testing.T) {
	h := newHouse(t, with(twoNodes, "trust_ecs 192.0.2.53")...)
	for what, o := range map[string]*dns.EDNS0_SUBNET{
		"without an address": {Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24},
		"too long a prefix":  {Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 33, Address: net.IPv4(192, 168, 1, 1)},
	} {
		q := question(t, "plex.home.duckdns.org. A")
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{o}
		if m := h.exchange(&test.ResponseWriter{RemoteIP: "192.0.2.53"}, q); m.Rcode != dns.RcodeFormatError {
			t.Errorf("%s: got %s, want FORMERR", what, dns.RcodeToString[m.Rcode])
		}
	}
}

func TestScopeIsZeroWhereAllGetTheSame(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "printer A 192.168.1.9")
	plain := newHouse(t, with(oneProxy, "trust_ecs 192.0.2.53")...)
	static := newHouseAt(t, dir, nil, with(oneProxy, "trust_ecs 192.0.2.53", "zonefile internal "+zonefile)...)
	tests := []struct {
		what  string
		h     *house
		name  string
		scope uint8
	}{
		{"the main name", plain, "plex." + zone, 24},
		{"the apex", plain, zone, 24},
		{"a name that nobody has", plain, "none." + zone, 0},
		{"a name of one view's zone file", static, "printer." + zone, 24},
		{"a name that another zone file may have", static, "none." + zone, 24},
	}
	for _, tt := range tests {
		m := tt.h.askWith("192.0.2.53", subnet{1, "192.168.1.0", 24, 0}, tt.name+" A")
		if got, want := returned(m), fmt.Sprintf("192.168.1.0/24/%d", tt.scope); got != want {
			t.Errorf("%s: got %s, want %s", tt.what, got, want)
		}
	}
}

func TestViewOfAddress(t *testing.T) {
	h := newHouse(t, with(twoNodes, "external 192.168.1.192/26", "answer nodes first")...)
	for from, want := range map[string]string{
		"192.168.1.77":        "192.168.1.11",
		"::ffff:192.168.1.77": "192.168.1.11",
		"192.168.1.200":       "203.0.113.7",
		"192.168.2.77":        "203.0.113.7",
		"127.0.0.1":           "192.168.1.11", // loopback stays internal
		"::1":                 "192.168.1.11",
		"100.64.0.1":          "203.0.113.7",
	} {
		if got := h.ask(from, "plex.home.duckdns.org. A"); got != want {
			t.Errorf("%s: got %s, want %s", from, got, want)
		}
	}
	zoned := &test.ResponseWriter{RemoteIP: "fe80::1", Zone: "eth0"}
	if got := words(h.sendOver(zoned, question(t, "plex.home.duckdns.org. A"))); got != "203.0.113.7" {
		t.Errorf("a link-local client of a house that lists its prefixes: got %s", got)
	}
}

// local is a transport that has no address, such as a unix socket behind an HTTP server.
type local struct{ test.ResponseWriter }

func (local) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }

func TestTransportWithoutAddressIsOutside(t *testing.T) {
	h := newHouse(t, twoNodes...)
	if got := words(h.sendOver(&local{}, question(t, "plex.home.duckdns.org. A"))); got != "203.0.113.7" {
		t.Errorf("got %s, want the external view", got)
	}
}

// TestSpread asks for many clients: each gets one node for both families, and keeps it while that is up.
func TestSpread(t *testing.T) {
	h := newHouse(t,
		"node plex1 192.168.1.11 at 192.168.1.11 fd12::11", "node plex2 192.168.1.12 at 192.168.1.12 fd12::12",
		"node plex3 192.168.1.13 at 192.168.1.13 fd12::13",
		"internal 192.168.0.0/16 fd12::/16", "uplink wan 203.0.113.7", "trust_ecs 192.0.2.53",
	)
	ask := func(client netip.Addr) string {
		a, aaaa := h.ask(client.String(), "plex.home.duckdns.org. A"), h.ask(client.String(), "plex.home.duckdns.org. AAAA")
		if a[len(a)-2:] != aaaa[len(aaaa)-2:] {
			t.Errorf("%s: A leads to %s, AAAA to %s", client, a, aaaa)
		}
		return a
	}
	var clients []netip.Addr
	for i := range 100 {
		clients = append(clients, netip.AddrFrom4([4]byte{192, 168, byte(i), 77}))
	}
	before, count := map[netip.Addr]string{}, map[string]int{}
	for _, c := range clients {
		before[c] = ask(c)
		count[before[c]]++
	}
	if len(count) != 3 {
		t.Errorf("100 clients are spread over %v, want three nodes", count)
	}
	h.kill("plex2")
	for _, c := range clients {
		if now := ask(c); before[c] != "192.168.1.12" && now != before[c] || now == "192.168.1.12" {
			t.Errorf("%s was at %s and is at %s after the death of plex2", c, before[c], now)
		}
	}
	h.revive("plex2")
	for _, c := range clients {
		if now := ask(c); now != before[c] {
			t.Errorf("%s was at %s and is at %s after the return of plex2", c, before[c], now)
		}
	}
}

func TestSpreadByClientSubnet(t *testing.T) {
	h := newHouse(t, "node plex1 192.168.1.11", "node plex2 192.168.1.12", "internal 192.168.0.0/16 fd12::/16",
		"uplink wan 203.0.113.7", "trust_ecs 192.0.2.53")
	const q = "plex.home.duckdns.org. A"
	count := map[string]int{}
	for i := range 64 {
		client := fmt.Sprintf("192.168.%d.77", i)
		direct, told := h.ask(client, q), words(h.askWith("192.0.2.53", subnet{1, client, 32, 0}, q))
		if direct != told {
			t.Errorf("%s gets %s when it asks, %s through its resolver", client, direct, told)
		}
		count[told]++

		client = fmt.Sprintf("fd12:%x::", i)
		direct, told = h.ask(client+"77", q), words(h.askWith("192.0.2.53", subnet{2, client, 64, 0}, q))
		if direct != told {
			t.Errorf("%s gets %s when it asks, %s through its resolver", client, direct, told)
		}
	}
	if len(count) != 2 {
		t.Errorf("64 subnets are spread over %v, want both nodes", count)
	}
}
