package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"plexha/zones"
)

// asker puts questions to one server and returns its replies, in the order of the questions. Each has a rcode
// of its own; an error means that there is no reply to at least one.
type asker func(ctx context.Context, questions []dns.Question) ([]*dns.Msg, error)

func question(name string, qtype uint16) dns.Question {
	return dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
}

// bothFamilies returns the questions for the addresses of a name.
func bothFamilies(name string) []dns.Question {
	return []dns.Question{question(name, dns.TypeA), question(name, dns.TypeAAAA)}
}

// addrsOf asks for the addresses of a name, both families side by side.
func addrsOf(ctx context.Context, ask asker, name string) (answer[netip.Addr], error) {
	replies, err := ask(ctx, bothFamilies(name))
	if err != nil {
		return answer[netip.Addr]{}, err
	}
	return addrsIn(name, replies)
}

// addrsIn returns the addresses that the replies to the questions of [bothFamilies] hold. What one of them
// lacks is no fault if the other one has something, but it may come soon.
func addrsIn(name string, replies []*dns.Msg) (answer[netip.Addr], error) {
	found := answer[netip.Addr]{ttl: longest}
	var fault error
	for _, reply := range replies {
		if err := rcodeError(name, reply); err != nil {
			fault, found.ttl = cmp.Or(fault, err), 0
		}
		for _, rr := range reply.Answer {
			found.ttl = min(found.ttl, ttlOf(rr))
			if a := addrIn(rr); a.IsValid() {
				found.values = append(found.values, a)
			}
		}
	}
	if len(found.values) == 0 {
		return found, cmp.Or(fault, fmt.Errorf("it knows no address of %s", bare(name)))
	}
	return found, nil
}

// addrIn returns the address of an A or AAAA record, the zero Addr for all others and for an IPv4 address that
// stands in an AAAA record.
func addrIn(rr dns.RR) netip.Addr {
	switch rr := rr.(type) {
	case *dns.A:
		a, _ := netip.AddrFromSlice(rr.A)
		return a.Unmap()
	case *dns.AAAA:
		if a, _ := netip.AddrFromSlice(rr.AAAA); !a.Is4In6() {
			return a
		}
	}
	return netip.Addr{}
}

// nameServersOf asks who serves a zone, and then where they all are.
func nameServersOf(ctx context.Context, ask asker, zone string) (answer[NameServer], error) {
	replies, err := ask(ctx, []dns.Question{question(zone, dns.TypeNS)})
	if err != nil {
		return answer[NameServer]{}, err
	}
	names, ttl, err := serversIn(zone, replies[0])
	if err != nil {
		return answer[NameServer]{}, err
	}
	var questions []dns.Question
	for _, name := range names {
		questions = append(questions, bothFamilies(name)...)
	}
	if replies, err = ask(ctx, questions); err != nil {
		return answer[NameServer]{}, err
	}
	found, fault := answer[NameServer]{ttl: ttl}, error(nil)
	for i, pair := range slices.Collect(slices.Chunk(replies, 2)) {
		at, err := addrsIn(names[i], pair)
		fault, found.ttl = cmp.Or(fault, err), min(found.ttl, at.ttl)
		for _, a := range at.values {
			found.values = append(found.values, NameServer{names[i], netip.AddrPortFrom(a, 53)})
		}
	}
	if len(found.values) == 0 {
		return found, fault
	}
	return found, nil
}

// serversIn returns the names of a zone's name servers, sorted.
func serversIn(zone string, reply *dns.Msg) (names []string, ttl time.Duration, err error) {
	ttl = longest
	for _, rr := range reply.Answer {
		if ns, ok := rr.(*dns.NS); ok {
			names = append(names, dns.CanonicalName(ns.Ns))
			ttl = min(ttl, ttlOf(rr))
		}
	}
	if len(names) == 0 {
		return nil, 0, cmp.Or(rcodeError(zone, reply), errors.New("it knows no name server of "+bare(zone)))
	}
	slices.Sort(names)
	return slices.Compact(names), ttl, nil
}

// systemAddrs asks the system's resolver.
func systemAddrs(ctx context.Context, host string) (answer[netip.Addr], error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return answer[netip.Addr]{}, fmt.Errorf("asking the system's resolver: %w", err)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(zones.FamilyOf(a), zones.FamilyOf(b)) })
	return answer[netip.Addr]{addrs, shortest}, nil
}

func ttlOf(rr dns.RR) time.Duration { return time.Duration(rr.Header().Ttl) * time.Second }

// rcodeError says what is wrong with a reply about a name.
func rcodeError(name string, reply *dns.Msg) error {
	if reply.Rcode == dns.RcodeSuccess {
		return nil
	}
	return fmt.Errorf("it answers %s for %s", dns.RcodeToString[reply.Rcode], bare(name))
}

// bare returns a name as a person writes it.
func bare(name string) string { return strings.TrimSuffix(name, ".") }
