package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// homeZone is the zone that all name servers serve.
const homeZone = "home.duckdns.org."

// home is what is in the zone: so many nodes, which have an address of loopback each, and so many other names.
type home struct {
	nodes, names int

	flapping int  // of the nodes: these may be in an answer, or not
	spread   bool // the main name has one node for each client, not all of them
	outside  bool // the view of those outside, of servers that have one
}

// homeFlags has flags say what is in the zone.
func homeFlags(flags *flag.FlagSet) *home {
	h := new(home)
	flags.IntVar(&h.nodes, "nodes", 2, "nodes")
	flags.IntVar(&h.names, "names", 10, "names that are no node's")
	flags.IntVar(&h.flapping, "flapping", 0, "nodes that come and go")
	flags.BoolVar(&h.spread, "spread", false, "one node for each client")
	flags.BoolVar(&h.outside, "outside", false, "what is answered outside")
	return h
}

// uplinkAddr is what everything is outside.
var uplinkAddr = netip.MustParseAddr("203.0.113.7")

// nodeAddr is where the i-th node is, and nameAddr what a static name leads to.
func nodeAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i + 1)}) }

func nameAddr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(2 + i>>16), byte(i >> 8), byte(i)})
}

// mainAddrs are the addresses of the main name, if all nodes are up.
func (h *home) mainAddrs() []netip.Addr {
	if h.outside {
		return []netip.Addr{uplinkAddr}
	}
	addrs := make([]netip.Addr, h.nodes)
	for i := range addrs {
		addrs[i] = nodeAddr(i)
	}
	return addrs
}

// statics prints what a zone has beside what is made of nodes.
func (h *home) statics(w io.Writer) {
	fmt.Fprintln(w, "nas 10 AAAA fd12:3456::20\nnas 10 TXT \"not a node\"\nnas 10 MX 10 nas")
	for i := range h.names {
		fmt.Fprintf(w, "n%d 10 A %s\n", i, nameAddr(i))
	}
}

// zone prints the whole zone as a master file, for servers that make nothing of nodes.
func (h *home) zone(w io.Writer) {
	fmt.Fprintf(w, "$ORIGIN %s\n$TTL 10\n@ SOA ns1 hostmaster 1 300 60 1209600 10\n@ NS ns1\n", homeZone)
	fmt.Fprintln(w, "ns1 A 127.0.0.1")
	for _, owner := range []string{"@", "plex"} {
		for _, a := range h.mainAddrs() {
			fmt.Fprintf(w, "%s A %s\n", owner, a)
		}
	}
	for i := range h.nodes {
		a := nodeAddr(i)
		if h.outside {
			a = uplinkAddr
		}
		fmt.Fprintf(w, "plex%d A %s\n", i+1, a)
	}
	h.statics(w)
}

// printZone prints the zone, or what is static in it.
func printZone(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("zone", flag.ContinueOnError)
	h := homeFlags(flags)
	static := flags.Bool("static", false, "only what is not made of nodes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *static {
		h.statics(w)
	} else {
		h.zone(w)
	}
	return nil
}

// question is one that a client asks.
type question struct {
	name   string // in the letter case that is asked
	qtype  uint16
	packet []byte // with the id 0
}

// share is a part of the questions: so many of a hundred.
type share struct {
	of    int
	name  func(i int) string
	qtype uint16
}

// shares are the questions of a home: most are for the main name and the nodes, from clients that ask for both
// families, and some browsers for HTTPS. Others are mistyped, or for what else the zone holds.
func (h *home) shares() []share {
	always := func(name string) func(int) string { return func(int) string { return name } }
	node := func(i int) string { return fmt.Sprintf("plex%d.", i%h.nodes+1) }
	static := func(i int) string { return fmt.Sprintf("n%d.", i*prime%h.names) }
	return []share{
		{34, always("plex."), dns.TypeA},
		{12, always("plex."), dns.TypeAAAA},
		{4, always("plex."), dns.TypeHTTPS},
		{14, node, dns.TypeA},
		{4, node, dns.TypeAAAA},
		{5, always(""), dns.TypeA},
		{3, always(""), dns.TypeSOA},
		{2, always(""), dns.TypeNS},
		{2, always("nas."), dns.TypeAAAA},
		{2, always("nas."), dns.TypeTXT},
		{8, static, dns.TypeA},
		{10, func(i int) string { return fmt.Sprintf("missing%d.", i) }, dns.TypeA},
	}
}

// prime has static names asked for in no order, each once before one comes again.
const prime = 7919

// questions are the mixed questions, always the same ones: 1,000 to 100,000, the more static names there are. Half of
// them have EDNS, some of these want DNSSEC; each third has letters of both cases.
func (h *home) questions() ([]question, error) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same questions each time
	var qs []question
	for _, s := range h.shares() {
		for i := range s.of * min(max(h.names/8, 10), 1000) {
			q, err := newQuestion(rng, s.name(i)+homeZone, s.qtype, i)
			if err != nil {
				return nil, err
			}
			qs = append(qs, q)
		}
	}
	rng.Shuffle(len(qs), func(i, j int) { qs[i], qs[j] = qs[j], qs[i] })
	return qs, nil
}

// edns are the sizes that clients offer, as systemd-resolved, unbound and older ones do; 0: none offered.
var edns = []uint16{0, 1232, 0, 1232, 0, 4096, 0, 512}

func newQuestion(rng *rand.Rand, name string, qtype uint16, i int) (question, error) {
	if i%3 == 0 {
		name = mixCase(rng, name)
	}
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.Id = 0
	if size := edns[i%len(edns)]; size > 0 {
		m.SetEdns0(size, i%16 == 5)
	}
	packet, err := m.Pack()
	if err != nil {
		return question{}, fmt.Errorf("packing a question for %s: %w", name, err)
	}
	return question{name, qtype, packet}, nil
}

// mixCase returns a name with letters of both cases, as careful resolvers ask.
func mixCase(rng *rand.Rand, name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && rng.IntN(2) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// printQuestions writes the questions for dnsperf -B: each with its length before it.
func printQuestions(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("questions", flag.ContinueOnError)
	h := homeFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	qs, err := h.questions()
	if err != nil {
		return err
	}
	var out []byte
	for _, q := range qs {
		out = binary.BigEndian.AppendUint16(out, uint16(len(q.packet)))
		out = append(out, q.packet...)
	}
	_, err = w.Write(out)
	return err
}

// judge says what is wrong about an answer, whatever instant it is from.
func (h *home) judge(q question, m *dns.Msg) error {
	switch {
	case !m.Response || m.Opcode != dns.OpcodeQuery:
		return errors.New("no answer")
	case !m.Authoritative || m.Truncated:
		return fmt.Errorf("authoritative %t, truncated %t", m.Authoritative, m.Truncated)
	case len(m.Question) != 1 || m.Question[0].Name != q.name || m.Question[0].Qtype != q.qtype:
		return fmt.Errorf("answers another question: %v", m.Question)
	}
	label, want := strings.TrimSuffix(strings.ToLower(q.name), homeZone), dns.RcodeSuccess
	if strings.HasPrefix(label, "missing") {
		want = dns.RcodeNameError
	}
	if m.Rcode != want {
		return fmt.Errorf("it is %s", dns.RcodeToString[m.Rcode])
	}
	least, at := h.expected(label, q.qtype)
	if least == 0 {
		return judgeEmpty(m)
	}
	if len(m.Answer) < least {
		return fmt.Errorf("%d records, want %d: %v", len(m.Answer), least, m.Answer)
	}
	return judgeRecords(q, m.Answer, at)
}

// expected returns how many records an answer must have at the least, and where addresses in it may lead, if it
// is one of addresses.
func (h *home) expected(label string, qtype uint16) (least int, at []netip.Addr) {
	var i int
	isMain := label == "" || label == "plex."
	switch {
	case isMain && qtype == dns.TypeA && h.spread:
		return 1, h.mainAddrs()
	case isMain && qtype == dns.TypeA:
		at = h.mainAddrs()
		return max(len(at)-h.flapping, 1), at
	case label == "" && (qtype == dns.TypeSOA || qtype == dns.TypeNS), label == "nas.":
		return 1, nil
	case qtype != dns.TypeA:
		return 0, nil
	}
	if n, _ := fmt.Sscanf(label, "plex%d.", &i); n == 1 {
		return 1, []netip.Addr{cmp.Or(h.only(), nodeAddr(i-1))}
	}
	if n, _ := fmt.Sscanf(label, "n%d.", &i); n == 1 {
		return 1, []netip.Addr{nameAddr(i)}
	}
	return 0, nil
}

// only is the one address that there is outside.
func (h *home) only() netip.Addr {
	if h.outside {
		return uplinkAddr
	}
	return netip.Addr{}
}

func judgeEmpty(m *dns.Msg) error {
	isSOA := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	if len(m.Answer) > 0 || !slices.ContainsFunc(m.Ns, isSOA) {
		return fmt.Errorf("want no record, and the SOA beside: %v, %v", m.Answer, m.Ns)
	}
	return nil
}

// judgeRecords says what is wrong about a set of records: they must be alike, each once.
func judgeRecords(q question, rrs []dns.RR, at []netip.Addr) error {
	var seen []string
	for _, rr := range rrs {
		h := rr.Header()
		if !strings.EqualFold(h.Name, q.name) || h.Rrtype != q.qtype || h.Ttl != rrs[0].Header().Ttl || h.Ttl > 10 {
			return fmt.Errorf("a record that is not like the others: %s", rr)
		}
		if slices.Contains(seen, rr.String()) {
			return fmt.Errorf("twice the same record: %s", rr)
		}
		seen = append(seen, rr.String())
		if a, ok := rr.(*dns.A); ok {
			if addr, _ := netip.AddrFromSlice(a.A.To4()); !slices.Contains(at, addr) {
				return fmt.Errorf("it leads to %s", addr)
			}
		}
	}
	return nil
}

// serial returns the serial in an answer.
func serial(m *dns.Msg) (uint32, bool) {
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Serial, true
		}
	}
	return 0, false
}
