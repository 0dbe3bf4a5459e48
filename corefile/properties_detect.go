package corefile

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Where servers listen unless told otherwise.
const (
	portDNS   = 53  // RFC 1035 4.2
	portDoT   = 853 // RFC 7858 3.1
	portHTTPS = 443 // RFC 9110 4.2.2
)

// kinds are the sources of the external address.
var kinds = slices.Concat(operators, []string{kindHTTPS, kindInterface, kindRouter, kindSTUN, kindCommand, kindFile})

// wordAllow begins what is no source, but an exception.
const wordAllow = "allow"

// detect takes sources one after the other: each its own number of words, `command` all that are left.
func (b *block) detect(w *words) {
	for more := true; more; more = w.peek() != "" {
		if w.maybe(wordAllow) {
			b.allow(w)
			continue
		}
		s := source(w)
		if w.ok && !b.detected(w, s) {
			b.sources = append(b.sources, at[Source]{w.pos, s})
			b.cfg.Detect = append(b.cfg.Detect, s)
		}
	}
}

// detected reports, and says so, when a source stands a second time.
func (b *block) detected(w *words, s Source) bool {
	switch s.Kind {
	case kindCommand, kindFile: // two of them could contradict each other, and both are the operator's
		return b.again(w, "detect "+s.Kind, s.Kind)
	case kindRouter:
		for _, way := range routerWays {
			if s.Transport != "" && s.Transport != way {
				continue
			}
			if b.again(w, "detect router "+way, fmt.Sprintf("source %q", "router "+way)) {
				return true
			}
		}
		return false
	}
	thing := strings.Join(append([]string{"detect", s.Kind, s.Transport}, s.Args...), " ")
	return b.again(w, thing, fmt.Sprintf("source %q", s))
}

// source takes the words of one source.
func source(w *words) Source {
	s := Source{Kind: w.need("SOURCE")}
	switch {
	case s.Kind == "" || slices.Contains(kinds, s.Kind):
	case s.Kind == wordAt:
		w.giveUp("at stands behind no source that can be asked elsewhere: write %s", w.usage)
	default:
		allowed := append(slices.Clone(kinds), wordAllow)
		near := didYouMean(s.Kind, slices.Concat(allowed, []string{"udp", "dot", "doh"}, routerWays))
		w.giveUp("%q is not %s%s", s.Kind, listed(allowed), near)
	}
	if w.lost {
		return s
	}
	switch s.Kind {
	case kindHTTPS:
		s.Args = []string{value(w, "URL", parseEchoURL)}
		s.At = w.at(httpsPort(s.Args[0]))
	case kindInterface:
		s.Args = []string{w.need("NAME")}
	case kindRouter:
		router(w, &s)
	case kindSTUN:
		s.Args = []string{hostPortText(value(w, "HOST:PORT", parseHostPort))}
	case kindFile:
		s.Args = []string{w.need("PATH")}
	case kindCommand:
		s.Args = append([]string{w.need("COMMAND")}, w.rest...)
		w.rest = nil
	default:
		operator(w, &s)
	}
	return s
}

func operator(w *words, s *Source) {
	ways := transports[s.Kind]
	s.Transport = ways[0]
	switch word := w.peek(); {
	case slices.Contains(ways, word):
		s.Transport = w.next()
	case slices.Contains([]string{"udp", "dot", "doh"}, word):
		w.giveUp("%s can't be asked by %s: by %s only", s.Kind, word, listed(ways))
	}
	s.At = w.at(map[string]uint16{"udp": portDNS, "dot": portDoT, "doh": portHTTPS}[s.Transport])
}

// router takes the way that the router is asked, and where it is. Each way has a port of its own.
func router(w *words, s *Source) {
	if slices.Contains(routerWays, w.peek()) {
		s.Transport = w.next()
	}
	if !w.maybe(wordAt) {
		return
	}
	if s.Transport == "upnp" && strings.Contains(w.peek(), "://") {
		s.Args = []string{value(w, "URL", parseUPnP)}
		return
	}
	s.At = []netip.AddrPort{netip.AddrPortFrom(value(w, "ADDRESS", parseRouter), 0)}
}

// routerWays are the ways to ask a router. Without one both are tried.
var routerWays = []string{"natpmp", "upnp"}

// parseRouter takes the address of a router, which knows no other external address than an IPv4 one.
func parseRouter(s string) (netip.Addr, error) {
	if h, err := splitHostPort(s); err == nil && h.port != 0 {
		return netip.Addr{}, fmt.Errorf("%q has a port: routers are asked at 5351 (NAT-PMP) and 1900 (UPnP)", s)
	}
	addr, err := parseAddr(s)
	if err == nil && !addr.Is4() {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 address, by which routers are asked", s)
	}
	return addr, err
}

// wordAt stands before those that are asked instead of the known ones.
const wordAt = "at"

// at takes `at ADDRESS[:PORT]...`, if it is there.
func (w *words) at(port uint16) []netip.AddrPort {
	if !w.maybe(wordAt) {
		return nil
	}
	return w.servers(port)
}

// servers takes addresses with or without a port, up to a word that does not look like one. There must be one, and
// none twice.
func (w *words) servers(port uint16) []netip.AddrPort {
	var all []netip.AddrPort
	for more := true; more; more = strings.ContainsAny(w.peek(), ".:") {
		s := value(w, "ADDRESS", func(s string) (netip.AddrPort, error) { return parseServer(s, port) })
		switch {
		case !s.IsValid():
		case slices.Contains(all, s):
			w.errorf("address %v stands twice", s)
		default:
			all = append(all, s)
		}
	}
	return all
}

// parseServer takes ADDRESS or ADDRESS:PORT. An IPv6 address that ends like the port is probably meant to have it.
func parseServer(s string, port uint16) (netip.AddrPort, error) {
	a, err := parseProxy(s)
	if err != nil || a.Port() != 0 {
		return a, err
	}
	front, ok := strings.CutSuffix(s, fmt.Sprintf(":%d", port))
	if _, err := netip.ParseAddr(front); ok && err == nil && a.Addr().Is6() && s[0] != '[' {
		return netip.AddrPort{}, fmt.Errorf("%q may have the port %d or not: write \"[%s]\" or \"[%s]:%d\"", s, port, s, front, port)
	}
	return netip.AddrPortFrom(a.Addr(), port), nil
}

// allow takes the prefixes behind `allow`.
func (b *block) allow(w *words) {
	for more := true; more; more = strings.ContainsAny(w.peek(), ".:") {
		p := value(w, "PREFIX", parseAllowed)
		if p.IsValid() && !b.again(w, "detect allow "+p.String(), "allow "+p.String()) {
			b.cfg.Allow = append(b.cfg.Allow, p)
		}
	}
}

func parseAllowed(s string) (netip.Prefix, error) {
	p, err := parsePrefix(s)
	if err == nil && p.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%q would let any address pass for an external one", s)
	}
	return p, err
}

// parseEchoURL takes the URL of an HTTPS echo.
func parseEchoURL(s string) (string, error) {
	s, err := parseHTTPS(s)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is no URL such as https://example.com/path", s)
	case u.User != nil:
		return "", fmt.Errorf("%q has a user: an echo asks for none", u.Redacted())
	}
	return s, checkURLHost(u)
}

// checkURLHost looks at what net/url lets pass.
func checkURLHost(u *url.URL) error {
	_, notAddress := netip.ParseAddr(u.Hostname())
	if notAddress != nil && !isHostName(u.Hostname()) {
		return fmt.Errorf("%q has no host", u.Redacted())
	}
	if port := u.Port(); port != "" {
		if _, err := parsePort(port); err != nil {
			return fmt.Errorf("%q: port %w", u.Redacted(), err)
		}
	}
	return nil
}

// httpsPort returns the port of a URL, or that of HTTPS.
func httpsPort(text string) uint16 {
	u, err := url.Parse(text)
	if err != nil {
		return portHTTPS
	}
	if port, err := parsePort(u.Port()); err == nil {
		return port
	}
	return portHTTPS
}

// parseUPnP takes the URL of a device's description (UPnP Device Architecture 2.0, 1.2.2). A name in it would be
// looked up, perhaps by ourselves.
func parseUPnP(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return "", fmt.Errorf("%q is no URL such as http://192.168.1.1:5000/rootDesc.xml", s)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		return "", fmt.Errorf("%q: write the router's address instead of %q", s, u.Hostname())
	}
	return s, checkURLHost(u)
}
