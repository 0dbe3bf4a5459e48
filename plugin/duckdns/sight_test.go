package duckdns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"plexha/plugin/duckdns"
	"plexha/plugin/resolve"
)

// shows is what the n-th name server shows.
func shows(n int, addrs ...netip.Addr) duckdns.Shown {
	return duckdns.Shown{Server: server(n), Addrs: addrs}
}

func silent(n int, err error) duckdns.Shown { return duckdns.Shown{Server: server(n), Err: err} }

func server(n int) resolve.NameServer {
	return resolve.NameServer{
		Name: fmt.Sprintf("ns%d.duckdns.org.", n),
		Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:53", n)),
	}
}

func TestWhatALookShows(t *testing.T) {
	inside := netip.MustParseAddr("192.168.1.2")
	foreign := fmt.Errorf("asking ns1: %w", duckdns.ErrNotAuthoritative)
	type shown = []duckdns.Shown
	for _, tc := range []struct {
		name  string
		shown shown
		err   error
		want  string
	}{
		{"all show it", shown{shows(1, wanAddr), shows(2, wanAddr)}, nil, "verified by 2 of 2"},
		{
			"all that answer show it",
			shown{shows(1, wanAddr), silent(2, context.DeadlineExceeded)},
			nil,
			"verified by 1 of 2",
		},
		{
			"it is shown as an IPv4 address within IPv6",
			shown{shows(1, netip.AddrFrom16(wanAddr.As16()))},
			nil, "verified by 1 of 1",
		},
		{"they do not agree", shown{shows(1, wanAddr), shows(2, newAddr)}, nil, "propagating by 1 of 2"},
		{
			"all show another one",
			shown{shows(1, newAddr), shows(2, newAddr)},
			nil,
			"differs by 0 of 2: 203.0.113.77",
		},
		{
			"all show it and another one, in any order",
			shown{shows(1, wanAddr, newAddr), shows(2, newAddr, wanAddr)},
			nil,
			"differs by 0 of 2: 203.0.113.1 and 203.0.113.77",
		},
		{"all show none", shown{shows(1), shows(2)}, nil, "differs by 0 of 2: no address"},
		{
			"nobody answers",
			shown{silent(1, context.DeadlineExceeded)},
			nil,
			"unreachable by 0 of 1: context deadline exceeded",
		},
		{
			"nobody is known", nil, errors.New("looking up duckdns.org: network is unreachable"),
			"unreachable by 0 of 0: looking up duckdns.org: network is unreachable",
		},
		{
			"somebody without authority",
			shown{silent(1, foreign)},
			nil,
			"intercepted by 0 of 1: 192.0.2.1:53: asking ns1: the answer is not authoritative",
		},
		{
			"an address of the inside",
			shown{shows(1, inside), shows(2, inside)},
			nil,
			"intercepted by 0 of 2: 192.0.2.1:53 shows 192.168.1.2, a private address",
		},
		{
			"an address of the inside from one, another one from the rest",
			shown{shows(1, inside), shows(2, newAddr)},
			nil,
			"intercepted by 0 of 2: 192.0.2.1:53 shows 192.168.1.2, a private address",
		},
		{
			"somebody without authority, and all others show it",
			shown{silent(1, foreign), shows(2, wanAddr)},
			nil,
			"verified by 1 of 2: 192.0.2.1:53: asking ns1: the answer is not authoritative",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := duckdns.Judge(tc.shown, tc.err, wanAddr); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
