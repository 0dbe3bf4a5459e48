package zones

import "net/netip"

// Serves reports whether a subject takes requests: it is up, or ordered up. One that is being drained goes on
// taking those of its own.
func (h *Health) Serves() bool {
	switch h.Order {
	case OrderUp:
		return true
	case OrderDown:
		return false
	default:
		return h.State.IsUp()
	}
}

// Serving returns the nodes that a proxy sends new clients to, by the same rules as answers choose them, but
// whatever addresses clients could reach them at: it is the proxy that has to.
func (s *Snapshot) Serving() []*NodeHealth {
	all := make([]member, len(s.Nodes))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		all[i] = member{name: string(n.Name), backup: n.Backup, health: &n.Health}
	}
	var out []*NodeHealth
	up, _ := pick(all, asIs)
	for _, m := range up {
		out = append(out, s.Node(NodeName(m.name)))
	}
	return out
}

// Outside returns the uplinks that clients outside are led to because they are up, in file order, each with its
// healthy addresses: those of external answers but for what is told when none is up. DuckDNS holds the first one's.
func (s *Snapshot) Outside() []UplinkAddrs {
	var out []UplinkAddrs
	up, _ := pick(s.tiers().uplinks, asIs)
	for _, m := range up {
		for i := range s.Uplinks {
			if u := &s.Uplinks[i]; u.Name == m.name {
				out = append(out, UplinkAddrs{u, m.addrs})
			}
		}
	}
	return out
}

// UplinkAddrs is an uplink with some of its external addresses.
type UplinkAddrs struct {
	*UplinkHealth
	Told []netip.Addr // never empty; IPv4 before IPv6
}
