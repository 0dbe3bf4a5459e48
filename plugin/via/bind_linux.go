package via

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindsToInterface says whether packets leave by the interface without a source address that leads there.
const bindsToInterface = true

// bindTo has the socket send and receive through one interface only (socket(7), SO_BINDTODEVICE).
func bindTo(name string, raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), name) }); e != nil {
		return e
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("binding to interface %s needs CAP_NET_RAW, or Linux 5.7: %w", name, err)
	}
	if err != nil {
		return fmt.Errorf("binding to interface %s: %w", name, err)
	}
	return nil
}
