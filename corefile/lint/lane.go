package lint

import "slices"

// seeAll are CoreDNS's plugins that decide on, change or note down each question or answer, or who asks: where one
// stands in the server block of a plex block, the fast lane leaves all questions to CoreDNS.
var seeAll = []string{
	"acl", "autopath", "dns64", "dnstap", "geoip", "header", "loadbalance", "local", "log", "minimal", "proxyproto",
	"rewrite", "siit", "template", "trace", "tsig", "view",
}

// SeesAll reports whether the fast lane stands aside for a plugin, by its name. Plugins that CoreDNS does not have are
// not known here.
func SeesAll(plugin string) bool { return slices.Contains(seeAll, plugin) }

// aside returns the plugins of the server block that the fast lane stands aside for.
func (s *server) aside() []string {
	return slices.DeleteFunc(slices.Clone(seeAll), func(plugin string) bool { return !s.has(plugin) })
}

// laneAside notes that a block has no fast lane, although nobody has said so. Over TLS and its like there is none.
func laneAside(c *cluster, say say) {
	if all := c.server.aside(); !c.Lane.Off && len(all) > 0 && len(c.server.ports()) > 0 {
		say(c.at("lane"), "the fast lane stands aside for %s, since %s must see each question: CoreDNS answers them all, "+
			"as with lane off", c.zone(), listed(all))
	}
}

// laneShed finds server blocks whose `shed` takes the fast lane's place, or loses its own to it. Beside a plex block
// each has its own.
func laneShed(f *file, say say) {
	for _, s := range f.servers {
		if !s.has("shed") || s.wantsLane() {
			continue
		}
		for _, other := range f.servers {
			if other.wantsLane() && len(other.aside()) == 0 && s.sharesAddress(other) {
				say(s.plugins["shed"][0].pos, "shed stands in another server block than plex, at the same address, where CoreDNS "+
					"has one place for it and the fast lane: let it stand in the server block of %s alone, where it protects both",
					other.clusters[0].zone())
				break
			}
		}
	}
}

// wantsLane reports whether the server block holds a plex block without `lane off`.
func (s *server) wantsLane() bool {
	return slices.ContainsFunc(s.clusters, func(c *cluster) bool { return !c.Lane.Off })
}

// sharesAddress reports whether both listen at one address and port, as far as the file says them.
func (s *server) sharesAddress(other *server) bool {
	port := slices.ContainsFunc(s.ports(), func(p uint16) bool { return slices.Contains(other.ports(), p) })
	mine, others := s.bound(), other.bound()
	if len(mine) == 0 || len(others) == 0 {
		return port && len(mine) == len(others)
	}
	return port && slices.ContainsFunc(mine, func(host string) bool { return slices.Contains(others, host) })
}
