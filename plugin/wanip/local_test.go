package wanip_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"plexha/plugin/wanip"
	"plexha/zones"
)

// words returns what a source says: an address or an error.
func words(addr netip.Addr, err error) string {
	switch {
	case errors.Is(err, wanip.ErrNothing):
		return "nothing"
	case err != nil:
		return "error: " + err.Error()
	default:
		return addr.String()
	}
}

// ownWords are texts of commands and files, with what they say of both families.
var ownWords = []struct {
	name, text, ipv4, ipv6 string
}{
	{"one IPv4 address", "8.8.4.4", "8.8.4.4", "nothing"},
	{"with an end of line", "8.8.4.4\n", "8.8.4.4", "nothing"},
	{"of another system", "8.8.4.4\r\n2a02:8106::7\r\n", "8.8.4.4", "2a02:8106::7"},
	{"one IPv6 address", "2a02:8106::7\n", "nothing", "2a02:8106::7"},
	{"one of each", "2a02:8106::7\n8.8.4.4\n", "8.8.4.4", "2a02:8106::7"},
	{"an IPv4 address in IPv6's form", "::ffff:8.8.4.4\n", "8.8.4.4", "nothing"},
	{"blanks around it", "\n  8.8.4.4 \n\n", "8.8.4.4", "nothing"},
	{"the same twice", "8.8.4.4\n8.8.4.4\n", "8.8.4.4", "nothing"},
	{"a private one is for the judge", "10.0.0.1\n", "10.0.0.1", "nothing"},
	{
		"two of one family", "8.8.4.4\n8.8.8.8\n",
		"error: two ipv4 addresses: 8.8.4.4 and 8.8.8.8", "error: two ipv4 addresses: 8.8.4.4 and 8.8.8.8",
	},
	{"two in a line", "8.8.4.4 8.8.8.8", `error: "8.8.4.4 8.8.8.8" is no address`, `error: "8.8.4.4 8.8.8.8" is no address`},
	{"a comment", "8.8.4.4\n# home\n", `error: "# home" is no address`, `error: "# home" is no address`},
	{"a prefix", "8.8.4.4/32", `error: "8.8.4.4/32" is no address`, `error: "8.8.4.4/32" is no address`},
	{"a zone", "fe80::1%eth0", `error: "fe80::1%eth0" is no address`, `error: "fe80::1%eth0" is no address`},
	{"a page", "<html>", `error: "<html>" is no address`, `error: "<html>" is no address`},
	{"empty", "", "error: it says nothing", "error: it says nothing"},
	{"blank", " \n", "error: it says nothing", "error: it says nothing"},
	{
		"a long line", strings.Repeat("x", 200),
		`error: "` + strings.Repeat("x", 100) + `..." is no address`, `error: "` + strings.Repeat("x", 100) + `..." is no address`,
	},
	{
		"far too much", "8.8.4.4\n" + strings.Repeat("\n", 4096),
		"error: it says more than 4096 bytes", "error: it says more than 4096 bytes",
	},
}

func TestOperatorsOwnWords(t *testing.T) {
	for _, tc := range ownWords {
		t.Run(tc.name, func(t *testing.T) {
			if got := words(wanip.AddrIn([]byte(tc.text), zones.IPv4)); got != tc.ipv4 {
				t.Errorf("IPv4: %s, want %s", got, tc.ipv4)
			}
			if got := words(wanip.AddrIn([]byte(tc.text), zones.IPv6)); got != tc.ipv6 {
				t.Errorf("IPv6: %s, want %s", got, tc.ipv6)
			}
		})
	}
}

func FuzzAddrIn(f *testing.F) {
	for _, tc := range ownWords {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, family := range zones.Families() {
			addr, err := wanip.AddrIn(text, family)
			if err == nil && (!family.Has(addr) || addr.Zone() != "" || addr.Is4In6()) {
				t.Errorf("%v: %v", family, addr)
			}
			if err != nil && addr.IsValid() {
				t.Errorf("%v: both %v and %v", family, addr, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%v: more than a line: %q", family, err)
			}
		}
	})
}
