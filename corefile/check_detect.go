package corefile

import (
	"slices"
	"strings"
)

// checkDetect refuses sources that speak for no uplink, or that can never confirm an address of one.
func (b *block) checkDetect() {
	if !b.sound("detect", "uplink") || !b.has("detect") {
		return
	}
	var auto []UplinkDetect
	var vias []string
	for i, u := range b.cfg.Cluster.Uplinks {
		if u.Auto {
			auto = append(auto, b.cfg.Uplinks[i])
			vias = append(vias, b.cfg.Uplinks[i].Via)
		}
	}
	if len(auto) == 0 || b.badSource(vias) {
		return
	}
	for _, u := range auto {
		b.checkQuorum(u)
	}
}

// badSource reports, and says so, whether a source has no one to speak for, or one and the same for too many. The
// uplinks with auto go out through vias.
func (b *block) badSource(vias []string) bool {
	before := len(b.errs.list)
	for _, s := range b.sources {
		switch {
		case !slices.ContainsFunc(vias, s.v.Serves):
			b.errs.addf(s.pos, "detect: no uplink with auto goes out through %s: they do through %s", s.v.Args[0], listed(vias))
		case s.v.Kind == kindFile && len(vias) > 1:
			b.errs.addf(s.pos, "detect: one file can't tell the addresses of %d uplinks with auto: "+
				"use command, which is told whose is asked", len(vias))
		}
	}
	return len(b.errs.list) > before
}

// checkQuorum holds the sources of one uplink against the rule by which a changed address is believed: two
// operators, one of them by a way that nobody can change an answer on, or nothing but this host's own word.
func (b *block) checkQuorum(u UplinkDetect) {
	var voices []string
	secure, own := false, true
	for _, s := range b.cfg.Detect {
		if !s.Serves(u.Via) {
			continue
		}
		if operator := s.Operator(); !slices.Contains(voices, operator) {
			voices = append(voices, operator)
		}
		secure = secure || s.Secure()
		own = own && s.OwnWord()
	}
	where := b.first["detect"]
	switch {
	case len(voices) == 0:
		b.errs.addf(where, "detect: no source speaks for the uplink %s", u.Name)
	case own:
	case len(voices) == 1:
		b.errs.addf(where, "detect: a changed address of the uplink %s would never be believed: "+
			"two operators must agree on it, and there is only %s", u.Name, voices[0])
	case !secure:
		b.errs.addf(where, "detect: a changed address of the uplink %s would never be believed: %s can all be changed on the way: "+
			"add one over TLS, such as cloudflare dot", u.Name, strings.Join(voices, " and "))
	}
}
