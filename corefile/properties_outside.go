package corefile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// duckZone is where DuckDNS has its customers' names.
const duckZone = "duckdns.org."

// duckRefresh is how often an unchanged address is pushed, so that DuckDNS sees the name in use.
const duckRefresh = 24 * time.Hour

// tokenLike is the form of DuckDNS's tokens, a UUID, which no one would give to a name.
var tokenLike = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

var duckOptions = []string{"token_file", "token", "every", "refresh", "verify", "ipv4", "ipv6"}

func (b *block) duckDNS(w *words) {
	d := &DuckDNS{Refresh: duckRefresh}
	b.cfg.DuckDNS = d
	b.duckName(w, d)
	for o := w.option(duckOptions...); o != ""; o = w.option(duckOptions...) {
		switch o {
		case "token_file":
			d.TokenFile = w.need("FILE")
		case "token":
			d.Token = NewSecret(w.need("TOKEN"))
		case "every":
			d.Every = w.duration("every", time.Second)
		case "refresh":
			d.Refresh = w.duration("refresh", time.Second)
		case "verify":
			d.NoVerify = w.choice("off", "off") != ""
		case "ipv4":
			d.NoIPv4 = w.choice("off", "off") != ""
		case "ipv6":
			d.NoIPv6 = w.choice("off", "off") != ""
		}
	}
	switch {
	case w.lost:
	case (d.TokenFile == "") == d.Token.IsZero():
		w.errorf("exactly one of token_file and token must be given")
	case d.NoIPv4 && d.NoIPv6:
		w.errorf("ipv4 off and ipv6 off leave nothing to tell")
	}
}

// duckName takes NAME if it is there: a first word that is neither an option nor, while no option follows
// it, a mistyped one.
func (b *block) duckName(w *words, d *DuckDNS) {
	word := w.peek()
	named := len(w.rest) > 1 && slices.Contains(duckOptions, w.rest[1])
	switch {
	case slices.Contains(duckOptions, word):
		d.Name = b.duckDefault(w)
	case tokenLike.MatchString(word):
		w.giveUp("the first word looks like a token: write token before it")
	case word != "" && (named || nearest(word, duckOptions) == ""):
		d.Name = value(w, "NAME", parseDuckName)
	}
}

func parseDuckName(s string) (string, error) {
	switch first, _, dotted := strings.Cut(s, "."); {
	case dotted && inZone(s, duckZone):
		return "", fmt.Errorf("%q has a dot: write %q, without the rest", s, first)
	case dotted:
		return "", fmt.Errorf("%q has a dot: it must be the one label that you have at DuckDNS", s)
	}
	return parseLabel(s)
}

// duckDefault returns the name that the zone has at DuckDNS.
func (b *block) duckDefault(w *words) string {
	origins := b.cfg.Cluster.Origins
	if len(origins) == 0 {
		return ""
	}
	name, ok := strings.CutSuffix(origins[0], "."+duckZone)
	switch {
	case len(origins) > 1:
		w.errorf("NAME is missing: it must be given with several zones")
	case !ok:
		w.errorf("NAME is missing: it must be given, since the zone %q does not end in .%s", origins[0], duckZone)
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

// detectors are the sources of the external address.
var detectors = []string{
	"opendns", "cloudflare", "google", "akamai",
	"https", "interface", "router", "stun", "command", "file",
}

// transports are the ways to ask an operator among the detectors.
var transports = []string{"udp", "dot", "doh"}

// detect takes sources one after the other: each its own number of words, `command` all that are left.
func (b *block) detect(w *words) {
	for more := true; more; more = w.peek() != "" {
		kind := w.need("SOURCE")
		if kind != "" && !slices.Contains(detectors, kind) {
			near := didYouMean(kind, slices.Concat(detectors, transports))
			w.giveUp("%q is not %s%s", kind, listed(detectors), near)
		}
		if w.lost {
			return
		}
		s := Source{Kind: kind, Args: detectArgs(w, kind)}
		shown := strings.Join(append([]string{kind}, s.Args...), " ")
		if w.ok && !b.again(w, "detect "+shown, fmt.Sprintf("source %q", shown)) {
			b.cfg.Detect = append(b.cfg.Detect, s)
		}
	}
}

func detectArgs(w *words, kind string) []string {
	switch kind {
	case "router":
		return nil
	case "https":
		return []string{value(w, "URL", parseHTTPS)}
	case "interface":
		return []string{w.need("NAME")}
	case "stun":
		return []string{hostPortText(value(w, "HOST:PORT", parseHostPort))}
	case "file":
		return []string{w.need("PATH")}
	case "command":
		args := []string{w.need("COMMAND")}
		args = append(args, w.rest...)
		w.rest = nil
		return args
	}
	if slices.Contains(transports, w.peek()) {
		return []string{w.next()}
	}
	return nil
}
