package lane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// program returns the steering as the kernel runs it, for each packet, from the first byte after its UDP header. What
// comes from one client stays at one socket as long as the network card says who it is.
func (s steering) program() ([]bpf.RawInstruction, error) {
	var prog []bpf.Instruction
	if s.key != (key{}) {
		first, second := binary.BigEndian.Uint32(s.key[:4]), binary.BigEndian.Uint32(s.key[4:])
		prog = append(prog,
			bpf.LoadExtension{Num: bpf.ExtLen},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(sightSize), SkipTrue: 6},
			bpf.LoadAbsolute{Off: 0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: first, SkipTrue: 4},
			bpf.LoadAbsolute{Off: 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: second, SkipTrue: 2},
			bpf.LoadAbsolute{Off: uint32(len(key{})), Size: 2},
			bpf.RetA{},
		)
	}
	if len(s.places) > 1 {
		prog = append(prog,
			bpf.LoadExtension{Num: bpf.ExtRXHash},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
			bpf.LoadExtension{Num: bpf.ExtRand},                             // a network card that does not hash
			bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(len(s.places))}, //nolint:gosec // the sockets of a lane
		)
		for i, place := range s.places[:len(s.places)-1] {
			prog = append(prog,
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(i), SkipTrue: 1}, //nolint:gosec // see above
				bpf.RetConstant{Val: uint32(place)},                             //nolint:gosec // see above
			)
		}
	}
	prog = append(prog, bpf.RetConstant{Val: uint32(s.places[len(s.places)-1])}) //nolint:gosec // see above
	return bpf.Assemble(prog)
}

// steer has the kernel lead the packets of the socket's group.
func steer(to conn, s steering) error {
	prog, err := s.program()
	if err != nil {
		return fmt.Errorf("assembling: %w", err)
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]} //nolint:gosec // two for each socket of a lane
	return onSocket(to, func(fd int) error {
		return os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF",
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fprog))
	})
}

// unsteer leaves the choice to the kernel again. Linux before 5.3 cannot take a program away.
func unsteer(to conn) error {
	err := onSocket(to, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	})
	if err == nil || errors.Is(err, unix.ENOENT) { // there is none
		return nil
	}
	return steer(to, steering{places: []int{nowhere}})
}

// onSocket does something with a socket's descriptor.
func onSocket(to conn, do func(fd int) error) error {
	s, ok := to.(*socket)
	if !ok {
		return fmt.Errorf("a socket of type %T", to)
	}
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = do(int(fd)) }) //nolint:gosec // a descriptor
	return errors.Join(err, failed)
}
