package e2e_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// newKey writes a signing key for the zone as the dnssec plugin reads it.
func newKey(t *testing.T) (key *dns.DNSKEY, file string) {
	t.Helper()
	key = &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), fmt.Sprintf("K%s+%03d+%05d", zone, key.Algorithm, key.KeyTag()))
	writeFile(t, file+".key", key.String()+"\n")
	if err := os.WriteFile(file+".private", []byte(key.PrivateKeyString(private)), 0o600); err != nil {
		t.Fatal(err)
	}
	return key, file
}

// TestSigned asks with DO from many clients at once: the dnssec plugin appends to what it is handed, so that
// answers which share memory would be torn.
func TestSigned(t *testing.T) {
	t.Parallel()
	const clients, rounds = 64, 20
	key, file := newKey(t)
	h := newHome(t, homeConfig{proxies: 3, plugins: []string{"dnssec {\n        key file " + file + "\n    }"}})
	questions := []dns.Question{
		{Name: mainName, Qtype: dns.TypeA},
		{Name: mainName, Qtype: dns.TypeAAAA},
		{Name: zone, Qtype: dns.TypeSOA},
		{Name: zone, Qtype: dns.TypeNS},
		{Name: "plex1." + zone, Qtype: dns.TypeA},
		{Name: "nothing." + zone, Qtype: dns.TypeA},
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			from := inside
			if i%2 == 1 {
				from = outside
			}
			for j := range rounds {
				q := questions[(i+j)%len(questions)]
				if err := checkSigned(h.dns, from, q, key); err != nil {
					t.Errorf("%s %s from %s: %v", q.Name, dns.TypeToString[q.Qtype], from, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// checkSigned asks the question and verifies each set of records of the answer.
func checkSigned(p *plexdns, from netip.Addr, q dns.Question, key *dns.DNSKEY) error {
	client := &dns.Client{
		Net: "tcp", Timeout: 10 * time.Second,
		Dialer: &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))},
	}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(q.Name, q.Qtype).SetEdns0(dns.DefaultMsgSize, true), p.addr.String())
	if err != nil {
		return err
	}
	type set struct {
		name  string
		rtype uint16
	}
	records, signatures := map[set][]dns.RR{}, map[set]*dns.RRSIG{}
	for _, rr := range append(m.Answer, m.Ns...) {
		if sig, ok := rr.(*dns.RRSIG); ok {
			signatures[set{sig.Hdr.Name, sig.TypeCovered}] = sig
			continue
		}
		s := set{rr.Header().Name, rr.Header().Rrtype}
		records[s] = append(records[s], rr)
	}
	if len(records) == 0 {
		return fmt.Errorf("nothing but %s", dns.RcodeToString[m.Rcode])
	}
	for s, rrs := range records {
		sig := signatures[s]
		if sig == nil {
			return fmt.Errorf("%s %s is not signed", s.name, dns.TypeToString[s.rtype])
		}
		if err := sig.Verify(key, rrs); err != nil {
			return fmt.Errorf("verifying %s %s: %w\n%v", s.name, dns.TypeToString[s.rtype], err, rrs)
		}
	}
	return nil
}
