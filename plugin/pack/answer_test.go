package pack_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"plexha/plugin/pack"
)

// records reads records, one a line.
func records(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// reply returns a message of three sections.
func reply(t testing.TB, rcode int, answer, ns, extra []string) *dns.Msg {
	t.Helper()
	return &dns.Msg{
		MsgHdr: dns.MsgHdr{Response: true, Authoritative: true, Rcode: rcode},
		Answer: records(t, answer...), Ns: records(t, ns...), Extra: records(t, extra...),
	}
}

const soa = "home.duckdns.org. 10 SOA ns1.home.duckdns.org. hostmaster.home.duckdns.org. 1 300 60 1209600 10"

// replies are answers of all kinds for plex.home.duckdns.org, with the names in lower case.
func replies(t testing.TB) map[string]*dns.Msg {
	ns, glue := []string{"home.duckdns.org. 10 NS ns1.home.duckdns.org."}, []string{"ns1.home.duckdns.org. 10 A 192.168.1.53"}
	return map[string]*dns.Msg{
		"one address": reply(t, dns.RcodeSuccess, []string{"plex.home.duckdns.org. 10 A 192.168.1.2"}, ns, glue),
		"three of them": reply(t, dns.RcodeSuccess, []string{
			"plex.home.duckdns.org. 10 A 192.168.1.2", "plex.home.duckdns.org. 10 A 192.168.1.3", "plex.home.duckdns.org. 1 A 192.168.1.4",
		}, ns, glue),
		"IPv6": reply(t, dns.RcodeSuccess, []string{
			"plex.home.duckdns.org. 10 AAAA 2001:db8::1", "plex.home.duckdns.org. 10 AAAA 2001:db8::2",
		}, ns, glue),
		"through a CNAME": reply(t, dns.RcodeSuccess, []string{
			"plex.home.duckdns.org. 300 CNAME tv.home.duckdns.org.",
			"tv.home.duckdns.org. 300 A 192.168.1.5", "tv.home.duckdns.org. 300 A 192.168.1.6",
		}, ns, nil),
		"NODATA":                reply(t, dns.RcodeSuccess, nil, []string{soa}, nil),
		"NXDOMAIN":              reply(t, dns.RcodeNameError, nil, []string{soa}, nil),
		"SERVFAIL after a link": reply(t, dns.RcodeServerFailure, []string{"plex.home.duckdns.org. 300 CNAME gone.home.duckdns.org."}, nil, nil),
		"nothing":               reply(t, dns.RcodeSuccess, nil, nil, nil),
		"the name everywhere": reply(t, dns.RcodeSuccess, []string{`plex.home.duckdns.org. 10 TXT "PLEX" "a\\b"`},
			[]string{"plex.home.duckdns.org. 10 NS plex.home.duckdns.org."},
			[]string{"plex.home.duckdns.org. 10 A 192.168.1.2", "plex.home.duckdns.org. 10 AAAA ::1"}),
		"services": reply(t, dns.RcodeSuccess, []string{
			"plex.home.duckdns.org. 10 SRV 0 0 443 plex.home.duckdns.org.", "plex.home.duckdns.org. 10 SRV 0 0 443 .",
		}, ns, []string{"plex.home.duckdns.org. 10 A 192.168.1.2"}),
		"a mail server":   reply(t, dns.RcodeSuccess, []string{`plex.home.duckdns.org. 10 MX 10 ma\.il.home.duckdns.org.`}, nil, nil),
		"an unknown type": reply(t, dns.RcodeSuccess, []string{`plex.home.duckdns.org. 10 TYPE65280 \# 3 010203`}, nil, nil),
	}
}

// chain returns what CoreDNS sends for a reply, whose owners that are qname are spelled as they were asked.
func chain(t testing.TB, m *dns.Msg, qname string, packet []byte) []byte {
	t.Helper()
	var asked dns.Msg
	if err := asked.Unpack(packet); err != nil {
		t.Fatal(err)
	}
	out := m.Copy()
	flags := out.MsgHdr
	out.SetReply(&asked)
	out.Authoritative, out.Rcode, out.RecursionAvailable = flags.Authoritative, flags.Rcode, flags.RecursionAvailable
	for _, section := range [][]dns.RR{out.Answer, out.Ns, out.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Name == qname {
				h.Name = asked.Question[0].Name
			}
		}
	}
	if opt := asked.IsEdns0(); opt != nil { // as request.SizeAndDo does
		opt.Hdr.Ttl &= 0xff00
		out.Extra = append(out.Extra, opt)
	}
	b, err := out.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packed returns what a packed reply is on the wire.
func packed(t testing.TB, m *dns.Msg, qname string, packet []byte, turn uint32) []byte {
	t.Helper()
	a, err := pack.New(m, qname)
	if err != nil {
		t.Fatal(err)
	}
	q := read(t, packet)
	b := a.Append(nil, q, turn)
	if a.Len(q) != len(b) {
		t.Errorf("Len says %d bytes, they are %d", a.Len(q), len(b))
	}
	if a.Rcode() != m.Rcode {
		t.Errorf("the code is %d, want %d", a.Rcode(), m.Rcode)
	}
	return b
}

const plex = "plex.home.duckdns.org."

func TestAnAnswerIsWhatCoreDNSSends(t *testing.T) {
	questions := map[string][]byte{
		"as packed":       ask(t, plex, dns.TypeA),
		"letters":         ask(t, "pLEX.Home.duckDNS.org.", dns.TypeAAAA),
		"EDNS":            ask(t, plex, dns.TypeA, edns(1232, 0)),
		"DO, reserved":    ask(t, "PLEX.home.duckdns.org.", dns.TypeA, edns(4096, 0xffff)),
		"size 0":          ask(t, plex, dns.TypeA, edns(0, 0x0001)),
		"CD without RD":   ask(t, plex, dns.TypeTXT, func(m *dns.Msg) { m.CheckingDisabled, m.RecursionDesired = true, false }),
		"all other flags": ask(t, plex, 65280, func(m *dns.Msg) { m.AuthenticatedData, m.Zero, m.RecursionAvailable, m.Rcode = true, true, true, 5 }),
	}
	for what, m := range replies(t) {
		for how, packet := range questions {
			if diff := cmp.Diff(chain(t, m, plex, packet), packed(t, m, plex, packet, 0)); diff != "" {
				t.Errorf("%s, %s (-CoreDNS +packed):\n%s", what, how, diff)
			}
		}
	}
}

func TestOneAnswerServesEveryName(t *testing.T) {
	for _, name := range []string{".", "x.", "other.Name.org.", `a\.b\000.org.`, longName} {
		for what, m := range replies(t) {
			packet := ask(t, name, dns.TypeA, edns(1232, 0))
			if diff := cmp.Diff(chain(t, m, plex, packet), packed(t, m, plex, packet, 0)); diff != "" {
				t.Errorf("%s for %s (-CoreDNS +packed):\n%s", what, name, diff)
			}
		}
	}
}

func TestAddressesTakeTurns(t *testing.T) {
	all := replies(t)
	tests := []struct {
		what  string
		reply *dns.Msg
		turn  uint32
		want  string // the order of the answer section
	}{
		{"the first turn", all["three of them"], 0, "0 1 2"},
		{"the second", all["three of them"], 1, "1 2 0"},
		{"the third", all["three of them"], 2, "2 0 1"},
		{"round and round", all["three of them"], 1<<32 - 1, "0 1 2"},
		{"IPv6", all["IPv6"], 1, "1 0"},
		{"behind a CNAME, which stays", all["through a CNAME"], 1, "0 2 1"},
		{"one address alone", all["one address"], 1, "0"},
		{"other types do not", all["services"], 1, "0 1"},
		{"the other name's addresses stay", reply(t, 0, []string{
			"a. 1 A 192.0.2.1", "a. 1 A 192.0.2.2", "b. 1 A 192.0.2.3", "b. 1 A 192.0.2.4",
		}, nil, nil), 1, "0 1 3 2"},
		{"the other family's stay", reply(t, 0, []string{"a. 1 AAAA ::1", "a. 1 A 192.0.2.2", "a. 1 A 192.0.2.3"}, nil, nil), 1, "0 2 1"},
		{"addresses elsewhere stay", reply(t, 0, []string{"a. 1 A 192.0.2.1", "a. 1 A 192.0.2.2", "a. 1 MX 1 a."}, nil,
			[]string{"a. 1 A 192.0.2.1", "a. 1 A 192.0.2.2"}), 1, "0 1 2"},
	}
	for _, tt := range tests {
		want := tt.reply.Copy()
		var order []int
		for word := range strings.FieldsSeq(tt.want) {
			order = append(order, slices.Index([]string{"0", "1", "2", "3"}, word))
		}
		for i, from := range order {
			want.Answer[i] = tt.reply.Answer[from]
		}
		packet := ask(t, "PLEX.home.duckdns.org.", dns.TypeA, edns(1232, 0))
		if diff := cmp.Diff(chain(t, want, plex, packet), packed(t, tt.reply, plex, packet, tt.turn)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.what, diff)
		}
	}
}

// An A record without an address is what a dynamic update deletes a set with (RFC 2136, 2.5.2).
func TestAnAddressThatIsMissingTakesNoTurn(t *testing.T) {
	m := reply(t, 0, []string{"a. 1 A 192.0.2.1"}, nil, nil)
	m.Answer = append(m.Answer, &dns.A{Hdr: *m.Answer[0].Header(), A: net.IP(nil)})
	packet := ask(t, "a.", dns.TypeA)
	if diff := cmp.Diff(chain(t, m, "a.", packet), packed(t, m, "a.", packet, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPackingOnlyReads(t *testing.T) {
	for what, m := range replies(t) {
		before := m.Copy()
		if _, err := pack.New(m, plex); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if diff := cmp.Diff(before, m, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the reply was changed (-before +after):\n%s", what, diff)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	a, err := pack.New(replies(t)["three of them"], plex)
	if err != nil {
		t.Fatal(err)
	}
	q := read(t, ask(t, plex, dns.TypeA))
	got, want := a.Append([]byte("before"), q, 0), append([]byte("before"), a.Append(nil, q, 0)...)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	with := func(change func(*dns.Msg)) *dns.Msg {
		m := replies(t)["one address"]
		change(m)
		return m
	}
	rr := records(t, "a. 1 A 192.0.2.1")[0]
	for what, tt := range map[string]struct {
		m    *dns.Msg
		want string
	}{
		"an OPT":              {with(func(m *dns.Msg) { m.SetEdns0(1232, false) }), "for each question anew"},
		"a signature":         {with(func(m *dns.Msg) { m.SetTsig("key.", dns.HmacSHA256, 300, 1) }), "for each question anew"},
		"a cut reply":         {with(func(m *dns.Msg) { m.Truncated = true }), "TC true"},
		"NOTIFY":              {with(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), "opcode 4"},
		"an extended code":    {with(func(m *dns.Msg) { m.Rcode = dns.RcodeBadVers }), "rcode 16"},
		"a missing record":    {with(func(m *dns.Msg) { m.Answer = []dns.RR{nil} }), "a record is missing"},
		"a name that is none": {with(func(m *dns.Msg) { m.Answer[0].Header().Name = "a..b." }), "a..b. A: "},
		"too many records":    {with(func(m *dns.Msg) { m.Extra = slices.Repeat([]dns.RR{rr}, 65535) }), "65535 records"},
	} {
		if a, err := pack.New(tt.m, plex); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v, want an error with %q", what, a, err, tt.want)
		}
	}
}

// FuzzAnswer packs the records of any zone file, and compares what a question gets with what miekg/dns packs.
func FuzzAnswer(f *testing.F) {
	for _, m := range replies(f) {
		var lines [3]string
		for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
			for _, rr := range section {
				lines[i] += rr.String() + "\n"
			}
		}
		f.Add(lines[0], lines[1], lines[2], plex, m.Rcode, ask(f, "PLEX.home.duckdns.org.", dns.TypeA, edns(1232, 0x8001)), uint32(1))
	}
	f.Fuzz(func(t *testing.T, answer, ns, extra, qname string, rcode int, packet []byte, turn uint32) {
		var q pack.Question
		if !q.Read(packet) {
			return
		}
		m := &dns.Msg{Answer: zone(answer), Ns: zone(ns), Extra: zone(extra)}
		m.Response, m.Authoritative, m.Rcode = true, len(answer)%2 == 0, rcode&0xf
		a, err := pack.New(m, qname)
		if err != nil {
			return
		}
		got := a.Append(nil, &q, turn)
		if a.Len(&q) != len(got) {
			t.Errorf("Len says %d bytes, they are %d", a.Len(&q), len(got))
		}
		if want := chain(t, turned(m, turn), qname, packet); !bytes.Equal(got, want) {
			t.Errorf("got  %x\nwant %x", got, want)
		}
		room := append(make([]byte, 0, len(packet)+len(got)), packet...)
		if !q.Read(room) {
			t.Fatal("a copy is no plain question")
		}
		if over := a.Append(room[:0], &q, turn); !bytes.Equal(over, got) {
			t.Errorf("in the packet's place:\ngot  %x\nwant %x", over, got)
		}
	})
}

// zone reads records, and leaves out those that cannot be packed.
func zone(text string) []dns.RR {
	var out []dns.RR
	zp := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := zp.Next(); ok && len(out) < 20; rr, ok = zp.Next() {
		if _, err := dns.PackRR(rr, make([]byte, dns.Len(rr)+1), 0, nil, false); err == nil {
			out = append(out, rr)
		}
	}
	return out
}

// turned returns the reply with the addresses that end its answer section in their order at a turn.
func turned(m *dns.Msg, turn uint32) *dns.Msg {
	same := func(a, b dns.RR) bool {
		return a.Header().Name == b.Header().Name && a.Header().Rrtype == b.Header().Rrtype
	}
	first := len(m.Answer)
	for first > 0 && same(m.Answer[first-1], m.Answer[len(m.Answer)-1]) {
		first--
	}
	set := m.Answer[first:]
	if len(set) == 0 || set[0].Header().Rrtype != dns.TypeA && set[0].Header().Rrtype != dns.TypeAAAA {
		return m
	}
	out, n := m.Copy(), int(turn%uint32(len(set)))
	out.Answer = slices.Concat(m.Answer[:first], set[n:], set[:n])
	return out
}

func TestAppendingAllocatesNothing(t *testing.T) {
	for what, m := range replies(t) {
		a, err := pack.New(m, plex)
		if err != nil {
			t.Fatal(err)
		}
		q := read(t, ask(t, "PLEX.home.duckdns.org.", dns.TypeA, edns(1232, 0x8000)))
		dst := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() { dst = a.Append(dst[:0], q, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
		if a.Size() < 100 || a.Size() > 2000 {
			t.Errorf("%s: %d bytes", what, a.Size())
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 2, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var lines []string
			for i := range n {
				lines = append(lines, fmt.Sprintf("plex.home.duckdns.org. 10 A 192.168.1.%d", i))
			}
			a, err := pack.New(reply(b, 0, lines, []string{"home.duckdns.org. 10 NS ns1.home.duckdns.org."}, nil), plex)
			if err != nil {
				b.Fatal(err)
			}
			q := read(b, ask(b, plex, dns.TypeA, edns(1232, 0)))
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for turn := uint32(0); b.Loop(); turn++ {
				dst = a.Append(dst[:0], q, turn)
			}
		})
	}
}
