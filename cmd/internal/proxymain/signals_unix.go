//go:build unix

package proxymain

import (
	"os"
	"syscall"
)

var (
	stopSignals   = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	reloadSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1} // the latter is what plexdns takes
	// Whoever reads our output may go, and no signal of the user's ends a service by mistake.
	ignoredSignals = []os.Signal{syscall.SIGPIPE, syscall.SIGUSR2}
)
