package zones

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
	for _, m := range pick(all, asIs) {
		out = append(out, s.Node(NodeName(m.name)))
	}
	return out
}
