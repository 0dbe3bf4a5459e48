package lane

import (
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin/pkg/transport"
	"golang.org/x/sys/unix"
)

// readLimit is for how long a read of one of CoreDNS's sockets may keep its thread in the system call.
const readLimit = 100 * time.Millisecond

// limitReads ends reads of CoreDNS's sockets at the address that wait in the system call rather than in the runtime's
// poller. Its sockets do not block, but for a moment at each reload: net.FilePacketConn and net.FileListener, by which
// they are handed down, make them block, and no more (go.dev/issue/29277). A server that reads just then waits for a
// packet, which a lane leads elsewhere: it would never end, nor would the reload. Who inherits a socket has the limit, too.
func limitReads(addr string) {
	_, text, err := net.SplitHostPort(strings.TrimPrefix(addr, transport.DNS+"://"))
	if err != nil {
		return
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		log.Debugf("fast lane at %s: reads of other sockets are not limited: %v", addr, err)
		return
	}
	for _, d := range descriptors {
		// Whose number is another's by the time that it is looked at has a limit that it does not need either.
		if fd, err := strconv.Atoi(d.Name()); err == nil && listens(fd, port) {
			limit := unix.NsecToTimeval(readLimit.Nanoseconds())
			_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
		}
	}
}

// listens reports whether a descriptor is a socket of the port that is not meant to block, as the lane's are.
func listens(fd, port int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0) //nolint:gosec // a descriptor
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		return false
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return at.Port == port
	case *unix.SockaddrInet6:
		return at.Port == port
	}
	return false
}
