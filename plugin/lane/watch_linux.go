package lane

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch is how a goroutine waits for a socket's packets in the runtime's poller. The poller knows a socket of the net
// package from its first moment to its last, and that costs a fifteenth of each answer: the kernel calls it for each
// packet that has come, and for each that has gone and made room. So the poller knows this, an epoll instance, which
// knows the socket only while somebody waits, or has waited last.
type watch struct {
	epoll *os.File
	raw   syscall.RawConn // of the same
	fd    int             // of the same
	on    bool            // it knows the socket
	event unix.EpollEvent // room for what it tells
}

func newWatch() (*watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Only what does not block is given to the poller. Nobody reads from this one.
	err = os.NewSyscallError("fcntl F_SETFL", unix.SetNonblock(fd, true))
	w := &watch{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd} //nolint:gosec // a descriptor
	if err == nil {
		w.raw, err = w.epoll.SyscallConn()
	}
	if err == nil {
		err = w.epoll.SetReadDeadline(time.Time{}) // fails if the poller has not taken it
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// begin has the socket watched.
func (w *watch) begin(socket uintptr) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	if err := unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, int(socket), &event); err != nil { //nolint:gosec // a descriptor
		return os.NewSyscallError("epoll_ctl", err)
	}
	w.on = true
	return nil
}

// end has it watched no more.
func (w *watch) end(socket uintptr) {
	w.on = unix.EpollCtl(w.fd, unix.EPOLL_CTL_DEL, int(socket), nil) != nil //nolint:gosec // a descriptor
}

// tells asks whether the socket has packets, after it has been read empty. To ask ends what the kernel has told of those
// that were read, without which some kernels do not tell of the next: gVisor's.
func (w *watch) tells() bool {
	fd := uintptr(w.fd) //nolint:gosec // a descriptor
	n, _, _ := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&w.event)), 1, 0, 0, 0)
	return n == 1
}

// wait waits until try reports success. It is called at first, and then whenever there may be packets.
func (w *watch) wait(try func(uintptr) bool) error { return w.raw.Read(try) }

// stop ends a wait, and each later one at once.
func (w *watch) stop() { _ = w.epoll.SetReadDeadline(time.Unix(1, 0)) } // fails if it is closed: as good

func (w *watch) close() error { return w.epoll.Close() }
