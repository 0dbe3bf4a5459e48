package corefile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"plexha/zones"
)

// plexPort is where a Plex server listens unless told otherwise.
const plexPort = 32400

// defaultPrefixBits is how much of an IPv6 address is the detected prefix: what a home network of one
// segment gets (RFC 4291 2.5.4).
const defaultPrefixBits = 64

func (b *block) node(w *words) {
	name := value(w, "NAME", parseLabel)
	w.call(name)
	host := b.host(w, "HOST", parseHost)
	n := zones.Node{Name: zones.NodeName(name), Host: host.host, Port: host.port, Weight: 1}
	if n.Port == 0 {
		n.Port = plexPort
	}
	nodeOptions(w, &n)
	if n.Verify && !n.HTTPS {
		w.errorf("verify without https")
	}
	if n.ID != "" && b.again(w, "id "+n.ID, fmt.Sprintf("id %q", n.ID)) || !w.ok {
		return
	}
	what := fmt.Sprintf("node %q", name)
	b.names = append(b.names, claim{w.pos, name, what, true})
	b.endpoints = append(b.endpoints, claim{w.pos, hostPort{fqdn(n.Host), n.Port}.String(), what, true})
	b.cfg.Cluster.Nodes = append(b.cfg.Cluster.Nodes, n)
}

func nodeOptions(w *words, n *zones.Node) {
	options := []string{"https", "verify", "at", "weight", "backup", "id"}
	for o := w.option(options...); o != ""; o = w.option(options...) {
		switch o {
		case "https":
			n.HTTPS = true
		case "verify":
			n.Verify = true
		case "at":
			n.At = w.addrs()
		case "weight":
			n.Weight = w.count("weight", 1, maxWeight)
		case "backup":
			n.Backup = true
		case "id":
			n.ID = value(w, "id", parseID)
		}
	}
}

// host takes a HOST, with a port or without, that is looked up: never in a zone that we answer for.
func (b *block) host(w *words, what string, parse func(string) (hostPort, error)) hostPort {
	h := value(w, what, parse)
	if h.host != "" && b.cfg.InZone(h.host) {
		w.errorf("%s %q lies in our own zone, where its look-up would ask ourselves: write its address", what, h.host)
	}
	return h
}

func (b *block) finder(w *words) {
	f := Finder{Name: value(w, "NAME", parseLabel)}
	w.call(f.Name)
	f.DNS = b.host(w, "DNSNAME", parseDNSName).host
	if next := w.peek(); next != "" && isDigit(next[0]) {
		f.Port = value(w, "PORT", parsePort)
	}
	if w.option("max") != "" {
		f.Max = w.count("max", 1, noLimit)
	}
	if w.ok && !b.again(w, "nodes "+f.Name, "the name") {
		b.finders = append(b.finders, w.pos)
		b.cfg.Finders = append(b.cfg.Finders, f)
	}
}

// proxy reads a line of proxies: the first IPv4 and the first IPv6 address are one proxy with two families,
// the second of each are the next one, and so on. Their default ports wait for the `tls` line.
func (b *block) proxy(w *words) {
	addrs := each(w, "ADDRESS", parseProxy)
	if !w.ok {
		return
	}
	var v4, v6 []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	for i := range max(len(v4), len(v6)) {
		var p zones.Proxy
		for _, family := range [][]netip.AddrPort{v4, v6} {
			if i < len(family) {
				p.Addrs = append(p.Addrs, family[i])
			}
		}
		b.cfg.Cluster.Proxies = append(b.cfg.Cluster.Proxies, p)
		b.proxies = append(b.proxies, w.pos)
	}
}

func (b *block) mainName(w *words) {
	if label := value(w, "LABEL", parseLabel); label != "" {
		b.cfg.Cluster.Main = label
	}
}

func (b *block) nameServer(w *words) {
	ns := zones.NameServer{Name: value(w, "NAME", parseLabel)}
	w.call(ns.Name)
	if w.peek() != "" {
		ns.Addrs = w.addrs()
	}
	if w.ok {
		b.names = append(b.names, claim{w.pos, ns.Name, fmt.Sprintf("name server %q", ns.Name), true})
		b.cfg.Cluster.NS = append(b.cfg.Cluster.NS, ns)
	}
}

func (b *block) uplink(w *words) {
	u := zones.Uplink{Name: value(w, "NAME", parseLabel)}
	w.call(u.Name)
	d := UplinkDetect{Name: u.Name}
	switch next := w.peek(); {
	case next == "auto":
		w.next()
		u.Auto = true
	case next == "":
		w.need("auto or ADDRESS")
	case !strings.ContainsAny(next, ".:"):
		w.giveUp("%q is neither auto nor an address%s", next, didYouMean(next, []string{"auto"}))
	default:
		u.Addrs = w.addrs()
	}
	b.uplinkOptions(w, &u, &d)
	if !w.ok || b.again(w, "uplink "+u.Name, "the name") {
		return
	}
	for _, addr := range u.Addrs {
		b.again(w, "uplink address "+addr.String(), addr.String())
	}
	if first, again := b.autos[d.Via]; u.Auto && again {
		w.errorf("auto beside the one in %s: each needs a via of its own", first.seenFrom(w.pos))
	}
	if u.Auto {
		b.autos[d.Via] = w.pos
	}
	b.cfg.Cluster.Uplinks = append(b.cfg.Cluster.Uplinks, u)
	b.cfg.Uplinks = append(b.cfg.Uplinks, d)
}

func (b *block) uplinkOptions(w *words, u *zones.Uplink, d *UplinkDetect) {
	options := []string{"via", "ipv6", "probe"}
	for o := w.option(options...); o != ""; o = w.option(options...) {
		switch o {
		case "via":
			d.Via = w.need("INTERFACE")
		case "ipv6":
			b.uplinkIPv6(w, u, d)
		case "probe":
			w.choice("tcp", "tcp")
			u.Probe = hostPortText(b.host(w, "HOST:PORT", parseHostPort))
		}
	}
}

// uplinkIPv6 reads what stands behind `ipv6`: an address, the low bits of one, or `off`.
func (b *block) uplinkIPv6(w *words, u *zones.Uplink, d *UplinkDetect) {
	listed := slices.ContainsFunc(u.Addrs, netip.Addr.Is6)
	switch word := w.peek(); {
	case word != "" && listed:
		w.giveUp("ipv6 beside an IPv6 address: leave one of them out")
	case w.maybe("off"):
		d.NoIPv6 = true
	case !strings.HasPrefix(word, "::"):
		if addr := value(w, "ipv6", parseIPv6); addr.IsValid() {
			u.Addrs = append(u.Addrs, addr)
		}
	case !u.Auto:
		w.giveUp("ipv6 %s needs auto: its upper half is the detected prefix", word)
	default:
		suffix := value(w, "ipv6", parseSuffix)
		d.Suffix, d.Bits = suffix.Addr(), suffix.Bits()
	}
}
