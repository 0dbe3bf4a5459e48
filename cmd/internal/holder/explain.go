package holder

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Program is one of ours that wants a port.
type Program string

// The programs.
const (
	PlexDNS   Program = "plexdns"
	PlexProxy Program = "plexproxy"
)

// Explain adds to an error of binding an address what stands in the way, and what to do about it, line by line. Any
// other error comes back as it is. It goes by the words of package net, since the caddy that CoreDNS is built on keeps
// nothing else of an error.
func Explain(p Program, err error) error { return explain(p, err, Find) }

// finder is [Find].
type finder func(network string, at netip.AddrPort) ([]Holder, error)

func explain(p Program, err error, find finder) error {
	if err == nil {
		return nil
	}
	b, ok := parseBindError(err.Error())
	if !ok {
		return err
	}
	var lines []string
	switch b.trouble {
	case inUse:
		lines = inTheWay(p, b, find)
	case forbidden:
		lines = []string{forbiddenAdvice(p, b)}
	case noAddress:
		lines = []string{"this machine has no such address (yet): `ip addr` shows those that it has; one that moves between " +
			"machines can be had in advance with sysctl net.ipv4.ip_nonlocal_bind=1"}
	}
	return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
}

// trouble is why an address can't be had.
type trouble uint8

const (
	inUse trouble = iota
	forbidden
	noAddress
)

// troubles are the words of Linux, then those of the BSDs where they are others, then of Windows.
var troubles = map[string]trouble{
	"address already in use": inUse,
	"Only one usage of each socket address (protocol/network address/port) is normally permitted": inUse,

	"permission denied": forbidden,
	"An attempt was made to access a socket in a way forbidden by its access permissions": forbidden,

	"cannot assign requested address":                   noAddress,
	"can't assign requested address":                    noAddress,
	"The requested address is not valid in its context": noAddress,
}

// bindError is what the words of an error tell.
type bindError struct {
	network string // tcp or udp
	at      netip.AddrPort
	trouble trouble
}

// bindWords match such as "listen udp 127.0.0.1:53: bind: address already in use".
var bindWords = regexp.MustCompile(`\blisten (tcp|udp)[46]? (\S+): bind: ([^\n]+)`)

func parseBindError(text string) (bindError, bool) {
	m := bindWords.FindStringSubmatch(text)
	if m == nil {
		return bindError{}, false
	}
	at, err := parseAt(m[2])
	if err != nil {
		return bindError{}, false
	}
	for words, t := range troubles {
		if strings.HasPrefix(m[3], words) {
			return bindError{m[1], at, t}, true
		}
	}
	return bindError{}, false
}

// most is how many holders of one port are named: more would hide what to do.
const most = 3

// inTheWay says who holds the port, as far as that can be seen, and what to do about the likeliest of them.
func inTheWay(p Program, b bindError, find finder) []string {
	all, err := find(b.network, b.at)
	unseen := conflict{wants: p, bindError: b, holder: Holder{At: b.at}}
	switch {
	case err != nil:
		return []string{fmt.Sprintf("somebody else has it, whom %#q shows: stop that, or %s", howTo, unseen.elsewhere())}
	case len(all) == 0:
		return []string{fmt.Sprintf("whoever had it is gone, or out of our sight: try again, look with %#q, or %s",
			howTo, unseen.elsewhere())}
	}
	var lines []string
	for _, h := range all[:min(len(all), most)] {
		lines = append(lines, h.String())
	}
	if all[0].PID == 0 {
		lines = append(lines, fmt.Sprintf("%#q may show more of it", howTo))
	}
	return append(lines, advice(p, b, all[0]))
}
