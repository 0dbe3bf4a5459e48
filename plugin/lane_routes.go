package plugin

import (
	"net"
	"slices"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/transport"

	"plexha/plugin/lane"
)

// site is one zone of a server block.
type site struct {
	*dnsserver.Config

	block *laneBlock // nil: without a plex block
}

// sites are all zones at one address, in the order of the Corefile.
type sites []site

// sites returns what the instance serves in plain DNS, by the addresses that CoreDNS's servers have. It is to be asked
// when there are servers: CoreDNS makes a server block of each that one asks for.
func (l *lanes) sites(c *caddy.Controller) map[string]sites {
	all := map[string]sites{}
	for i := 0; serverAt(c, i, 0) != nil; i++ {
		for key := 0; serverAt(c, i, key) != nil; key++ {
			s := site{Config: serverAt(c, i, key), block: l.blocks[i]}
			if s.Transport != transport.DNS {
				continue
			}
			for _, addr := range s.addrs() {
				all[addr] = append(all[addr], s)
			}
		}
	}
	return all
}

// addrs returns where the site is served, as [dnsserver.Server.Addr] has it.
func (s site) addrs() []string {
	var all []string
	for _, host := range s.ListenHosts {
		if addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, s.Port)); err == nil { // else there is no server
			all = append(all, transport.DNS+"://"+addr.String())
		}
	}
	return all
}

// serverAt returns the server block's part for one of its keys, or nil.
func serverAt(c *caddy.Controller, block, key int) *dnsserver.Config {
	at := *c
	at.ServerBlockIndex, at.ServerBlockKeyIndex = block, key
	if server := dnsserver.GetConfig(&at); server.Transport != "" {
		return server
	}
	return nil
}

// writer returns the decorator that CoreDNS would take without us: the last one.
func (all sites) writer() decorator {
	for _, s := range slices.Backward(all) {
		switch {
		case s.UDPDecorateWriterFunc == nil:
		case s.block == nil || !s.block.asks:
			return s.UDPDecorateWriterFunc
		case s.block.writer != nil:
			return s.block.writer
		}
	}
	return nil
}

// free reports whether there can be a lane at the address, and if not, where and why it stands aside. It is silent on
// what package lint says.
func (all sites) free() (why string, ok bool) {
	var last site
	for _, s := range all {
		if s.ProxyProtoConnPolicy != nil {
			return "where proxyproto must see each question", false
		}
		if s.UDPDecorateWriterFunc != nil {
			last = s
		}
	}
	switch {
	case last.block != nil && last.block.asks:
		return "", true
	case last.Handler("shed") != nil:
		return "", false
	default:
		return "where a plugin of another server block writes the answers to all questions", false
	}
}

// blocks returns the server blocks with plex blocks.
func (all sites) blocks() []*laneBlock {
	var out []*laneBlock
	for _, s := range all {
		if s.block != nil && !slices.Contains(out, s.block) {
			out = append(out, s.block)
		}
	}
	return out
}

// cuts returns whose the names are: a name is that of the longest cut which it is or lies below. A nil Block is
// CoreDNS.
func (all sites) cuts() map[string]lane.Block {
	var zones plugin.Zones
	filtered := map[string]bool{}
	for _, s := range all {
		zones = append(zones, s.Zone)
		filtered[s.Zone] = filtered[s.Zone] || len(s.FilterFuncs) > 0
	}
	cuts := map[string]lane.Block{}
	for _, s := range all {
		for _, name := range append(s.origins(), s.Zone) {
			if zones.Matches(name) == s.Zone { // else it is that of a server block below
				cuts[wireOf(name)] = s.owner(name, filtered[s.Zone])
			}
		}
	}
	return cuts
}

// origins returns the zones of all plex blocks in the server block.
func (s site) origins() []string {
	var all []string
	if s.block != nil {
		for _, p := range s.block.plexes {
			all = append(all, p.cfg.Cluster.Origins...)
		}
	}
	return all
}

// owner returns who answers for a name in the server block: the first plex block that it meets, unless something else
// has a say.
func (s site) owner(name string, filtered bool) lane.Block {
	if s.block == nil || filtered || len(s.block.aside) > 0 {
		return nil
	}
	for _, p := range s.block.plexes {
		if plugin.Zones(p.cfg.Cluster.Origins).Matches(name) == "" {
			continue
		}
		if p.cfg.Lane.Off {
			return nil
		}
		return p
	}
	return nil
}

// answering returns the blocks that have a part in the cuts, each once.
func answering(cuts map[string]lane.Block) []*Plex {
	var all []*Plex
	for _, block := range cuts {
		if p, ok := block.(*Plex); ok && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
