package via_test

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"plexha/plugin/via"
)

// The socket is bound, whatever the routing table says.
func TestBound(t *testing.T) {
	lo := loopback(t)
	conn, err := via.Path{Interface: lo}.Dial(t.Context(), "udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if e := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE) }); e != nil {
		t.Fatal(e)
	}
	if err != nil || got != lo {
		t.Errorf("bound to %q, %v; want %q", got, err, lo)
	}
}
