package board

import (
	"net/netip"
	"slices"
	"time"

	"plexha/zones"
)

// Seed takes over what an earlier board's snapshot knows of the subjects that are asked in the same way
// here, so that a reload forgets nothing, and the nodes that it has found. What is known of nodes is taken
// over only with sameProbe: another probe asks another question. A subject that the old board did not have
// stays out of answers until its first verdict, if the old one had ended its first round. An isolation goes
// on until a canary answers here, if there is one.
func (b *Board) Seed(old *zones.Snapshot, sameProbe bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = old.Ready
	b.inherit(old, now)
	for _, s := range b.subjects {
		h, identity, ok := counterpart(old, s, sameProbe)
		if !ok {
			s.fresh = old.Ready && s.id.Kind != zones.KindUplink
			continue
		}
		s.seed(h, identity, now)
	}
	if old.Isolated && b.cfg.Canary {
		b.resumeIsolation(now)
	}
	b.publish(now)
}

func counterpart(old *zones.Snapshot, s *subject, sameProbe bool) (h zones.Health, identity string, ok bool) {
	switch s.id.Kind {
	case zones.KindNode:
		if n := old.Node(s.node.Name); sameProbe && n != nil && sameNode(n.Node, s.node) {
			return n.Health, n.Identity, true
		}
	case zones.KindProxy:
		for _, p := range old.Proxies {
			if slices.Equal(p.Proxy.Addrs, s.proxy.Addrs) {
				return p.Health, "", true
			}
		}
	default:
		for _, u := range old.Uplinks {
			if u.Name == s.uplink.Name && u.Uplink.Probe == s.uplink.Probe && slices.Equal(u.Uplink.Addrs, s.uplink.Addrs) {
				return u.Health, "", true
			}
		}
	}
	return zones.Health{}, "", false
}

func addrsOf(h zones.Health) []netip.Addr {
	var out []netip.Addr
	for _, a := range h.Addrs {
		out = append(out, a.Addr)
	}
	return out
}
