package duckdns

import (
	"net/netip"
	"strings"

	"plexha/zones"
)

// What DuckDNS says.
const (
	answerOK       = "OK"
	answerKO       = "KO"
	answerUpdated  = "UPDATED"
	answerNoChange = "NOCHANGE"
)

// replyIn reads the answer to an update. It is OK or KO, and, since the library asks for it, after OK the IPv4
// address, the IPv6 address and UPDATED or NOCHANGE, a line each; blank is the address of a family that was not
// sent (www.duckdns.org/spec.jsp). A lone OK is taken for one, though it proves less. The zero Addr was not
// sent, and is not looked for.
func replyIn(body string, sent netip.Addr) (Reply, error) {
	lines := strings.Split(strings.TrimSpace(body), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	switch last := lines[len(lines)-1]; {
	case lines[0] == answerKO:
		return Reply{}, ErrRefused
	case lines[0] != answerOK:
		return Reply{}, ErrForeign
	case len(lines) == 1:
		return Reply{Changed: true}, nil
	case last != answerUpdated && last != answerNoChange:
		return Reply{}, ErrForeign
	default:
		return Reply{Changed: last == answerUpdated}, echoes(lines[1:len(lines)-1], sent)
	}
}

// echoes tells what is wrong with the lines that should repeat the address. One of the other family is what
// DuckDNS already had.
func echoes(lines []string, sent netip.Addr) error {
	if !sent.IsValid() {
		return nil
	}
	repeated := false
	for _, line := range lines {
		if line == "" {
			continue
		}
		a, err := netip.ParseAddr(line)
		switch {
		case err != nil:
			return ErrForeign
		case a.Unmap() == sent:
			repeated = true
		case zones.FamilyOf(sent).Has(a):
			return ErrEcho
		}
	}
	if !repeated {
		return ErrEcho
	}
	return nil
}
