package plugin_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/zones"
)

// laneAnswer asks as a lane does and returns the answer in a few words, "left" if it is CoreDNS's.
func (h *house) laneAnswer(from string, q *dns.Msg) string {
	h.t.Helper()
	packet, err := q.Pack()
	if err != nil {
		h.t.Fatal(err)
	}
	w := newWorker(routesTo(h.t, h))
	answer := w.answer(packet, netip.MustParseAddr(from))
	if answer == nil {
		return "left"
	}
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		h.t.Fatalf("%x: %v", answer, err)
	}
	h.check(q, m)
	return words(m)
}

func TestAnswerAllocatesNothing(t *testing.T) {
	houses := map[string]*house{
		"two proxies": hotHouse(t), "64 nodes": newHouse(t, numbered(64)...), "wildcard": newHouse(t, with(oneProxy, "wildcard")...),
	}
	for what, h := range houses {
		tally, buf := h.Tally(serverAddr), make([]byte, 0, 4096)
		for _, text := range hot {
			for _, from := range []string{inside, outside, "2001:db8::1"} {
				q, addr := plainly(t, question(t, text).SetEdns0(4096, true)), netip.MustParseAddr(from)
				n := testing.AllocsPerRun(100, func() {
					h.Answer(buf, q, addr, tally)
					tally.Flush()
				})
				if n != 0 {
					t.Errorf("%s: %s from %s: %v allocations", what, text, from, n)
				}
			}
		}
	}
}

// TestAddressesTakeTurns asks by both ways, which count together.
func TestAddressesTakeTurns(t *testing.T) {
	h := newHouse(t, with(oneProxy, "proxy 192.168.1.3", "proxy 192.168.1.4")...)
	want := []string{
		"192.168.1.2, 192.168.1.3, 192.168.1.4",
		"192.168.1.3, 192.168.1.4, 192.168.1.2",
		"192.168.1.4, 192.168.1.2, 192.168.1.3",
	}
	a, aaaa := question(t, "plex.home.duckdns.org. A"), question(t, "plex.home.duckdns.org. AAAA")
	for i := range 4 * len(want) {
		ask := h.laneAnswer
		if i%2 == 0 {
			ask = func(from string, q *dns.Msg) string { return words(h.send(from, q)) }
		}
		if got := ask(inside, a); got != want[i%len(want)] {
			t.Errorf("answer %d: got %s, want %s", i, got, want[i%len(want)])
		}
		h.laneAnswer(inside, aaaa) // as clients do, which must not take a turn away
	}
	withCookie := a.Copy().SetEdns0(1232, false)
	withCookie.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "24a5ac1223344556"}}
	for i := range 2 * len(want) {
		if got := words(h.send(inside, withCookie.Copy())); got != want[i%len(want)] {
			t.Errorf("answer %d to a question with a cookie: got %s, want %s", i, got, want[i%len(want)])
		}
	}
}

// TestLeftToCoreDNS holds the questions that a lane has no answer for, whatever its zones say.
func TestLeftToCoreDNS(t *testing.T) {
	dir := t.TempDir()
	zonefile := file(t, dir, "zone",
		"tv CNAME plex", "far CNAME x.example.net.", "gone CNAME nowhere", "sub NS ns.sub", "ns.sub A 192.168.1.53", "old DNAME new",
		"_acme-challenge TXT token", "big TXT "+strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 6))
	h := newHouseAt(t, dir, next, with(oneProxy, "zonefile internal "+zonefile, "passthrough left", "fallthrough sub2.home.duckdns.org")...)
	tests := []struct{ question, want string }{
		{"plex.home.duckdns.org. A", "192.168.1.2"},
		{"tv.home.duckdns.org. A", "CNAME plex.home.duckdns.org., 192.168.1.2"},
		{"tv.home.duckdns.org. TXT", "CNAME plex.home.duckdns.org."},
		{"tv.home.duckdns.org. TYPE300", "left"}, // one answer for each type that there is would grow
		{"far.home.duckdns.org. A", "left"},
		{"far.home.duckdns.org. CNAME", "CNAME x.example.net."},
		{"gone.home.duckdns.org. A", "left"},
		{"sub.home.duckdns.org. A", "left"},
		{"sub.home.duckdns.org. NS", "left"},
		{"ns.sub.home.duckdns.org. A", "left"},
		{"x.ns.sub.home.duckdns.org. A", "left"},
		{"x.old.home.duckdns.org. A", "left"},
		{"_acme-challenge.home.duckdns.org. TXT", "left"},
		{"_acme-challenge.plex.home.duckdns.org. TXT", "left"},
		{"left.home.duckdns.org. A", "left"},
		{"x.left.home.duckdns.org. A", "left"},
		{"x.sub2.home.duckdns.org. A", "left"},
		{"x.home.duckdns.org. A", "nxdomain"},
		{"plex.home.duckdns.org. ANY", "left"},
		{"plex.home.duckdns.org. AXFR", "left"},
		{"plex.home.duckdns.org. DS", "left"},
		{"plex.home.duckdns.org. RRSIG", "left"},
		{"plex.home.duckdns.org. DNSKEY", "nodata"},
		{"big.home.duckdns.org. TXT", "left"}, // longer than may go over UDP
		{"example.org. A", "left"},
	}
	for _, tt := range tests {
		if got := h.laneAnswer(inside, question(t, tt.question).SetEdns0(4096, false)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.question, got, tt.want)
		}
	}
}

// TestLaneWithErrors leaves to CoreDNS what is an error, and comes back when it is none any more.
func TestLaneWithErrors(t *testing.T) {
	h := newHouse(t, with(oneProxy, "alldown servfail")...)
	a, txt := question(t, "plex.home.duckdns.org. A"), question(t, "plex.home.duckdns.org. TXT")
	if got := h.laneAnswer(inside, a); got != "192.168.1.2" {
		t.Errorf("all is up: got %s", got)
	}
	h.kill("plex1", "plex2", "192.168.1.2:443")
	if got := h.laneAnswer(inside, a); got != "left" {
		t.Errorf("nothing is up: got %s, want the question left", got)
	}
	if got := h.laneAnswer(inside, txt); got != "nodata" {
		t.Errorf("nothing is up: TXT is %s, want NODATA", got)
	}
	h.revive("plex1")
	if got := h.laneAnswer(inside, a); got != "192.168.1.11" {
		t.Errorf("a node is back: got %s", got)
	}
}

// TestPluginsBeforeUs are those that change what a lane answers.
func TestPluginsBeforeUs(t *testing.T) {
	h := newHouse(t, oneProxy...)
	q := question(t, "plex.home.duckdns.org. A").SetEdns0(4096, false)
	signed, key := q.Copy(), question(t, "home.duckdns.org. DNSKEY")
	signed.IsEdns0().SetDo()
	tests := []struct {
		what              string
		bufsize           int
		dnssec            bool
		plain, do, dnskey string
		size              uint16
	}{
		{"nothing", 0, false, "192.168.1.2", "192.168.1.2", "nodata", 4096},
		{"bufsize", 1232, false, "192.168.1.2", "192.168.1.2", "nodata", 1232},
		{"bufsize that asks for more", 8192, false, "192.168.1.2", "192.168.1.2", "nodata", 4096},
		{"dnssec", 0, true, "192.168.1.2", "left", "left", 4096},
	}
	for _, tt := range tests {
		h.Behind(nil, tt.bufsize, tt.dnssec)
		got := [...]string{h.laneAnswer(inside, q), h.laneAnswer(inside, signed), h.laneAnswer(inside, key)}
		if want := [...]string{tt.plain, tt.do, tt.dnskey}; got != want {
			t.Errorf("%s: got %q, want %q", tt.what, got, want)
		}
		asked := plainly(t, q)
		m := new(dns.Msg)
		if err := m.Unpack(h.Answer(nil, asked, netip.MustParseAddr(inside), h.Tally(serverAddr))); err != nil {
			t.Fatal(err)
		}
		if got := m.IsEdns0().UDPSize(); got != tt.size {
			t.Errorf("%s: the answer says %d bytes, want %d", tt.what, got, tt.size)
		}
	}
}

// TestTallyCountsAsPrometheusDoes asks the same of a lane and of a server with the prometheus plugin in front.
func TestTallyCountsAsPrometheusDoes(t *testing.T) {
	h := newHouse(t, with(oneProxy, "keys home.duckdns.org sub.home.duckdns.org home.example.org")...)
	m := metrics.New("localhost:0")
	for _, z := range []string{zone, "sub.home.duckdns.org.", "below." + zone} {
		m.AddZone(z)
	}
	m.Next = h.Plex
	h.Behind(m, 0, false)
	var configs []*dnsserver.Config
	for _, origin := range h.cfg.Cluster.Origins {
		c := &dnsserver.Config{Zone: origin, Transport: "dns", Port: "53", ListenHosts: []string{""}}
		c.AddPlugin(func(plugin.Handler) plugin.Handler { return m })
		configs = append(configs, c)
	}
	server, err := dnsserver.NewServer(serverAddr, configs)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(routesTo(t, h))
	var packets [][]byte
	for _, name := range []string{zone, "plex." + zone, "none." + zone, "x.below." + zone, "plex.sub." + zone, "plex.home.example.org."} {
		for _, qtype := range []uint16{
			dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeSOA, dns.TypeNS, dns.TypeTXT, dns.TypeMX, dns.TypeSRV,
			dns.TypeCNAME, dns.TypePTR, dns.TypeDNSKEY, dns.TypeCAA, dns.TypeNAPTR, 300, 65280,
		} {
			q := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, qtype%2 == 0)
			packet, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, packet)
		}
	}
	clients := []netip.Addr{netip.MustParseAddr(inside), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.168.1.7")}
	before := requestCounts(t)
	for i, packet := range packets {
		if w.answer(packet, clients[i%len(clients)]) == nil {
			t.Fatalf("%x: left to CoreDNS", packet)
		}
	}
	if diff := cmp.Diff(map[string]float64{}, since(requestCounts(t), before)); diff != "" {
		t.Errorf("counted before the batch ends (-want +got):\n%s", diff)
	}
	w.flush()
	lane := since(requestCounts(t), before)
	before = requestCounts(t)
	t.Run("chain", func(t *testing.T) { // at its end the server is done with all that it counts
		chain := serve(t, server)
		for i, packet := range packets {
			chain.exchange(packet, clients[i%len(clients)])
		}
	})
	if diff := cmp.Diff(since(requestCounts(t), before), lane); diff != "" {
		t.Errorf("counted otherwise (-chain +lane):\n%s", diff)
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(lane)), func(k string) bool { return strings.Contains(k, "do_requests") }) {
		t.Errorf("nothing of prometheus's was counted: %v", lane)
	}
}

// TestUnchangedZonesAreTakenOver with the answers that are packed.
func TestUnchangedZonesAreTakenOver(t *testing.T) {
	h := newHouse(t, oneProxy...)
	for _, from := range []string{inside, outside} {
		h.laneAnswer(from, question(t, "plex.home.duckdns.org. A"))
	}
	in, out := h.ZoneOf(zones.Internal), h.ZoneOf(zones.External)
	h.show()
	if h.ZoneOf(zones.Internal) != in || h.ZoneOf(zones.External) != out {
		t.Error("zones were made anew of a snapshot that has not changed")
	}
	h.kill("plex1")
	if h.ZoneOf(zones.Internal) == in {
		t.Error("the internal zone is the old one, though _status has changed")
	}
	if h.ZoneOf(zones.External) != out || h.Packed(zones.External) != 1 {
		t.Errorf("the external zone was made anew, or forgot its answers: %d are packed", h.Packed(zones.External))
	}
	in = h.ZoneOf(zones.Internal)
	if err := h.ReadZoneFiles(); err != nil {
		t.Fatal(err)
	}
	h.show()
	if h.ZoneOf(zones.Internal) == in {
		t.Error("the zone is the old one, though its zone files were read anew")
	}
}

// TestPackedAnswersAreBounded asks for everything at names that exist and at those that do not.
func TestPackedAnswersAreBounded(t *testing.T) {
	dir := t.TempDir()
	h := newHouseAt(t, dir, nil, with(oneProxy, "wildcard", "zonefile internal "+file(t, dir, "zone", "tv CNAME plex", "*.lab A 192.168.1.99"))...)
	for i := range 300 {
		for _, name := range []string{"", "plex.", "tv.", fmt.Sprintf("x%d.", i), fmt.Sprintf("x%d.y.plex1.", i), fmt.Sprintf("x%d.lab.", i)} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT, uint16(1000 + i)} { //nolint:gosec // a type
				h.laneAnswer(inside, new(dns.Msg).SetQuestion(name+zone, qtype))
			}
		}
	}
	// A of the apex, plex, the wildcard, that below plex1 and that of the lab; A and TXT of the CNAME. The rest is NODATA.
	if got, want := h.Packed(zones.Internal), 7; got != want {
		t.Errorf("%d answers are packed, want %d", got, want)
	}
}

// TestFlapsLeaveZoneFilesAlone: what is shared between the zones before and after a change must stay whole in both.
func TestFlapsLeaveZoneFilesAlone(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 500 {
		lines = append(lines, fmt.Sprintf("host%d A 192.168.2.%d", i, i%250+1))
	}
	lines = append(lines, "plex TXT text", "x.plex2 A 192.168.2.251", "a.b.c A 192.168.2.252")
	name := file(t, dir, "zone", lines...)
	h := newHouseAt(t, dir, nil, with(oneProxy, "zonefile internal "+name, "zonefile external "+name)...)
	before := h.records(t)
	old, err := h.Transfer(zone, 0) // which goes on while all changes
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		h.flap("plex1")
		for _, i := range []int{0, 17, 499} {
			q := question(t, fmt.Sprintf("host%d.home.duckdns.org. A", i))
			if got, want := h.laneAnswer(inside, q), fmt.Sprintf("192.168.2.%d", i%250+1); got != want {
				t.Fatalf("host%d: got %s, want %s", i, got, want)
			}
		}
	}
	for q, want := range map[string]string{
		"plex.home.duckdns.org. TXT": "TXT \"text\"", "x.plex2.home.duckdns.org. A": "192.168.2.251", "y.plex2.home.duckdns.org. A": "nxdomain",
		"b.c.home.duckdns.org. A": "nodata", "c.home.duckdns.org. A": "nodata", "x.b.c.home.duckdns.org. A": "nxdomain",
		"host500.home.duckdns.org. A": "nxdomain",
	} {
		if got := h.laneAnswer(inside, question(t, q)); got != want {
			t.Errorf("%s: got %s, want %s", q, got, want)
		}
	}
	if diff := cmp.Diff(before, collect(old)); diff != "" {
		t.Errorf("a transfer that began before (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, h.records(t)); diff != "" {
		t.Errorf("a transfer afterwards (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(before[1:len(before)-1], func(a, b string) int { return bytes.Compare(owner(a), owner(b)) }) {
		t.Error("the names of a transfer are not in their order")
	}
}

// records returns a transfer's records as text.
func (h *house) records(t *testing.T) []string {
	t.Helper()
	ch, err := h.Transfer(zone, 0)
	if err != nil {
		t.Fatal(err)
	}
	return collect(ch)
}

func collect(ch <-chan []dns.RR) []string {
	var out []string
	for rrs := range ch {
		var texts []string
		for _, rr := range rrs {
			texts = append(texts, rr.String())
		}
		slices.Sort(texts) // the types of a name come in any order
		out = append(out, texts...)
	}
	return out
}

// owner returns a record's name as it is ordered (RFC 4034, 6.1), here where names have no escapes.
func owner(record string) []byte {
	name, _, _ := strings.Cut(record, "\t")
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return []byte(strings.Join(labels, "\x00"))
}
