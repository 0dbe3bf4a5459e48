package pack_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// ask returns the packet of a question, changed by the functions before it is packed.
func ask(t testing.TB, name string, qtype uint16, change ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.Id = 0x1234
	for _, f := range change {
		f(m)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// edns adds an OPT record with these flags.
func edns(size, flags uint16) func(*dns.Msg) {
	return func(m *dns.Msg) {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: size, Ttl: uint32(flags)}}
		m.Extra = append(m.Extra, opt)
	}
}

// option adds an option to the OPT record.
func option(o dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) { m.IsEdns0().Option = append(m.IsEdns0().Option, o) }
}

// read returns a plain question.
func read(t testing.TB, packet []byte) *pack.Question {
	t.Helper()
	q := new(pack.Question)
	if !q.Read(packet) {
		t.Fatalf("%x is not plain", packet)
	}
	return q
}

func TestAPlainQuestionIsRead(t *testing.T) {
	q := read(t, ask(t, `PLEX.Ho\.me.\200org.`, dns.TypeAAAA, edns(1232, 0x8001), func(m *dns.Msg) {
		m.CheckingDisabled, m.AuthenticatedData = true, true
	}))
	if q.ID != 0x1234 || q.Flags != 0x0130 || q.Type != dns.TypeAAAA {
		t.Errorf("id %x, flags %x, type %d", q.ID, q.Flags, q.Type)
	}
	if !q.EDNS || q.Size != 1232 || q.EDNSFlags != 0x8001 || !q.Do() {
		t.Errorf("EDNS %t with size %d, flags %x, DO %t", q.EDNS, q.Size, q.EDNSFlags, q.Do())
	}
	if got, want := string(q.Name), "\x04PLEX\x05Ho.me\x04\xc8org\x00"; got != want {
		t.Errorf("the name is %q, want %q", got, want)
	}
	if got, want := string(q.Lower()), "\x04plex\x05ho.me\x04\xc8org\x00"; got != want {
		t.Errorf("in lower case it is %q, want %q", got, want)
	}
	var parents []string
	for n := range q.Labels() + 2 {
		parents = append(parents, string(q.Parent(n)))
	}
	want := []string{"\x04plex\x05ho.me\x04\xc8org\x00", "\x05ho.me\x04\xc8org\x00", "\x04\xc8org\x00", "\x00", "\x00"}
	if diff := cmp.Diff(want, parents); diff != "" {
		t.Errorf("parents (-want +got):\n%s", diff)
	}
}

func TestReadForgetsTheQuestionBefore(t *testing.T) {
	q := read(t, ask(t, "a.long.name.example.org.", dns.TypeA, edns(4096, 0x8000)))
	if !q.Read(ask(t, ".", dns.TypeNS)) {
		t.Fatal("the root's NS are a plain question")
	}
	if q.EDNS || q.Size != 0 || q.Do() || q.Labels() != 0 || string(q.Lower()) != "\x00" || string(q.Parent(3)) != "\x00" {
		t.Errorf("something is left: %+v", q)
	}
}

// longName has the most bytes that a name may have.
var longName = strings.Repeat(strings.Repeat("x", 63)+".", 3) + strings.Repeat("y", 61) + "."

// plain are packets of plain questions.
func plain(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"root":                 ask(t, ".", dns.TypeNS),
		"one label":            ask(t, "org.", dns.TypeNS),
		"letters":              ask(t, "PLEX.home.DuckDNS.org.", dns.TypeA),
		"EDNS":                 ask(t, "plex.home.duckdns.org.", dns.TypeA, edns(1232, 0)),
		"DO":                   ask(t, "plex.home.duckdns.org.", dns.TypeA, edns(4096, 0x8000)),
		"reserved flags":       ask(t, "plex.home.duckdns.org.", dns.TypeA, edns(0, 0xffff)),
		"the longest name":     ask(t, longName, dns.TypeA),
		"the most labels":      ask(t, strings.Repeat("a.", 127), dns.TypeA),
		"binary labels":        ask(t, `\000\001\255.\.\\.\@\A.org.`, dns.TypeA),
		"ANY":                  ask(t, "home.duckdns.org.", dns.TypeANY),
		"AXFR":                 ask(t, "home.duckdns.org.", dns.TypeAXFR),
		"an unknown type":      ask(t, "home.duckdns.org.", 65280),
		"flags of no query":    ask(t, ".", dns.TypeA, func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable, m.Zero = true, true, true }),
		"a code in a query":    ask(t, ".", dns.TypeA, func(m *dns.Msg) { m.Rcode = dns.RcodeNotAuth }),
		"without RD":           ask(t, ".", dns.TypeA, func(m *dns.Msg) { m.RecursionDesired = false }),
		"a compressed message": ask(t, "plex.home.duckdns.org.", dns.TypeA, edns(1232, 0), func(m *dns.Msg) { m.Compress = true }),
	}
}

// unusual are packets that are no plain questions.
func unusual(t testing.TB) map[string][]byte {
	with := func(packet []byte, at int, b ...byte) []byte {
		packet = bytes.Clone(packet)
		copy(packet[at:], b)
		return packet
	}
	few, more := ask(t, "org.", dns.TypeA), ask(t, "org.", dns.TypeA, edns(1232, 0))
	opt := len(few) // where the OPT begins
	signed := func(m *dns.Msg) { m.SetTsig("key.", dns.HmacSHA256, 300, 1) }
	out := map[string][]byte{
		"empty":                    {},
		"a header alone":           few[:12],
		"a response":               with(few, 2, 0x81),
		"NOTIFY":                   with(few, 2, 0x21),
		"UPDATE":                   with(few, 2, 0x29),
		"cut, as it says":          with(few, 2, 0x03),
		"no question":              with(few, 5, 0),
		"two questions":            with(few, 5, 2),
		"a record in the answer":   with(few, 7, 1),
		"256 records in it":        with(few, 6, 1),
		"a record of authority":    with(few, 9, 1),
		"a record too few":         with(few, 11, 1),
		"a record too many":        with(more, 11, 0),
		"two additional records":   ask(t, "org.", dns.TypeA, edns(1232, 0), edns(512, 0)),
		"256 of them":              with(more, 10, 1, 0),
		"class CH":                 with(few, len(few)-2, 0, 3),
		"class ANY":                with(few, len(few)-2, 0, 255),
		"a pointer":                with(few, 12, 0xc0, 12),
		"a pointer after a label":  with(few, 16, 0xc0),
		"an extended label":        with(few, 12, 0x41),
		"bytes after the question": append(bytes.Clone(few), 0),
		"bytes after the OPT":      append(bytes.Clone(more), 0),
		"no OPT":                   with(more, opt+2, 1),
		"an OPT of another name":   ask(t, "org.", dns.TypeA, edns(1232, 0), func(m *dns.Msg) { m.Extra[0].Header().Name = "a." }),
		"an extended rcode":        with(more, opt+5, 1),
		"version 1":                with(more, opt+6, 1),
		"TSIG":                     ask(t, "org.", dns.TypeA, signed),
		"TSIG behind an OPT":       ask(t, "org.", dns.TypeA, edns(1232, 0), signed),
		"a length that lies":       with(more, opt+10, 1),
		"NSID":                     ask(t, "org.", dns.TypeA, edns(1232, 0), option(&dns.EDNS0_NSID{})),
		"a cookie":                 ask(t, "org.", dns.TypeA, edns(1232, 0), option(&dns.EDNS0_COOKIE{Cookie: "0123456789abcdef"})),
		"padding":                  ask(t, "org.", dns.TypeA, edns(1232, 0), option(&dns.EDNS0_PADDING{Padding: make([]byte, 9)})),
		"a client subnet": ask(t, "org.", dns.TypeA, edns(1232, 0), option(&dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0},
		})),
	}
	for n := range few {
		out["cut after "+string(rune('a'+n))] = few[:n]
	}
	for n := opt + 1; n < len(more); n++ {
		out["cut within the OPT after "+string(rune('a'+n))] = more[:n]
	}
	tooLong := bytes.Clone(ask(t, longName, dns.TypeA))
	tooLong = slices.Insert(tooLong, len(tooLong)-5, 'y') // one more byte of the last label
	tooLong[12+3*64]++
	out["a name of 256 bytes"] = tooLong
	out["an endless name"] = append(bytes.Clone(few[:12]), bytes.Repeat([]byte{1, 'a'}, 200)...)
	return out
}

func TestWhatIsUnusualIsNoPlainQuestion(t *testing.T) {
	for what, packet := range unusual(t) {
		if q := new(pack.Question); q.Read(packet) {
			t.Errorf("%s: %x was read as %+v", what, packet, q)
		}
	}
	for what, packet := range plain(t) {
		if q := new(pack.Question); !q.Read(packet) {
			t.Errorf("%s: %x was not read", what, packet)
		}
	}
}

func TestLimit(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	mapped, local := netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("fe80::1%eth0")
	tests := []struct {
		what   string
		change []func(*dns.Msg)
		client netip.Addr
		want   int
	}{
		{"without EDNS", nil, v4, 512},
		{"without EDNS over IPv6", nil, v6, 512},
		{"a small size counts as 512", []func(*dns.Msg){edns(100, 0)}, v4, 512},
		{"the client's size", []func(*dns.Msg){edns(1232, 0)}, v4, 1232},
		{"no fragments over IPv4", []func(*dns.Msg){edns(4096, 0)}, v4, 1480},
		{"nor over IPv6", []func(*dns.Msg){edns(1232, 0)}, v6, 1220},
		{"IPv4 in IPv6", []func(*dns.Msg){edns(65535, 0)}, mapped, 1480},
		{"a link's own address", []func(*dns.Msg){edns(65535, 0)}, local, 1220},
	}
	for _, tt := range tests {
		if got := read(t, ask(t, "org.", dns.TypeA, tt.change...)).Limit(tt.client); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.what, got, tt.want)
		}
	}
}

// FuzzQuestion reads packets, and compares what is plain with what miekg/dns says of them.
func FuzzQuestion(f *testing.F) {
	for _, packets := range []map[string][]byte{plain(f), unusual(f)} {
		for _, packet := range packets {
			f.Add(packet)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var q pack.Question
		if !q.Read(packet) {
			return
		}
		var m dns.Msg
		if err := m.Unpack(packet); err != nil {
			t.Fatalf("plain, and yet %v", err)
		}
		if len(m.Question) != 1 || len(m.Answer)+len(m.Ns) > 0 || m.Response || m.Opcode != dns.OpcodeQuery || m.Truncated {
			t.Fatalf("not plain:\n%v", &m)
		}
		name, _, err := dns.UnpackDomainName(q.Name, 0)
		if got := (dns.Question{Name: name, Qtype: q.Type, Qclass: dns.ClassINET}); err != nil || got != m.Question[0] {
			t.Errorf("got %v, %v, want %v", got, err, m.Question[0])
		}
		checkNames(t, &q, m.Question[0].Name)
		checkEDNS(t, &q, &m)
		var from pack.Question
		if !from.From(&m) {
			t.Fatalf("plain as a packet, but not as a message:\n%v", &m)
		}
		if diff := cmp.Diff(facts(&q), facts(&from)); diff != "" {
			t.Errorf("from the message (-packet +message):\n%s", diff)
		}
	})
}

// checkNames compares the names above the asked one with those that miekg/dns finds.
func checkNames(t *testing.T, q *pack.Question, name string) {
	t.Helper()
	if got, want := q.Labels(), dns.CountLabel(name); got != want {
		t.Fatalf("%s has %d labels, want %d", name, got, want)
	}
	lower := strings.ToLower(name)
	for n, off := range append(dns.Split(lower), len(lower)-1) {
		parent, _, err := dns.UnpackDomainName(q.Parent(n), 0)
		if err != nil || parent != lower[off:] {
			t.Errorf("parent %d of %s: got %s, %v, want %s", n, name, parent, err, lower[off:])
		}
	}
	if got, want := string(q.Lower()), string(q.Parent(0)); got != want {
		t.Errorf("%s in lower case: got %q and %q", name, got, want)
	}
}

func checkEDNS(t *testing.T, q *pack.Question, m *dns.Msg) {
	t.Helper()
	opt := m.IsEdns0()
	if q.EDNS != (opt != nil) {
		t.Fatalf("EDNS %t, want %v", q.EDNS, opt)
	}
	if opt == nil {
		if q.Size != 0 || q.EDNSFlags != 0 || q.Do() {
			t.Errorf("size %d, flags %x without EDNS", q.Size, q.EDNSFlags)
		}
		return
	}
	if len(opt.Option) > 0 || opt.Version() != 0 || opt.ExtendedRcode() != 0 {
		t.Errorf("not plain: %v", opt)
	}
	if q.Size != opt.UDPSize() || q.Do() != opt.Do() || uint32(q.EDNSFlags) != opt.Hdr.Ttl {
		t.Errorf("size %d, DO %t, flags %x; want %v", q.Size, q.Do(), q.EDNSFlags, opt)
	}
}

// facts are what a question tells.
func facts(q *pack.Question) []any {
	return []any{q.ID, q.Flags, string(q.Name), q.Type, q.EDNS, q.Size, q.EDNSFlags, string(q.Lower()), q.Labels()}
}

func TestAMessageIsNotPlainEither(t *testing.T) {
	for what, packet := range unusual(t) {
		var m dns.Msg
		if m.Unpack(packet) != nil {
			continue
		}
		if again, err := m.Pack(); err != nil || !bytes.Equal(again, packet) {
			continue // the message does not tell what is wrong with its packet
		}
		if q := new(pack.Question); q.From(&m) {
			t.Errorf("%s: %v\nwas taken", what, &m)
		}
	}
	for _, name := range []string{"", "relative", "a..b.", strings.Repeat("a.", 128), "." + longName} {
		if q := new(pack.Question); q.From(new(dns.Msg).SetQuestion(dns.Fqdn(name)[:len(name)], dns.TypeA)) {
			t.Errorf("the name %q was taken", name)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	packets := [][]byte{
		ask(t, "plex.home.duckdns.org.", dns.TypeA), ask(t, "PLEX1.home.duckdns.org.", dns.TypeAAAA, edns(1232, 0x8000)),
		ask(t, longName, dns.TypeA, edns(1232, 0), option(&dns.EDNS0_NSID{})),
		{1, 2, 3},
	}
	var q pack.Question
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range packets {
			q.Read(p)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	m := new(dns.Msg).SetQuestion("plex.home.duckdns.org.", dns.TypeA)
	if n := testing.AllocsPerRun(100, func() { q.From(m) }); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

func BenchmarkRead(b *testing.B) {
	packet := ask(b, "plex.Home.DuckDNS.org.", dns.TypeA, edns(1232, 0x8000))
	var q pack.Question
	b.ReportAllocs()
	for b.Loop() {
		if !q.Read(packet) {
			b.Fatal("not plain")
		}
	}
}
