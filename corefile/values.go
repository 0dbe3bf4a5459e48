package corefile

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of values. Where no source is given the number is ours.
const (
	maxLabel  = 63                          // octets, RFC 1035 2.3.4
	maxName   = 253                         // octets without the final dot, RFC 1035 2.3.4
	maxZone   = 170                         // octets: leaves room for a label, `_acme-challenge` and a dot each
	maxTTL    = math.MaxInt32 * time.Second // RFC 2181 8
	maxWeight = 1000                        // enough for any ratio, while sums stay small
	noLimit   = math.MaxInt32
	idLength  = 40 // hex digits of a Plex machineIdentifier
)

// isLabel reports whether s is a label of letters, digits, - (at neither end) and the extra characters.
func isLabel(s, extra string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !isDigit(c) && c != '-' && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isHostName reports whether s can be looked up: labels, of which the last is no number, since that would
// make it a mistyped IPv4 address. Underscores occur in the names of containers and of SRV records.
func isHostName(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, label := range labels {
		if !isLabel(label, "_") {
			return false
		}
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil && len(s) <= maxName
}

// fqdn returns name lower-case and with its final dot.
func fqdn(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, ".")) + "."
}

func parseLabel(s string) (string, error) {
	if !isLabel(s, "") {
		return "", fmt.Errorf("%q is no label: 1 to 63 of a-z, 0-9 and -, with no - at either end", s)
	}
	return strings.ToLower(s), nil
}

func parseAddr(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 or IPv6 address", s)
	}
	addr = addr.Unmap()
	switch {
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has the zone %q, which means nothing to others", s, addr.Zone())
	case addr.IsUnspecified(), addr.IsMulticast(), addr.IsLinkLocalUnicast():
		return netip.Addr{}, fmt.Errorf("%q can't be reached by others: it is unspecified, multicast or link-local", s)
	}
	return addr, nil
}

func parseIPv6(s string) (netip.Addr, error) {
	addr, err := parseAddr(s)
	if addr.Is4() || err != nil && !strings.Contains(s, ":") {
		return netip.Addr{}, fmt.Errorf("%q is no IPv6 address", s)
	}
	return addr, err
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// hostPort is a host, which may be an address, and a port.
type hostPort struct {
	host string
	port uint16 // 0: none was given
}

func (h hostPort) String() string { return net.JoinHostPort(h.host, strconv.Itoa(int(h.port))) }

// hostPortText returns HOST:PORT, or nothing after a mistake.
func hostPortText(h hostPort) string {
	if h.host == "" {
		return ""
	}
	return h.String()
}

// splitHostPort takes HOST, HOST:PORT, [IPV6], [IPV6]:PORT and a bare IPv6 address apart, without a look
// at what HOST is.
func splitHostPort(s string) (hostPort, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return hostPort{host: s}, nil
	}
	host, rest := s, ""
	if inner, after, ok := strings.Cut(strings.TrimPrefix(s, "["), "]"); ok && s[0] == '[' {
		host, rest = inner, after
		if _, err := parseIPv6(host); err != nil || rest != "" && rest[0] != ':' {
			return hostPort{}, fmt.Errorf("%q is no [IPV6] or [IPV6]:PORT", s)
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, rest = s[:i], s[i:]
	}
	if rest == "" {
		return hostPort{host: host}, nil
	}
	if strings.Contains(rest[1:], ":") {
		return hostPort{}, fmt.Errorf("%q has too many colons: an IPv6 address with a port is written [ADDRESS]:PORT", s)
	}
	port, err := parsePort(rest[1:])
	if err != nil {
		return hostPort{}, fmt.Errorf("%q: port %w", s, err)
	}
	return hostPort{host, port}, nil
}

// parseHost takes HOST or HOST:PORT. An address comes back in its shortest form, a name as it was written.
func parseHost(s string) (hostPort, error) {
	if strings.Contains(s, "://") {
		return hostPort{}, fmt.Errorf("%q is a URL: write its host and port only", s)
	}
	h, err := splitHostPort(s)
	if err != nil {
		return hostPort{}, err
	}
	if _, err := netip.ParseAddr(h.host); err == nil {
		addr, err := parseAddr(h.host)
		return hostPort{addr.String(), h.port}, err
	}
	if !isHostName(h.host) {
		return hostPort{}, fmt.Errorf("%q is neither an address nor a host name", h.host)
	}
	return h, nil
}

// parseDNSName takes the name of a DNS look-up.
func parseDNSName(s string) (hostPort, error) {
	if !isHostName(s) {
		return hostPort{}, fmt.Errorf("%q is no name that can be looked up in the DNS", s)
	}
	return hostPort{host: s}, nil
}

// parseOwner takes the name of a record: relative, or with a final dot.
func parseOwner(s string) (string, error) {
	if !isHostName(s) {
		return "", fmt.Errorf("%q is no domain name", s)
	}
	return strings.ToLower(s), nil
}

// parseHostPort takes HOST:PORT.
func parseHostPort(s string) (hostPort, error) {
	h, err := parseHost(s)
	if err == nil && h.port == 0 {
		return hostPort{}, fmt.Errorf("%q has no port: write HOST:PORT", s)
	}
	return h, err
}

// parseProxy takes ADDRESS or ADDRESS:PORT. Port 0 stands for the default.
func parseProxy(s string) (netip.AddrPort, error) {
	h, err := splitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := parseAddr(h.host)
	return netip.AddrPortFrom(addr, h.port), err
}

// parseStatus takes the address of a listener, where a host name would be a riddle. Port 0 is any that is free.
func parseStatus(s string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(s)
	if err == nil {
		return addr, nil
	}
	hint := ""
	switch h, err := splitHostPort(s); {
	case err == nil && h.port != 0 && h.host == "":
		hint = fmt.Sprintf(": for all addresses write %q", "[::]"+s)
	case err == nil && h.port != 0 && h.host == "localhost":
		hint = fmt.Sprintf(": did you mean %q?", "127.0.0.1:"+strconv.Itoa(int(h.port)))
	}
	return netip.AddrPort{}, fmt.Errorf("%q is no ADDRESS:PORT such as 127.0.0.1:8053%s", s, hint)
}

// plainScheme before an address says that it has no TLS.
const plainScheme = "http://"

// isPlainPort reports whether the address has the port that is plain HTTP by itself (RFC 9110 4.2.1).
func isPlainPort(addr string) bool { return strings.HasSuffix(addr, ":80") }

// parseListen takes HOST:PORT, :PORT or fd/N, each with http:// or without.
func parseListen(s string) (Listener, error) {
	addr, plain := strings.CutPrefix(s, plainScheme)
	addr, err := parseListenAddr(addr)
	return Listener{Addr: addr, Plain: plain || isPlainPort(addr)}, err
}

func parseListenAddr(s string) (string, error) {
	if n, ok := strings.CutPrefix(s, "fd/"); ok {
		_, err := parseCount(n, 0, noLimit)
		return s, err
	}
	if strings.Contains(s, "://") {
		return "", fmt.Errorf("%q: no other scheme than http:// may stand here", s)
	}
	h, err := splitHostPort(s)
	switch _, notPort := parsePort(s); {
	case err != nil:
		return "", err
	case notPort == nil:
		return "", fmt.Errorf("%q has no colon: did you mean %q?", s, ":"+s)
	case h.port == 0:
		return "", fmt.Errorf("%q is none of HOST:PORT, :PORT and fd/N", s)
	case h.host == "":
		return s, nil
	}
	if _, err := netip.ParseAddr(h.host); err != nil && !isHostName(h.host) {
		return "", fmt.Errorf("%q is neither an address nor a host name", h.host)
	}
	return s, nil
}

func parsePrefix(s string, words ...string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is no prefix such as 192.168.1.0/24 or fd12:3456::/48%s", s, didYouMean(s, words))
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind its length: did you mean %q?", s, p.Masked())
	}
	return p, nil
}

func parseOnlyPrefix(s string) (netip.Prefix, error) { return parsePrefix(s) }

// parseSuffix takes the low bits of an IPv6 address, with the length of the prefix that they follow.
func parseSuffix(s string) (netip.Prefix, error) {
	low, length, given := strings.Cut(s, "/")
	bits := defaultPrefixBits
	var err error
	if given {
		bits, err = parseCount(length, 1, 127)
	}
	addr, bad := netip.ParseAddr(low)
	if err != nil || bad != nil || addr.Zone() != "" || addr.Is4In6() || addr.IsUnspecified() {
		return netip.Prefix{}, fmt.Errorf("%q is no ::SUFFIX or ::SUFFIX/LEN such as ::10/64", s)
	}
	p := netip.PrefixFrom(addr, bits)
	if !p.Masked().Addr().IsUnspecified() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set in the first %d, which are the detected prefix", s, bits)
	}
	return p, nil
}

func parseDuration(s string, shortest time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && d >= shortest:
		return d, nil
	case err == nil:
		return 0, fmt.Errorf("%q is too short: at least %v", s, shortest)
	}
	hint := ""
	if _, err := strconv.Atoi(s); err == nil {
		hint = fmt.Sprintf(": did you mean %q?", s+"s")
	}
	return 0, fmt.Errorf("%q is no duration such as 2s or 500ms%s", s, hint)
}

// parseTTL takes a duration that a resource record can hold.
func parseTTL(s string) (time.Duration, error) {
	d, err := parseDuration(s, 0)
	switch {
	case err != nil:
		return 0, err
	case d%time.Second != 0:
		return 0, fmt.Errorf("%q is not in whole seconds, as the DNS has them", s)
	case d > maxTTL:
		return 0, fmt.Errorf("%q is too long: at most %v", s, maxTTL)
	}
	return d, nil
}

func parseCount(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err == nil && least <= n && n <= most:
		return n, nil
	case most == noLimit:
		return 0, fmt.Errorf("%q is not a whole number of %d or more", s, least)
	}
	return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, least, most)
}

func parseID(s string) (string, error) {
	s = strings.ToLower(s)
	if len(s) != idLength || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no machineIdentifier: 40 hex digits, as GET /identity shows them", s)
	}
	return s, nil
}

func parseEmail(s string) (string, error) {
	addr, err := mail.ParseAddress(s)
	if err != nil || addr.Address != s {
		return "", fmt.Errorf("%q is no mail address such as mail@example.com", s)
	}
	return s, nil
}

func parseHTTPS(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is no URL such as https://example.com/path", s)
	}
	return s, nil
}

// parseSecretURL takes a URL with any scheme. It may hold a password, so that messages do not repeat it.
func parseSecretURL(s string) (Secret, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if u, err := url.Parse(scheme + ":"); !ok || rest == "" || err != nil || u.Scheme == "" {
		return Secret{}, errors.New("[redacted] has no scheme: write it as ntfy://, smtp:// or another that shoutrrr knows")
	}
	return NewSecret(s), nil
}
