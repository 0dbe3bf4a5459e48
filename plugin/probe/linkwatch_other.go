//go:build !linux

package probe

import (
	"net"
	"syscall"
	"time"
)

// limitSilence leaves it to the keepalives, which some systems send once a second at most.
func limitSilence(_, _ string, _ syscall.RawConn) error { return nil }

// urge does nothing: only Linux tells when the other host was last heard.
func urge(*net.TCPConn) time.Duration { return linkBackoffMost }
