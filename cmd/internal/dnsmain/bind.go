package dnsmain

import (
	"net"
	"net/netip"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	"plexha/cmd/internal/holder"
)

// explained adds to an error of a start who holds the port that it wants, and what to do.
func explained(err error) error { return holder.Explain(holder.PlexDNS, err) }

// warnOfSharers logs who else listens where the instance does. CoreDNS asks for SO_REUSEPORT, so that the kernel has
// nothing against a second one of the same user: each would get a part of the questions, and one of them may have an
// old Corefile.
func warnOfSharers(instance *caddy.Instance) {
	told := map[int]bool{}
	for _, server := range instance.Servers() {
		for _, addr := range []net.Addr{server.Addr(), server.LocalAddr()} {
			for _, h := range sharers(addr) {
				if !told[h.PID] {
					told[h.PID] = true
					clog.Warningf("%v as well, and each of us gets a part of the questions: end one of the two", h)
				}
			}
		}
	}
}

// sharers returns who else listens at an address of ours: none where that can't be found out.
func sharers(addr net.Addr) []holder.Holder {
	at, ok := addr.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return nil // such as that of a server which listens with one of both networks alone
	}
	where := netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), at.AddrPort().Port())
	all, err := holder.Others(addr.Network(), where)
	if err != nil {
		return nil
	}
	return all
}
