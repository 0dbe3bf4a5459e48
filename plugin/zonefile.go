package plugin

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/zones"
)

// staticZones holds what the zone files say, the last good reading of each.
type staticZones struct {
	root    string
	files   []corefile.ZoneFile
	cluster *zones.Cluster
	set     atomic.Pointer[staticSet]
}

// paths returns where the files are.
func (s *staticZones) paths() []string {
	var out []string
	for _, f := range s.files {
		out = append(out, s.path(f))
	}
	return out
}

func (s *staticZones) path(f corefile.ZoneFile) string {
	if s.root != "" && !filepath.IsAbs(f.Path) {
		return filepath.Join(s.root, f.Path)
	}
	return f.Path
}

// load reads all files. If one is bad, what was read before stays.
func (s *staticZones) load() error {
	set := staticSet{}
	for _, f := range s.files {
		if err := s.loadFile(f, set); err != nil {
			return fmt.Errorf("reading the %s zone file: %w", f.View, err)
		}
	}
	for view, byOrigin := range set {
		for origin, rrs := range byOrigin {
			if err := checkCNAMEs(rrs); err != nil {
				return fmt.Errorf("reading the %s zone files of %s: %w", view, origin, err)
			}
		}
	}
	s.set.Store(&set)
	return nil
}

func (s *staticZones) loadFile(f corefile.ZoneFile, set staticSet) error {
	path := s.path(f)
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	if set[f.View] == nil {
		set[f.View] = map[string][]dns.RR{}
	}
	for _, origin := range s.cluster.Origins {
		rrs, err := s.parse(strings.NewReader(string(data)), path, origin, f.View)
		if err != nil {
			return err
		}
		set[f.View][origin] = append(set[f.View][origin], rrs...)
	}
	return nil
}

// defaultTTL is that of records which give none: RFC 1035 leaves it to us.
const defaultTTL = 300

// parse reads a file's records below one origin. Records below another origin of the block are that one's.
func (s *staticZones) parse(r io.Reader, path, origin string, view zones.View) ([]dns.RR, error) {
	zp := dns.NewZoneParser(r, origin, path)
	zp.SetDefaultTTL(defaultTTL)
	zp.SetIncludeAllowed(false)
	var out []dns.RR
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rr.Header().Name = strings.ToLower(rr.Header().Name)
		if !dns.IsSubDomain(origin, rr.Header().Name) {
			if plugin.Zones(s.cluster.Origins).Matches(rr.Header().Name) != "" {
				continue
			}
			return nil, fmt.Errorf("%s: %s is not in %s", path, rr.Header().Name, origin)
		}
		if err := s.check(rr, origin, view); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, rr)
	}
	return out, zp.Err()
}

// check refuses what a zone file may not say: what is ours to say.
func (s *staticZones) check(rr dns.RR, origin string, view zones.View) error {
	name, rtype := rr.Header().Name, rr.Header().Rrtype
	word := dns.TypeToString[rtype]
	switch rtype {
	case dns.TypeSOA:
		return fmt.Errorf("%s SOA: the SOA record is made by the plugin: leave it out", name)
	case dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeNSEC, dns.TypeRRSIG, dns.TypeDNSKEY:
		return fmt.Errorf("%s %s: signed zones cannot be mixed in: use the dnssec plugin", name, word)
	case dns.TypeTXT:
		return nil
	}
	if name == origin {
		switch rtype {
		case dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeCAA:
			return nil
		case dns.TypeNS:
			return fmt.Errorf("%s NS: the zone's name servers are the `ns` lines: leave it out", name)
		}
		return fmt.Errorf("%s %s: at the zone's own name a file may have A, AAAA, CAA, MX and TXT", name, word)
	}
	if s.managed(origin, view)[name] {
		return fmt.Errorf("%s %s: the name is made by the plugin, a file may add TXT alone", name, word)
	}
	return nil
}

// managed returns the managed names of a view, the nodes that `nodes` lines find apart.
func (s *staticZones) managed(origin string, view zones.View) map[string]bool {
	labels := []zones.Label{zones.Label(s.cluster.Main)}
	for _, n := range s.cluster.Nodes {
		labels = append(labels, zones.Label(n.Name))
	}
	out := map[string]bool{}
	if view == zones.Internal {
		for _, l := range append(labels, zones.Apex) {
			out[fqdn(zones.StatusPrefix.Under(l), origin)] = true
		}
	}
	for _, ns := range s.cluster.NS {
		labels = append(labels, zones.Label(ns.Name))
	}
	if s.cluster.Wildcard {
		labels = append(labels, zones.Wildcard)
	}
	for _, l := range labels {
		out[fqdn(l, origin)] = true
	}
	return out
}

// checkCNAMEs refuses other records beside a CNAME (RFC 1034, 3.6.2).
func checkCNAMEs(rrs []dns.RR) error {
	cname, other := map[string]bool{}, map[string]bool{}
	for _, rr := range rrs {
		name := rr.Header().Name
		if rr.Header().Rrtype != dns.TypeCNAME {
			other[name] = true
		} else if cname[name] {
			return fmt.Errorf("%s has two CNAME records", name)
		} else {
			cname[name] = true
		}
		if cname[name] && other[name] {
			return fmt.Errorf("%s has a CNAME and other records", name)
		}
	}
	return nil
}
