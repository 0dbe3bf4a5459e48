// Package via sends packets out through one network interface, for an uplink with `via INTERFACE`.
//
// On Linux the socket is bound to the interface, so that its packets leave there whatever the routing table
// prefers: there must be a route through it, of any metric. Elsewhere the socket is bound to an address of the
// interface, and the routing table has to send packets from that address the right way.
package via

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"plexha/zones"
)

// Path is a way out. The zero Path is what the routing table says.
type Path struct {
	Interface string     // the interface that packets leave through; empty: the routing table's
	Source    netip.Addr // the address that they come from, for destinations of its family; the zero Addr: the kernel's choice
}

// AddressError says that an interface has no address of a family, so that nothing can be sent from it.
type AddressError struct {
	Interface string
	Family    zones.Family // 0: of either
}

// Error implements error.
func (e *AddressError) Error() string {
	if e.Family == 0 {
		return fmt.Sprintf("interface %s has no address", e.Interface)
	}
	return fmt.Sprintf("interface %s has no %s address", e.Interface, e.Family)
}

// Dial connects as [net.Dialer.DialContext] does. The destination should be an address: a name would be looked
// up by the system's resolver, by whatever way, and [Path.Source] would not apply unless the network is that of
// one family, such as tcp4. An interface without an address of the destination's family is an [*AddressError].
func (p Path) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	source, err := p.source(network, address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: p.control()}
	switch {
	case !source.IsValid():
	case strings.HasPrefix(network, "tcp"):
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	case strings.HasPrefix(network, "udp"):
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	return d.DialContext(ctx, network, address)
}

// ListenPacket listens as [net.ListenConfig.ListenPacket] does, for sending to more than one destination. The
// network must be udp4 or udp6. Where the address has no host it is [Path.Source].
func (p Path) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	source, err := p.source(network, "")
	if err != nil {
		return nil, err
	}
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" && source.IsValid() {
		address = net.JoinHostPort(source.String(), port)
	}
	return (&net.ListenConfig{Control: p.control()}).ListenPacket(ctx, network, address)
}

// source returns the address that packets of one connection come from, the zero Addr for the kernel's choice.
func (p Path) source(network, address string) (netip.Addr, error) {
	f := familyOf(network, address)
	chosen := p.Source
	if !f.Has(chosen) {
		chosen = netip.Addr{}
	}
	if p.Interface == "" {
		return chosen, nil
	}
	first, err := firstAddr(p.Interface, f)
	if err != nil || chosen.IsValid() || bindsToInterface {
		return chosen, err
	}
	return first, nil
}

// control returns what is done to a socket before it is used; nil: nothing.
func (p Path) control() func(network, address string, raw syscall.RawConn) error {
	if p.Interface == "" {
		return nil
	}
	return func(_, _ string, raw syscall.RawConn) error { return bindTo(p.Interface, raw) }
}

// familyOf returns the family that a connection will have; 0: that of a name, which nobody knows yet.
func familyOf(network, address string) zones.Family {
	switch {
	case strings.HasSuffix(network, "4"):
		return zones.IPv4
	case strings.HasSuffix(network, "6"):
		return zones.IPv6
	}
	host, _, _ := net.SplitHostPort(address)
	if addr, err := netip.ParseAddr(host); err == nil {
		return zones.FamilyOf(addr)
	}
	return 0
}

// firstAddr returns the interface's first address of a family that can be used beyond the link, of any family
// for 0. Linux would take another interface's where this one has none, and wait for answers that never come.
func firstAddr(name string, f zones.Family) (netip.Addr, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("interface %s does not exist", name)
	}
	addrs, err := ifc.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the addresses of interface %s: %w", name, err)
	}
	return firstOf(name, addrs, f)
}

func firstOf(name string, addrs []net.Addr, f zones.Family) (netip.Addr, error) {
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(ipnet.IP)
		if addr = addr.Unmap(); addr.IsValid() && !addr.IsLinkLocalUnicast() && (f == 0 || f.Has(addr)) {
			return addr, nil
		}
	}
	return netip.Addr{}, &AddressError{Interface: name, Family: f}
}
