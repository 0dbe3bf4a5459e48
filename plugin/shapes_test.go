package plugin_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"plexha/zones"
	"plexha/zones/board"
)

// shape is a house of which lane and chain are asked the same.
type shape struct {
	what    string
	lines   []string
	in, out []string // what its zone files say
	next    bool     // a plugin stands behind ours
	then    func(h *house)
	names   []string // that are asked beside everybody's and those of the zone files
	asleep  bool     // the lane has nothing to answer here
}

// shapes are houses of all kinds.
var shapes = []shape{
	{what: "one proxy", lines: oneProxy},
	{what: "proxies in turns", lines: with(twoNodes, "proxy 192.168.1.2 192.168.1.3 192.168.1.4 fd00::2 fd00::3")},
	{what: "the first proxy", lines: with(twoNodes, "proxy 192.168.1.2 192.168.1.3", "answer proxies first")},
	{what: "a proxy for each client", lines: with(twoNodes, "proxy 192.168.1.2 192.168.1.3", "answer proxies spread")},
	{what: "all nodes", lines: with(twoNodes, "answer nodes all")},
	{what: "the first node", lines: with(twoNodes, "answer nodes first")},
	{what: "a node for each client", lines: with(twoNodes, "node plex3 192.168.1.13 weight 2", "answer nodes spread")},
	{what: "nodes with both families", lines: []string{
		"node plex1 192.168.1.11 at 192.168.1.11 fd00::11", "node plex2 192.168.1.12 at 192.168.1.12 fd00::12",
		"internal 192.168.1.0/24 fd00::/64", "uplink wan 203.0.113.7 2001:db8::7", "answer nodes all",
	}},
	{what: "wildcard", lines: with(oneProxy, "wildcard"), names: []string{"x.y.z.home.duckdns.org."}},
	{what: "wildcard in turns", lines: with(twoNodes, "proxy 192.168.1.2 192.168.1.3", "wildcard")},
	{what: "zone files", lines: oneProxy, in: insideFile, out: outsideFile},
	{what: "zone files and a wildcard", lines: with(oneProxy, "wildcard"), in: insideFile, out: outsideFile},
	{what: "zone files before a plugin", lines: with(oneProxy, "fallthrough"), in: insideFile, out: outsideFile, next: true},
	{what: "fallthrough for a part", lines: with(oneProxy, "fallthrough sub.home.duckdns.org"), next: true, names: []string{
		"sub.home.duckdns.org.", "x.sub.home.duckdns.org.", "x.home.duckdns.org.",
	}},
	{what: "fallthrough to nobody", lines: with(oneProxy, "fallthrough"), in: insideFile},
	{what: "passthrough", lines: with(oneProxy, "passthrough left nas other.home.duckdns.org"), in: insideFile, next: true, names: []string{
		"left.home.duckdns.org.", "x.left.home.duckdns.org.", "right.home.duckdns.org.",
	}},
	{what: "passthrough to nobody", lines: with(oneProxy, "passthrough left", "wildcard"), names: []string{"left.home.duckdns.org."}},
	{what: "no external address", lines: []string{"node plex1 192.168.1.11", "internal 192.168.1.0/24", "alldown servfail"}},
	{what: "nothing is up: the last resort", lines: oneProxy, then: everybodyDown},
	{what: "nothing is up: empty", lines: with(oneProxy, "alldown empty", "wildcard"), then: everybodyDown},
	{what: "nothing is up: an error", lines: with(oneProxy, "alldown servfail", "wildcard"), in: insideFile, then: everybodyDown},
	{what: "a node fails", lines: with(twoNodes, "answer nodes all", "ttl 30s 2s"), then: func(h *house) { h.says("plex1", board.Failed) }},
	{what: "a node is ordered away", lines: with(twoNodes, "answer nodes all"), then: func(h *house) {
		h.board.SetOrders([]board.OrderLine{{Name: "plex2", Order: zones.OrderDown}}, began)
		h.show()
	}},
	{what: "many addresses", lines: with(twoNodes, manyProxies(40)...), in: []string{"nas CNAME plex"}},
	{what: "very many addresses", lines: with(twoNodes, manyProxies(90)...), in: []string{"nas CNAME plex"}},
	{what: "name servers", lines: with(oneProxy, "ns dns1 192.168.1.53 203.0.113.7", "ns dns2 198.51.100.53 2001:db8::53"), names: []string{
		"dns1.home.duckdns.org.", "dns2.home.duckdns.org.",
	}},
	{
		what: "zones in each other", lines: with(oneProxy, "keys home.duckdns.org sub.home.duckdns.org home.example.org", "duckdns home token_file /x"),
		in: []string{"nas A 192.168.1.9", "nas.sub A 192.168.1.10", "tv CNAME nas.sub"}, names: []string{
			"sub.home.duckdns.org.", "plex.sub.home.duckdns.org.", "nas.sub.home.duckdns.org.", "x.sub.home.duckdns.org.",
			"home.example.org.", "plex.home.example.org.", "none.home.example.org.",
		},
	},
	{what: "trusted resolvers", lines: with(oneProxy, "trust_ecs 192.168.1.0/24 198.51.100.0/24")},
	{what: "before the first round", lines: oneProxy, asleep: true},
}

// insideFile says all that a zone file can say.
var insideFile = []string{
	"$TTL 1h",
	"printer A 192.168.1.9", "nas 60 A 192.168.1.10", "nas 60 A 192.168.1.20", "nas AAAA fd00::10",
	"Mixed.Case A 192.168.1.98", "deep.empty.terminal A 192.168.1.97",
	"tv CNAME plex", "music CNAME tv", "films CNAME nas", "far CNAME x.example.net.", "farther CNAME far", "gone CNAME nowhere",
	"wild CNAME x.lab", "challenge CNAME _acme-challenge.x",
	"*.lab A 192.168.1.99", "*.lab A 192.168.1.96", "*.lab MX 10 mail.lab", "a.lab TXT \"not A\"", "*.self CNAME x.self", "*.names CNAME nas",
	"*.glue MX 10 mail.glue", "*.glue A 192.168.1.95", "*.served NS ns.served",
	"sub NS ns.sub", "sub NS ns.example.net.", "ns.sub A 192.168.1.53", "sub DS 1 13 2 " + strings.Repeat("ab", 32),
	"old DNAME nas", "older DNAME example.net.",
	"@ MX 10 mail", "@ MX 20 nas", "mail A 192.168.1.25", "@ CAA 0 issue \"letsencrypt.org\"", "@ TXT \"hello\"", "@ TXT \"world\"",
	"_ldap._tcp SRV 0 5 389 nas", "_plex._tcp SRV 0 5 443 plex", "_plex._tcp SRV 0 5 443 plex1", "_far._tcp SRV 0 5 443 x.example.net.",
	"plex TXT \"movies and more\"", "plex1 TXT " + strings.Repeat(" \""+strings.Repeat("x", 200)+"\"", 3),
	"long TXT " + strings.Repeat(" \""+strings.Repeat("y", 250)+"\"", 5), "longer TXT " + strings.Repeat(" \""+strings.Repeat("z", 250)+"\"", 7),
	`a\.b A 192.168.1.94`, `a\\b A 192.168.1.93`, `sp\032ace A 192.168.1.92`, `bin\000\255ary A 192.168.1.91`, `at\@ A 192.168.1.90`,
	`\065scii A 192.168.1.89`, "_acme-challenge TXT \"token\"", "_acme-challenge.www CNAME x.acme-dns.example.",
	`unknown TYPE65280 \# 3 010203`, "host HINFO a b", "web HTTPS 1 . alpn=h2", "ptr PTR nas", "naptr NAPTR 1 1 \"\" \"\" \"\" nas",
}

var outsideFile = []string{
	"www CNAME host.example.net.", "@ A 198.51.100.80", "@ A 198.51.100.81", "mail A 198.51.100.25", "@ MX 10 mail", "nas CNAME www2",
	"www2 A 198.51.100.82", "www2 AAAA 2001:db8::82", "*.www2 CNAME www2",
}

func everybodyDown(h *house) { h.kill("192.168.1.2:443", "plex1", "plex2") }

func manyProxies(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("proxy 192.168.1.%d", 100+i))
	}
	return out
}

// build makes a shape's house.
func (s shape) build(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	lines := slices.Clone(s.lines)
	if s.in != nil {
		lines = append(lines, "zonefile internal "+file(t, dir, "in", s.in...))
	}
	if s.out != nil {
		lines = append(lines, "zonefile external "+file(t, dir, "out", s.out...))
	}
	begin := newHouseAt
	if s.asleep {
		begin = coldHouse
	}
	var behind plugin.Handler
	if s.next {
		behind = next
	}
	h := begin(t, dir, behind, lines...)
	if s.then != nil {
		s.then(h)
	}
	return h
}

// everybodysNames are asked of each shape.
var everybodysNames = []string{
	zone, "plex." + zone, "plex1." + zone, "plex2." + zone, "plex3." + zone, "ns1." + zone,
	"_status." + zone, "_status.plex." + zone, "_status.plex1." + zone, "_status.none." + zone,
	"none." + zone, "x.none." + zone, "x.plex." + zone, "x.y.plex1." + zone, "x.ns1." + zone, "x._status." + zone,
	"*." + zone, "*.plex." + zone, "*.*." + zone, "x.*." + zone,
	"_acme-challenge." + zone, "_acme-challenge.plex." + zone, "_acme-challenge.x." + zone, "x._acme-challenge." + zone,
	`\000.` + zone, `\255\128.` + zone, `plex\.x.` + zone, `plex\\.` + zone, `\@.` + zone, `ple\120.` + zone, "k\u212a." + zone, // the sign for Kelvin
	strings.Repeat("a.", 40) + zone, strings.Repeat("b", 63) + "." + zone, longest(zone),
	".", "org.", "duckdns.org.", "evilhome.duckdns.org.", "plexhome.duckdns.org.", "home.duckdns.org.example.", `plex\.home.duckdns.org.`,
}

// longest returns a name below an origin that has as many bytes as a name may have.
func longest(origin string) string {
	room := 255 - (len(origin) + 1)
	var b strings.Builder
	for room > 64 {
		b.WriteString(strings.Repeat("l", 63) + ".")
		room -= 64
	}
	if room > 1 {
		b.WriteString(strings.Repeat("m", room-1) + ".")
	}
	return b.String() + origin
}

// allNames returns what is asked of a shape: its names, those of its zone files, and others close to these.
func (s shape) allNames(t testing.TB) []string {
	t.Helper()
	names := slices.Concat(everybodysNames, s.names)
	for _, rr := range s.static(t) {
		name := rr.Header().Name
		names = append(names, name, "x."+name, "Y.x."+name, "*."+name, parentOf(name), "_acme-challenge."+name)
		if above, ok := strings.CutPrefix(name, "*."); ok {
			names = append(names, "mail."+above, "x."+above, "ns."+above, "q.r."+above)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(n string) bool { _, ok := dns.IsDomainName(n); return !ok })
}

// static returns the records of the zone files.
func (s shape) static(t testing.TB) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, lines := range [][]string{s.in, s.out} {
		zp := dns.NewZoneParser(strings.NewReader(strings.Join(lines, "\n")+"\n"), zone, "")
		zp.SetDefaultTTL(300)
		for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
			out = append(out, rr)
		}
		if err := zp.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func parentOf(name string) string { return name[dns.Split(name)[1]:] }

// exempt is what tells which names a lane may leave to the chain.
type exempt struct {
	origins plugin.Zones // of the blocks that have a lane
	cuts    []string     // below these others answer, or DNAMEs make new names
	stands  []string     // these have records of their own
	dnssec  bool         // somebody signs
}

// exempt returns what its zone files, and everybody's names, tell.
func (s shape) exempt(t testing.TB) exempt {
	t.Helper()
	e := exempt{origins: plugin.Zones{zone}, stands: []string{zone}}
	for _, name := range []string{"plex.", "plex1.", "plex2.", "ns1."} {
		e.stands = append(e.stands, name+zone)
	}
	for _, rr := range s.static(t) {
		name := strings.ToLower(rr.Header().Name)
		e.stands = append(e.stands, name)
		if rtype := rr.Header().Rrtype; rtype == dns.TypeNS || rtype == dns.TypeDNAME {
			e.cuts = append(e.cuts, strings.TrimPrefix(name, "*."))
		}
	}
	return e
}

// commonTypes are asked of each name, and are those that people ask for at a CNAME.
var commonTypes = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeCAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeCNAME,
}

// rareTypes are of all kinds: with records and without, of questions alone, unknown and reserved ones.
var rareTypes = []uint16{
	dns.TypePTR, dns.TypeHINFO, dns.TypeNAPTR, dns.TypeDNAME, dns.TypeDS, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeRRSIG,
	dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeNULL, dns.TypeANY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeMAILB, dns.TypeMAILA,
	dns.TypeTSIG, dns.TypeTKEY, dns.TypeOPT, dns.TypeNone, dns.TypeLOC, dns.TypeTLSA, dns.TypeSSHFP, dns.TypeSPF, dns.TypeURI,
	dns.TypeZONEMD, dns.TypeSIG, dns.TypeKEY, dns.TypeNXT, 65280, 65535, 127, 128, 250, 256,
}

// manner is how a question is asked.
type manner struct {
	what   string
	change func(m *dns.Msg)
}

// manners are those of plain questions. Which letters of a name are great is chosen beside them.
var plainManners = []manner{
	{"plain", func(*dns.Msg) {}},
	{"without RD", func(m *dns.Msg) { m.RecursionDesired = false }},
	{"CD and AD", func(m *dns.Msg) { m.CheckingDisabled, m.AuthenticatedData = true, true }},
	{"flags of answers", func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable, m.Zero, m.Rcode = true, true, true, 3 }},
	{"EDNS", edns(1232, 0)},
	{"EDNS, CD", func(m *dns.Msg) { edns(1232, 0)(m); m.CheckingDisabled, m.RecursionDesired = true, false }},
	{"EDNS 0", edns(0, 0)},
	{"EDNS 511", edns(511, 0)},
	{"EDNS 512", edns(512, 0)},
	{"EDNS 1220", edns(1220, 0)},
	{"EDNS 1480", edns(1480, 0)},
	{"EDNS 1481", edns(1481, 0)},
	{"EDNS 4096", edns(4096, 0)},
	{"EDNS 65535", edns(65535, 0)},
	{"DO", edns(1232, 0x8000)},
	{"DO, large", edns(65535, 0x8000)},
	{"CO", edns(1232, 0x4000)},
	{"all EDNS flags", edns(1232, 0xffff)},
	{"lower EDNS flags", edns(1232, 0x00ff)},
}

// unusualManners are those of questions that no lane understands.
var unusualManners = []manner{
	{"NSID", each(edns(1232, 0), option(&dns.EDNS0_NSID{Code: dns.EDNS0NSID}))},
	{"a cookie", each(edns(1232, 0), option(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}))},
	{"padding", each(edns(1232, 0), option(&dns.EDNS0_PADDING{Padding: make([]byte, 64)}))},
	{"a client subnet", each(edns(1232, 0), option(subnet{family: 1, address: "192.168.1.0", bits: 24}.option()))},
	{"a client subnet outside", each(edns(1232, 0), option(subnet{family: 1, address: "198.51.100.0", bits: 24}.option()))},
	{"a bad client subnet", each(edns(1232, 0), option(subnet{family: 1, address: "198.51.100.7", bits: 8}.option()))},
	{"two client subnets", each(edns(1232, 0), option(subnet{family: 1, address: "192.168.1.0", bits: 24}.option()), option(subnet{family: 1, address: "192.168.2.0", bits: 24}.option()))},
	{"two OPTs", each(edns(1232, 0), edns(512, 0x8000))},
	{"version 1", func(m *dns.Msg) { edns(1232, 0)(m); m.IsEdns0().SetVersion(1) }},
	{"an extended code", func(m *dns.Msg) { edns(1232, 0)(m); m.IsEdns0().Hdr.Ttl |= 1 << 24 }},
	{"class CH", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }},
	{"class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }},
	{"NOTIFY", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }},
	{"UPDATE", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }},
	{"a response", func(m *dns.Msg) { m.Response = true }},
	{"cut, as it says", func(m *dns.Msg) { m.Truncated = true }},
	{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }},
	{"no question", func(m *dns.Msg) { m.Question = nil }},
	{"a record as an answer", func(m *dns.Msg) { m.Answer = []dns.RR{txtRecord} }},
	{"a record of authority", func(m *dns.Msg) { m.Ns = []dns.RR{txtRecord} }},
	{"another additional record", func(m *dns.Msg) { m.Extra = []dns.RR{txtRecord} }},
	{"a key's signature", func(m *dns.Msg) { m.SetTsig("key.", dns.HmacSHA256, 300, 1) }},
}

var txtRecord = &dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"x"}}

// edns gives a question an OPT record of these flags.
func edns(size, flags uint16) func(*dns.Msg) {
	return func(m *dns.Msg) {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: size, Ttl: uint32(flags)}}
		m.Extra = append(m.Extra, opt)
	}
}

func option(o dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) { m.IsEdns0().Option = append(m.IsEdns0().Option, o) }
}

func each(changes ...func(*dns.Msg)) func(*dns.Msg) {
	return func(m *dns.Msg) {
		for _, change := range changes {
			change(m)
		}
	}
}

// letters returns a name with some of its letters great.
func letters(name string, rng *rand.Rand) string {
	switch rng.IntN(4) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		b := []byte(name)
		for i, c := range b {
			if 'a' <= c && c <= 'z' && rng.IntN(2) == 0 {
				b[i] = c - 'a' + 'A'
			}
		}
		return string(b)
	}
	return name
}

// sent is a packet that both get.
type sent struct {
	packet []byte
	from   netip.Addr
	how    string
}

func (a sent) String() string { return fmt.Sprintf("%s from %s\nas %x", a.how, a.from, a.packet) }

// clients ask from both views, and in both families.
var clients = []netip.Addr{
	netip.MustParseAddr(inside), netip.MustParseAddr("192.168.1.200"), netip.MustParseAddr("fd00::77"),
	netip.MustParseAddr(outside), netip.MustParseAddr("2001:db8:ffff::1"), netip.MustParseAddr("127.0.0.1"),
}

// questions returns all names with the common types and a few others, in changing manners and from changing clients, and a few names in
// every manner.
func (s shape) questions(t testing.TB, rng *rand.Rand) []sent {
	t.Helper()
	var out []sent
	names := s.allNames(t)
	for _, name := range names {
		types := append(slices.Clone(commonTypes), dns.TypeSOA, dns.TypeNS)
		for range 6 {
			types = append(types, rareTypes[rng.IntN(len(rareTypes))])
		}
		for _, qtype := range types {
			out = append(out, askIn(t, name, qtype, plainManners[rng.IntN(len(plainManners))], rng))
		}
	}
	for _, name := range []string{zone, "plex." + zone, "none." + zone, "nas." + zone, names[rng.IntN(len(names))]} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeSOA, dns.TypeAAAA} {
			for _, m := range slices.Concat(plainManners, unusualManners) {
				out = append(out, askIn(t, name, qtype, m, rng))
			}
		}
	}
	whole := len(out)
	for range 500 {
		out = append(out, spoiled(out[rng.IntN(whole)], rng))
	}
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func askIn(t testing.TB, name string, qtype uint16, how manner, rng *rand.Rand) sent {
	t.Helper()
	m := new(dns.Msg).SetQuestion(letters(name, rng), qtype)
	m.Id = uint16(rng.Uint32()) //nolint:gosec // any will do
	how.change(m)
	packet, err := m.Pack()
	if err != nil {
		t.Fatalf("%s %s, %s: %v", name, dns.Type(qtype), how.what, err)
	}
	return sent{packet, clients[rng.IntN(len(clients))], fmt.Sprintf("%s %s, %s", name, dns.Type(qtype), how.what)}
}

// spoiled changes some bytes of a packet, cuts it or makes it longer.
func spoiled(a sent, rng *rand.Rand) sent {
	a.packet, a.how = bytes.Clone(a.packet), a.how+", spoiled"
	switch rng.IntN(4) {
	case 0:
		a.packet = a.packet[:rng.IntN(len(a.packet))]
	case 1:
		a.packet = append(a.packet, make([]byte, 1+rng.IntN(12))...)
	default:
		for range 1 + rng.IntN(3) {
			a.packet[rng.IntN(len(a.packet))] = byte(rng.Uint32()) //nolint:gosec // any will do
		}
	}
	return a
}
