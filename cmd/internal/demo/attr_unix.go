//go:build unix && !linux

package demo

import "syscall"

// childAttr keeps a terminal's Ctrl-C to the parent, which ends its children in order.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
