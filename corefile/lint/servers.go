package lint

import (
	"net/netip"
	"slices"
	"strings"
)

// noReload finds files whose changes are not noticed. One `reload` speaks for all server blocks.
func noReload(f *file, say say) {
	if !slices.ContainsFunc(f.servers, func(s *server) bool { return s.has("reload") }) {
		say(f.clusters[0].block.pos, "a changed Corefile is not taken over without a signal: add reload 2s 0s to the server block")
	}
}

func ready(f *file, say say) {
	for _, s := range f.servers {
		if len(s.clusters) == 0 {
			continue
		}
		for _, d := range s.plugins["ready"] {
			if l, ok := d.find("monitor"); ok && slices.Contains(l.words, "continuously") {
				continue
			}
			say(d.pos, "ready says yes for ever once it has, whatever happens: write ready { monitor continuously }")
		}
	}
}

// noErrors finds blocks whose failures nobody gets to know.
func noErrors(f *file, say say) {
	for _, s := range f.servers {
		used := append(slices.Clone(s.plugins[plexPlugin]), s.plugins["forward"]...)
		if len(used) > 0 && !s.has("errors") {
			say(used[0].pos, "queries that fail in this server block leave no trace: add errors to it")
		}
	}
}

// cacheBypassed finds caches that have nothing to keep.
func cacheBypassed(f *file, say say) {
	for _, s := range f.servers {
		ours := func(zone string) bool {
			return slices.ContainsFunc(s.clusters, func(c *cluster) bool { return c.InZone(zone) })
		}
		if d := s.plugins["cache"]; len(d) > 0 && !slices.ContainsFunc(s.zones(), func(z string) bool { return !ours(z) }) {
			say(d[0].pos, "cache keeps nothing of %s, serve_stale or not, since its answers differ from client to client: "+
				"leave it out here", s.clusters[0].zone())
		}
	}
}

// forwardSelf finds servers that ask themselves.
func forwardSelf(f *file, say say) {
	for _, s := range f.servers {
		for _, d := range s.plugins["forward"] {
			for _, to := range d.words[min(2, len(d.words)):] {
				if at, ok := target(to); ok && s.listensAt(at) {
					say(d.pos, "forward to %s leads back to this server, which asks itself until it gives up: "+
						"write another resolver's address", to)
				}
			}
		}
	}
}

// dnsPort is where DNS is asked without a port (RFC 1035 4.2).
const dnsPort = 53

// target returns where a word of `forward` leads, if that is an address that is asked in plain DNS.
func target(word string) (netip.AddrPort, bool) {
	word = strings.TrimPrefix(word, "dns://")
	if at, err := netip.ParseAddrPort(word); err == nil {
		return at, true
	}
	addr, err := netip.ParseAddr(strings.Trim(word, "[]"))
	return netip.AddrPortFrom(addr, dnsPort), err == nil
}

// listensAt reports whether the server block listens at an address, as far as the file says that: without `bind` it
// does at all of this machine's, of which the loopback ones are known.
func (s *server) listensAt(at netip.AddrPort) bool {
	if !slices.Contains(s.ports(), at.Port()) {
		return false
	}
	hosts := s.bound()
	if len(hosts) == 0 {
		return at.Addr().IsLoopback()
	}
	return slices.ContainsFunc(hosts, func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return err == nil && (addr == at.Addr() || addr.IsUnspecified() && at.Addr().IsLoopback())
	})
}

// bound returns the words of the `bind` lines: addresses and interfaces.
func (s *server) bound() []string {
	var all []string
	for _, d := range s.plugins["bind"] {
		all = append(all, d.words[1:]...)
	}
	return all
}

// ports returns those of the keys that speak plain DNS. Another default than 53 is given on the command line, and not
// known here.
func (s *server) ports() ports {
	var all ports
	for _, key := range s.keys {
		scheme, rest, ok := strings.Cut(key, "://")
		switch {
		case ok && scheme != "dns":
			continue
		case ok:
			key = rest
		}
		port := uint16(dnsPort)
		if i := strings.LastIndexByte(key, ':'); i >= 0 {
			if at, err := netip.ParseAddrPort("127.0.0.1" + key[i:]); err == nil {
				port = at.Port()
			}
		}
		all = append(all, port)
	}
	return all
}
