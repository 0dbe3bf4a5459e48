package demo

import "syscall"

// childAttr keeps a terminal's Ctrl-C to the parent, which ends its children in order, and lets the kernel end
// them if the parent is killed. The kernel looks at the thread that started the child: the Go runtime ends
// none but those locked to a goroutine that ends (golang.org/issue/27505), and none is here.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
