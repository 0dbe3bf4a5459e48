package wanip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"plexha/plugin/wanip"
	"plexha/zones"
)

// checkTaken fails if what was taken for an address is none, or is not what stands there.
func checkTaken(t *testing.T, addr netip.Addr, err error) {
	t.Helper()
	if (err == nil) != addr.IsValid() || addr.Zone() != "" || addr.Is4In6() {
		t.Errorf("took %v, %v", addr, err)
	}
}

// Whatever a page says, an address is only taken from a body that is one, or from a trace's line.
func FuzzHTTPBody(f *testing.F) {
	for _, body := range []string{"198.51.100.7\n", "2001:db8::7", portalPage, "", "ip=198.51.100.7\n", "fe80::1%eth0", "\x00"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		addr, err := wanip.ParseEcho(body)
		checkTaken(t, addr, err)
		if err == nil && netip.MustParseAddr(strings.TrimSpace(string(body))).Unmap() != addr {
			t.Errorf("took %v from %q", addr, body)
		}
		addr, err = wanip.ParseTrace(body)
		checkTaken(t, addr, err)
		if err == nil && !strings.Contains(string(body), "ip=") {
			t.Errorf("took %v from %q", addr, body)
		}
	})
}

// Whatever strings a TXT answer has, they tell one address or none.
func FuzzTXT(f *testing.F) {
	f.Add("198.51.100.7", "edns0-client-subnet 203.0.113.0/24")
	f.Add("198.51.100.7", "198.51.100.8")
	f.Add("2001:db8::7", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		addr, err := wanip.ReadTexts([]string{one, two})
		checkTaken(t, addr, err)
		if err == nil && !is(addr, one) && !is(addr, two) {
			t.Errorf("took %v from %q and %q", addr, one, two)
		}
	})
}

func is(addr netip.Addr, text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Unmap() == addr
}

// No answer makes an operator's reader panic, or take what is no address.
func FuzzDNSAnswer(f *testing.F) {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT} {
		q := new(dns.Msg).SetQuestion("o-o.myaddr.l.google.com.", qtype)
		f.Add(packed(tells(home4)(q)))
		f.Add(packed(tells(home6)(q)))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		answer := new(dns.Msg)
		if answer.Unpack(packet) != nil {
			return
		}
		for _, operator := range []string{"opendns", "cloudflare", "google", "akamai"} {
			for _, family := range zones.Families() {
				addr, err := wanip.ReadAnswer(operator, answer, family)
				checkTaken(t, addr, err)
			}
		}
	})
}
