package corefile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestZones(t *testing.T) {
	none := `Corefile:2: no zone: name one as the server block's key or behind plex, such as "home.duckdns.org"; "." is none`
	for _, tc := range []struct{ name, keys, args, want string }{
		{"key", "home.duckdns.org", "", "home.duckdns.org."},
		{"key with final dot, in capitals", "HOME.duckdns.org.", "", "home.duckdns.org."},
		{"one zone over two transports", "home.duckdns.org tls://home.duckdns.org", "", "home.duckdns.org."},
		{"ports and schemes", "dns://a.org:1053 https://b.org:443 quic://c.org grpc://d.org. e.org:53", "", "a.org. b.org. c.org. d.org. e.org."},
		{"the root beside a zone", ". a.org", "", "a.org."},
		{"argument", ".", "a.org", "a.org."},
		{"arguments below keys", "org", "a.org B.org", "a.org. b.org."},
		{"top-level zone", "lan", "", "lan."},
		{"underscore", "_plex.lan", "", "_plex.lan."},

		{"the root alone", ".", "", none},
		{"the root with a port", ".:1053", "", none},
		{"the root as argument", ".", ".", none},
		{"network", "10.0.0.0/24", "", `Corefile:2: zone "10.0.0.0/24" is for reverse look-ups, where no node has a name`},
		{"IPv6 network", "fd12::/16", "", `Corefile:2: zone "fd12::/16" is for reverse look-ups, where no node has a name`},
		{"reverse zone", "dns://0.0.10.in-addr.arpa.:53", "", `Corefile:2: zone "dns://0.0.10.in-addr.arpa.:53" is for reverse look-ups, where no node has a name`},
		{"scheme", "http://a.org", "", `Corefile:2: zone "http://a.org": scheme "http" is not dns, tls, https, https3, quic or grpc: did you mean "https"?`},
		{"address", "127.0.0.1", "", `Corefile:2: zone "127.0.0.1" is no domain name of at most 170 characters`},
		{"empty label", "a..org", "", `Corefile:2: zone "a..org" is no domain name of at most 170 characters`},
		{"too long", strings.Repeat("a.", 85) + "org", "", `Corefile:2: zone "` + strings.Repeat("a.", 85) + `org" is no domain name of at most 170 characters`},
		{"argument outside", "a.org", "b.org", `Corefile:2: zone "b.org." lies below no key of its server block: a.org.`},
		{"argument that only ends alike", "a.org", "ba.org", `Corefile:2: zone "ba.org." lies below no key of its server block: a.org.`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.keys + " {\nplex " + tc.args + " {\nnode plex1 docker1\n}\n}\n"
			if strings.HasPrefix(tc.want, "Corefile") {
				if diff := cmp.Diff(tc.want, complaints(t, text)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				return
			}
			got := strings.Join(read(t, text)[0].Cluster.Origins, " ")
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestInZone(t *testing.T) {
	c := read(t, "home.duckdns.org a.org {\nplex {\nnode plex1 docker1\n}\n}\n")[0]
	for name, want := range map[string]bool{
		"home.duckdns.org.":          true,
		"home.duckdns.org":           true,
		"PLEX.Home.duckdns.org.":     true,
		"a.b.a.org":                  true,
		"plex.evilhome.duckdns.org.": false,
		"duckdns.org.":               false,
		"org":                        false,
		".":                          false,
		"":                           false,
	} {
		if got := c.InZone(name); got != want {
			t.Errorf("InZone(%q) = %v, want %v", name, got, want)
		}
	}
}

// TestDuckDNSName says which name a block has at DuckDNS without one of its own.
func TestDuckDNSName(t *testing.T) {
	for _, tc := range []struct{ keys, line, want string }{
		{"home.duckdns.org", "duckdns token " + token, "home"},
		{"plex.home.duckdns.org", "duckdns token " + token, "home"},
		{"example.org", "duckdns home token " + token, "home"},
		{"example.org", "duckdns token " + token, `Corefile:4: duckdns: NAME is missing: it must be given, since the zone "example.org." does not end in .duckdns.org.`},
		{"duckdns.org", "duckdns token " + token, `Corefile:4: duckdns: NAME is missing: it must be given, since the zone "duckdns.org." does not end in .duckdns.org.`},
		{"a.duckdns.org b.duckdns.org", "duckdns token " + token, `Corefile:4: duckdns: NAME is missing: it must be given with several zones`},
		{"a.duckdns.org b.duckdns.org", "duckdns b token_file t", "b"},
		{"a..org", "duckdns token " + token, `Corefile:2: zone "a..org" is no domain name of at most 170 characters`},
	} {
		text := tc.keys + " {\nplex {\nnode plex1 docker1\n" + tc.line + "\n}\n}\n"
		var got string
		if strings.HasPrefix(tc.want, "Corefile") {
			got = complaints(t, text)
		} else {
			got = read(t, text)[0].DuckDNS.Name
		}
		if got != tc.want {
			t.Errorf("%s, %s\ngives %s\nwant  %s", tc.keys, tc.line, got, tc.want)
		}
	}
}

func TestPassthroughIsBelowEachZone(t *testing.T) {
	c := read(t, "a.org b.org {\nplex {\nnode plex1 docker1\npassthrough nas x.b.org\n}\n}\n")[0]
	want := []string{"nas.a.org.", "nas.b.org.", "x.b.org."}
	if diff := cmp.Diff(want, c.Passthrough); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
