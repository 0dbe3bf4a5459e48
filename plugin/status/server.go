package status

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/coredns/coredns/plugin/pkg/reuseport"

	"plexha/plugin/status/door"
	"plexha/plugin/status/page"
)

// Socket returns the path of plexdns's socket in a state folder.
func Socket(dir string) string { return filepath.Join(dir, "plexdns.sock") }

// guest is a cluster that a server shows.
type guest struct {
	Source

	public bool
}

// house is who is shown at one time.
type house struct {
	guests  []*guest      // in the order in which they came
	changed chan struct{} // closed when there is another house
}

// server is one listener with the clusters that are shown there.
type server struct {
	house   atomic.Pointer[house] // replaced as a whole
	version string
	host    string                // this machine's name
	pages   map[bool]*page.Studio // of this machine, and of others
	door    *door.Door
	http    *door.Server
	ended   sync.WaitGroup
	isLost  func() bool // nobody new can reach it: somebody has taken the socket's file away
}

// newServer returns a server that listens nowhere yet.
func newServer(o Options) *server {
	host, _ := os.Hostname() // without one the page has none
	s := &server{version: o.Version, host: host, isLost: func() bool { return false }}
	s.house.Store(&house{changed: make(chan struct{})})
	s.pages = map[bool]*page.Studio{
		true:  page.NewStudio(func() page.Doc { return s.doc(true) }),
		false: page.NewStudio(func() page.Doc { return s.doc(false) }),
	}
	s.door = &door.Door{Line: "status", Routes: s.routes(), Public: func() bool { return len(s.shown(false)) > 0 }}
	s.http = door.NewServer(s.door)
	return s
}

// change replaces the guests. Its callers take turns.
func (s *server) change(with func([]*guest) []*guest) {
	old := s.house.Load()
	s.house.Store(&house{with(slices.Clone(old.guests)), make(chan struct{})})
	close(old.changed)
}

func (s *server) serve(l net.Listener, warn func(string)) {
	s.ended.Go(func() {
		if err := s.http.Serve(l); err != nil {
			warn(fmt.Sprintf("showing the status at %s: %v", l.Addr(), err))
		}
	})
}

func (s *server) close() {
	s.http.Close()
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
	o.Info("the status is shown at http://" + l.Addr().String() + "/")
	return s, nil
}

// atSocket listens at the socket in the state folder.
func atSocket(o Options) (*server, error) {
	l, err := door.Listen(Socket(o.Dir))
	if err != nil {
		return nil, err
	}
	s := newServer(o)
	s.door.Socket, s.isLost = true, l.IsLost
	s.serve(l, o.Warn)
	o.Info("plexctl is listened to at " + Socket(o.Dir))
	return s, nil
}
