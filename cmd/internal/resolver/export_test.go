package resolver

import (
	"io"
	"net"
	"net/netip"
)

// Names are those of the resolvers.
var Names = names

// Machine is a network to find plexdns in: its own addresses, and those of interfaces.
type Machine struct {
	Hosts      []netip.Addr
	Onlink     []netip.Prefix
	Interfaces map[string][]net.Addr
}

// Run is the command on that machine.
func (m Machine) Run(args []string, out io.Writer) error {
	return machine{
		local: func() ([]netip.Addr, []netip.Prefix) { return m.Hosts, m.Onlink },
		named: func(name string) ([]net.Addr, error) {
			if addrs, ok := m.Interfaces[name]; ok {
				return addrs, nil
			}
			return nil, net.UnknownNetworkError(name)
		},
	}.run(args, out)
}
