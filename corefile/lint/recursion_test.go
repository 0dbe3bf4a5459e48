package lint_test

import (
	"slices"
	"strings"
	"testing"

	"plexha/corefile/lint"
)

// TestOpenRecursion says which server blocks look names up for the Internet.
func TestOpenRecursion(t *testing.T) {
	const house = "allow net 127.0.0.0/8 ::1/128 192.168.1.0/24 fd12:3456::/48"
	for _, tc := range []struct {
		name, keys, lines string
		want              string // who may ask; empty: nobody outside
	}{
		{"no access list", ".", "", "1.0.0.0"},
		{"the house alone", ".", "acl {\n" + house + "\nblock\n}", ""},
		{"the house alone, others get no answer", ".", "acl {\n" + house + "\ndrop\n}", ""},
		{"the house alone, others get an empty one", ".", "acl {\n" + house + "\nfilter\n}", ""},
		{"in capitals", ".", "acl {\nALLOW NET 192.168.1.0/24\nBLOCK\n}", ""},
		{"nobody else is blocked", ".", "acl {\n" + house + "\n}", "1.0.0.0"},
		{"allowed before it is blocked", ".", "acl {\nallow\nblock\n}", "1.0.0.0"},
		{"one network too many", ".", "acl {\n" + house + " 198.51.100.0/24\nblock\n}", "198.51.100.0"},
		{"one address too many", ".", "acl {\n" + house + " 198.51.100.9\nblock\n}", "198.51.100.9"},
		{"one hole in what is blocked", ".", "acl {\nblock net 0.0.0.0/1 128.0.0.0/2 192.0.0.0/3\n}", "2000::"},
		{"IPv4 alone is blocked", ".", "acl {\nblock net 0.0.0.0/0\n}", "2000::"},
		{"both families are blocked", ".", "acl {\n" + house + "\nblock net 0.0.0.0/0 ::/0\n}", ""},
		{"everybody by a star", ".", "acl {\n" + house + "\nblock net *\n}", ""},
		{"a type alone is blocked", ".", "acl {\nblock type ANY net *\n}", "1.0.0.0"},
		{"all types are blocked", ".", "acl {\n" + house + "\nblock type * net *\n}", ""},
		{"a type that matters is blocked", ".", "acl {\n" + house + "\nblock type A AAAA net *\n}", ""},
		{"a private network more", ".", "acl {\n" + house + " 10.0.0.0/8\nblock\n}", ""},
		{"an overlay network", ".", "acl {\n" + house + " 100.64.0.0/10\nblock\n}", ""},
		{"an access list for another zone", ".", "acl example.org {\nblock\n}", "1.0.0.0"},
		{"an access list for this zone", ".", "acl . {\n" + house + "\nblock\n}", ""},
		{"two access lists", ".", "acl {\n" + house + "\n}\nacl {\nblock\n}", ""},
		{"loopback", ".", "bind 127.0.0.1 ::1", ""},
		{"loopback by name", ".", "bind lo", ""},
		{"an address in the house", ".", "bind 192.168.1.53", "1.0.0.0"},
		{"a view of its own", ".", "view lan {\nexpr incidr(client_ip(), '192.168.1.0/24')\n}", ""},
		{"over TLS", "tls://.", "", "1.0.0.0"},
		{"a zone of the house's router", "lan", "", "1.0.0.0"},
		{"below our zone", "nas.home.duckdns.org", "", ""},
		{"a network", "192.168.1.0/24", "", ""},
		{"a network's zone", "1.168.192.in-addr.arpa", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := changed(t, resolver(tc.keys+" {\n"+tc.lines+"\nforward . 192.0.2.53\nerrors\n}\n")...)
			all := lint.Check("Corefile", []byte(text))
			i := slices.IndexFunc(all, func(f lint.Finding) bool { return f.Code == "open-recursion" })
			switch {
			case tc.want == "" && i >= 0:
				t.Errorf("%v", all[i])
			case tc.want != "" && i < 0:
				t.Errorf("nothing is found, want %s", tc.want)
			case tc.want != "" && !strings.Contains(all[i].Text, ", "+tc.want+" for one,"):
				t.Errorf("%v, want %s", all[i], tc.want)
			}
		})
	}
}

// TestOnlinkRecursion says that a network of the house that only a running program knows is let in.
func TestOnlinkRecursion(t *testing.T) {
	for net, want := range map[string]bool{"2001:db8:1::/48": false, "2001:db8::/32": true, "198.51.100.0/24": true} {
		text := changed(t, append(resolver(". {\nacl {\nallow net "+net+"\nblock\n}\nforward . 192.0.2.53\nerrors\n}\n"), "fd12:3456::/48", "onlink")...)
		open := func(f lint.Finding) bool { return f.Code == "open-recursion" }
		if got := slices.ContainsFunc(lint.Check("Corefile", []byte(text)), open); got != want {
			t.Errorf("%s: %v, want %v", net, got, want)
		}
	}
}

// TestZoneInTheResolver says that a plex block for one zone of a server block does not make the others ours.
func TestZoneInTheResolver(t *testing.T) {
	text := changed(t, "home.duckdns.org {\n    plex {", ". {\n    plex home.duckdns.org {")
	all := lint.Check("Corefile", []byte(text))
	if len(all) != 1 || all[0].Code != "open-recursion" || all[0].Line != 12 {
		t.Errorf("got %v", all)
	}
}

func TestRecursionAdvice(t *testing.T) {
	text := changed(t, append(resolver(". {\nforward . 192.0.2.53\nerrors\n}\n"), "fd12:3456::/48", "private")...)
	want := "Corefile:17: everybody who reaches this server may have it look up any name, 1.0.0.0 for one, and not the house alone: " +
		"add an acl with the lines `allow net 127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 192.168.1.0/24` and `block`"
	all := lint.Check("Corefile", []byte(text))
	if len(all) != 1 || all[0].String() != want {
		t.Errorf("got %v\nwant %v", all, want)
	}
}
