package plugin

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/zones"
)

// client is who an answer is for: the view and the network that a question comes from, as its source
// address says or, from a trusted resolver, its EDNS client subnet.
type client struct {
	view    zones.View
	variant zones.Variant
	network netip.Prefix
	subnet  *dns.EDNS0_SUBNET // the trusted client subnet; nil: none
}

// What a trusted client subnet deserves FORMERR for: it breaks RFC 7871, 6 and 7.1.2, or it has a rival, and
// choosing one of the two would be guessing.
var (
	errSubnet  = errors.New("the client subnet has a scope or bits beyond its prefix")
	errSubnets = errors.New("the question has more than one client subnet")
)

// client tells who asks. Client subnets of those that the Corefile does not trust are as good as not there.
// A trusted one of length 0 says that the client is not to be told apart: it lies in no internal prefix, so
// that the answer is the external one even if the resolver itself is in the house.
func (p *Plex) client(c *compiled, state request.Request) (client, error) {
	addr, err := netip.ParseAddr(state.IP())
	if err != nil {
		return client{}, nil //nolint:nilerr // a transport without addresses: outside, and no variant
	}
	addr = addr.Unmap().WithZone("")
	who := client{view: c.snap.Views.Of(addr), network: zones.Network(addr)}
	if subnets := clientSubnets(state.Req); len(subnets) > 0 && p.trusts(addr) {
		if len(subnets) > 1 {
			return client{}, errSubnets
		}
		network, err := subnetPrefix(subnets[0])
		if err != nil {
			return client{}, err
		}
		who.subnet, who.network = subnets[0], network
		who.view = c.snap.Views.OfPrefix(network)
	}
	return who.in(c), nil
}

// in returns the client with the variant that it has in another compiled zone.
func (who client) in(c *compiled) client {
	who.variant = ""
	if who.view == zones.Internal {
		who.variant = c.spread.Pick(who.network)
	}
	return who
}

func (p *Plex) trusts(resolver netip.Addr) bool {
	return slices.ContainsFunc(p.cfg.TrustECS, func(t netip.Prefix) bool { return t.Contains(resolver) })
}

// clientSubnets returns the client subnets of a question: none, or one from whoever keeps to RFC 7871.
func clientSubnets(r *dns.Msg) []*dns.EDNS0_SUBNET {
	opt := r.IsEdns0()
	if opt == nil {
		return nil
	}
	var out []*dns.EDNS0_SUBNET
	for _, o := range opt.Option {
		if subnet, ok := o.(*dns.EDNS0_SUBNET); ok {
			out = append(out, subnet)
		}
	}
	return out
}

// subnetPrefix checks a client subnet of a question and returns its prefix. Family 0, which dig sends with
// length 0, gives the IPv4 prefix of length 0.
func subnetPrefix(subnet *dns.EDNS0_SUBNET) (netip.Prefix, error) {
	addr, ok := netip.AddrFromSlice(subnet.Address)
	if !ok || subnet.SourceScope != 0 {
		return netip.Prefix{}, errSubnet
	}
	if subnet.Family != 2 {
		addr = addr.Unmap()
	}
	p := netip.PrefixFrom(addr, int(subnet.SourceNetmask))
	if p.Masked() != p {
		return netip.Prefix{}, errSubnet
	}
	return p, nil
}

// echo returns a trusted client subnet with the scope that the answer holds for: its own prefix where the
// answer depends on who asks, else 0 (RFC 7871, 7.2.1).
func (who client) echo(m *dns.Msg, z *zone, state request.Request) {
	if who.subnet == nil {
		return
	}
	subnet := *who.subnet
	if z.dependsOnClient(state.Name()) {
		subnet.SourceScope = subnet.SourceNetmask
	}
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}, Option: []dns.EDNS0{&subnet}}
	m.Extra = append(m.Extra, opt)
}
