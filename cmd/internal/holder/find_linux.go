package holder

import "net/netip"

// howTo shows the operator what this user may not see.
const howTo = "sudo ss -lntup"

// Find returns who holds a port of a network, tcp or udp, at an address or at all of them, in the way of whoever wants
// it there; the likeliest first. A process of another user shows without its name to all but root.
func Find(network string, at netip.AddrPort) ([]Holder, error) {
	return proc("/proc").find(network, at)
}

// Others returns the sockets of other processes at the very address where one of this process listens: both can, if
// both ask for SO_REUSEPORT and run as one user, and the kernel deals out between them what comes.
func Others(network string, at netip.AddrPort) ([]Holder, error) {
	return proc("/proc").others(network, at)
}
