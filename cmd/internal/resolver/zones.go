package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/coredns/caddy/caddyfile"

	"plexha/corefile"
	"plexha/zones"
)

// zone is a managed zone, and who answers for it.
type zone struct {
	Name    string   // without its final dot
	Hosts   []string // the names that clients use
	Servers []netip.AddrPort
}

// serverBlock is a server block of a Corefile with the plex blocks in it.
type serverBlock struct {
	keys   []string
	bind   []caddyfile.Token
	blocks []*corefile.Config
}

// zones returns all that are asked about, in the order of the Corefile.
func (m machine) zones(o *options) ([]zone, error) {
	if _, err := o.Load(); err != nil { // tells all mistakes in the words of the file
		return nil, err
	}
	file, err := o.File()
	if err != nil {
		return nil, err
	}
	blocks, err := read(file)
	if err != nil {
		return nil, err
	}
	only := strings.ToLower(strings.TrimSuffix(o.Zone, "."))
	var all []zone
	for _, b := range blocks {
		for _, cfg := range b.blocks {
			for _, origin := range cfg.Cluster.Origins {
				name := strings.TrimSuffix(origin, ".")
				if only != "" && only != name {
					continue
				}
				servers, err := m.servers(b, cfg, origin, o.at)
				if err != nil {
					return nil, fmt.Errorf("%s:%d: %w", cfg.File, cfg.Line, err)
				}
				all = append(all, zone{name, hosts(cfg, name), servers})
			}
		}
	}
	return all, nil
}

// read returns the server blocks of a Corefile: what stands beside plex is no part of a [corefile.Config].
func read(file string) ([]serverBlock, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	servers, err := caddyfile.Parse(file, bytes.NewReader(text), nil)
	if err != nil {
		return nil, fmt.Errorf("reading the Corefile: %w", err)
	}
	var parser corefile.Parser
	var all []serverBlock
	for _, s := range servers {
		d := caddyfile.NewDispenserTokens(file, s.Tokens["plex"])
		blocks, err := parser.Parse(&d, s.Keys)
		if err != nil {
			return nil, err
		}
		all = append(all, serverBlock{s.Keys, s.Tokens["bind"], blocks})
	}
	return all, nil
}

// hosts returns the names that clients use. Nodes that are found in the DNS are not known here.
func hosts(cfg *corefile.Config, zone string) []string {
	all := []string{zone, cfg.Cluster.Main + "." + zone}
	for _, n := range cfg.Cluster.Nodes {
		all = append(all, string(n.Name)+"."+zone)
	}
	return all
}

// servers returns where plexdns answers for a zone. Addresses that are given go before those that are found.
func (m machine) servers(b serverBlock, cfg *corefile.Config, origin string, given addresses) ([]netip.AddrPort, error) {
	port, err := b.port(origin)
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		all := slices.Clone(given)
		for i, at := range all {
			if at.Port() == 0 {
				all[i] = netip.AddrPortFrom(at.Addr(), port)
			}
		}
		return all, nil
	}
	addrs := m.addrs(b, cfg)
	if len(addrs) == 0 {
		return nil, errors.New("where plexdns answers can't be found out on this machine: say so with -at ADDRESS")
	}
	var all []netip.AddrPort
	for _, a := range addrs {
		all = append(all, netip.AddrPortFrom(a, port))
	}
	return all, nil
}

// dnsPort is that of keys without one.
const dnsPort = 53

// errNotPlain is said of a server block of which no resolver can ask in the way that all of them know.
var errNotPlain = errors.New("no key of the server block is for plain DNS: add one without tls://, https:// and the like")

// port returns the port of the first key that answers plain DNS for a zone.
func (b serverBlock) port(origin string) (uint16, error) {
	for _, key := range b.keys {
		scheme, rest, ok := strings.Cut(key, "://")
		if !ok {
			scheme, rest = "dns", key
		}
		host, port := rest, ""
		if i := strings.LastIndexByte(rest, ':'); i >= 0 {
			host, port = rest[:i], rest[i+1:]
		}
		if scheme != "dns" || !covers(host, origin) {
			continue
		}
		if port == "" {
			return dnsPort, nil
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("reading the port of %q: %w", key, err)
		}
		return uint16(n), nil
	}
	return 0, errNotPlain
}

// covers reports whether a key is a zone, or one above it. The zone is fully qualified and lower-case.
func covers(key, zone string) bool {
	key = strings.ToLower(strings.TrimSuffix(key, "."))
	return key == "" || zone == key+"." || strings.HasSuffix(zone, "."+key+".")
}

// addrs returns the addresses of plexdns that are known without being given: those of `bind`, which are this
// machine's, and those of `ns` that clients in the house reach, which are all machines'. Without either: this
// machine's in the internal prefixes. Loopback counts only if there is nothing else.
func (m machine) addrs(b serverBlock, cfg *corefile.Config) []netip.Addr {
	hosts, onlink := m.local()
	views := cfg.Cluster.Prefixes.Compile(onlink)
	inHouse := func(a netip.Addr) bool {
		return views.Of(a) == zones.Internal && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
	}
	var all []netip.Addr
	add := func(some []netip.Addr) {
		for _, a := range some {
			if inHouse(a) && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	add(m.bound(b.bind))
	for _, ns := range cfg.Cluster.NS {
		add(ns.Addrs)
	}
	if len(all) == 0 {
		add(hosts)
	}
	if reachable := slices.DeleteFunc(slices.Clone(all), netip.Addr.IsLoopback); len(reachable) > 0 {
		return reachable
	}
	return all
}

// bound returns the addresses of `bind` lines, whose words are addresses, or interfaces of the machine that plexdns
// runs on. What this machine does not have is left out.
func (m machine) bound(tokens []caddyfile.Token) []netip.Addr {
	var all, except []netip.Addr
	d := caddyfile.NewDispenserTokens("", tokens)
	for d.Next() {
		all = append(all, m.resolve(d.RemainingArgs())...)
		for d.NextBlock() {
			if d.Val() == "except" {
				except = append(except, m.resolve(d.RemainingArgs())...)
			}
		}
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return slices.Contains(except, a) })
}

func (m machine) resolve(words []string) []netip.Addr {
	var all []netip.Addr
	for _, word := range words {
		if a, err := netip.ParseAddr(word); err == nil {
			all = append(all, a.Unmap().WithZone(""))
			continue
		}
		addrs, err := m.named(word)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if ipnet, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(ipnet.IP); ok {
					all = append(all, addr.Unmap())
				}
			}
		}
	}
	return all
}
