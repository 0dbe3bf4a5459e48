//go:build unix

package demo

import (
	"os/signal"
	"syscall"
)

// janitorAttr keeps the janitor out of the terminal's reach: what ends the demo there must not end it first.
func janitorAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ignoreTerminal lets the janitor set a terminal that it is in the background of, and outlive it.
func ignoreTerminal() {
	signal.Ignore(syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGHUP, syscall.SIGINT)
}
