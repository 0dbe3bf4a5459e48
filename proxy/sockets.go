package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Sockets are bound here and kept over Caddy's configurations, whose listeners share them (see [doors]). Caddy's own
// way opens a second one for each new configuration and closes the first, and with it the connections that the
// kernel has queued there.

// socketKey is a network and an address of the Corefile.
type socketKey struct{ network, addr string }

// socket is one that listens. Caddy's listeners are copies of it (HTTP/3), or come through a [door].
type socket struct {
	file *os.File // nil unless it is ours
	fd   uintptr
	port uint16
	ours bool // to be closed
}

func (s *socket) close() {
	if s.ours {
		_ = s.file.Close() // it is done with
	}
}

// sockets are those of the process, by what the Corefile calls them.
type sockets struct {
	open   map[socketKey]*socket
	handed []handed // by the service manager
}

// handed is a socket that the service manager has opened for us, by where it listens.
type handed struct {
	network string
	at      netip.AddrPort
	socket  *socket
}

// firstHanded is the first file descriptor of those that a service manager hands over (sd_listen_fds(3)).
const firstHanded = 3

// takeHanded takes over the sockets of the environment, which is then nobody else's.
func takeHanded() ([]handed, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name) // it fails for names that no environment has
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, fmt.Errorf("reading LISTEN_FDS: %w", err)
	}
	var all []handed
	for fd := uintptr(firstHanded); fd < firstHanded+uintptr(n); fd++ {
		syscall.CloseOnExec(int(fd))
		h, err := inspect(fd)
		if err != nil {
			return nil, fmt.Errorf("looking at file descriptor %d of LISTEN_FDS: %w", fd, err)
		}
		all = append(all, h)
	}
	return all, nil
}

// inspect finds out where a socket listens, by a copy: a file of the descriptor itself would close it when it is
// forgotten, and by then it may be somebody else's.
func inspect(fd uintptr) (handed, error) {
	own, err := syscall.Dup(int(fd))
	if err != nil {
		return handed{}, os.NewSyscallError("dup", err)
	}
	file := os.NewFile(uintptr(own), "handed over")
	defer func() { _ = file.Close() }() // a copy
	h := handed{network: "tcp", socket: &socket{fd: fd}}
	var addr net.Addr
	if l, err := net.FileListener(file); err == nil {
		defer func() { _ = l.Close() }() // a copy
		addr = l.Addr()
	} else {
		c, err := net.FilePacketConn(file)
		if err != nil {
			return handed{}, err
		}
		defer func() { _ = c.Close() }() // a copy
		h.network, addr = "udp", c.LocalAddr()
	}
	at, ok := addr.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return handed{}, fmt.Errorf("%v is no address with a port", addr)
	}
	h.at = at.AddrPort()
	h.socket.port = h.at.Port()
	return h, nil
}

// bind returns the sockets of all keys: those that there are, and new ones for the others. If one can't be had there
// are no new ones.
func (s *sockets) bind(ctx context.Context, keys []socketKey) (map[socketKey]*socket, error) {
	all := map[socketKey]*socket{}
	for _, key := range keys {
		if all[key] != nil {
			continue
		}
		sock := s.open[key]
		if sock == nil {
			var err error
			if sock, err = s.get(ctx, key); err != nil {
				s.drop(all)
				return nil, err
			}
		}
		all[key] = sock
	}
	return all, nil
}

// drop closes sockets, but for those that are in use.
func (s *sockets) drop(all map[socketKey]*socket) {
	for key, sock := range all {
		if s.open[key] != sock {
			sock.close()
		}
	}
}

// use puts sockets in the place of those before, which are closed where they do not go on.
func (s *sockets) use(all map[socketKey]*socket) {
	old := s.open
	s.open = all
	s.drop(old)
}

func (s *sockets) get(ctx context.Context, key socketKey) (*socket, error) {
	if number, ok := strings.CutPrefix(key.addr, "fd/"); ok {
		return s.numbered(key.addr, number)
	}
	for _, h := range s.handed {
		if h.network == key.network && sameAddress(h.at, key.addr) {
			return h.socket, nil
		}
	}
	return listen(ctx, key)
}

// numbered returns the socket of fd/N.
func (s *sockets) numbered(addr, number string) (*socket, error) {
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	for _, h := range s.handed {
		if h.socket.fd == uintptr(fd) {
			return h.socket, nil
		}
	}
	h, err := inspect(uintptr(fd))
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w: the process that starts this one must hand over a socket that listens", addr, err)
	}
	s.handed = append(s.handed, h)
	return h.socket, nil
}

// sameAddress reports whether a socket listens where the Corefile says.
func sameAddress(at netip.AddrPort, addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != strconv.Itoa(int(at.Port())) {
		return false
	}
	want, err := netip.ParseAddr(host)
	if host == "" {
		return at.Addr().IsUnspecified()
	}
	return err == nil && want.Unmap() == at.Addr().Unmap()
}

// listen opens a socket. There is no second one that Caddy's configurations could share, so that whoever else has
// the address is told of.
func listen(ctx context.Context, key socketKey) (*socket, error) {
	var lc net.ListenConfig
	var from interface {
		File() (*os.File, error)
		Close() error
	}
	var addr net.Addr
	if key.network == "tcp" {
		l, err := lc.Listen(ctx, "tcp", key.addr)
		if err != nil {
			return nil, err
		}
		from, addr = l.(*net.TCPListener), l.Addr()
	} else {
		c, err := lc.ListenPacket(ctx, "udp", key.addr)
		if err != nil {
			return nil, err
		}
		from, addr = c.(*net.UDPConn), c.LocalAddr()
	}
	defer func() { _ = from.Close() }() // the file is a copy
	file, err := from.File()
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", key.addr, err)
	}
	fd, err := number(file)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", key.addr, errors.Join(err, file.Close()))
	}
	port := addr.(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	return &socket{file: file, fd: fd, port: port, ours: true}, nil
}

// number returns the file's descriptor. File.Fd would make it a blocking one.
func number(file *os.File) (fd uintptr, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(n uintptr) { fd = n })
	return fd, err
}
