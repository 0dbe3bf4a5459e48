//go:build !linux

package via

import "syscall"

// bindsToInterface says whether packets leave by the interface without a source address that leads there.
const bindsToInterface = false

// bindTo does nothing: the source address of the socket is the interface's, and has to do.
func bindTo(string, syscall.RawConn) error { return nil }
