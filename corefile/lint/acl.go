package lint

import (
	"net/netip"
	"slices"
	"strings"
)

// access is what CoreDNS's plugin acl makes of queries for A in a zone, in the order in which it looks: the first rule
// for an address decides, and who is in none is served.
type access []accessRule

// accessRule is one line of an `acl`.
type accessRule struct {
	allow bool
	nets  []netip.Prefix
}

// everybody are the networks of a line without `net`, or with `net *`.
var everybody = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// allows reports whether queries from addr are answered.
func (a access) allows(addr netip.Addr) bool {
	for _, r := range a {
		if slices.ContainsFunc(r.nets, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			return r.allow
		}
	}
	return true
}

// accessTo returns the rules for all names of a zone. Those for a part of it leave the rest as it is.
func (s *server) accessTo(zone string) access {
	var all access
	for _, d := range s.plugins["acl"] {
		below := func(of string) bool { return of == "." || isBelow(zone, of) }
		if of := d.words[1:]; len(of) > 0 && !slices.ContainsFunc(of, below) {
			continue
		}
		for _, l := range d.body {
			if r, ok := ruleOf(l.words); ok {
				all = append(all, r)
			}
		}
	}
	return all
}

// isBelow reports whether zone, which is fully qualified, is another one or lies below it.
func isBelow(zone, of string) bool {
	of = strings.ToLower(strings.TrimSuffix(of, ".")) + "."
	return zone == of || strings.HasSuffix(zone, "."+of)
}

// ruleOf reads a line such as `allow type A net 192.168.1.0/24`. It reports false for one that says nothing of A, or
// that acl does not take.
func ruleOf(words []string) (accessRule, bool) {
	action := strings.ToLower(words[0])
	if !slices.Contains([]string{"allow", "block", "filter", "drop"}, action) {
		return accessRule{}, false
	}
	r := accessRule{allow: action == "allow"}
	section, types, nets := "", []string{}, []string{}
	for _, word := range words[1:] {
		switch lower := strings.ToLower(word); {
		case lower == "type" || lower == "net":
			section = lower
		case section == "type":
			types = append(types, word)
		case section == "net":
			nets = append(nets, word)
		}
	}
	if len(types) > 0 && !slices.Contains(types, "*") && !slices.Contains(types, "A") {
		return accessRule{}, false
	}
	r.nets = networks(nets)
	return r, true
}

// networks parses the words behind `net`. Without any, or with a *, it is everybody.
func networks(words []string) []netip.Prefix {
	if len(words) == 0 || slices.Contains(words, "*") {
		return everybody
	}
	var all []netip.Prefix
	for _, word := range words {
		if p, err := netip.ParsePrefix(word); err == nil {
			all = append(all, p.Masked())
		} else if addr, err := netip.ParseAddr(word); err == nil {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return all
}
