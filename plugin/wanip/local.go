package wanip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"plexha/zones"
)

type uplinkKey struct{}

// withUplink tells the sources that want to know whose address they are asked for.
func withUplink(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, uplinkKey{}, name)
}

func uplinkOf(ctx context.Context) string {
	name, _ := ctx.Value(uplinkKey{}).(string)
	return name
}

// maxText bounds what a command or a file may say. Two addresses are 86 bytes at most.
const maxText = 4 << 10

// addrIn returns the address of a family in a text of the operator's own: one address on each line, at most one
// of each family. Anything else in it is an error, since it was not meant as an address.
func addrIn(text []byte, f zones.Family) (netip.Addr, error) {
	if len(text) > maxText {
		return netip.Addr{}, fmt.Errorf("it says more than %d bytes", maxText)
	}
	found := make(map[zones.Family]netip.Addr)
	for line := range strings.Lines(string(text)) {
		word := strings.TrimSpace(line)
		if word == "" {
			continue
		}
		addr, err := netip.ParseAddr(word)
		if err != nil || addr.Zone() != "" {
			return netip.Addr{}, fmt.Errorf("%q is no address", cut(word))
		}
		addr = addr.Unmap()
		if other, ok := found[zones.FamilyOf(addr)]; ok && other != addr {
			return netip.Addr{}, fmt.Errorf("two %v addresses: %v and %v", zones.FamilyOf(addr), other, addr)
		}
		found[zones.FamilyOf(addr)] = addr
	}
	switch addr, ok := found[f]; {
	case ok:
		return addr, nil
	case len(found) > 0:
		return netip.Addr{}, ErrNothing
	default:
		return netip.Addr{}, errors.New("it says nothing")
	}
}

// maxQuote bounds what is repeated of another program's words.
const maxQuote = 100

// cut makes others' words fit to be repeated in one line.
func cut(s string) string {
	if len(s) > maxQuote {
		s = s[:maxQuote] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
