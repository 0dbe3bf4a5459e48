package corefile

import (
	"slices"
	"strings"
	"time"

	"plexha/zones"
)

// block is a plex block while it is read: its Config, and where things stand that are checked against each
// other once all of it is known.
type block struct {
	pos
	raw  rawBlock
	cfg  *Config
	errs *mistakes

	first  map[string]pos  // where each property stood first
	broken map[string]bool // properties whose lines have mistakes, so that not all of what they say is known

	names     []claim               // labels below the zones
	endpoints []claim               // HOST:PORT of nodes
	finders   []pos                 // of cfg.Finders
	proxies   []pos                 // of cfg.Cluster.Proxies
	prefixes  map[string]at[string] // prefixes and words of `internal` and `external`, with the property
	autos     map[string]pos        // uplinks with `auto`, by their interface
	once      map[string]pos        // all else that may stand once only
	openOK    []at[zones.NodeName]
	passed    []at[string] // names of `passthrough`
	sources   []at[Source] // of cfg.Detect
}

// newBlock returns a block that says nothing yet, so that all defaults hold.
func newBlock(raw rawBlock, errs *mistakes) *block {
	return &block{
		pos:      raw.pos,
		raw:      raw,
		cfg:      defaults(raw.pos),
		errs:     errs,
		first:    map[string]pos{},
		broken:   map[string]bool{},
		prefixes: map[string]at[string]{},
		autos:    map[string]pos{},
		once:     map[string]pos{},
	}
}

// defaults returns what holds without a line of its own, but for what depends on other lines.
func defaults(p pos) *Config {
	return &Config{
		File: p.file,
		Line: p.line,
		Cluster: zones.Cluster{
			Main:     "plex",
			TTL:      10 * time.Second,
			MinTTL:   time.Second,
			Negative: 10 * time.Second,
		},
		Probe:       Probe{Kind: ProbePlex},
		Interval:    2 * time.Second,
		Timeout:     time.Second,
		Rise:        2,
		Fall:        2,
		Balance:     "uri_hash",
		RetryFor:    5 * time.Second,
		RetryEvery:  250 * time.Millisecond,
		Status:      Status{Addr: statusAddr},
		ProxyStatus: Status{Addr: proxyStatusAddr},
	}
}

// has reports whether the property stands in the block, be it with mistakes.
func (b *block) has(property string) bool {
	_, stands := b.first[property]
	return stands || b.broken[property]
}

// sound reports whether the properties are known as they were meant, so that what is said of them is no
// mere consequence of another mistake.
func (b *block) sound(properties ...string) bool {
	return !slices.ContainsFunc(properties, func(p string) bool { return b.broken[p] })
}

// zones finds out which zones the block is for: those behind plex, or else the server block's keys.
func (b *block) zones(keys []string) {
	below := b.parseZones(keys, len(b.raw.zones) == 0)
	origins := below
	if len(b.raw.zones) > 0 {
		origins = b.parseZones(b.raw.zones, true)
		b.checkBelow(origins, below)
	}
	origins = slices.DeleteFunc(origins, func(zone string) bool { return zone == "." })
	if len(origins) == 0 && b.sound(directive) {
		b.errs.addf(b.pos, "%w", errNoZone)
	}
	b.cfg.Cluster.Origins = origins
}

// parseZones returns the zones of keys or arguments, each once. Mistakes are reported if asked for.
func (b *block) parseZones(keys []string, report bool) []string {
	var all []string
	for _, key := range keys {
		zone, err := parseZone(key)
		switch {
		case err != nil && report:
			b.broken[directive] = true
			b.errs.addf(b.pos, "zone %w", err)
		case err == nil && !slices.Contains(all, zone):
			all = append(all, zone)
		}
	}
	return all
}

// checkBelow reports zones that no query can reach, since no key of the server block covers them.
func (b *block) checkBelow(origins, keys []string) {
	for _, zone := range origins {
		covers := func(key string) bool { return inZone(zone, key) }
		if len(keys) > 0 && !slices.ContainsFunc(keys, covers) {
			b.errs.addf(b.pos, "zone %q lies below no key of its server block: %s", zone, strings.Join(keys, ", "))
		}
	}
}

// property reads one line.
func (b *block) property(l line) {
	name := l.words[0]
	p := lookUp(name)
	if p == nil {
		b.unknown(l)
		return
	}
	first, again := b.first[name]
	switch {
	case again && !p.many:
		b.errs.addf(l.pos, "%s stands twice, first in %s", name, first.seenFrom(l.pos))
		return
	case !again:
		b.first[name] = l.pos
	}
	if i := slices.Index(l.words, ""); i > 0 {
		b.broken[name] = true
		b.errs.addf(l.pos, "%s: word %d is empty: is an environment variable not set?", name, i)
		return
	}
	if p.inactive {
		b.inactive(name)
	}
	w := &words{pos: l.pos, usage: p.usage, about: name, rest: l.words[1:], errs: b.errs, ok: true, secret: p.secret}
	p.read(b, w)
	w.end()
	b.broken[name] = b.broken[name] || !w.ok
}

// unknown reports a line whose property does not exist. The one that was probably meant counts as broken, so
// that nobody complains of its absence.
func (b *block) unknown(l line) {
	name, all := l.words[0], Properties()
	near := Nearest(name, all)
	if near == "" {
		b.errs.addf(l.pos, "unknown property %q: allowed are %s", name, listed(all))
		return
	}
	b.broken[near] = true
	b.errs.addf(l.pos, "unknown property %q: did you mean %q?", name, near)
}

// inactive notes the use of a feature that this version does not have yet.
func (b *block) inactive(feature string) {
	if !slices.Contains(b.cfg.Inactive, feature) {
		b.cfg.Inactive = append(b.cfg.Inactive, feature)
	}
}

// again reports, and says so, when a thing that may stand once stands a second time.
func (b *block) again(w *words, thing, shown string) bool {
	first, again := b.once[thing]
	if again {
		w.errorf("%s stands in %s already", shown, first.seenFrom(w.pos))
		return true
	}
	b.once[thing] = w.pos
	return false
}
