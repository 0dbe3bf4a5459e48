package probe

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// linkSilence is how long the other host may be silent: linkIdle, then linkTries keepalives, less half a step
// since the kernel looks when the step is over, give or take a tick.
const linkSilence = linkIdle + linkTries*linkEvery - linkEvery/2

// limitSilence has the kernel give a connection up after linkSilence. The option overrides the count of
// keepalives (tcp(7), TCP_USER_TIMEOUT), so that with nobody to urge it the second one is the last.
func limitSilence(_, _ string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(linkSilence.Milliseconds()))
	}); e != nil {
		return e
	}
	return err
}

// urge returns when to call it again. When the last keepalive is unanswered after linkEvery it has the kernel
// send the next one now: setting TCP_KEEPIDLE, even to what it is, starts the keepalive timer anew, and that
// fires at once when the connection has been idle for longer (net/ipv4/tcp.c, tcp_sock_set_keepidle_locked).
func urge(conn *net.TCPConn) time.Duration {
	raw, err := conn.SyscallConn()
	if err != nil {
		return linkIdle
	}
	next := linkIdle
	_ = raw.Control(func(fd uintptr) { // a closed connection: Read says so
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		silent := time.Duration(info.Last_ack_recv) * time.Millisecond
		if next = linkIdle + linkEvery - silent; next > 0 {
			return
		}
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(linkIdle/time.Second))
		next = linkEvery
	})
	return next
}
