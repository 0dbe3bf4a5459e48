//go:build !unix

package demo

import "syscall"

func janitorAttr() *syscall.SysProcAttr { return nil }

func ignoreTerminal() {}
