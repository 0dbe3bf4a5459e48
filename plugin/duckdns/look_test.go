package duckdns_test

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
	"plexha/plugin/via"
	"plexha/zones"
)

var sameAddr = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

// TestLook: only what a name server of DuckDNS says of this name and family counts.
func TestLook(t *testing.T) {
	const record = "home.duckdns.org. 60 IN A 192.0.2.1"
	tests := []struct {
		name    string
		family  zones.Family
		handler dns.HandlerFunc
		want    string
		err     string
	}{
		{"the record", zones.IPv4, zone(record), "192.0.2.1", ""},
		{"the other family's", zones.IPv6, zone("home.duckdns.org. 60 IN AAAA 2001:db8::1", record), "2001:db8::1", ""},
		{"none of that family", zones.IPv6, zone(record), "", ""},
		{"no such name", zones.IPv4, changed(zone(), func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), "", ""},
		{"a record of another name", zones.IPv4, changed(zone(record), func(m *dns.Msg) {
			m.Answer[0].Header().Name = "other.duckdns.org."
		}), "", ""},
		{"a record of another type", zones.IPv6, changed(zone(), func(m *dns.Msg) {
			rr, _ := dns.NewRR(record)
			m.Answer = []dns.RR{rr}
		}), "", ""},
		{"trouble", zones.IPv4, changed(zone(), func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), "", "it answers SERVFAIL"},
		{
			"a resolver in between", zones.IPv4, changed(zone(record), func(m *dns.Msg) { m.Authoritative = false }),
			"", "the answer is not authoritative: is port 53 redirected?",
		},
		{"a resolver in between that knows no such name", zones.IPv4, changed(zone(), func(m *dns.Msg) {
			m.Authoritative, m.Rcode = false, dns.RcodeNameError
		}), "", "the answer is not authoritative: is port 53 redirected?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := nameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
				if q.RecursionDesired {
					t.Error("the question desires recursion")
				}
				tt.handler(w, q)
			})
			v := duckdns.NewVerifier(&corefile.DuckDNS{Name: "home", VerifyAt: []netip.AddrPort{server}}, nil)
			shown, err := v.Look(t.Context(), tt.family)
			if err != nil || len(shown) != 1 || shown[0].Server.Addr != server {
				t.Fatalf("%+v, %v, want what %s shows", shown, err, server)
			}
			var got, told string
			if len(shown[0].Addrs) > 0 {
				got = shown[0].Addrs[0].String()
			}
			if shown[0].Err != nil {
				told = shown[0].Err.Error()
			}
			if got != tt.want || told != tt.err {
				t.Errorf("%q, error %q, want %q, error %q", got, told, tt.want, tt.err)
			}
		})
	}
}

// TestLookRedirected: an answer without authority is told apart from trouble.
func TestLookRedirected(t *testing.T) {
	server := nameServer(t, changed(zone(), func(m *dns.Msg) { m.Authoritative = false }))
	v := duckdns.NewVerifier(&corefile.DuckDNS{Name: "home", VerifyAt: []netip.AddrPort{server}}, nil)
	shown, err := v.Look(t.Context(), zones.IPv4)
	if err != nil || !errors.Is(shown[0].Err, duckdns.ErrNotAuthoritative) {
		t.Errorf("%+v, %v, want %v", shown, err, duckdns.ErrNotAuthoritative)
	}
}

// TestLookAtAllAtOnce: no name server waits for another one, and each has its say, in their order.
func TestLookAtAllAtOnce(t *testing.T) {
	var waiting atomic.Int32
	all := make(chan struct{})
	at := func(record string) netip.AddrPort {
		return nameServer(t, func(w dns.ResponseWriter, q *dns.Msg) {
			if waiting.Add(1) == 3 {
				close(all)
			}
			<-all
			zone(record)(w, q)
		})
	}
	servers := []netip.AddrPort{
		at("home.duckdns.org. 60 IN A 192.0.2.1"), at("home.duckdns.org. 60 IN A 192.0.2.2"), at("home.duckdns.org. 60 IN A 192.0.2.3"),
	}
	v := duckdns.NewVerifier(&corefile.DuckDNS{Name: "home", VerifyAt: servers}, nil)
	shown, err := v.Look(t.Context(), zones.IPv4)
	var want []duckdns.Shown
	for i, s := range servers {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		want = append(want, duckdns.Shown{Server: resolve.NameServer{Name: "127.0.0.1", Addr: s}, Addrs: []netip.Addr{addr}})
	}
	if diff := cmp.Diff(want, shown, sameAddr); err != nil || diff != "" {
		t.Errorf("error %v, shown (-want +got):\n%s", err, diff)
	}
}

// TestLookSilence: a look ends when its caller's time does, and says so of each server.
func TestLookSilence(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	server := nameServer(t, func(dns.ResponseWriter, *dns.Msg) { cancel(gone) })
	v := duckdns.NewVerifier(&corefile.DuckDNS{Name: "home", VerifyAt: []netip.AddrPort{server}}, nil)
	shown, err := v.Look(ctx, zones.IPv4)
	if err != nil || len(shown) != 1 || !errors.Is(shown[0].Err, gone) {
		t.Errorf("%+v, %v, want a server that said nothing until the end", shown, err)
	}
}

// TestLookFinds: DuckDNS's own name servers are those that the resolver knows; without one there is nothing to see.
func TestLookFinds(t *testing.T) {
	publicly := nameServer(t, zone("duckdns.org. 600 IN NS ns1.duckdns.org.", "ns1.duckdns.org. 600 IN A 127.0.0.254"))
	nothing := nameServer(t, zone())
	verifier := func(public netip.AddrPort) duckdns.Verifier {
		r := resolve.With(resolve.Options{Servers: []resolve.Server{{Plain: public}}, Path: via.Path{}})
		return duckdns.NewVerifier(&corefile.DuckDNS{Name: "home"}, r)
	}
	shown, err := verifier(publicly).Look(t.Context(), zones.IPv4)
	want := resolve.NameServer{Name: "ns1.duckdns.org.", Addr: netip.MustParseAddrPort("127.0.0.254:53")}
	if err != nil || len(shown) != 1 || shown[0].Server != want {
		t.Errorf("%+v, %v, want %+v", shown, err, want)
	}
	const words = "looking for the name servers of duckdns.org: asking "
	if shown, err = verifier(nothing).Look(t.Context(), zones.IPv4); shown != nil || err == nil || err.Error()[:len(words)] != words {
		t.Errorf("%+v, %v, want %q", shown, err, words)
	}
}
