//go:build unix

package dnsmain

import (
	"os"
	"syscall"
)

var (
	stopSignals   = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	reloadSignals = []os.Signal{syscall.SIGUSR1}
	// A closed terminal must not end a service, and CoreDNS has its process replacement on SIGUSR2, which
	// a supervisor does better.
	ignoredSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR2}
)
