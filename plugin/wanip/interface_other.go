//go:build !linux

package wanip

import (
	"errors"
	"net"
	"net/netip"

	"plexha/plugin/via"
	"plexha/zones"
)

// hostAddrs returns the addresses of this host. Nothing more is known of them than that they are there.
func hostAddrs() ([]hostAddr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []hostAddr
	for _, ifc := range interfaces {
		addrs, err := ifc.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err == nil && prefix.Addr().Unmap().IsGlobalUnicast() {
				out = append(out, hostAddr{Addr: prefix.Addr().Unmap(), Index: ifc.Index})
			}
		}
	}
	return out, nil
}

// way is how packets leave this host.
type way struct {
	index   int
	gateway netip.Addr
}

// wayOut is known on Linux only.
func wayOut(via.Path, zones.Family) (way, error) {
	return way{}, errors.New("the routes of this system are not read: say where the router is, as in `router at ADDRESS`")
}
