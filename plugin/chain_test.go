package plugin_test

import (
	"crypto"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/chaos"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/metadata"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// Two clients of a server on loopback whose Corefile has chainViews.
const (
	insideLo   = "127.0.0.1"
	outsideLo  = "127.9.9.9"
	chainViews = "internal 127.0.0.0/8\nexternal 127.9.9.0/24\nuplink wan 203.0.113.7\nstate STATE\n"
)

// askFrom asks a server over UDP from an address of 127/8.
func (s *server) askFrom(from string, q *dns.Msg) (*dns.Msg, error) {
	c := &dns.Client{
		Timeout: 10 * time.Second, UDPSize: 4096,
		Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}},
	}
	m, _, err := c.Exchange(q, s.addr())
	return m, err
}

// says returns an answer in a few words.
func (s *server) says(from, text string) string {
	s.t.Helper()
	m, err := s.askFrom(from, question(s.t, text))
	if err != nil {
		s.t.Fatalf("%s from %s: %v", text, from, err)
	}
	return words(m)
}

// cacheHits returns what the cache plugin counts.
func cacheHits(t *testing.T) (hits float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "coredns_cache_hits_total" {
			for _, m := range f.GetMetric() {
				hits += m.GetCounter().GetValue()
			}
		}
	}
	return hits
}

// TestCacheInFront asks the same from inside and outside, in turn, of a server with a cache before us.
func TestCacheInFront(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	dir := t.TempDir()
	in, out := file(t, dir, "in", "nas A 192.168.1.9"), file(t, dir, "out", "www A 198.51.100.80")
	s := startServer(t, `home.duckdns.org:0 example.org:0 {
	bind 127.0.0.1
	cache 3600
	plex home.duckdns.org {
		node plex1 `+one.addr+`
		zonefile internal `+filepath.Join(dir, in)+`
		zonefile external `+filepath.Join(dir, out)+`
		passthrough left
		fallthrough
		ttl 1h
		negative 1h
		`+chainViews+`
	}
	hosts {
		192.0.2.1 x.example.org
		192.0.2.2 left.home.duckdns.org
		fallthrough
	}
	errors
}
`)
	for range 3 {
		s.says(insideLo, "x.example.org. A")
	}
	if cacheHits(t) == 0 {
		t.Fatal("the cache does not work at all")
	}
	before := cacheHits(t)
	tests := []struct {
		question        string
		inside, outside string
	}{
		{"plex.home.duckdns.org. A", "127.0.1.1", "203.0.113.7"},
		{"home.duckdns.org. A", "127.0.1.1", "203.0.113.7"},
		{"plex1.home.duckdns.org. A", "127.0.1.1", "203.0.113.7"},
		{"nas.home.duckdns.org. A", "192.168.1.9", "servfail"}, // hosts falls through to nobody
		{"www.home.duckdns.org. A", "servfail", "198.51.100.80"},
		{"plex.home.duckdns.org. AAAA", "nodata", "nodata"},
		{"left.home.duckdns.org. A", "192.0.2.2", "192.0.2.2"},
	}
	for range 3 {
		for _, tt := range tests {
			if got := s.says(insideLo, tt.question); got != tt.inside {
				t.Errorf("%s inside: got %s, want %s", tt.question, got, tt.inside)
			}
			if got := s.says(outsideLo, tt.question); got != tt.outside {
				t.Errorf("%s outside: got %s, want %s", tt.question, got, tt.outside)
			}
		}
	}
	if after := cacheHits(t); after != before {
		t.Errorf("the cache answered %v questions for our zone", after-before)
	}
}

// newKey writes a key for a zone as `dnssec` reads it, and returns the name of its files without ending.
func newKey(t *testing.T, zone string) (*dns.DNSKEY, string) {
	t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	var private crypto.PrivateKey
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), fmt.Sprintf("K%s+%03d+%05d", zone, key.Algorithm, key.KeyTag()))
	for ending, content := range map[string]string{".key": key.String() + "\n", ".private": key.PrivateKeyString(private)} {
		if err := os.WriteFile(base+ending, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, base
}

// verify checks the signatures of an answer. Each set of records must have one.
func verify(m *dns.Msg, key *dns.DNSKEY) error {
	type set struct {
		name  string
		rtype uint16
	}
	records, signatures := map[set][]dns.RR{}, map[set]*dns.RRSIG{}
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		if sig, ok := rr.(*dns.RRSIG); ok {
			signatures[set{strings.ToLower(sig.Hdr.Name), sig.TypeCovered}] = sig
			continue
		}
		s := set{strings.ToLower(rr.Header().Name), rr.Header().Rrtype}
		records[s] = append(records[s], rr)
	}
	if len(records) == 0 {
		return fmt.Errorf("no records: %s", words(m))
	}
	for s, rrs := range records {
		sig := signatures[s]
		if sig == nil {
			return fmt.Errorf("%s %s has no signature", s.name, dns.TypeToString[s.rtype])
		}
		if err := sig.Verify(key, rrs); err != nil {
			return fmt.Errorf("verifying %s %s: %w", s.name, dns.TypeToString[s.rtype], err)
		}
	}
	return nil
}

// TestDNSSECBeforeUs: the plugin appends signatures to the answers that it gets, so that answers which share
// memory would be torn, which the race detector sees.
func TestDNSSECBeforeUs(t *testing.T) {
	const clients, rounds = 64, 8
	key, base := newKey(t, zone)
	dir := t.TempDir()
	zonefile := file(t, dir, "zone", "tv CNAME plex", "printer A 192.168.1.9", "*.lab A 192.168.1.8")
	// Nobody listens there: that everything is down gives all three proxies as the last resort.
	s := startServer(t, `home.duckdns.org:0 {
	bind 127.0.0.1
	dnssec {
		key file `+base+`
	}
	plex {
		node plex1 127.0.1.1:1
		proxy 127.1.1.1:1 127.1.2.1:1 127.1.3.1:1
		zonefile internal `+filepath.Join(dir, zonefile)+`
		`+chainViews+`
	}
	errors
}
`)
	questions := []struct{ text, want string }{
		{"plex.home.duckdns.org. A", "127.1.1.1, 127.1.2.1, 127.1.3.1"},
		{"PLEX.Home.duckdns.org. A", "127.1.1.1, 127.1.2.1, 127.1.3.1"},
		{"home.duckdns.org. A", "127.1.1.1, 127.1.2.1, 127.1.3.1"},
		{"plex.home.duckdns.org. AAAA", "nodata"},
		{"HOME.duckdns.org. AAAA", "nodata"},
		{"none.home.duckdns.org. A", "nodata"}, // NXDOMAIN: dnssec makes it NODATA (black lies)
		{"tv.home.duckdns.org. A", "CNAME plex.home.duckdns.org., 127.1.1.1, 127.1.2.1, 127.1.3.1"},
		{"tv.home.duckdns.org. AAAA", "CNAME plex.home.duckdns.org."},
		{"x.lab.home.duckdns.org. A", "192.168.1.8"},
		{"home.duckdns.org. SOA", ""},
		{"home.duckdns.org. NS", "NS ns1.home.duckdns.org."},
		{"plex.home.duckdns.org. ANY", `HINFO "RFC8482" ""`},
	}
	// The main name waits for the first round of probes, a CNAME that leads to it does not.
	if _, err := s.askFrom(insideLo, question(t, questions[0].text)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range rounds {
				q := questions[(i+j)%len(questions)]
				m, err := s.askFrom(insideLo, question(t, q.text).SetEdns0(4096, true))
				if err != nil {
					t.Errorf("%s: %v", q.text, err)
					return
				}
				if err := verify(m, key); err != nil {
					t.Errorf("%s: %v\n%v", q.text, err, m)
				}
				m.Answer = slices.DeleteFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
				if got := words(m); q.want != "" && sorted(got) != sorted(q.want) { // addresses take turns
					t.Errorf("%s: got %s, want %s", q.text, got, q.want)
				}
			}
		})
	}
	wg.Wait()
}

// TestCNAMEsThatLeadOut are followed through the server, as those of plugin file are.
func TestCNAMEsThatLeadOut(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	dir := t.TempDir()
	zonefile := file(t, dir, "zone",
		"near CNAME x.example.org.", "nowhere CNAME none.home.duckdns.org.", "far CNAME x.example.net.", "left CNAME other")
	s := startServer(t, `home.duckdns.org:0 example.org:0 {
	bind 127.0.0.1
	metadata
	chaos plexha somebody
	plex home.duckdns.org {
		node plex1 `+one.addr+`
		zonefile internal `+filepath.Join(dir, zonefile)+`
		passthrough other
		`+chainViews+`
	}
	hosts {
		192.0.2.1 x.example.org
		192.0.2.2 other.home.duckdns.org
	}
	errors
}
`)
	for text, want := range map[string]string{
		"near.home.duckdns.org. A":    "CNAME x.example.org., 192.0.2.1",
		"far.home.duckdns.org. A":     "CNAME x.example.net.", // refused here: the resolver goes on
		"nowhere.home.duckdns.org. A": "CNAME none.home.duckdns.org. nxdomain",
		"left.home.duckdns.org. A":    "CNAME other.home.duckdns.org., 192.0.2.2",
		"x.example.org. A":            "192.0.2.1",
	} {
		if got := s.says(insideLo, text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	chaos := question(t, "plex.home.duckdns.org. A")
	chaos.Question[0].Qclass = dns.ClassCHAOS
	m, err := s.askFrom(insideLo, chaos)
	if err != nil || len(m.Answer) > 0 {
		t.Errorf("class CH is answered: %v, %v", m, err)
	}
}
