package door

import (
	"net"
	"syscall"
)

// listenerOf returns the process that listens where a connection leads (unix(7), SO_PEERCRED); 0: one that cannot be
// seen from here.
func listenerOf(c *net.UnixConn) (pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var wrong error
	err = raw.Control(func(fd uintptr) {
		var who *syscall.Ucred
		if who, wrong = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); wrong == nil {
			pid = int(who.Pid)
		}
	})
	if err == nil {
		err = wrong
	}
	return pid, err
}
