package plugin

import (
	"net"
	"slices"

	"github.com/miekg/dns"

	"plexha/zones"
)

// The SOA's times in seconds. Secondaries are told of changes by NOTIFY, so refresh bounds what a lost
// NOTIFY costs, and expire keeps them answering through two weeks without us.
const (
	soaRefresh = 300
	soaRetry   = 60
	soaExpire  = 1209600
)

// fqdn returns the name of a label below an origin.
func fqdn(label zones.Label, origin string) string {
	if label == zones.Apex {
		return origin
	}
	return string(label) + "." + origin
}

func soa(spec zoneSpec) *dns.SOA {
	negative := zones.Seconds(spec.cluster.Negative)
	return &dns.SOA{
		Hdr:     dns.RR_Header{Name: spec.origin, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negative},
		Ns:      fqdn(zones.Label(spec.cluster.NS[0].Name), spec.origin),
		Mbox:    "hostmaster." + spec.origin,
		Serial:  spec.serial,
		Refresh: soaRefresh,
		Retry:   soaRetry,
		Expire:  soaExpire,
		Minttl:  negative,
	}
}

// nameServers returns the NS records of the origin.
func nameServers(spec zoneSpec) []dns.RR {
	var out []dns.RR
	for _, r := range spec.answers.Records {
		if r.Type == zones.TypeNS {
			out = append(out, toRR(r, spec.origin))
		}
	}
	return slices.Clip(out)
}

func toRR(r zones.Record, origin string) dns.RR {
	hdr := dns.RR_Header{Name: fqdn(r.Label, origin), Rrtype: uint16(r.Type), Class: dns.ClassINET, Ttl: r.TTL}
	switch r.Type {
	case zones.TypeNS:
		return &dns.NS{Hdr: hdr, Ns: fqdn(r.Target, origin)}
	case zones.TypeTXT:
		return &dns.TXT{Hdr: hdr, Txt: []string{r.Text}}
	case zones.TypeA:
		return &dns.A{Hdr: hdr, A: net.IP(r.Addr.AsSlice())}
	default:
		return &dns.AAAA{Hdr: hdr, AAAA: net.IP(r.Addr.AsSlice())}
	}
}

// apexOf returns the addresses that a zone file gives the apex.
func apexOf(rrs []dns.RR, origin string) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if isAddress(rr.Header().Rrtype) && rr.Header().Name == origin {
			out = append(out, rr)
		}
	}
	return out
}
