package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"plexha/zones/board"
)

// everyType holds types that we have no records of at most names, and one that nobody has.
var everyType = []string{"A", "AAAA", "HTTPS", "SVCB", "MX", "TXT", "CAA", "NS", "SRV", "SOA", "CNAME", "DS", "TYPE300"}

func TestBothViews(t *testing.T) {
	h := newHouse(t, with(oneProxy, "proxy 192.168.1.3")...)
	tests := []struct {
		question        string
		inside, outside string
	}{
		{"plex.home.duckdns.org. A", "192.168.1.2, 192.168.1.3", "203.0.113.7"},
		{"plex.home.duckdns.org. AAAA", "nodata", "nodata"},
		{"home.duckdns.org. A", "192.168.1.2, 192.168.1.3", "203.0.113.7"},
		{"plex1.home.duckdns.org. A", "192.168.1.2, 192.168.1.3", "203.0.113.7"},
		{"plex2.home.duckdns.org. A", "192.168.1.2, 192.168.1.3", "203.0.113.7"},
		{"ns1.home.duckdns.org. A", "nodata", "203.0.113.7"}, // this host has no address in the house
		{"home.duckdns.org. NS", "NS ns1.home.duckdns.org.", "NS ns1.home.duckdns.org."},
		{"plex3.home.duckdns.org. A", "nxdomain", "nxdomain"},
		{"_status.plex3.home.duckdns.org. TXT", "nxdomain", "nxdomain"},
		{"x.plex.home.duckdns.org. A", "nxdomain", "nxdomain"},
	}
	for _, tt := range tests {
		if got := h.ask(inside, tt.question); got != tt.inside {
			t.Errorf("%s inside: got %s, want %s", tt.question, got, tt.inside)
		}
		if got := h.ask(outside, tt.question); got != tt.outside {
			t.Errorf("%s outside: got %s, want %s", tt.question, got, tt.outside)
		}
	}
}

func TestAnswersFollowHealth(t *testing.T) {
	h := newHouse(t, with(oneProxy, "answer proxies first")...)
	const q = "plex.home.duckdns.org. A"
	steps := []struct {
		what string
		do   func()
		want string
	}{
		{"all is up", func() {}, "192.168.1.2"},
		{"the proxy dies", func() { h.kill("192.168.1.2:443") }, "192.168.1.11"},
		{"the first node dies", func() { h.kill("plex1") }, "192.168.1.12"},
		{"all are dead", func() { h.kill("plex2") }, "192.168.1.2"},
		{"the second node is back", func() { h.revive("plex2") }, "192.168.1.12"},
		{"the proxy is back", func() { h.revive("192.168.1.2:443") }, "192.168.1.2"},
	}
	for _, s := range steps {
		s.do()
		if got := h.ask(inside, q); got != s.want {
			t.Errorf("%s: got %s, want %s", s.what, got, s.want)
		}
		if got := h.ask(outside, q); got != "203.0.113.7" {
			t.Errorf("%s: outside the uplink's address stays, got %s", s.what, got)
		}
	}
}

// TestManagedNamesAreNeverNXDOMAIN asks for everything at every name of ours.
func TestManagedNamesAreNeverNXDOMAIN(t *testing.T) {
	houses := map[string]func(t *testing.T) *house{
		"all up": func(t *testing.T) *house { return newHouse(t, oneProxy...) },
		"alldown empty": func(t *testing.T) *house {
			h := newHouse(t, with(oneProxy, "alldown empty")...)
			h.kill("plex1", "plex2", "192.168.1.2:443")
			return h
		},
		"alldown servfail": func(t *testing.T) *house {
			h := newHouse(t, with(oneProxy, "alldown servfail")...)
			h.kill("plex1", "plex2", "192.168.1.2:443")
			return h
		},
		"a node that clients cannot reach": func(t *testing.T) *house {
			return newHouse(t, "node plex1 127.0.0.1", "node plex2 192.168.1.12", "internal 192.168.1.0/24", "alldown empty")
		},
		"no external address, wildcard": func(t *testing.T) *house {
			return newHouse(t, "node plex1 127.0.0.1", "node plex2 127.0.0.2", "internal 192.168.1.0/24", "wildcard")
		},
	}
	names := []string{
		"", "plex.", "plex1.", "plex2.", "ns1.", "_status.", "_status.plex.", "_status.plex1.", "_status.plex2.",
	}
	for what, build := range houses {
		t.Run(what, func(t *testing.T) {
			h := build(t)
			for _, name := range names {
				for _, qtype := range everyType {
					for _, from := range []string{inside, outside} {
						q := name + zone + " " + qtype
						got := h.ask(from, q)
						address := qtype == "A" || qtype == "AAAA"
						if got == "nxdomain" || !address && got == "servfail" {
							t.Errorf("%s from %s: got %s", q, from, got)
						}
						if slices.Contains([]string{"HTTPS", "SVCB", "MX", "CAA", "SRV", "CNAME", "DS", "TYPE300"}, qtype) && got != "nodata" {
							t.Errorf("%s from %s: got %s, want NODATA", q, from, got)
						}
					}
				}
			}
		})
	}
}

func TestStatusIsToldInsideAlone(t *testing.T) {
	h := newHouse(t, oneProxy...)
	h.kill("plex2")
	tests := []struct{ question, want string }{
		{
			"_status.plex.home.duckdns.org. TXT",
			`TXT "plex1 up since 2026-11-22T20:00:00Z", TXT "plex2 down since 2026-11-22T20:00:00Z"`,
		},
		{
			"_status.home.duckdns.org. TXT",
			`TXT "plex1 up since 2026-11-22T20:00:00Z", TXT "plex2 down since 2026-11-22T20:00:00Z"`,
		},
		{"_status.plex2.home.duckdns.org. TXT", `TXT "plex2 down since 2026-11-22T20:00:00Z"`},
		{"_status.plex2.home.duckdns.org. A", "nodata"},
		{"_status.ns1.home.duckdns.org. TXT", "nxdomain"},
	}
	for _, tt := range tests {
		if got := h.ask(inside, tt.question); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.question, got, tt.want)
		}
		if got := h.ask(outside, tt.question); strings.Contains(got, "TXT") {
			t.Errorf("%s: told outside: %s", tt.question, got)
		}
	}
}

func TestNotOurs(t *testing.T) {
	questions := []string{
		"example.org. A", "duckdns.org. A", ". NS", "org. NS",
		"plex.evilhome.duckdns.org. A", "evilhome.duckdns.org. A", "plexhome.duckdns.org. A",
		"home.duckdns.org.evil.com. A", "plex.home.duckdns.orgs. A",
	}
	alone, followed := newHouse(t, oneProxy...), newHouseBefore(t, next, oneProxy...)
	for _, q := range questions {
		if got := alone.ask(inside, q); got != "refused" {
			t.Errorf("%s: got %s, want REFUSED", q, got)
		}
		if got := followed.ask(inside, q); got != "next" {
			t.Errorf("%s with a plugin behind: got %s, want its answer", q, got)
		}
	}
	chaos := question(t, "plex.home.duckdns.org. TXT")
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if got := words(alone.send(inside, chaos)); got != "refused" {
		t.Errorf("class CH: got %s, want REFUSED", got)
	}
}

func TestNotForUs(t *testing.T) {
	h := newHouseBefore(t, next, oneProxy...)
	for _, q := range []string{"home.duckdns.org. AXFR", "home.duckdns.org. IXFR", "plex.home.duckdns.org. AXFR"} {
		if got := h.ask(inside, q); got != "refused" {
			t.Errorf("%s: got %s, want REFUSED: the transfer plugin gives those that are allowed", q, got)
		}
	}
	notify := new(dns.Msg).SetNotify(zone)
	if m := h.exchange(&test.ResponseWriter{RemoteIP: inside}, notify); m.Rcode != dns.RcodeRefused {
		t.Errorf("NOTIFY: got %s, want REFUSED", dns.RcodeToString[m.Rcode])
	}
}

func TestLetterCaseIsKept(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "Printer A 192.168.1.9", "TV CNAME PLEX", "*.lab A 192.168.1.10")
	h := newHouseAt(t, dir, nil, with(oneProxy, "wildcard", "zonefile internal "+zonefile)...)
	for _, name := range []string{
		"PLEX.Home.DuckDNS.org.", "Plex1.HOME.duckdns.ORG.", "HOME.duckdns.org.", "pRiNtEr.home.duckdns.org.",
		"tV.home.duckdns.org.", "X.Lab.home.duckdns.org.", "ANYthing.home.duckdns.org.", "An.Y.thing.home.duckdns.org.",
	} {
		m := h.send(inside, question(t, name+" A"))
		if len(m.Answer) == 0 || m.Answer[0].Header().Name != name {
			t.Errorf("%s: the first owner of %v is not as asked", name, m.Answer)
		}
	}
	soa := h.send(inside, question(t, "HOME.duckDNS.org. SOA"))
	if got := soa.Answer[0].Header().Name; got != "HOME.duckDNS.org." {
		t.Errorf("SOA: the owner is %s", got)
	}
	hinfo := h.send(inside, question(t, "PLEX.home.duckdns.org. ANY"))
	if got := hinfo.Answer[0].Header().Name; got != "PLEX.home.duckdns.org." {
		t.Errorf("ANY: the owner is %s", got)
	}
}

func TestANY(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone",
		"printer A 192.168.1.9", "tv CNAME elsewhere.example.", "a.b A 192.168.1.9", "sub NS ns.sub", "ns.sub A 192.168.1.9")
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+zonefile)...)
	for name, want := range map[string]string{
		"plex.": `HINFO "RFC8482" ""`, "": `HINFO "RFC8482" ""`, "printer.": `HINFO "RFC8482" ""`,
		"tv.": `HINFO "RFC8482" ""`, "_status.plex.": `HINFO "RFC8482" ""`,
		"b.": "nodata", "ns1.": "nodata", "none.": "nxdomain", "x.sub.": "referral",
	} {
		if got := h.ask(inside, name+zone+" ANY"); got != want {
			t.Errorf("%s%s: got %s, want %s", name, zone, got, want)
		}
	}
}

func TestSERVFAILMarks(t *testing.T) {
	dir := t.TempDir()
	in := file(t, dir, "in", "tv CNAME plex", "music CNAME tv", "films CNAME anything")
	out := file(t, dir, "out", "tv CNAME plex", "music CNAME tv", "films CNAME anything")
	h := newHouseAt(t, dir, nil, "node plex1 192.168.1.11", "internal 192.168.1.0/24", "wildcard", "alldown servfail",
		"zonefile internal "+in, "zonefile external "+out)
	names := []string{"", "plex.", "plex1.", "anything.", "any.thing.", "tv.", "music.", "films."}
	for _, name := range names {
		for _, qtype := range []string{"A", "AAAA"} {
			if got := h.ask(outside, name+zone+" "+qtype); got != "servfail" {
				t.Errorf("%s%s %s without an external address: got %s, want SERVFAIL", name, zone, qtype, got)
			}
		}
		if got := h.ask(outside, name+zone+" MX"); got == "servfail" {
			t.Errorf("%s%s MX without an external address: SERVFAIL is for addresses alone", name, zone)
		}
	}
	h.kill("plex1")
	for _, name := range names {
		want := "servfail"
		if name == "plex1." {
			want = "192.168.1.11" // a node's own name is answered whatever its state
		}
		if got := h.ask(inside, name+zone+" A"); got != want {
			t.Errorf("%s%s A with everything down: got %s, want %s", name, zone, got, want)
		}
	}
}

func TestUplinks(t *testing.T) {
	lines := []string{
		"node plex1 192.168.1.11", "internal 192.168.1.0/24",
		"uplink fibre 203.0.113.7 2001:db8::7 probe tcp 192.0.2.1:1", "uplink cable 203.0.113.8 probe tcp 192.0.2.2:1",
	}
	h := newHouse(t, lines...)
	steps := []struct {
		what    string
		do      func()
		a, aaaa string
	}{
		{"both are up", func() {}, "203.0.113.7, 203.0.113.8", "2001:db8::7"},
		{"the first is down", func() { h.kill("fibre") }, "203.0.113.8", "nodata"},
		{"both are down: as if both were up", func() { h.kill("cable") }, "203.0.113.7, 203.0.113.8", "2001:db8::7"},
		{"the second is back", func() { h.revive("cable") }, "203.0.113.8", "nodata"},
	}
	for _, s := range steps {
		s.do()
		for _, name := range []string{"", "plex.", "plex1.", "ns1."} {
			if got := h.ask(outside, name+zone+" A"); got != s.a {
				t.Errorf("%s: %s%s A: got %s, want %s", s.what, name, zone, got, s.a)
			}
			if got := h.ask(outside, name+zone+" AAAA"); got != s.aaaa {
				t.Errorf("%s: %s%s AAAA: got %s, want %s", s.what, name, zone, got, s.aaaa)
			}
		}
	}
}

func TestTTLIsShortInDoubt(t *testing.T) {
	h := newHouse(t, with(oneProxy, "ttl 30s 2s")...)
	const q = "plex.home.duckdns.org. A"
	if got := h.send(inside, question(t, q)).Answer[0].Header().Ttl; got != 30 {
		t.Errorf("all is up: TTL %d, want 30", got)
	}
	h.says("192.168.1.2:443", board.Failed)
	if got := h.send(inside, question(t, q)).Answer[0].Header().Ttl; got != 2 {
		t.Errorf("the proxy is failing: TTL %d, want 2", got)
	}
}

func TestNameServers(t *testing.T) {
	given := newHouse(t, with(oneProxy, "ns dns1 192.168.1.53 203.0.113.7", "ns dns2 198.51.100.53")...)
	tests := []struct {
		question        string
		inside, outside string
	}{
		{
			"home.duckdns.org. NS", "NS dns1.home.duckdns.org., NS dns2.home.duckdns.org.",
			"NS dns1.home.duckdns.org., NS dns2.home.duckdns.org.",
		},
		{"dns1.home.duckdns.org. A", "192.168.1.53, 203.0.113.7", "203.0.113.7"}, // no address of the house outside
		{"dns2.home.duckdns.org. A", "198.51.100.53", "198.51.100.53"},
		{"ns1.home.duckdns.org. A", "nxdomain", "nxdomain"},
	}
	for _, tt := range tests {
		if got := given.ask(inside, tt.question); got != tt.inside {
			t.Errorf("%s inside: got %s, want %s", tt.question, got, tt.inside)
		}
		if got := given.ask(outside, tt.question); got != tt.outside {
			t.Errorf("%s outside: got %s, want %s", tt.question, got, tt.outside)
		}
	}
	soa := given.send(outside, question(t, "home.duckdns.org. SOA")).Answer[0].(*dns.SOA)
	if soa.Ns != "dns1.home.duckdns.org." {
		t.Errorf("the SOA names %s, want the first name server", soa.Ns)
	}
	glue := given.send(inside, question(t, "home.duckdns.org. NS")).Extra
	if len(glue) != 3 {
		t.Errorf("NS brings %v, want the three addresses of the two", glue)
	}
}

func TestDefaultNameServerIsThisHost(t *testing.T) {
	h := newHouse(t, oneProxy...)
	h.board.SetLocal(addrs("192.168.1.53", "172.17.0.1", "fe80::1", "2001:db8::53"), nil, began)
	h.show()
	if got, want := h.ask(inside, "ns1.home.duckdns.org. A"), "192.168.1.53"; got != want {
		t.Errorf("inside: got %s, want %s", got, want)
	}
	if got, want := h.ask(outside, "ns1.home.duckdns.org. A"), "203.0.113.7"; got != want {
		t.Errorf("outside: got %s, want %s", got, want)
	}
}

func TestWildcard(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "printer A 192.168.1.9", "deep.er A 192.168.1.10")
	h := newHouseAt(t, dir, nil, with(oneProxy, "wildcard", "zonefile internal "+zonefile)...)
	tests := []struct{ question, want string }{
		{"anything.home.duckdns.org. A", "192.168.1.2"},
		{"any.thing.home.duckdns.org. A", "192.168.1.2"},
		{"anything.home.duckdns.org. AAAA", "nodata"},
		{"anything.home.duckdns.org. MX", "nodata"},
		{"anything.home.duckdns.org. ANY", `HINFO "RFC8482" ""`},
		{"plex.home.duckdns.org. A", "192.168.1.2"},
		{"printer.home.duckdns.org. A", "192.168.1.9"},
		{"printer.home.duckdns.org. AAAA", "nodata"},
		{"er.home.duckdns.org. A", "nodata"},     // exists, since deep.er does
		{"x.er.home.duckdns.org. A", "nxdomain"}, // RFC 4592: what exists stands in the wildcard's way
		{"x.plex1.home.duckdns.org. A", "192.168.1.2"},
		{"x.ns1.home.duckdns.org. A", "192.168.1.2"},
		{"_acme-challenge.home.duckdns.org. TXT", "nxdomain"},
		{"_acme-challenge.x.home.duckdns.org. TXT", "nxdomain"},
		{"_acme-challenge.home.duckdns.org. A", "nxdomain"},
	}
	for _, tt := range tests {
		if got := h.ask(inside, tt.question); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.question, got, tt.want)
		}
	}
	h.kill("192.168.1.2:443")
	if got := h.ask(inside, "anything.home.duckdns.org. A"); got != h.ask(inside, "plex.home.duckdns.org. A") {
		t.Errorf("the wildcard answers %s, another than the main name", got)
	}
}

func TestWildcardOfNothing(t *testing.T) {
	h := newHouse(t, with(oneProxy, "wildcard", "alldown empty")...)
	h.kill("192.168.1.2:443", "plex1", "plex2")
	for question, want := range map[string]string{
		"anything.home.duckdns.org. A":   "nodata",
		"any.thing.home.duckdns.org. MX": "nodata",
		"x.plex.home.duckdns.org. A":     "nodata",
	} {
		if got := h.ask(inside, question); got != want {
			t.Errorf("%s: got %s, want %s", question, got, want)
		}
	}
}

func TestSOA(t *testing.T) {
	h := newHouse(t, with(oneProxy, "negative 7s")...)
	got := h.send(outside, question(t, "home.duckdns.org. SOA")).Answer[0].String()
	want := fmt.Sprintf("home.duckdns.org.\t7\tIN\tSOA\tns1.home.duckdns.org. hostmaster.home.duckdns.org. %d 300 60 1209600 7",
		began.Unix())
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEDNSSizes(t *testing.T) {
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprintf("proxy 192.168.1.%d", 100+i))
	}
	h := newHouse(t, with(twoNodes, lines...)...)
	tests := []struct {
		what      string
		size      uint16 // 0: no EDNS
		tcp       bool
		truncated bool
		fits      int
	}{
		{"without EDNS", 0, false, true, 512},
		{"a size below 512 counts as 512", 100, false, true, 512},
		{"EDNS 1232", 1232, false, false, 1232},
		{"TCP", 0, true, false, 65535},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			q := question(t, "plex.home.duckdns.org. A")
			if tt.size > 0 {
				q.SetEdns0(tt.size, false)
			}
			m := h.sendOver(&test.ResponseWriter{RemoteIP: inside, TCP: tt.tcp}, q)
			if m.Truncated != tt.truncated {
				t.Errorf("TC is %t, want %t", m.Truncated, tt.truncated)
			}
			wire, err := m.Pack()
			if err != nil || len(wire) > tt.fits {
				t.Errorf("%d bytes, %v; want at most %d", len(wire), err, tt.fits)
			}
			if opt := m.IsEdns0(); (opt != nil) != (tt.size > 0) || opt != nil && opt.UDPSize() != tt.size {
				t.Errorf("OPT in the answer: %v", opt)
			}
		})
	}
}

func TestCacheBypassZones(t *testing.T) {
	h := newHouse(t, with(oneProxy, "keys home.duckdns.org tls://home.duckdns.org home.example.org:5353", "duckdns home token_file /x")...)
	if got := h.CacheBypassZones(); !slices.Equal(got, []string{"home.duckdns.org.", "home.example.org."}) {
		t.Errorf("got %v", got)
	}
}

func TestSeveralZones(t *testing.T) {
	h := newHouse(t, with(oneProxy, "keys home.duckdns.org home.example.org")...)
	for _, origin := range []string{"home.duckdns.org.", "home.example.org."} {
		if got := h.ask(inside, "plex."+origin+" A"); got != "192.168.1.2" {
			t.Errorf("plex.%s: got %s", origin, got)
		}
		m := h.send(inside, question(t, "none."+origin+" A"))
		if got := m.Ns[0].Header().Name; got != origin {
			t.Errorf("none.%s: the SOA is that of %s", origin, got)
		}
	}
}

func TestReady(t *testing.T) {
	h := coldHouse(t, t.TempDir(), nil, oneProxy...)
	if h.Ready() {
		t.Error("ready before the first round has ended")
	}
	h.board.FirstRoundDone(began)
	h.show()
	if !h.Ready() {
		t.Error("not ready after the first round")
	}
}
