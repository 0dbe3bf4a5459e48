package corefile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"plexha/zones"
)

// defaultNS is the name server of a block without an `ns` line.
const defaultNS = "ns1"

// managedStatus is the name below a zone that holds what we tell of ourselves.
const managedStatus = "_status"

// claim is one who wants a name or an endpoint for itself.
type claim struct {
	pos
	key   string
	what  string // as messages call it
	given bool   // it stands in a line; false: it is a default
}

// finish fills in the defaults that depend on other lines, then checks the lines against each other.
func (b *block) finish() {
	b.fillIn()
	b.checkMembers()
	b.checkNames()
	b.checkEndpoints()
	b.checkProxies()
	b.checkListen()
	b.checkStatus()
	b.checkOpenOK()
	b.checkPassthrough()
	b.checkDetect()
}

func (b *block) fillIn() {
	c := &b.cfg.Cluster
	if !b.has("internal") {
		c.Prefixes.Private, c.Prefixes.Onlink = true, true
	}
	if !b.has("uplink") {
		c.Uplinks = []zones.Uplink{{Name: "wan", Auto: true}}
		b.cfg.Uplinks = []UplinkDetect{{Name: "wan"}}
	}
	if len(b.cfg.Detect) == 0 {
		b.cfg.Detect = DefaultSources()
	}
	if !b.has("ns") {
		c.NS = []zones.NameServer{{Name: defaultNS}}
	}
	if !b.has("answer") {
		c.Tier, c.Mode = zones.Nodes, zones.Spread
		if len(c.Proxies) > 0 {
			c.Tier, c.Mode = zones.Proxies, zones.All
		}
	}
	b.fillInListen()
	for _, p := range c.Proxies {
		for i, a := range p.Addrs {
			if a.Port() == 0 {
				p.Addrs[i] = netip.AddrPortFrom(a.Addr(), b.cfg.TLS.ProxyPort())
			}
		}
	}
}

// fillInListen gives the block its default listeners. With `tls off` all that there are become plain.
func (b *block) fillInListen() {
	off := b.cfg.TLS.Kind == TLSOff
	switch {
	case b.has("listen"):
	case off:
		b.cfg.Listen = []Listener{{Addr: ":80", Plain: true}}
	default:
		b.cfg.Listen = []Listener{{Addr: ":443"}, {Addr: ":80", Plain: true}}
	}
	for i := range b.cfg.Listen {
		l := &b.cfg.Listen[i]
		if off && l.H3 {
			b.errs.addf(b.first["listen"], "listen: h3 needs TLS, and tls is off")
		}
		l.Plain, l.H3 = l.Plain || off, l.H3 && !off
	}
}

func (b *block) checkMembers() {
	if !b.has("node") && !b.has("nodes") {
		b.errs.addf(b.pos, "no node: write a line such as node plex1 192.168.1.4:%d", plexPort)
	}
}

// checkNames looks for two who want one name, or who may come to: nodes that are found get their names
// later.
func (b *block) checkNames() {
	all := b.nameClaims()
	b.unique(all, "%s has the name of %s")
	for i, f := range b.cfg.Finders {
		where := b.finders[i]
		for _, c := range all {
			if f.mayName(c.key) {
				b.errs.addf(where, "nodes %q may find a node %q, which is the name of %s: write another NAME",
					f.Name, c.key, c.seenFrom(where))
			}
		}
		for j, other := range b.cfg.Finders {
			// The first name that other gives and f may give too ends in a 1.
			if i != j && f.mayName(other.Name+"1") {
				b.errs.addf(where, "nodes %q may find a node %q, and so may nodes %q in %s: write another NAME",
					f.Name, other.Name+"1", other.Name, b.finders[j].seenFrom(where))
			}
		}
	}
}

// nameClaims returns who wants a name below the zones: defaults before lines, which give way to them.
func (b *block) nameClaims() []claim {
	var all []claim
	if !b.has("ns") {
		all = append(all, claim{pos{}, defaultNS, fmt.Sprintf("the name server %q", defaultNS), false})
	}
	if b.sound("name") {
		label := b.cfg.Cluster.Main
		where, given := b.first["name"]
		all = append(all, claim{where, label, fmt.Sprintf("the main host %q", label), given})
	}
	return append(all, b.names...)
}

// mayName reports whether a node that f finds could get that name.
func (f Finder) mayName(name string) bool {
	digits, ok := strings.CutPrefix(name, f.Name)
	n, err := strconv.Atoi(digits)
	return ok && err == nil && n > 0 && strconv.Itoa(n) == digits && (f.Max == 0 || n <= f.Max)
}

// seenFrom returns who it is, as a message at another place says it.
func (c claim) seenFrom(other pos) string {
	if !c.given {
		return c.what + " (the default)"
	}
	return c.what + " in " + c.pos.seenFrom(other)
}

// unique reports each claim to a key that is another's already.
func (b *block) unique(claims []claim, format string) {
	holders := map[string]claim{}
	for _, c := range claims {
		holder, taken := holders[c.key]
		if !taken {
			holders[c.key] = c
			continue
		}
		b.errs.addf(c.pos, format, c.what, holder.seenFrom(c.pos))
	}
}

func (b *block) checkEndpoints() {
	if !b.sound("tls") {
		return // the proxies' ports are not known
	}
	all := slices.Clone(b.endpoints)
	for i, p := range b.cfg.Cluster.Proxies {
		for _, a := range p.Addrs {
			key := hostPort{fqdn(a.Addr().String()), a.Port()}.String()
			all = append(all, claim{b.proxies[i], key, "proxy " + a.String(), true})
		}
	}
	b.unique(all, "%s has the address and port of %s")
}

func (b *block) checkProxies() {
	if b.cfg.Cluster.Tier == zones.Proxies && !b.has("proxy") {
		b.errs.addf(b.first["answer"], "answer: proxies, but there is no proxy line")
	}
	if b.cfg.TLS.DNS && !b.has("duckdns") {
		b.errs.addf(b.first["tls"], "tls: dns needs a duckdns line, whose token it uses")
	}
}

// checkListen refuses TLS that nobody could reach.
func (b *block) checkListen() {
	encrypted := func(l Listener) bool { return !l.Plain }
	if b.cfg.TLS.Kind == TLSOff || !b.sound("tls", "listen") || slices.ContainsFunc(b.cfg.Listen, encrypted) {
		return
	}
	b.errs.addf(b.first["listen"], "listen: all addresses are plain HTTP: write one more such as :443, or tls off")
}

func (b *block) checkStatus() {
	addr := b.cfg.Status.Addr
	if addr != b.cfg.ProxyStatus.Addr || addr.Port() == 0 || !b.sound("status", "proxy_status") {
		return
	}
	later := b.first["status"]
	if p := b.first["proxy_status"]; p.line > later.line {
		later = p
	}
	b.errs.addf(later, "status and proxy_status have one address: %v", addr)
}

func (b *block) checkOpenOK() {
	if !b.sound("node", "nodes") {
		return
	}
	var names []string
	for _, n := range b.cfg.Cluster.Nodes {
		names = append(names, string(n.Name))
	}
	for _, name := range b.openOK {
		found := func(f Finder) bool { return f.mayName(string(name.v)) }
		if !slices.Contains(names, string(name.v)) && !slices.ContainsFunc(b.cfg.Finders, found) {
			b.errs.addf(name.pos, "open_ok: %q is no node%s", name.v, didYouMean(string(name.v), names))
		}
	}
}

// checkPassthrough refuses to give away names that we make.
func (b *block) checkPassthrough() {
	claims := b.nameClaims()
	for _, name := range b.passed {
		for _, zone := range b.cfg.Cluster.Origins {
			label, below := strings.CutSuffix(name.v, "."+zone)
			managed := func(c claim) bool { return c.key == label }
			found := func(f Finder) bool { return f.mayName(label) }
			status := label == managedStatus || strings.HasSuffix(label, "."+managedStatus)
			ours := status || slices.ContainsFunc(claims, managed) || slices.ContainsFunc(b.cfg.Finders, found)
			if name.v == zone || below && ours {
				b.errs.addf(name.pos, "passthrough: %q is a name that we answer ourselves", name.v)
			}
		}
	}
}
