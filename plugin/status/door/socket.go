package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socketMode lets those in who may write orders to the state folder, whose mode is 770: its owner's group.
const socketMode = 0o660

// Socket is a Unix socket that listens at a path.
type Socket struct {
	net.Listener

	path string
	mine os.FileInfo // what stands there as long as nobody takes it away
}

// Listen listens at a path. Whoever of this process listened there before is not connected to any more, and needs not
// know; another process that listens there is left alone, with an error.
func Listen(path string) (*Socket, error) {
	if err := isFree(path); err != nil {
		return nil, fmt.Errorf("listening at the socket %s: %w", path, err)
	}
	l, err := listenBeside(path)
	if err != nil {
		return nil, fmt.Errorf("listening at the socket %s: %w", path, err)
	}
	mine, err := takeOver(l, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening at the socket %s: %w", path, err), l.Close(), os.Remove(l.Addr().String()))
	}
	return &Socket{Listener: l, path: path, mine: mine}, nil
}

// IsLost reports whether nobody new can reach it: somebody has taken the file away, or the path over.
func (s *Socket) IsLost() bool {
	now, err := os.Lstat(s.path)
	return err != nil || !os.SameFile(now, s.mine)
}

// Addr returns where it listens.
func (s *Socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// Close ends it, and takes its file away.
func (s *Socket) Close() error {
	if !s.IsLost() {
		_ = os.Remove(s.path) // one that stays is taken over by the next one
	}
	return s.Listener.Close()
}

// isFree returns an error if another process listens at the path. What a dead one has left there is nobody's.
func isFree(path string) error {
	c, err := new(net.Dialer).DialContext(context.Background(), "unix", path) // which never waits: the kernel takes it
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return errors.New("a process listens there, and takes no connections any more: end it, or give this one another folder " +
			"with `state DIR`")
	case err != nil:
		return nil // nobody is there
	}
	defer func() { _ = c.Close() }() // nothing was said
	pid, err := listenerOf(c.(*net.UnixConn))
	switch {
	case err != nil:
		return err
	case pid == os.Getpid():
		return nil
	default:
		return fmt.Errorf("another process listens there (pid %d): end it, or give this one another folder with `state DIR`", pid)
	}
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
