package via_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"plexha/plugin/via"
	"plexha/zones"
)

// loopback returns the name of the loopback interface, lo on Linux and lo0 on others.
func loopback(tb testing.TB) string {
	tb.Helper()
	all, err := net.Interfaces()
	if err != nil {
		tb.Fatal(err)
	}
	for _, ifc := range all {
		if ifc.Flags&net.FlagLoopback != 0 {
			return ifc.Name
		}
	}
	tb.Fatal("no loopback interface")
	return ""
}

// accept listens and returns where, and a channel of the addresses that connections come from.
func accept(t *testing.T, at string) (string, <-chan netip.Addr) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	from := make(chan netip.Addr, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(from)
			return
		}
		defer conn.Close()
		from <- conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	}()
	return l.Addr().String(), from
}

func TestDial(t *testing.T) {
	lo := loopback(t)
	for _, tc := range []struct {
		name, at string
		path     via.Path
		want     string
	}{
		{"zero path", "127.0.0.1:0", via.Path{}, "127.0.0.1"},
		{"source", "127.0.0.1:0", via.Path{Source: netip.MustParseAddr("127.0.0.7")}, "127.0.0.7"},
		{"interface", "127.0.0.1:0", via.Path{Interface: lo}, "127.0.0.1"},
		{"interface and source", "127.0.0.1:0", via.Path{Interface: lo, Source: netip.MustParseAddr("127.0.0.7")}, "127.0.0.7"},
		{"source of the other family", "[::1]:0", via.Path{Source: netip.MustParseAddr("127.0.0.7")}, "::1"},
		{"interface over IPv6", "[::1]:0", via.Path{Interface: lo}, "::1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, from := accept(t, tc.at)
			conn, err := tc.path.Dial(t.Context(), "tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := <-from; got != netip.MustParseAddr(tc.want) {
				t.Errorf("the other side sees %v, want %v", got, tc.want)
			}
		})
	}
}

func TestDialUDP(t *testing.T) {
	source := netip.MustParseAddr("127.0.0.7")
	conn, err := via.Path{Interface: loopback(t), Source: source}.Dial(t.Context(), "udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); got != source {
		t.Errorf("sends from %v, want %v", got, source)
	}
}

func TestListenPacket(t *testing.T) {
	lo := loopback(t)
	for _, tc := range []struct {
		name, network, address string
		path                   via.Path
		want                   string
	}{
		{"source", "udp4", ":0", via.Path{Interface: lo, Source: netip.MustParseAddr("127.0.0.7")}, "127.0.0.7"},
		{"source of the other family", "udp6", "[::1]:0", via.Path{Source: netip.MustParseAddr("127.0.0.7")}, "::1"},
		{"address given", "udp4", "127.0.0.8:0", via.Path{Source: netip.MustParseAddr("127.0.0.7")}, "127.0.0.8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := tc.path.ListenPacket(t.Context(), tc.network, tc.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); got != netip.MustParseAddr(tc.want) {
				t.Errorf("sends from %v, want %v", got, tc.want)
			}
		})
	}
}

// An interface that does not exist is not the routing table's way in disguise.
func TestNoSuchInterface(t *testing.T) {
	path := via.Path{Interface: "plexha-none0"}
	at, _ := accept(t, "127.0.0.1:0")
	const want = "interface plexha-none0 does not exist"
	if _, err := path.Dial(t.Context(), "tcp", at); err == nil || err.Error() != want {
		t.Errorf("dialling: got %v, want %s", err, want)
	}
	if _, err := path.ListenPacket(t.Context(), "udp4", ":0"); err == nil || err.Error() != want {
		t.Errorf("listening: got %v, want %s", err, want)
	}
}

// An interface that holds no address of the family cannot be sent from: the kernel would take another's. Its
// link-local one leads nowhere.
func TestFirstAddr(t *testing.T) {
	for _, tc := range []struct {
		name    string
		holds   []string
		family  zones.Family
		want    netip.Addr
		wantErr string
	}{
		{"IPv4", []string{"fd00::2/64", "192.0.2.2/24", "192.0.2.3/24"}, zones.IPv4, netip.MustParseAddr("192.0.2.2"), ""},
		{"IPv6", []string{"192.0.2.2/24", "fe80::1/64", "2001:db8::2/64"}, zones.IPv6, netip.MustParseAddr("2001:db8::2"), ""},
		{"either", []string{"fe80::1/64", "2001:db8::2/64"}, 0, netip.MustParseAddr("2001:db8::2"), ""},
		{"no IPv4", []string{"2001:db8::2/64", "169.254.1.1/16"}, zones.IPv4, netip.Addr{}, "interface eth2 has no ipv4 address"},
		{"no IPv6", []string{"192.0.2.2/24", "fe80::1/64"}, zones.IPv6, netip.Addr{}, "interface eth2 has no ipv6 address"},
		{"none", nil, 0, netip.Addr{}, "interface eth2 has no address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := via.FirstOf("eth2", addrs(t, tc.holds), tc.family)
			if got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if e, ok := errors.AsType[*via.AddressError](err); ok != (tc.wantErr != "") || ok && e.Error() != tc.wantErr {
				t.Errorf("got error %v, want %q", err, tc.wantErr)
			}
		})
	}
}

func addrs(tb testing.TB, prefixes []string) []net.Addr {
	tb.Helper()
	var out []net.Addr
	for _, p := range prefixes {
		ip, ipnet, err := net.ParseCIDR(p)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, &net.IPNet{IP: ip, Mask: ipnet.Mask})
	}
	return out
}
