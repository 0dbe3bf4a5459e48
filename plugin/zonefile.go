package plugin

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/zones"
)

// staticZones holds what the zone files say, the last good reading of each.
type staticZones struct {
	corefile string // that names the files
	root     string
	files    []corefile.ZoneFile
	cluster  *zones.Cluster
	set      atomic.Pointer[staticSet]
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
	set := map[zones.View]map[string][]dns.RR{}
	for _, f := range s.files {
		if err := s.loadFile(f, set); err != nil {
			return fmt.Errorf("%s:%d: reading the %s zone file: %w", s.corefile, f.Line, f.View, err)
		}
	}
	out := staticSet{any: len(s.files) > 0, statics: map[zones.View]map[string]*statics{}}
	for _, view := range []zones.View{zones.External, zones.Internal} {
		out.statics[view] = map[string]*statics{}
		for _, origin := range s.cluster.Origins {
			st, err := newStatics(origin, dns.Dedup(set[view][origin], nil))
			if err != nil {
				return fmt.Errorf("reading the %s zone files: %w", view, err)
			}
			out.statics[view][origin] = st
		}
	}
	s.set.Store(&out)
	return nil
}

// staticSet holds what the zone files say at one reading of all of them.
type staticSet struct {
	any     bool // there are zone files
	statics map[zones.View]map[string]*statics
}

// statics is what the zone files of one view say of one origin, which may be nothing. Who has the same statics as
// before has the same records.
type statics struct {
	stage stage
	apex  []dns.RR // the addresses of the origin itself
	hash  uint64   // of the records, TTLs apart
}

func newStatics(origin string, rrs []dns.RR) (*statics, error) {
	if err := checkSets(rrs); err != nil {
		return nil, err
	}
	st, err := newStage(origin, rrs)
	return &statics{stage: st, apex: apexOf(rrs, origin), hash: hashOf(rrs)}, err
}

func (s *staticZones) loadFile(f corefile.ZoneFile, set map[zones.View]map[string][]dns.RR) error {
	path := s.path(f)
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	if set[f.View] == nil {
		set[f.View] = map[string][]dns.RR{}
	}
	for _, origin := range s.cluster.Origins {
		rrs, err := s.parse(bytes.NewReader(data), path, origin)
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
func (s *staticZones) parse(r io.Reader, path, origin string) ([]dns.RR, error) {
	zp := dns.NewZoneParser(r, origin, path)
	zp.SetDefaultTTL(defaultTTL)
	zp.SetIncludeAllowed(false)
	managed := s.managed(origin)
	var out []dns.RR
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rr.Header().Name = asAsked(rr.Header().Name)
		switch plugin.Zones(s.cluster.Origins).Matches(rr.Header().Name) {
		case origin:
		case "":
			return nil, fmt.Errorf("%s: %s is not in %s", path, rr.Header().Name, strings.Join(s.cluster.Origins, ", "))
		default:
			continue
		}
		if err := checkRecord(rr, origin, managed); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, rr)
	}
	return out, zp.Err()
}

// asAsked returns a name as questions spell it: in lower case, with no escapes but those that are needed, whichever
// way it is written in a file (RFC 1035, 5.1).
func asAsked(name string) string {
	var buf [256]byte
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil {
		return strings.ToLower(name)
	}
	lower(buf[:n])
	out, _, err := dns.UnpackDomainName(buf[:n], 0)
	if err != nil {
		return strings.ToLower(name)
	}
	return out
}

// checkRecord refuses what a zone file may not say: what is ours to say.
func checkRecord(rr dns.RR, origin string, managed map[string]bool) error {
	name, rtype := rr.Header().Name, rr.Header().Rrtype
	word := dns.Type(rtype).String()
	if class := rr.Header().Class; class != dns.ClassINET {
		return fmt.Errorf("%s %s: class %s: all that we serve is of class IN", name, word, dns.Class(class))
	}
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
	if managed[name] {
		return fmt.Errorf("%s %s: the name is made by the plugin, a file may add TXT alone", name, word)
	}
	return nil
}

// managed returns the managed names, those of nodes that `nodes` lines find apart.
func (s *staticZones) managed(origin string) map[string]bool {
	labels := []zones.Label{zones.Label(s.cluster.Main)}
	for _, n := range s.cluster.Nodes {
		labels = append(labels, zones.Label(n.Name))
	}
	out := map[string]bool{}
	for _, l := range append(labels, zones.Apex) {
		out[fqdn(zones.StatusPrefix.Under(l), origin)] = true
	}
	for _, ns := range s.cluster.NS {
		labels = append(labels, zones.Label(ns.Name))
	}
	if s.cluster.Wildcard {
		for _, l := range append(slices.Clone(labels), zones.Apex) {
			labels = append(labels, zones.Wildcard.Under(l))
		}
	}
	for _, l := range labels {
		out[fqdn(l, origin)] = true
	}
	return out
}

// checkSets refuses what no name may hold together: other records beside a CNAME (RFC 1034, 3.6.2), two of
// CNAME or DNAME (RFC 6672, 2.4), and CNAMEs that lead back to themselves.
func checkSets(rrs []dns.RR) error {
	types, targets := map[string][]uint16{}, map[string]string{}
	for _, rr := range rrs {
		name := rr.Header().Name
		types[name] = append(types[name], rr.Header().Rrtype)
		if cname, ok := rr.(*dns.CNAME); ok {
			targets[name] = strings.ToLower(cname.Target)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		cnames, dnames := countType(types[name], dns.TypeCNAME), countType(types[name], dns.TypeDNAME)
		switch {
		case cnames > 1:
			return fmt.Errorf("%s has %d CNAME records, where one is allowed", name, cnames)
		case dnames > 1:
			return fmt.Errorf("%s has %d DNAME records, where one is allowed", name, dnames)
		case cnames == 1 && len(types[name]) > 1:
			return fmt.Errorf("%s has a CNAME and other records, where a CNAME stands alone", name)
		case endless(targets, name):
			return fmt.Errorf("%s is a CNAME that leads back to itself or into such a ring", name)
		}
	}
	return nil
}

func countType(types []uint16, rtype uint16) (n int) {
	for _, t := range types {
		if t == rtype {
			n++
		}
	}
	return n
}

// endless reports whether following the CNAMEs from a name never ends.
func endless(targets map[string]string, name string) bool {
	for range len(targets) + 1 {
		next, ok := targets[name]
		if !ok {
			return false
		}
		name = next
	}
	return true
}
