package lint

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredns/caddy/caddyfile"

	"plexha/corefile"
	"plexha/zones"
)

// plexPlugin is ours.
const plexPlugin = "plex"

// file is a Corefile without mistakes.
type file struct {
	servers  []*server
	clusters []*cluster // of all servers
}

// server is one server block.
type server struct {
	keys     []string
	plugins  map[string][]directive
	clusters []*cluster
}

// cluster is one plex block.
type cluster struct {
	*corefile.Config

	server *server
	block  directive
}

// directive is one use of a plugin: its line, which begins with the plugin's name, and those between its braces.
type directive struct {
	line

	body []line
}

// line is one line, cut into words.
type line struct {
	pos

	words []string
}

// pos is a place in a Corefile.
type pos struct {
	file string
	line int
}

// split takes the tokens of all uses of one plugin apart. Those of the Corefile itself have no name of a file. What
// stands between inner braces is left out: none of those plugins that matter here has any.
func split(name string, tokens []caddyfile.Token) []directive {
	var all []directive
	depth := 0
	for i, t := range tokens {
		at := pos{cmp.Or(t.File, name), t.Line}
		begins := i == 0 || !follows(tokens[i-1], t)
		switch {
		case t.Text == "{":
			depth++
		case t.Text == "}":
			depth--
		case depth == 0 && begins:
			all = append(all, directive{line: line{at, []string{t.Text}}})
		case depth == 0 && len(all) > 0:
			d := &all[len(all)-1]
			d.words = append(d.words, t.Text)
		case depth == 1 && len(all) > 0:
			all[len(all)-1].add(at, t.Text, begins || tokens[i-1].Text == "{")
		}
	}
	return all
}

// add puts a word into the body.
func (d *directive) add(at pos, word string, begins bool) {
	if begins || len(d.body) == 0 {
		d.body = append(d.body, line{pos: at})
	}
	last := &d.body[len(d.body)-1]
	last.words = append(last.words, word)
}

// follows reports whether t stands on the line on which the token before it ends. A quoted token may itself hold line
// breaks.
func follows(before, t caddyfile.Token) bool {
	return before.File == t.File && before.Line+strings.Count(before.Text, "\n") == t.Line
}

// at returns where a property or option stands first, or else the directive itself.
func (d directive) at(word string) pos {
	if l, ok := d.find(word); ok {
		return l.pos
	}
	return d.pos
}

// find returns the first line of the body that begins with the word.
func (d directive) find(word string) (line, bool) {
	i := slices.IndexFunc(d.body, func(l line) bool { return l.words[0] == word })
	if i < 0 {
		return line{}, false
	}
	return d.body[i], true
}

// at returns where a property stands first, or else the plex block.
func (c *cluster) at(property string) pos { return c.block.at(property) }

// has reports whether the property stands in the block.
func (c *cluster) has(property string) bool {
	_, ok := c.block.find(property)
	return ok
}

// has reports whether the server block has the plugin.
func (s *server) has(plugin string) bool { return len(s.plugins[plugin]) > 0 }

// zones returns the keys without schemes and ports, fully qualified.
func (s *server) zones() []string {
	all := make([]string, len(s.keys))
	for i, key := range s.keys {
		if _, rest, ok := strings.Cut(key, "://"); ok {
			key = rest
		}
		if i := strings.LastIndexByte(key, ':'); i >= 0 && strings.Trim(key[i+1:], "0123456789") == "" {
			key = key[:i]
		}
		all[i] = strings.ToLower(strings.TrimSuffix(key, ".")) + "."
	}
	return all
}

// views tells who is inside, as far as the file says it: what is on-link is known to a running program alone.
func (c *cluster) views() *zones.Views { return c.Cluster.Prefixes.Compile(nil) }

// mainName returns the main host's name in the first zone, as people write it.
func (c *cluster) mainName() string { return c.Cluster.Main + "." + c.zone() }

// zone returns the first zone, as people write it.
func (c *cluster) zone() string { return strings.TrimSuffix(c.Cluster.Origins[0], ".") }

// isGlobal reports whether an address may send packets over the Internet (the registries of RFC 6890; RFC 4291 2.5.4).
func isGlobal(a netip.Addr) bool {
	if a.Is6() {
		return global6.Contains(a)
	}
	return !slices.ContainsFunc(notGlobal4, func(p netip.Prefix) bool { return p.Contains(a) })
}

var (
	global6    = netip.MustParsePrefix("2000::/3")
	notGlobal4 = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("224.0.0.0/3"),
	}
)

// isWide reports whether a prefix holds more than anybody's own network: shorter than what a registry gives to a
// provider, by a guess of ours.
func isWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16 && !ula.Contains(p.Addr())
}

var ula = netip.MustParsePrefix("fc00::/7") // RFC 4193

// listed joins words as prose: `a, b and c`.
func listed(words []string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " and " + words[n]
}
