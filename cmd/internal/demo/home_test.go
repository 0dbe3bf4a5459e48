package demo_test

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"plexha/cmd/internal/demo"
	"plexha/corefile"
	"plexha/zones"
)

var places = demo.Places{
	DNS:         netip.MustParseAddrPort("127.0.0.1:5300"),
	Status:      netip.MustParseAddrPort("127.0.0.1:8055"),
	Plex1:       netip.MustParseAddrPort("127.0.1.1:32400"),
	Plex2:       netip.MustParseAddrPort("127.0.2.1:32401"),
	Proxy:       netip.MustParseAddrPort("127.0.3.1:8443"),
	ProxyStatus: netip.MustParseAddrPort("127.0.0.1:8056"),
	Names:       netip.MustParseAddrPort("127.0.0.1:5400"),
}

var echoes = demo.Echoes{
	Cloudflare: netip.MustParseAddrPort("127.0.0.1:41001"),
	OpenDNS:    netip.MustParseAddrPort("127.0.0.1:41002"),
	Google:     netip.MustParseAddrPort("127.0.0.1:41003"),
}

const duckAPI = "http://127.0.0.1:41004"

const homeDir = "/a folder/plexha-demo-1"

// readCorefile returns what a Corefile with these echoes means.
func readCorefile(t *testing.T, e demo.Echoes) *corefile.Config {
	t.Helper()
	text, err := demo.Corefile(places, e, duckAPI, homeDir)
	if err != nil {
		t.Fatal(err)
	}
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(configs) != 1 {
		t.Fatalf("%d plex blocks, want 1", len(configs))
	}
	return configs[0]
}

// How the external address is found, told and shown.
func TestCorefileOfTheExternalAddress(t *testing.T) {
	plain := []string{"opendns udp 127.0.0.1:41002", "google udp 127.0.0.1:41003"}
	withoutTLS := echoes
	withoutTLS.Cloudflare = netip.AddrPort{}
	for _, tc := range []struct {
		name   string
		echoes demo.Echoes
		detect []string
	}{
		{"over TLS", echoes, append([]string{"cloudflare dot 127.0.0.1:41001"}, plain...)},
		{"where programs cannot be told whom to trust", withoutTLS, append([]string{"file " + homeDir + "/address"}, plain...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := readCorefile(t, tc.echoes)
			var detect []string
			for _, s := range c.Detect {
				words := []string{s.String()}
				for _, at := range s.At {
					words = append(words, at.String())
				}
				detect = append(detect, strings.Join(words, " "))
			}
			if diff := cmp.Diff(tc.detect, detect); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			d := c.DuckDNS
			told := []string{d.Name, d.API, d.VerifyAt[0].String(), c.Status.Addr.String()}
			if diff := cmp.Diff([]string{demo.DuckName, duckAPI, "127.0.0.1:5400", "127.0.0.1:8055"}, told); diff != "" {
				t.Errorf("DuckDNS and the status (-want +got):\n%s", diff)
			}
			for _, m := range []demo.Member{demo.Wan, demo.WanNew} {
				if !c.Allow[0].Contains(m.Addr()) {
					t.Errorf("%s is refused", m.Addr())
				}
			}
		})
	}
}

func TestCorefile(t *testing.T) {
	c := readCorefile(t, echoes)
	type summary struct {
		Origins, Members, Inactive []string
		State                      string
		Loopback                   []netip.Prefix
	}
	got := summary{Origins: c.Cluster.Origins, Inactive: c.Inactive, State: c.State.Dir, Loopback: c.Cluster.Prefixes.Internal}
	for _, n := range c.Cluster.Nodes {
		got.Members = append(got.Members, string(n.Name)+" "+net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))))
	}
	for _, p := range c.Cluster.Proxies {
		for _, a := range p.Addrs {
			got.Members = append(got.Members, "proxy "+a.String())
		}
	}
	want := summary{
		Origins:  []string{"home.duckdns.org."},
		Members:  []string{"plex1 127.0.1.1:32400", "plex2 127.0.2.1:32401", "proxy 127.0.3.1:8443"},
		State:    homeDir,
		Loopback: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	views := c.Cluster.Prefixes.Compile(nil)
	for client, view := range map[demo.Client]zones.View{demo.Inside: zones.Internal, demo.Outside: zones.External} {
		if got := views.Of(client.Addr()); got != view {
			t.Errorf("%s is in the %s view, want %s", client, got, view)
		}
	}
}

func TestMissingLoopbackAddresses(t *testing.T) {
	onlyOne := func(a netip.Addr) error {
		if a == demo.Inside.Addr() {
			return nil
		}
		return errors.New("can't assign requested address")
	}
	want := "using loopback addresses: can't assign requested address: " +
		"this system lacks 127.0.1.1, 127.0.2.1, 127.0.3.1, 127.9.9.9; " +
		"on macOS, for each of them: sudo ifconfig lo0 alias 127.0.1.1"
	if err := demo.CheckLoopback(onlyOne); err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if err := demo.CheckLoopback(func(netip.Addr) error { return nil }); err != nil {
		t.Errorf("with all addresses: %v", err)
	}
}

// A port that is taken, for TCP or UDP, is passed over.
func TestFreePlace(t *testing.T) {
	loopback := demo.Inside.Addr()
	tcp, err := new(net.ListenConfig).Listen(t.Context(), "tcp", netip.AddrPortFrom(loopback, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", netip.AddrPortFrom(loopback, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, taken := range []net.Addr{tcp.Addr(), udp.LocalAddr()} {
		port := netip.MustParseAddrPort(taken.String()).Port()
		got, err := demo.FreePlace(t.Context(), loopback, port)
		if err != nil {
			t.Fatal(err)
		}
		if got.Addr() != loopback || got.Port() <= port {
			t.Errorf("%s, want a port above %d", got, port)
		}
	}
}

// Demos that begin at once, and whatever else has a port, leave each part a place of its own.
func TestFindPlaces(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	for range 3 {
		held, turn, err := demo.TakeTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { held.Close() })
		p, err := demo.FindPlaces(t.Context(), turn)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []netip.AddrPort{p.DNS, p.Status, p.Proxy, p.ProxyStatus, p.Plex1, p.Plex2, p.Names} {
			if seen[place] {
				t.Errorf("%s twice", place)
			}
			seen[place] = true
		}
	}
}

func TestAnswerOf(t *testing.T) {
	m := new(dns.Msg)
	for _, text := range []string{
		"plex. A 127.0.2.1", "plex. A 127.0.1.1", "plex. AAAA fd00::1", `plex. TXT "b" "a"`,
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	want := data("b", "a", "127.0.1.1", "127.0.2.1", "fd00::1")
	if diff := cmp.Diff(want, demo.AnswerOf(m)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}
