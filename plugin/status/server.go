package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
)

// What a client is given.
const (
	readTimeout     = 5 * time.Second  // to send a request, which is a few lines
	writeTimeout    = 10 * time.Second // to take an answer, of a few dozen kilobytes
	idleTimeout     = 30 * time.Second
	shutdownTimeout = 250 * time.Millisecond // to take the last answer when we end
	maxHeader       = 8 << 10                // bytes
)

// socketMode lets those in who may write orders to the state folder, whose mode is 770: its owner's group.
const socketMode = 0o660

// Socket returns the path of plexdns's socket in a state folder.
func Socket(dir string) string { return filepath.Join(dir, "plexdns.sock") }

// guest is a cluster that a server shows.
type guest struct {
	Source

	public bool
}

// server is one listener with the clusters that are shown there.
type server struct {
	guests  atomic.Pointer[[]*guest] // in the order in which they came; replaced as a whole
	version string
	socket  string // where it listens, unless at an address: whoever reaches that may change things
	http    *http.Server
	ended   sync.WaitGroup
	isLost  func() bool // nobody new can reach it: somebody has taken the socket's file away
}

func newServer(o Options) *server {
	s := &server{version: o.Version, isLost: func() bool { return false }}
	s.guests.Store(new([]*guest))
	s.http = &http.Server{
		Handler: s, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
	}
	return s
}

// change replaces the guests. Its callers take turns.
func (s *server) change(with func([]*guest) []*guest) {
	s.guests.Store(new(with(slices.Clone(*s.guests.Load()))))
}

func (s *server) serve(l net.Listener, warn func(string)) {
	s.ended.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			warn(fmt.Sprintf("showing the status at %s: %v", l.Addr(), err))
		}
	})
}

func (s *server) close() {
	if s.socket != "" && !s.isLost() {
		_ = os.Remove(s.socket) // one that stays is taken over by the next server
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // whoever is that slow is cut off
	}
	s.ended.Wait()
}

// ListenError is why nothing can be shown at an address.
type ListenError struct {
	Addr netip.AddrPort
	Err  error
}

// Unwrap returns Err.
func (e *ListenError) Unwrap() error { return e.Err }

// Error implements error. It says what to do, in words that are not those of a DNS port's error.
func (e *ListenError) Error() string {
	errno, ok := errors.AsType[syscall.Errno](e.Err)
	if !ok {
		return fmt.Sprintf("listening at %s for the status page: %v", e.Addr, e.Err)
	}
	said := fmt.Sprintf("listening at %s for the status page: %v", e.Addr, errno)
	switch errno { //nolint:exhaustive // the others speak for themselves
	case syscall.EADDRINUSE:
		return fmt.Sprintf("%s: another program has that port, or a plexdns of another user (see ss -ltnp sport = :%d): "+
			"give another one with a line such as `status 127.0.0.1:8063`", said, e.Addr.Port())
	case syscall.EACCES:
		return said + ": ports below 1024 are root's: give another one with a line such as `status 127.0.0.1:8053`"
	case syscall.EADDRNOTAVAIL:
		return said + ": this machine does not have that address: give one of its own, as in `status 127.0.0.1:8053`"
	default:
		return said
	}
}

// atAddr listens at an address, where another instance of this process may listen still.
func atAddr(o Options) (*server, error) {
	l, err := reuseport.Listen("tcp", o.Addr.String())
	if err != nil {
		return nil, &ListenError{o.Addr, err}
	}
	s := newServer(o)
	s.serve(l, o.Warn)
	o.Info("the status is shown at http://" + l.Addr().String() + "/status.json")
	return s, nil
}

// atSocket listens at the socket in the state folder. Whoever listened there before is not connected to any
// more, and needs not know.
func atSocket(o Options) (*server, error) {
	path := Socket(o.Dir)
	l, err := listenBeside(path)
	if err != nil {
		return nil, fmt.Errorf("listening at the socket %s: %w", path, err)
	}
	mine, err := takeOver(l, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening at the socket %s: %w", path, err), l.Close(), os.Remove(l.Addr().String()))
	}
	s := newServer(o)
	s.socket, s.isLost = path, func() bool { return !isAt(path, mine) }
	s.serve(l, o.Warn)
	o.Info("plexctl is listened to at " + path)
	return s, nil
}

// listenBeside listens at a new name in the folder of path.
func listenBeside(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, errors.New("there is something else of that name")
	}
	free, err := os.CreateTemp(filepath.Dir(path), ".*.sock")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(free.Close(), os.Remove(free.Name())); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: free.Name(), Net: "unix"})
	if errors.Is(err, syscall.EINVAL) { // unix(7): 108 bytes
		return nil, errors.New("the path is too long for a socket: give a shorter folder with `state DIR`")
	}
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the name is not the listener's for long
	return l, nil
}

// takeOver gives the listener its name, and returns what then stands there.
func takeOver(l *net.UnixListener, path string) (os.FileInfo, error) {
	beside := l.Addr().String()
	if err := os.Chmod(beside, socketMode); err != nil {
		return nil, err
	}
	info, err := os.Lstat(beside)
	if err != nil {
		return nil, err
	}
	return info, os.Rename(beside, path)
}

// isAt reports whether a file is still at its path.
func isAt(path string, mine os.FileInfo) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(now, mine)
}

// ofProxies are header fields that only proxies add, beside all X-Forwarded ones.
var ofProxies = []string{"Forwarded", "Via", "X-Real-Ip"}

// isLocal reports whether a request comes from this machine, and was not handed on by a proxy here.
func (s *server) isLocal(r *http.Request) bool {
	if s.socket != "" {
		return true
	}
	for name := range r.Header {
		if slices.Contains(ofProxies, name) || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback()
}

// isNamed reports whether a page elsewhere can not have made up the host that is asked: a name that somebody
// lets lead to this machine (DNS rebinding) is none of ours.
func (s *server) isNamed(host string) bool {
	if s.socket != "" {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
