package wanip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// routerTimeout bounds one question to a router, the search for it included. It is a hop away.
const routerTimeout = 4 * time.Second

// routerSources are the ways to ask the router of a `router` line: the one that it names, or both.
func routerSources(s corefile.Source) []Source {
	var at netip.Addr
	if len(s.At) > 0 {
		at = s.At[0].Addr()
	}
	natpmp := routerSource("natpmp", natPMP{at}.ask)
	upnp := routerSource("upnp", newUPnP(s.Args, at).ask)
	switch s.Transport {
	case "natpmp":
		return []Source{natpmp}
	case "upnp":
		return []Source{upnp}
	default:
		return []Source{natpmp, upnp}
	}
}

// routerSource is one way to ask for the address that the router has outside. Whoever is in the house could answer
// for it.
func routerSource(transport string, ask func(context.Context, via.Path) (netip.Addr, error)) Source {
	s := corefile.Source{Kind: "router", Transport: transport}
	return Source{
		Name: s.String(), Operator: s.Operator(), Nature: Router, Secure: s.Secure(),
		Ask: func(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
			if f != zones.IPv4 {
				return netip.Addr{}, ErrNothing // a router has no IPv6 address for others
			}
			ctx, cancel := context.WithTimeoutCause(ctx, routerTimeout, fmt.Errorf("no answer within %v", routerTimeout))
			defer cancel()
			return ask(ctx, path)
		},
	}
}

// gateway returns the router that a path leads through.
func gateway(path via.Path) (netip.Addr, error) {
	way, err := wayOut(path, zones.IPv4)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case !zones.IPv4.Has(way.gateway):
		return netip.Addr{}, errors.New("no router: packets leave by a link of their own")
	}
	return way.gateway, nil
}

// outside checks what a router has told. Which addresses are good is for the judge to say, but 0.0.0.0 is how
// routers say that they are not connected.
func outside(addr netip.Addr) (netip.Addr, error) {
	if !zones.IPv4.Has(addr) || addr.IsUnspecified() {
		return netip.Addr{}, errors.New("the router has no external address now")
	}
	return addr.Unmap(), nil
}
