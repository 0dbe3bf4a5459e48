package cluster

import (
	"strings"

	"plexha/proxy/affinity"
	"plexha/zones"
)

// hosts returns where the names of the first zone lead: the zone itself, the main name, the nodes' own, and with
// `wildcard` all others.
func (m *Moment) hosts() []HostStatus {
	domain := strings.TrimSuffix(m.Config.Cluster.Origins[0], ".")
	main := HostStatus{Host: m.Config.Cluster.Main + "." + domain}
	main.To, main.Why = m.takers()
	out := []HostStatus{{Host: domain, To: []zones.NodeName{}, Why: "redirected, whoever is up", Redirect: main.Host}, main}
	for i := range m.Nodes.All {
		out = append(out, m.ownHost(&m.Nodes.All[i], domain))
	}
	if m.Config.Cluster.Wildcard {
		out = append(out, HostStatus{Host: "*." + domain, To: main.To, Why: "as the main name"})
	}
	return out
}

// takers returns the nodes that clients without a node are given, and why these.
func (m *Moment) takers() (to []zones.NodeName, why string) {
	to = named(m.Nodes, func(n *affinity.Node) bool { return n.New })
	standIn := false
	for i := range m.Nodes.All {
		n := &m.Nodes.All[i]
		standIn = standIn || n.New && (n.Backup || n.Draining)
	}
	switch {
	case !m.Snapshot.Ready && len(to) > 0:
		return to, "not all have been asked yet"
	case !anyServes(m.Snapshot) && len(to) > 0:
		return to, "none is known to be up, and these are tried"
	case len(to) == 0:
		return []zones.NodeName{}, "no node is up"
	case standIn:
		return to, "no other node is up"
	default:
		return to, "the nodes that are up"
	}
}

// ownHost returns where a node's own name leads.
func (m *Moment) ownHost(n *affinity.Node, domain string) HostStatus {
	h := HostStatus{Host: string(n.Name) + "." + domain, To: []zones.NodeName{}, Why: "the node alone"}
	if n.Up {
		h.To = append(h.To, n.Name)
	} else {
		h.Why = "the node is not up, and no other takes its place"
	}
	return h
}

// named returns the names of the nodes that are such, in file order.
func named(all *affinity.Nodes, is func(*affinity.Node) bool) []zones.NodeName {
	out := []zones.NodeName{}
	for i := range all.All {
		if is(&all.All[i]) {
			out = append(out, all.All[i].Name)
		}
	}
	return out
}
