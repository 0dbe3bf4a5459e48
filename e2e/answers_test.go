package e2e_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// shape is what a test says of an answer.
type shape struct {
	Rcode     string
	AA, RA    bool
	Answers   []netip.Addr
	Authority []string // the types of the authority section
}

func shapeOf(m *dns.Msg) shape {
	s := shape{Rcode: dns.RcodeToString[m.Rcode], AA: m.Authoritative, RA: m.RecursionAvailable, Answers: addresses(m)}
	for _, rr := range m.Ns {
		s.Authority = append(s.Authority, dns.TypeToString[rr.Header().Rrtype])
	}
	return s
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{proxies: 1})
	var (
		proxied = shape{Rcode: "NOERROR", AA: true, Answers: addrs(h.proxies...), Authority: []string{"NS"}}
		wan     = shape{Rcode: "NOERROR", AA: true, Answers: []netip.Addr{uplink}, Authority: []string{"NS"}}
		nodata  = shape{Rcode: "NOERROR", AA: true, Authority: []string{"SOA"}}
		unknown = shape{Rcode: "NXDOMAIN", AA: true, Authority: []string{"SOA"}}
		refused = shape{Rcode: "REFUSED"}
	)
	const type300 = 300 // no type has that number
	tests := []struct {
		name  string
		from  netip.Addr
		qname string
		qtype uint16
		want  shape
	}{
		{"main name inside", inside, mainName, dns.TypeA, proxied},
		{"main name outside", outside, mainName, dns.TypeA, wan},
		{"apex inside", inside, zone, dns.TypeA, proxied},
		{"apex outside", outside, zone, dns.TypeA, wan},
		{"a node's name inside leads to the proxy", inside, "plex1." + zone, dns.TypeA, proxied},
		{"a node's name outside", outside, "plex2." + zone, dns.TypeA, wan},
		{"a family that the choice lacks", inside, mainName, dns.TypeAAAA, nodata},
		{"a family that the uplink lacks", outside, mainName, dns.TypeAAAA, nodata},
		{"HTTPS", inside, mainName, dns.TypeHTTPS, nodata},
		{"MX", inside, mainName, dns.TypeMX, nodata},
		{"MX at the apex", outside, zone, dns.TypeMX, nodata},
		{"a type that has no name", inside, mainName, type300, nodata},
		{"a type that has no name, outside", outside, "plex1." + zone, type300, nodata},
		{"no such name", inside, "nothing." + zone, dns.TypeA, unknown},
		{"no such name below one that is", inside, "a." + mainName, dns.TypeA, unknown},
		{"another zone", inside, "example.org.", dns.TypeA, refused},
		{"the zone above", inside, "duckdns.org.", dns.TypeA, refused},
		{"a name that ends alike is not ours", inside, "plex.evil" + zone, dns.TypeA, refused},
		{"nor is the apex of it", inside, "evil" + zone, dns.TypeSOA, refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, shapeOf(h.dns.ask(tt.from, tt.qname, tt.qtype)), cmpAddr); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("letter case", func(t *testing.T) { keepsCase(t, h) })
	t.Run("client subnet", func(t *testing.T) { ignoresSubnets(t, h) })
}

func keepsCase(t *testing.T, h *home) {
	t.Helper()
	const mixed = "pLeX.HoMe.DuckDNS.oRG."
	for _, from := range []netip.Addr{inside, outside} {
		m := h.dns.ask(from, mixed, dns.TypeA)
		if got := m.Question[0].Name; got != mixed {
			t.Errorf("question: got %q, want %q", got, mixed)
		}
		if len(m.Answer) != 1 || m.Answer[0].Header().Name != mixed {
			t.Errorf("answer: got %v, want one owned by %q", m.Answer, mixed)
		}
	}
}

// ignoresSubnets: who is not trusted cannot choose a view by an EDNS client subnet, and is not told that it
// could.
func ignoresSubnets(t *testing.T, h *home) {
	t.Helper()
	claim := func(m *dns.Msg) {
		m.SetEdns0(dns.DefaultMsgSize, false)
		opt := m.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: net.IPv4(127, 0, 0, 1).To4(),
		})
	}
	m := h.dns.ask(outside, mainName, dns.TypeA, claim)
	if got := addresses(m); !slices.Equal(got, []netip.Addr{uplink}) {
		t.Errorf("outside, claiming to be inside: %v, want %s", got, uplink)
	}
	opt := m.IsEdns0()
	if opt == nil {
		t.Fatal("no EDNS in the answer to a question that has it")
	}
	for _, o := range opt.Option {
		if o.Option() == dns.EDNS0SUBNET {
			t.Errorf("a client subnet is returned to a client that is not trusted: %s", o)
		}
	}
}
