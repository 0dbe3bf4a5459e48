package corefile

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// duckZone is where DuckDNS has its customers' names.
const duckZone = "duckdns.org."

const (
	// duckEvery is how often the published record is looked at: DuckDNS's own recipes push as often.
	duckEvery = 5 * time.Minute
	// duckRefresh is how often an unchanged address is pushed, so that a token that has become wrong shows before
	// it matters.
	duckRefresh = 24 * time.Hour
)

// credentialsDirectory is where systemd puts the credentials of a unit, see systemd.exec(5).
const credentialsDirectory = "$CREDENTIALS_DIRECTORY"

// credential is the name of the token among them without another one.
const credential = "duckdns_token"

// tokenLike is what holds a token of DuckDNS, a UUID, which no one would give to anything else.
var tokenLike = regexp.MustCompile(`[0-9a-zA-Z]{8}(-[0-9a-zA-Z]{4}){3}-[0-9a-zA-Z]{12}`)

var duckOptions = []string{"token_file", "token", "every", "refresh", "verify", "api", "ipv4", "ipv6"}

func (b *block) duckDNS(w *words) {
	d := &DuckDNS{Every: duckEvery, Refresh: duckRefresh}
	b.cfg.DuckDNS = d
	b.duckName(w, d)
	for o := w.option(duckOptions...); o != ""; o = w.option(duckOptions...) {
		switch o {
		case "token_file":
			d.TokenFile = value(w, "token_file", parseTokenFile)
		case "token":
			duckToken(w, d)
		case "every":
			d.Every = w.duration("every", time.Second)
		case "refresh":
			d.Refresh = w.duration("refresh", time.Second)
		case "verify":
			duckVerify(w, d)
		case "api":
			d.API = value(w, "api", parseAPI)
		case "ipv4":
			d.NoIPv4 = w.choice("off", "off") != ""
		case "ipv6":
			d.NoIPv6 = w.choice("off", "off") != ""
		}
	}
	switch {
	case w.lost:
	case slices.Contains(w.used, "token_file") == slices.Contains(w.used, "token"):
		w.errorf("exactly one of token_file and token must be given")
	case d.NoIPv4 && d.NoIPv6:
		w.errorf("ipv4 off and ipv6 off leave nothing to tell")
	}
}

// parseTokenFile takes the name of a file, which is shown in messages and so must not be the token.
func parseTokenFile(s string) (string, error) {
	if tokenLike.MatchString(s) {
		return "", errors.New("[redacted] holds a token: write token before it")
	}
	return s, nil
}

// duckToken takes the token, or from where among systemd's credentials it comes.
func duckToken(w *words, d *DuckDNS) {
	if !w.maybe("from") {
		word := w.need("TOKEN")
		if word == "" {
			return
		}
		token, err := ParseToken(word)
		if err != nil {
			w.errorf("%w", err)
		}
		d.Token = token
		return
	}
	d.Credential = value(w, credentialsDirectory, parseCredential)
}

// parseCredential takes $CREDENTIALS_DIRECTORY, with the name of a file in it or without.
func parseCredential(s string) (string, error) {
	name, ok := strings.CutPrefix(s, credentialsDirectory)
	switch {
	case ok && (name == "" || name == "/"):
		return credential, nil
	case !ok || name[0] != '/':
		return "", errors.New("is what stands behind from, as it is or with /NAME: for a file elsewhere write token_file")
	}
	name = name[1:]
	if strings.Contains(name, "/") || name == "." || name == ".." {
		return "", fmt.Errorf("/%s: a credential's name has no folder (see LoadCredential= in systemd.exec(5))", name)
	}
	return name, nil
}

// duckVerify takes `off`, or the name servers that are asked.
func duckVerify(w *words, d *DuckDNS) {
	switch w.choice("off|at", "off", wordAt) {
	case "off":
		d.NoVerify = true
	case wordAt:
		d.VerifyAt = w.servers(portDNS)
	}
}

// parseAPI takes the URL that updates go to instead of DuckDNS's. What goes there holds the token: in the clear it
// may go to this host only.
func parseAPI(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errors.New("is no URL such as https://duck.example")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(strings.TrimSuffix(u.Path, "/update"), "/") != "" {
		return "", errors.New("must be scheme and host alone, such as https://duck.example")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && (err != nil || !addr.IsLoopback()) {
		return "", errors.New("is without TLS, which would show the token on the way: write https, or a loopback address")
	}
	return u.Scheme + "://" + u.Host, checkURLHost(u)
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
	case word != "" && (named || Nearest(word, duckOptions) == ""):
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
