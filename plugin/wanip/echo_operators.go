package wanip

import (
	"net/netip"

	"github.com/miekg/dns"
)

// operator is one whose name servers tell where a question came from.
type operator struct {
	question string // the name that is asked for
	class    uint16
	txt      bool // the answer is in a TXT record; else in one of the family's own type
	// authoritative servers are not resolvers: they say AA, which nobody does who answers in their place out of
	// a cache or by asking on.
	authoritative bool
	servers       map[string]servers // by transport: udp, dot, doh
}

// servers are those of one transport, of both families. They are known by their addresses: this host's resolver
// may be us, and a name that only a resolver tells would be only as right as the resolver.
type servers struct {
	name  string // in their certificates
	port  uint16
	addrs []netip.Addr // those of a family are asked in this order
}

// The transports of [corefile.Source].
const (
	overUDP = "udp"
	overTLS = "dot"
	overDoH = "doh"
)

// dohPath is where all of them answer RFC 8484's questions.
const dohPath = "/dns-query"

// operators are those that the Corefile knows by name. Where it gives addresses with `at`, those are asked the
// same questions.
var operators = map[string]operator{
	// https://support.opendns.com: resolver1 and resolver2.opendns.com tell the asker's address in this name. It
	// is nobody else's: the world's name servers say NXDOMAIN. In France and Portugal OpenDNS does not answer.
	"opendns": {
		question: "myip.opendns.com.", class: dns.ClassINET,
		servers: map[string]servers{
			overUDP: {port: 53, addrs: openDNS},
			overTLS: {"dns.opendns.com", 853, openDNS},
		},
	},
	// https://developers.cloudflare.com/1.1.1.1: some providers use 1.1.1.1 for themselves, then 1.0.0.1 answers
	// (favonia/cloudflare-ddns#478).
	"cloudflare": {
		question: "whoami.cloudflare.", class: dns.ClassCHAOS, txt: true,
		servers: map[string]servers{
			overUDP: {port: 53, addrs: cloudflare},
			overTLS: {"one.one.one.one", 853, cloudflare},
			overDoH: {"cloudflare-dns.com", 443, cloudflare},
		},
	},
	// ns1 and ns2.google.com. Other strings, such as "edns0-client-subnet 192.0.2.0/24", may come along.
	"google": {
		question: "o-o.myaddr.l.google.com.", class: dns.ClassINET, txt: true, authoritative: true,
		servers: map[string]servers{
			overUDP: {port: 53, addrs: addrs("216.239.32.10", "216.239.34.10", "2001:4860:4802:32::a", "2001:4860:4802:34::a")},
		},
	},
	// ns1-1.akamaitech.net, which has been at this one address for more than ten years. Akamai would have people
	// ask for whoami.ds.akahelp.net instead, but no server of that zone is known by a lasting address.
	"akamai": {
		question: "whoami.akamai.net.", class: dns.ClassINET, authoritative: true,
		servers: map[string]servers{
			overUDP: {port: 53, addrs: addrs("193.108.88.1")},
		},
	},
}

var (
	openDNS    = addrs("208.67.222.222", "208.67.220.220", "2620:119:35::35", "2620:119:53::53")
	cloudflare = addrs("1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001")
)

func addrs(all ...string) []netip.Addr {
	out := make([]netip.Addr, len(all))
	for i, a := range all {
		out[i] = netip.MustParseAddr(a)
	}
	return out
}
