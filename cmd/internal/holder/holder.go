// Package holder finds out who holds a port that a program wants, for words that help its operator.
package holder

import (
	"cmp"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
)

// Holder is a socket at a port, with the process that has it.
type Holder struct {
	Network string // tcp or udp
	At      netip.AddrPort
	Listens bool   // it takes connections or datagrams of strangers; else it is one end of a connection
	UID     int    // the user whose process opened it
	PID     int    // 0: the process can't be seen from here
	Name    string // of the process, cut off after 15 bytes as the kernel does; empty without PID
}

// String says who it is, such as "dnsmasq (pid 812) holds udp 0.0.0.0:53".
func (h Holder) String() string {
	who := h.Name + " (pid " + strconv.Itoa(h.PID) + ")"
	if h.PID == 0 {
		who = "a process of " + userName(h.UID)
	}
	what := " holds "
	if !h.Listens {
		what = " has a connection that goes out from "
	}
	return who + what + h.Network + " " + h.At.String()
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return "user " + u.Username
	}
	return "user number " + strconv.Itoa(uid)
}

// conflicts reports whether the socket is in the way of one at another address. One at all IPv6 addresses is taken
// to be one at all IPv4 addresses as well, as it is unless its program asked for less.
func (h Holder) conflicts(at netip.AddrPort) bool {
	held, wanted := h.At.Addr(), at.Addr().Unmap().WithZone("")
	switch {
	case h.At.Port() != at.Port():
		return false
	case held == wanted, held == netip.IPv6Unspecified(), wanted == netip.IPv6Unspecified():
		return true
	case held.IsUnspecified(), wanted.IsUnspecified():
		return held.Is4() && wanted.Is4()
	default:
		return false
	}
}

// rank puts the likeliest holder of an address first: those that listen before others, and those at the very address
// before those at all of them.
func rank(all []Holder, at netip.AddrPort) []Holder {
	points := func(h Holder) (n int) {
		if !h.Listens {
			n += 2
		}
		if h.At.Addr() != at.Addr().Unmap().WithZone("") {
			n++
		}
		return n
	}
	slices.SortStableFunc(all, func(a, b Holder) int { return cmp.Compare(points(a), points(b)) })
	return all
}

// parseAt takes an address as package net has it in its errors: without a host it is all addresses.
func parseAt(text string) (netip.AddrPort, error) {
	if len(text) > 0 && text[0] == ':' {
		text = "[::]" + text
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("reading an address: %w", err)
	}
	return at, nil
}
