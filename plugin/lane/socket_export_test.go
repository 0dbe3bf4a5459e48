//go:build linux

package lane

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// IsShared reports whether a packet that the kernel says was sent to an address is told to have been sent to many hosts.
// The local address is given for a socket for IPv4 alone.
func IsShared(to, local string) bool {
	var c control
	hdr := unix.Msghdr{Control: (*byte)(unsafe.Pointer(&c))}
	cmsg := (*unix.Cmsghdr)(unsafe.Pointer(&c))
	data := unsafe.Add(unsafe.Pointer(&c), unix.CmsgLen(0))
	if local == "" {
		hdr.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
		cmsg.Level, cmsg.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
		(*unix.Inet6Pktinfo)(data).Addr = netip.MustParseAddr(to).As16()
		return isShared(&hdr, &c)
	}
	hdr.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
	cmsg.Level, cmsg.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	info := (*unix.Inet4Pktinfo)(data)
	info.Addr, info.Spec_dst = netip.MustParseAddr(to).As4(), netip.MustParseAddr(local).As4()
	return isShared(&hdr, &c)
}

// Divides reports whether the kernel may send long answers of the lane at the address in pieces.
func (l *Lanes) Divides(addr string) bool {
	_, at := l.find(nil, addr)
	divides := false
	for _, w := range at.workers {
		_ = onSocket(w.conn, func(fd int) error {
			how, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER)
			divides = divides || err != nil || how != unix.IP_PMTUDISC_PROBE
			return err
		})
	}
	return divides
}

// Socket is one of a lane, without a worker.
type Socket struct {
	*socket
	slots [batchSize]slot
}

// OpenSocket opens one.
func OpenSocket(tb testing.TB, addr string) *Socket {
	tb.Helper()
	c, err := listen(addr, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return &Socket{socket: c.(*socket)}
}

// Addr returns where it listens.
func (s *Socket) Addr() net.Addr { return s.local() }

// Read waits for packets, Wait for some ms at most, Poll not at all; they return how many there were.
func (s *Socket) Read() (int, error) { return s.read(s.slots[:]) }
func (s *Socket) Wait() (int, error) { return s.wait(s.slots[:]) }
func (s *Socket) Poll() (int, error) { return s.poll(s.slots[:]) }

// Stop ends reads, Close all.
func (s *Socket) Stop()        { s.stop() }
func (s *Socket) Close() error { return s.close() }

// Watched reports whether the kernel calls for each of its packets.
func (s *Socket) Watched(tb testing.TB) bool {
	tb.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", s.watch.fd))
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Contains(string(info), "tfd:")
}
