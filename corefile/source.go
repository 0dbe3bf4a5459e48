package corefile

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// The kinds of sources that are not an operator's name servers.
const (
	kindHTTPS     = "https"
	kindInterface = "interface"
	kindRouter    = "router"
	kindSTUN      = "stun"
	kindCommand   = "command"
	kindFile      = "file"
)

// transports are the ways to ask each operator's name servers. The first is the default.
//
// Google's and Akamai's answer is right only if their own authoritative servers are asked, and those speak UDP
// alone: a resolver in between, however safe the way to it, would be told its own address.
var transports = map[string][]string{
	"opendns":    {"udp", "dot"},
	"cloudflare": {"dot", "udp", "doh"},
	"google":     {"udp"},
	"akamai":     {"udp"},
}

// operators are those of transports, in the order of messages.
var operators = []string{"opendns", "cloudflare", "google", "akamai"}

// DefaultSources returns the sources that are asked without a `detect` line: five operators, two of them by ways
// that nobody can change an answer on, and the router, which is asked at no cost.
func DefaultSources() []Source {
	return []Source{
		{Kind: "cloudflare", Transport: "dot"},
		{Kind: "opendns", Transport: "dot"},
		{Kind: "opendns", Transport: "udp"},
		{Kind: "google", Transport: "udp"},
		{Kind: "akamai", Transport: "udp"},
		{Kind: kindHTTPS, Args: []string{"https://api.ipify.org"}},
		{Kind: kindHTTPS, Args: []string{"https://checkip.amazonaws.com"}},
		{Kind: kindRouter},
	}
}

// String returns the source as a `detect` line has it, without where it is asked. What may hold a password is left
// out as well: a URL's query, and a command's words but for the program.
func (s Source) String() string {
	switch s.Kind {
	case kindHTTPS:
		return s.Kind + " " + withoutQuery(s.Args[0])
	case kindCommand:
		return s.Kind + " " + filepath.Base(s.Args[0])
	case kindInterface, kindSTUN, kindFile:
		return s.Kind + " " + s.Args[0]
	}
	if s.Transport == "" {
		return s.Kind
	}
	return s.Kind + " " + s.Transport
}

func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "[no URL]"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Operator returns who answers: sources of one operator are one voice, since one mistake, or one lie, makes all of
// them wrong. Whom `at` names does not matter.
func (s Source) Operator() string {
	switch s.Kind {
	case kindHTTPS:
		u, err := url.Parse(s.Args[0])
		if err != nil {
			return s.Args[0]
		}
		if strings.HasSuffix(u.Path, cloudflareTrace) {
			return "cloudflare"
		}
		return operatorOf(u.Hostname())
	case kindSTUN:
		h, _ := splitHostPort(s.Args[0])
		return operatorOf(h.host)
	case kindInterface:
		return "this host"
	case kindCommand:
		return "this host's command"
	case kindFile:
		return "this host's file"
	}
	return s.Kind
}

// cloudflareTrace is answered by Cloudflare, whatever host behind it is asked.
const cloudflareTrace = "/cdn-cgi/trace"

// runBy names the operator of hosts whose domain does not.
var runBy = map[string]string{
	"akamai.net":         "akamai",
	"akahelp.net":        "akamai",
	"cloudflare-dns.com": "cloudflare",
	"icanhazip.com":      "cloudflare", // since 2021
	"one.one.one.one":    "cloudflare",
	"1.1.1.1":            "cloudflare",
	"1.0.0.1":            "cloudflare",
	"dns.google":         "google",
	"umbrella.com":       "opendns",
}

// operatorOf returns who runs a host: the name of an operator that we know, else the domain that somebody has
// registered.
func operatorOf(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	domain := registered(host)
	for _, known := range []string{host, domain} {
		if operator, ok := runBy[known]; ok {
			return operator
		}
	}
	if label, _, _ := strings.Cut(domain, "."); slices.Contains(operators, label) {
		return label
	}
	return domain
}

// registered returns the last two labels of a host, or the last three if they look like co.uk. It is no more than a
// guess: the public suffix list is some 10,000 lines long. Where it is wrong two operators count as one, which errs
// on the safe side.
func registered(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	labels := strings.Split(host, ".")
	n := len(labels)
	keep := min(n, 2)
	if n > 2 && len(labels[n-1]) == 2 && len(labels[n-2]) <= 3 {
		keep = 3
	}
	return strings.Join(labels[n-keep:], ".")
}

// Secure reports whether nobody on the way can change the answer: it comes over TLS, or does not leave this host.
func (s Source) Secure() bool {
	return s.Kind == kindHTTPS || s.Transport == "dot" || s.Transport == "doh" || s.OwnWord()
}

// OwnWord reports whether the source is this host's, by the operator's choice: where there is nothing else, one is
// enough.
func (s Source) OwnWord() bool {
	return s.Kind == kindInterface || s.Kind == kindCommand || s.Kind == kindFile
}

// Serves reports whether the source can speak for an uplink whose packets leave through an interface, or go by the
// routing table if via is empty.
func (s Source) Serves(via string) bool {
	return s.Kind != kindInterface || via == "" || via == s.Args[0]
}
