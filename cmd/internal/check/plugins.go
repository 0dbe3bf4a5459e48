package check

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
	"github.com/coredns/coredns/core/dnsserver"

	"plexha/cmd/internal/dnsmain"
	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/proxy"
)

// ours is the plugin whose mistakes package corefile finds.
const ours = "plex"

// serverType is that of CoreDNS's servers.
const serverType = "dns"

// servers checks all that CoreDNS would look at before it binds anything. Caddy stops at the first mistake; here each
// plugin of each server block has its turn, so that none hides another. A plex block with mistakes of its own is not
// looked at again.
func (r *Report) servers(blocks []caddyfile.ServerBlock, plexToo bool) {
	before := r.count(lint.Mistake)
	instance := caddy.NewTestController(serverType, "") // what Caddy has for setups without a start
	blocks = r.keys(instance.Context(), blocks)
	for _, plugin := range dnsmain.Directives() {
		for i, block := range blocks {
			if _, stands := block.Tokens[plugin]; stands && (plugin != ours || plexToo) {
				r.plugin(instance, plugin, i, block)
			}
		}
	}
	for _, block := range blocks {
		r.unknown(block)
	}
	if r.count(lint.Mistake) == before && plexToo {
		var err error
		quietly(func() { _, err = instance.Context().MakeServers() })
		r.addAll("servers", lint.Plexdns, r.named(blocks, err), err)
	}
}

// standin is the key of a block whose own are none, so that its plugins have their turn all the same (RFC 6761, 6.4).
const standin = "invalid."

// keys checks the keys of each block on its own, and returns the blocks with keys that CoreDNS takes.
func (r *Report) keys(all caddy.Context, blocks []caddyfile.ServerBlock) []caddyfile.ServerBlock {
	blocks = slices.Clone(blocks)
	for i, block := range blocks {
		alone := caddy.NewTestController(serverType, "").Context()
		one := caddyfile.ServerBlock{Keys: slices.Clone(block.Keys), Tokens: block.Tokens}
		_, err := alone.InspectServerBlocks(r.file, []caddyfile.ServerBlock{one})
		if err == nil {
			err = badPort(block.Keys)
		}
		if err != nil {
			r.add(lint.Mistake, "key", lint.Plexdns, r.begin(block), fmt.Sprintf("server block %s: %v", strings.Join(block.Keys, " "), err))
			blocks[i].Keys = []string{standin}
		}
	}
	blocks, err := all.InspectServerBlocks(r.file, blocks)
	r.addAll("key", lint.Plexdns, place{file: r.file}, err)
	return blocks
}

// badPort returns an error for a key whose port is none, which CoreDNS finds when it is to listen there.
func badPort(keys []string) error {
	for _, key := range keys {
		port := key[strings.LastIndexByte(key, ':')+1:]
		if n, err := strconv.Atoi(port); len(port) < len(key) && err == nil && (n < 1 || n > 65535) {
			return fmt.Errorf("port %d is not a number from 1 to 65535", n)
		}
	}
	return nil
}

// named returns where the last server block begins whose key an error names: the one that wants what is taken.
func (r *Report) named(blocks []caddyfile.ServerBlock, err error) place {
	at := place{file: r.file}
	for _, block := range blocks {
		names := func(key string) bool { return err != nil && strings.Contains(err.Error(), " "+key+" ") }
		if slices.ContainsFunc(block.Keys, names) {
			at = r.begin(block)
		}
	}
	return at
}

// begin returns where the first plugin of a block stands, which is near its keys: those have lost their place.
func (r *Report) begin(block caddyfile.ServerBlock) place {
	first := place{file: r.file}
	for _, tokens := range block.Tokens {
		if t := tokens[0]; t.File == "" && (first.line == 0 || t.Line < first.line) {
			first.line = t.Line
		}
	}
	return first
}

// at returns where a plugin of a block stands first.
func (r *Report) at(tokens []caddyfile.Token) place {
	return place{cmp.Or(tokens[0].File, r.file), tokens[0].Line}
}

// plugin has one plugin read its lines in one server block. With a mistake in them each use of it is read once more on
// its own: the plugin has stopped at the first.
func (r *Report) plugin(c *caddy.Controller, plugin string, i int, block caddyfile.ServerBlock) {
	tokens := harmless(plugin, block.Tokens[plugin])
	at, err := r.setup(c, plugin, tokens, i, block)
	if err == nil {
		return
	}
	before := len(r.findings)
	if all := uses(plugin, tokens); len(all) > 1 {
		for _, use := range all {
			if at, err := r.setup(c, plugin, use, i, block); err != nil {
				r.fromPlugin(plugin, at, err)
			}
		}
	}
	if len(r.findings) == before { // it is the second use that is one too many
		r.fromPlugin(plugin, at, err)
	}
}

// uses takes the tokens of all uses of a plugin apart.
func uses(plugin string, tokens []caddyfile.Token) [][]caddyfile.Token {
	var all [][]caddyfile.Token
	depth := 0
	for i, t := range tokens {
		begins := i == 0 || tokens[i-1].Line != t.Line || tokens[i-1].File != t.File
		switch {
		case t.Text == "{":
			depth++
		case t.Text == "}":
			depth--
		}
		if depth == 0 && begins && t.Text == plugin {
			all = append(all, nil)
		}
		if n := len(all); n > 0 {
			all[n-1] = append(all[n-1], t)
		}
	}
	return all
}

// setup runs the setup of a plugin with some of its lines, and returns how far it came. What it would log is a warning.
func (r *Report) setup(c *caddy.Controller, plugin string, tokens []caddyfile.Token, i int, block caddyfile.ServerBlock) (place, error) {
	at := r.at(tokens)
	setup, err := caddy.DirectiveAction(serverType, plugin)
	if err != nil {
		return at, err
	}
	c.Dispenser = caddyfile.NewDispenserTokens(r.file, tokens)
	c.Key, c.ServerBlockIndex, c.ServerBlockKeys = block.Keys[0], i, block.Keys
	c.ServerBlockStorage = nil
	for _, warning := range quietly(func() { err = setup(c) }) {
		r.add(lint.Warning, "plugin", lint.Plexdns, at, warning)
	}
	if line := c.Line(); line > 0 && c.Val() != "}" { // else it is about all of them
		at = place{c.File(), line}
	}
	return at, err
}

// fromPlugin adds what a plugin says of its lines, which begins with its name.
func (r *Report) fromPlugin(plugin string, at place, err error) {
	at, text := r.placed(at, strings.TrimPrefix(err.Error(), "plugin/"+plugin+": "))
	if plugin == ours {
		r.add(lint.Mistake, "plex", lint.Plexdns, at, text)
		return
	}
	r.add(lint.Mistake, "plugin", lint.Plexdns, at, plugin+": "+inOurWay(text))
}

// inOurWay returns a message with a small first letter, unless it begins with an abbreviation.
func inOurWay(text string) string {
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

// harmless returns the tokens without those that would leave something behind: a log of TLS keys is opened when its
// line is read.
func harmless(plugin string, tokens []caddyfile.Token) []caddyfile.Token {
	const keyLog = "keylog"
	if plugin != "tls" {
		return tokens
	}
	var kept []caddyfile.Token
	skipped := 0
	for i, t := range tokens {
		if t.Text == keyLog && (i == 0 || tokens[i-1].Line != t.Line) {
			skipped = t.Line
		}
		if t.Line != skipped || t.Text == "}" {
			kept = append(kept, t)
		}
	}
	return kept
}

// unknown adds the words of a server block that are no plugin of plexdns's.
func (r *Report) unknown(block caddyfile.ServerBlock) {
	held := slices.Sorted(slices.Values(dnsmain.Directives()))
	for _, name := range slices.Sorted(maps.Keys(block.Tokens)) {
		if !slices.Contains(held, name) {
			r.add(lint.Mistake, "unknown-plugin", lint.Plexdns, r.at(block.Tokens[name]), unknown(name, held))
		}
	}
}

// unknown says what was probably meant.
func unknown(name string, held []string) string {
	near := corefile.Nearest(name, held)
	switch {
	case slices.Contains(dnsserver.Directives, name):
		return fmt.Sprintf("plexdns does not hold CoreDNS's plugin %q: it holds %s", name, strings.Join(held, ", "))
	case slices.Contains(corefile.Properties(), name):
		return fmt.Sprintf("%q is a property of the plugin plex: write it into plex { }", name)
	case near != "":
		return fmt.Sprintf("unknown plugin %q: did you mean %q?", name, near)
	default:
		return fmt.Sprintf("unknown plugin %q: plexdns holds %s", name, strings.Join(held, ", "))
	}
}

// proxies has Caddy look at what plexproxy would make of the blocks: of each alone, and of all together if that
// finds nothing.
func (r *Report) proxies() {
	before := len(r.findings)
	for _, c := range r.blocks {
		r.proxy(place{c.File, c.Line}, c)
	}
	if len(r.findings) == before && len(r.blocks) > 1 {
		r.proxy(place{r.blocks[0].File, r.blocks[0].Line}, r.blocks...)
	}
}

func (r *Report) proxy(at place, blocks ...*corefile.Config) {
	var err error
	quietly(func() { err = proxy.Check(blocks) })
	if err == nil {
		return
	}
	if _, placed := errors.AsType[*corefile.Error](err); !placed {
		err = errors.New(wayOfCaddy.ReplaceAllString(err.Error(), ""))
	}
	r.addAll("proxy", lint.Plexproxy, at, err)
}

// wayOfCaddy is how Caddy says by which of its modules it came to a mistake.
var wayOfCaddy = regexp.MustCompile(`^checking Caddy's configuration: ((loading|getting|provision|provisioning|position)( [^:]*)?: )*`)
