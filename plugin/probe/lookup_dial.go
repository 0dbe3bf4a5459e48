package probe

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// serverDialer connects one look-up to name servers, but not to our own.
type serverDialer struct {
	ours  func(netip.AddrPort) bool
	share time.Duration // of the look-up's time for one server; 0: all of it

	refused, others atomic.Int32
}

// onlyOurs reports whether there was no server but our own.
func (d *serverDialer) onlyOurs() bool { return d.refused.Load() > 0 && d.others.Load() == 0 }

func (d *serverDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err == nil && d.ours(at) {
		d.refused.Add(1)
		return nil, errOurselves
	}
	d.others.Add(1)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if udp, ok := conn.(*net.UDPConn); ok && d.share > 0 {
		return &hastyConn{udp, d.share}, err
	}
	return conn, err
}

// hastyConn gives a server no more than a share of the time of a look-up. The 5 s of resolv.conf would leave
// none for a second server when the first one is dead.
type hastyConn struct {
	*net.UDPConn
	share time.Duration
}

func (c *hastyConn) SetDeadline(t time.Time) error {
	if soon := time.Now().Add(c.share); soon.Before(t) {
		t = soon
	}
	return c.UDPConn.SetDeadline(t)
}
