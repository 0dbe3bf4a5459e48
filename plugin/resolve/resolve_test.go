package resolve_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"plexha/plugin/resolve"
)

var sameAddr = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// TestAddrs: what a look-up makes of a server's answers.
func TestAddrs(t *testing.T) {
	tests := []struct {
		name    string
		handler dns.HandlerFunc
		want    []netip.Addr
		err     string
	}{
		{
			"both families, IPv4 first",
			zone("www.example. 60 IN AAAA 2001:db8::1", "www.example. 60 IN A 192.0.2.1", "www.example. 60 IN A 192.0.2.2"),
			addrs("192.0.2.1", "192.0.2.2", "2001:db8::1"), "",
		},
		{"one family", zone("www.example. 60 IN AAAA 2001:db8::1"), addrs("2001:db8::1"), ""},
		{
			"an alias", zone("www.example. 60 IN CNAME at.example.", "at.example. 60 IN A 192.0.2.7"),
			addrs("192.0.2.7"), "",
		},
		{
			"an IPv4 address in an AAAA record",
			zone("www.example. 60 IN AAAA ::ffff:192.0.2.9", "www.example. 60 IN A 192.0.2.1"), addrs("192.0.2.1"), "",
		},
		{"no record", zone(), nil, "it knows no address of www.example"},
		{"no such name", rcode(dns.RcodeNameError), nil, "it answers NXDOMAIN for www.example"},
		{"trouble with one family", func(w dns.ResponseWriter, q *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeAAAA {
				rcode(dns.RcodeServerFailure)(w, q)
				return
			}
			zone("www.example. 60 IN A 192.0.2.1")(w, q)
		}, addrs("192.0.2.1"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.handler)
			r := resolve.With(resolve.Options{Servers: []resolve.Server{s.server()}, Roots: s.roots})
			got, err := r.Addrs(t.Context(), "WWW.example")
			if diff := cmp.Diff(tt.want, got, sameAddr); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestAddrsOfAnAddress: nobody is asked.
func TestAddrsOfAnAddress(t *testing.T) {
	s := start(t, silent)
	r := resolve.With(resolve.Options{Servers: []resolve.Server{s.server()}, Roots: s.roots})
	for host, want := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1"} {
		got, err := r.Addrs(t.Context(), host)
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: %v, %v, want %s", host, got, err, want)
		}
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d questions", n)
	}
}

// TestOneConnection: a look-up makes one connection for all its questions, over TLS, and a name that is still
// known none.
func TestOneConnection(t *testing.T) {
	s := start(t, zone(
		"home.example. 600 IN NS ns1.home.example.", "home.example. 600 IN NS ns2.home.example.",
		"ns1.home.example. 600 IN A 192.0.2.1", "ns2.home.example. 600 IN A 192.0.2.2",
	))
	r := resolve.With(resolve.Options{Servers: []resolve.Server{{Name: certName, TLS: s.tls}}, Roots: s.roots})
	for range 3 {
		got, err := r.NameServers(t.Context(), "home.example")
		if err != nil {
			t.Fatal(err)
		}
		want := []resolve.NameServer{
			{Name: "ns1.home.example.", Addr: netip.MustParseAddrPort("192.0.2.1:53")},
			{Name: "ns2.home.example.", Addr: netip.MustParseAddrPort("192.0.2.2:53")},
		}
		if diff := cmp.Diff(want, got, sameAddr); diff != "" {
			t.Errorf("name servers (-want +got):\n%s", diff)
		}
		got[0].Name = "what a caller does with an answer is no other caller's matter"
	}
	if conns, asked := s.conns.Load(), s.asked.Load(); conns != 1 || asked != 5 {
		t.Errorf("%d connections and %d questions, want 1 and 5", conns, asked)
	}
	select {
	case <-s.closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection is left open")
	}
}

// TestNameServers: a name server without an address does not spoil the others.
func TestNameServers(t *testing.T) {
	const ns = "home.example. 600 IN NS ns1.home.example."
	tests := []struct {
		name    string
		handler dns.HandlerFunc
		want    []string
		err     string
	}{
		{
			"one of two has addresses",
			zone(ns, "home.example. 60 IN NS ns2.home.example.", "ns2.home.example. 60 IN AAAA 2001:db8::2", "ns2.home.example. 60 IN A 192.0.2.2"),
			[]string{"192.0.2.2:53", "[2001:db8::2]:53"},
			"",
		},
		{"none has", zone(ns), nil, "it knows no address of ns1.home.example"},
		{"no zone there", zone(), nil, "it knows no name server of home.example"},
		{"trouble", rcode(dns.RcodeServerFailure), nil, "it answers SERVFAIL for home.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.handler)
			r := resolve.With(resolve.Options{Servers: []resolve.Server{s.server()}, Roots: s.roots})
			servers, err := r.NameServers(t.Context(), "home.example.")
			var got []string
			for _, s := range servers {
				got = append(got, s.Addr.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestNextBest: who is asked when a server cannot be believed, or cannot be reached.
func TestNextBest(t *testing.T) {
	good := start(t, zone("localhost. 60 IN A 192.0.2.1"))
	liar := start(t, zone("localhost. 60 IN A 192.0.2.66"))
	dead := nobody(t)
	tests := []struct {
		name    string
		servers []resolve.Server
		system  bool
		want    []netip.Addr
		err     string
	}{
		{
			"a certificate of somebody else: the next server",
			[]resolve.Server{{Name: certName, TLS: liar.tls}, {Name: certName, TLS: good.tls}},
			false, addrs("192.0.2.1"), "",
		},
		{
			"a certificate for another name: the next server",
			[]resolve.Server{{Name: "other.example", TLS: good.tls}, {Name: certName, TLS: good.tls}},
			false, addrs("192.0.2.1"), "",
		},
		{
			"nobody over TLS: port 53",
			[]resolve.Server{{Name: certName, TLS: dead, Plain: good.plain}},
			false, addrs("192.0.2.1"), "",
		},
		{
			"nobody at all: not the system's resolver",
			[]resolve.Server{{Name: certName, TLS: dead, Plain: dead}, {Name: certName, TLS: dead}},
			false, nil,
			"looking up localhost: asking " + dead.String() + " over TLS: ",
		},
		{
			"nobody at all: the system's resolver, if it may be asked",
			[]resolve.Server{{Name: certName, TLS: dead, Plain: dead}},
			true, addrs("127.0.0.1"), "",
		},
		{"none given", []resolve.Server{}, false, nil, "no server is given"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := resolve.With(resolve.Options{Servers: tt.servers, Roots: good.roots, System: tt.system})
			got, err := r.Addrs(t.Context(), "localhost")
			if len(got) > 1 {
				got = got[:1] // the system's resolver may know ::1 as well
			}
			if diff := cmp.Diff(tt.want, got, sameAddr); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestNameServersNeverFromTheSystem: its resolver may be ourselves.
func TestNameServersNeverFromTheSystem(t *testing.T) {
	dead := nobody(t)
	r := resolve.With(resolve.Options{Servers: []resolve.Server{{TLS: dead, Plain: dead}}, System: true})
	if got, err := r.NameServers(t.Context(), "localhost"); err == nil || strings.Contains(err.Error(), "system") {
		t.Errorf("%v, %v, want an error that is not of the system's resolver", got, err)
	}
}

// TestPublic: all are asked both ways, and none by a name.
func TestPublic(t *testing.T) {
	families := map[bool]int{}
	for _, s := range resolve.Public() {
		if s.Name == "" || s.TLS.Port() != 853 || s.Plain != netip.AddrPortFrom(s.TLS.Addr(), 53) {
			t.Errorf("%+v", s)
		}
		families[s.TLS.Addr().Is4()]++
	}
	if families[true] != 3 || families[false] != 3 {
		t.Errorf("%v, want three of each family", families)
	}
}

// TestDial: a connection to a host goes to one of its addresses.
func TestDial(t *testing.T) {
	l := listen(t)
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	s := start(t, zone("www.example. 60 IN A 127.0.0.254", "www.example. 60 IN A 127.0.0.1", "six.example. 60 IN AAAA 2001:db8::1"))
	r := resolve.With(resolve.Options{Servers: []resolve.Server{s.server()}, Roots: s.roots})
	tests := []struct{ name, network, address, want, err string }{
		{"the second address, where the first refuses", "tcp", "www.example:" + port, l.Addr().String(), ""},
		{"an address", "tcp4", "127.0.0.1:" + port, l.Addr().String(), ""},
		{"no address of the family", "tcp4", "six.example:443", "", "six.example has no address for tcp4"},
		{"no address of the other family", "tcp6", "www.example:443", "", "www.example has no address for tcp6"},
		{"no port", "tcp", "www.example", "", "missing port"},
		{"no such host", "tcp", "nowhere.example:443", "", "it knows no address of nowhere.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := r.Dial(t.Context(), tt.network, tt.address)
			var got string
			if err == nil {
				got = conn.RemoteAddr().String()
				_ = conn.Close()
			}
			if got != tt.want {
				t.Errorf("connected to %q, want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
