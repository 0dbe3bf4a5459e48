package corefile

import (
	"fmt"
	"net/netip"
	"strings"

	"plexha/zones"
)

// The words of `internal` that stand for prefixes.
const (
	wordPrivate = "private"
	wordOnlink  = "onlink"
)

func (b *block) internal(w *words) {
	prefixes := &b.cfg.Cluster.Prefixes
	for more := true; more; more = w.peek() != "" {
		switch word := w.peek(); {
		case w.maybe(wordPrivate):
			prefixes.Private = b.listPrefix(w, word)
		case w.maybe(wordOnlink):
			prefixes.Onlink = b.listPrefix(w, word)
		default:
			parse := func(s string) (netip.Prefix, error) { return parsePrefix(s, wordPrivate, wordOnlink) }
			if p := value(w, "PREFIX", parse); p.IsValid() && b.listPrefix(w, p.String()) {
				prefixes.Internal = append(prefixes.Internal, p)
			}
		}
	}
}

func (b *block) external(w *words) {
	for _, p := range each(w, "PREFIX", parseOnlyPrefix) {
		if b.listPrefix(w, p.String()) {
			b.cfg.Cluster.Prefixes.External = append(b.cfg.Cluster.Prefixes.External, p)
		}
	}
}

// listPrefix notes a prefix or word of a view, and reports whether it is the first of its kind.
func (b *block) listPrefix(w *words, prefix string) bool {
	first, again := b.prefixes[prefix]
	if again {
		w.errorf("%s is %s in %s already", prefix, first.v, first.seenFrom(w.pos))
		return false
	}
	b.prefixes[prefix] = at[string]{w.pos, w.about}
	return true
}

func (b *block) answer(w *words) {
	c := &b.cfg.Cluster
	c.Mode = zones.Spread
	if w.choice("proxies|nodes", zones.Proxies.String(), zones.Nodes.String()) == zones.Proxies.String() {
		c.Tier, c.Mode = zones.Proxies, zones.All
	}
	if w.peek() != "" {
		c.Mode = parseEnum(w.choice("all|first|spread", "all", "first", "spread"), zones.All, zones.First, zones.Spread)
	}
}

func (b *block) allDown(w *words) {
	word := w.choice("last_resort|servfail|empty", "last_resort", "servfail", "empty")
	b.cfg.Cluster.AllDown = parseEnum(word, zones.LastResort, zones.Servfail, zones.Empty)
}

// parseEnum returns the value that prints as word, or the zero value.
func parseEnum[T fmt.Stringer](word string, values ...T) T {
	for _, v := range values {
		if v.String() == word {
			return v
		}
	}
	var none T
	return none
}

// ttl reads `ttl D [MIN]`. Without MIN the default one must not stand above D.
func (b *block) ttl(w *words) {
	c := &b.cfg.Cluster
	c.TTL = value(w, "D", parseTTL)
	if w.peek() == "" {
		c.MinTTL = min(c.MinTTL, c.TTL)
		return
	}
	c.MinTTL = value(w, "MIN", parseTTL)
	if w.ok && c.MinTTL > c.TTL {
		w.errorf("MIN %v is above %v", c.MinTTL, c.TTL)
	}
}

func (b *block) negative(w *words) {
	b.cfg.Cluster.Negative = value(w, "D", parseTTL)
}

func (b *block) zoneFile(w *words) {
	view := parseEnum(w.choice("internal|external", "internal", "external"), zones.Internal, zones.External)
	path := w.need("FILE")
	if w.ok && !b.again(w, "zonefile "+view.String()+" "+path, fmt.Sprintf("%v file %q", view, path)) {
		b.cfg.ZoneFiles = append(b.cfg.ZoneFiles, ZoneFile{View: view, Path: path, Line: w.line})
	}
}

// passThrough reads names: those with a final dot, or below one of our zones, as they are, others as
// relative to each of our zones.
func (b *block) passThrough(w *words) {
	for _, name := range each(w, "NAME", parseOwner) {
		full := []string{fqdn(name)}
		switch {
		case b.cfg.InZone(name):
		case strings.HasSuffix(name, ".") && b.sound(directive):
			w.errorf("NAME %q lies in none of our zones: %s", name, strings.Join(b.cfg.Cluster.Origins, ", "))
			continue
		default:
			full = full[:0]
			for _, zone := range b.cfg.Cluster.Origins {
				full = append(full, fqdn(name)+zone)
			}
		}
		for _, f := range full {
			if !b.again(w, "passthrough "+f, f) {
				b.passed = append(b.passed, at[string]{w.pos, f})
				b.cfg.Passthrough = append(b.cfg.Passthrough, f)
			}
		}
	}
}

// fallThrough reads zones as CoreDNS does: none means all. One that has nothing to do with ours is a typo.
func (b *block) fallThrough(w *words) {
	if w.peek() == "" {
		b.cfg.Fallthrough = []string{"."}
		return
	}
	for _, zone := range each(w, "ZONE", parseZone) {
		related := b.cfg.InZone(zone)
		for _, origin := range b.cfg.Cluster.Origins {
			related = related || inZone(origin, zone)
		}
		if !related && b.sound(directive) {
			w.errorf("ZONE %q has no name in common with ours: %s", zone, strings.Join(b.cfg.Cluster.Origins, ", "))
			continue
		}
		b.cfg.Fallthrough = append(b.cfg.Fallthrough, zone)
	}
}

func (b *block) wildcard(*words) { b.cfg.Cluster.Wildcard = true }

func (b *block) trustECS(w *words) { b.cfg.TrustECS = b.prefixList(w) }

// prefixList takes prefixes up to the end of the line, each once.
func (b *block) prefixList(w *words) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range each(w, "PREFIX", parseOnlyPrefix) {
		if !b.again(w, w.about+p.String(), p.String()) {
			all = append(all, p)
		}
	}
	return all
}
