//go:build !linux

package door

import (
	"net"
	"os"
)

// listenerOf takes it for granted that it is this process: nobody tells.
func listenerOf(*net.UnixConn) (pid int, err error) { return os.Getpid(), nil }
