package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"golang.org/x/sys/unix"
)

// Supported says whether the platform has lanes.
const Supported = true

// systems is what the system itself does.
var systems = kernel{listen: listen, steer: steer, unsteer: unsteer, ask: ask}

const (
	// receiveBuffer is what a socket asks for: room for some 6,000 questions, 30 ms at full speed, where the kernel's
	// default has 280.
	receiveBuffer = 4 << 20
	// sendPatience is how long an answer waits for room in the send buffer, in milliseconds. After that the network is
	// slower than we are, and an answer that comes late is of no use.
	sendPatience = 1
	// smallAnswer is the length up to which an answer goes out in one piece whatever networks it comes through, with its
	// headers: 1280 bytes for IPv6 (RFC 8200, 5), and RFC 9715 asks for no more.
	smallAnswer = 1232
)

// control is one control message, aligned as such: an IPV6_PKTINFO, or the smaller IP_PKTINFO.
type control [(unix.SizeofCmsghdr + unix.SizeofInet6Pktinfo + 7) / 8]uint64

// path is how a packet came and goes back: the client's address and the local one, as the kernel has them.
type path struct {
	name    unix.RawSockaddrInet6 // or a RawSockaddrInet4 in its first bytes
	length  uint32                // of the name
	control control
	size    int // of the control message; 0: none
}

// socket is a [conn] that reads and writes by recvmmsg and sendmmsg. The usual packages for these allocate an address for
// each packet; this one never looks at addresses but to tell a block who asks, and sends an answer to the very bytes
// that the question came with.
type socket struct {
	file    *os.File // unknown to the runtime's poller
	raw     syscall.RawConn
	at      net.Addr
	cpu     int // see options
	watch   *watch
	stopped atomic.Bool

	wildcard bool // each packet brings the local address that its answer shall leave from
	// What is done with the descriptor, made once: making one allocates.
	doWatch, doRest, doRead, doWait, doSend func(fd uintptr)
	tryRead                                 func(uintptr) bool
	unwatched                               error // of doWatch

	// A packet's answer goes out by what the packet came in with.
	messages    [batchSize]unix.Mmsghdr
	vectors     [batchSize]unix.Iovec
	names       [batchSize]unix.RawSockaddrInet6
	controls    [batchSize]control
	buffers     [batchSize][packetSize]byte
	got         int // packets of the last read
	first, sent int // slots whose answers wait to be sent
	longest     int // of these, in bytes
	refused     int
	errno       unix.Errno

	divides atomic.Bool // the kernel may send answers in pieces
}

// listen opens a socket at the address, as CoreDNS does, so that both are in one group.
func listen(addr string, cpu int) (conn, error) {
	pc, err := reuseport.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	defer pc.Close()
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("a socket of type %T", pc)
	}
	file, err := unpolled(udp)
	if err != nil {
		return nil, err
	}
	s := &socket{file: file, at: udp.LocalAddr(), cpu: cpu}
	if s.watch, err = newWatch(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// unpolled returns the socket of a connection as a file that the runtime's poller does not know, once the connection is
// closed. Reading from it waits for patience unless it is asked not to.
func unpolled(udp *net.UDPConn) (*os.File, error) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, failed := -1, error(nil)
	if err := raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", failed)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	failed = errors.Join(
		os.NewSyscallError("fcntl F_SETFL", unix.SetNonblock(fd, false)),
		os.NewSyscallError("setsockopt SO_RCVTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)),
	)
	if failed != nil {
		return nil, errors.Join(failed, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), udp.LocalAddr().String()), nil //nolint:gosec // a descriptor
}

// prepare sets the options of the socket and what stays the same from batch to batch.
func (s *socket) prepare() error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	s.raw = raw
	at, ok := s.at.(*net.UDPAddr)
	s.wildcard = ok && at.IP.IsUnspecified()
	var failed error
	err = raw.Control(func(fd uintptr) { failed = s.options(int(fd)) }) //nolint:gosec // a descriptor
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	s.doRead, s.doWait, s.doSend, s.tryRead = s.receive, s.await, s.send, s.tryReceive
	s.doWatch, s.doRest = func(fd uintptr) { s.unwatched = s.watch.begin(fd) }, s.watch.end
	for i := range batchSize {
		s.messages[i].Hdr.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		s.messages[i].Hdr.Iov = &s.vectors[i]
		s.messages[i].Hdr.SetIovlen(1)
	}
	s.got = batchSize // all are to be made ready for the first read
	return nil
}

// options asks for a large buffer, for what comes by its CPU and, on a wildcard address, for the local address of each packet.
func (s *socket) options(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		// Without the right to, net.core.rmem_max is the limit.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return os.NewSyscallError("setsockopt SO_RCVBUF", err)
		}
	}
	if size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
		log.Debugf("fast lane at %s: receive buffer of %d bytes", s.at, size)
	}
	// What is never sent in pieces needs no number for them to be put together by, which all CPUs draw from one place: a
	// twelfth of what an answer costs. A kernel that does not know it is as good, but for that.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	// The kernel looks for the group by a member. For a moment it finds one that is being closed, which is in no group any
	// more, and gives it the packet; unless another one suits better, by whose group it then goes. As old as Linux 4.4,
	// newer than gVisor.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_INCOMING_CPU, s.cpu)
	if !s.wildcard {
		return nil
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	if family == unix.AF_INET {
		return os.NewSyscallError("setsockopt IP_PKTINFO", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	}
	// On such a socket this tells the address of an IPv4 packet as well, in IPv6 form, and takes it back like that.
	return os.NewSyscallError("setsockopt IPV6_RECVPKTINFO",
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
}

// divide has the kernel send long packets in pieces from now on, as it does for CoreDNS's sockets, and reports whether it
// did not before.
func (s *socket) divide(fd uintptr) bool {
	return !s.divides.Swap(true) &&
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT) == nil //nolint:gosec // a descriptor
}

// read implements [conn]. While there is nothing the goroutine waits in the runtime's poller.
func (s *socket) read(slots []slot) (int, error) {
	if s.stopped.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	if !s.watch.on {
		if n, err := s.poll(slots); n > 0 || err != nil {
			return n, err
		}
		if err := s.raw.Control(s.doWatch); err != nil {
			return 0, err
		}
		if s.unwatched != nil {
			return 0, s.unwatched
		}
	}
	if err := s.watch.wait(s.tryRead); err != nil {
		return 0, err
	}
	return s.fill(slots)
}

// wait implements [conn].
func (s *socket) wait(slots []slot) (int, error) { return s.once(s.doWait, slots) }

// nap implements [conn]. Raw, so that the scheduler does not take the CPU for others meanwhile, who would have it for
// longer than the nap takes.
func (*socket) nap() {
	d := unix.NsecToTimespec(napTime.Nanoseconds())
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&d)), 0, 0) // a signal ends it: as good
}

// poll implements [conn].
func (s *socket) poll(slots []slot) (int, error) {
	if s.watch.on {
		_ = s.raw.Control(s.doRest) // what follows tells if it is closed
	}
	return s.once(s.doRead, slots)
}

// once reads once, whether there is a packet or not.
func (s *socket) once(read func(fd uintptr), slots []slot) (int, error) {
	if err := s.raw.Control(read); err != nil {
		return 0, err
	}
	if s.errno == unix.EAGAIN {
		return 0, nil
	}
	return s.fill(slots)
}

// tryReceive reads a batch and reports whether the wait for one is over.
func (s *socket) tryReceive(uintptr) bool {
	for range 2 {
		if s.raw.Control(s.doRead) != nil {
			s.errno = unix.EBADF // it is closed
		}
		if s.errno != unix.EAGAIN {
			return true
		}
		if !s.watch.tells() {
			break
		}
	}
	return false
}

// receive reads the packets that there are.
func (s *socket) receive(fd uintptr) { s.receiveBy(fd, unix.MSG_DONTWAIT) }

// await reads the packets that there are, or waits for one: for patience, or until a signal comes, by which the runtime
// stops a thread.
func (s *socket) await(fd uintptr) { s.receiveBy(fd, unix.MSG_WAITFORONE) }

func (s *socket) receiveBy(fd, flags uintptr) {
	for i := range s.got { // the others are as they were
		s.vectors[i].Base = &s.buffers[i][0]
		s.vectors[i].SetLen(packetSize)
		hdr := &s.messages[i].Hdr
		hdr.Namelen = unix.SizeofSockaddrInet6
		if s.wildcard {
			hdr.Control = (*byte)(unsafe.Pointer(&s.controls[i]))
			hdr.SetControllen(int(unsafe.Sizeof(control{})))
		}
	}
	s.got = 0
	// Raw: telling the scheduler of each call has it wake others to look after this thread.
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&s.messages)), batchSize, flags, 0, 0)
	switch s.errno = errno; errno {
	case 0:
		s.got = int(n) //nolint:gosec // at most batchSize
	case unix.EINTR:
		s.errno = unix.EAGAIN
	}
}

// fill gives what was read to the slots.
func (s *socket) fill(slots []slot) (int, error) {
	if s.errno != 0 {
		return 0, os.NewSyscallError("recvmmsg", s.errno)
	}
	for i := range s.got {
		slots[i].packet = s.buffers[i][:s.messages[i].Len]
		slots[i].from = client4or6(&s.names[i])
		slots[i].shared = s.wildcard && isShared(&s.messages[i].Hdr, &s.controls[i])
	}
	return s.got, nil
}

// client4or6 reads an address as the kernel has it.
func client4or6(name *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port)
}

// write implements [conn]. Slots in a row go out together.
func (s *socket) write(slots []slot) int {
	s.refused = 0
	for i := 0; i < len(slots); {
		if len(slots[i].answer) == 0 {
			i++
			continue
		}
		s.first, s.longest = i, 0
		for ; i < len(slots) && len(slots[i].answer) > 0; i++ {
			s.put(i, slots[i].answer)
		}
		s.sent = i
		if err := s.raw.Control(s.doSend); err != nil {
			s.refused += s.sent - s.first
		}
	}
	return s.refused
}

// put has an answer go where the slot's packet came from.
func (s *socket) put(i int, answer []byte) {
	hdr := &s.messages[i].Hdr
	s.vectors[i].Base = &answer[0]
	s.vectors[i].SetLen(len(answer))
	if s.wildcard {
		size := leaveFrom(hdr, &s.controls[i])
		if hdr.SetControllen(size); size == 0 {
			hdr.Control = nil
		}
	}
	s.longest = max(s.longest, len(answer))
}

// send sends what is ready. The kernel stops at a packet that it does not send and says why when it is the first:
// that one is left out, for the others have nothing to do with it.
func (s *socket) send(fd uintptr) {
	if s.longest > smallAnswer {
		s.divide(fd)
	}
	waited := false
	for done := s.first; done < s.sent; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.messages[done])), uintptr(s.sent-done),
			unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			done += int(n) //nolint:gosec // at most batchSize
		case errno == unix.EINTR, errno == unix.EMSGSIZE && s.divide(fd):
		case errno == unix.EAGAIN && !waited:
			waited = true
			awaitRoom(fd)
		case errno == unix.EAGAIN:
			s.refused += s.sent - done
			return
		default:
			s.refused++
			done++
		}
	}
}

// awaitRoom waits for room in the send buffer, sendPatience at most.
func awaitRoom(fd uintptr) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, sendPatience) //nolint:gosec // sending again tells
}

// isShared reports whether a packet was sent to a multicast or broadcast address: the kernel gives a copy to each socket
// of the group. That of a subnet cannot be told on a socket for both families.
func isShared(hdr *unix.Msghdr, c *control) bool {
	switch level, data := message(hdr, c); level {
	case unix.IPPROTO_IPV6:
		addr := netip.AddrFrom16((*unix.Inet6Pktinfo)(data).Addr).Unmap()
		return addr.IsMulticast() || addr == broadcast
	case unix.IPPROTO_IP:
		info := (*unix.Inet4Pktinfo)(data)
		return info.Addr != info.Spec_dst && info.Spec_dst != [4]byte{} // the kernel does not always know its own
	}
	return false
}

// broadcast is the address of all hosts of a link.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// message returns the level and the data of the control message that came with a packet: IPPROTO_IPV6 and an
// Inet6Pktinfo, or IPPROTO_IP and an Inet4Pktinfo; -1 if there is none.
func message(hdr *unix.Msghdr, c *control) (level int32, data unsafe.Pointer) {
	cmsg := (*unix.Cmsghdr)(unsafe.Pointer(c))
	none := hdr.Control == nil || hdr.Controllen < unix.SizeofCmsghdr || hdr.Flags&unix.MSG_CTRUNC != 0
	switch {
	case none:
	case cmsg.Level == unix.IPPROTO_IPV6 && cmsg.Type == unix.IPV6_PKTINFO,
		cmsg.Level == unix.IPPROTO_IP && cmsg.Type == unix.IP_PKTINFO:
		return cmsg.Level, unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	}
	return -1, nil
}

// leaveFrom makes the control message that came with a packet one that has the answer leave from the address that the
// packet was sent to, and returns its size; 0 if the kernel shall choose.
func leaveFrom(hdr *unix.Msghdr, c *control) int {
	switch level, data := message(hdr, c); level {
	case unix.IPPROTO_IPV6:
		if info := (*unix.Inet6Pktinfo)(data); !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0 // routes decide which way it goes
		}
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	case unix.IPPROTO_IP:
		(*unix.Inet4Pktinfo)(data).Ifindex = 0
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	return 0
}

// path implements [conn].
func (s *socket) path(i int) path {
	size := leaveFrom(&s.messages[i].Hdr, &s.controls[i])
	return path{name: s.names[i], length: s.messages[i].Hdr.Namelen, control: s.controls[i], size: size}
}

// reply implements [conn].
func (s *socket) reply(packet []byte, p *path) error {
	if len(packet) == 0 {
		return nil
	}
	vec := unix.Iovec{Base: &packet[0]}
	vec.SetLen(len(packet))
	hdr := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&p.name)), Namelen: p.length, Iov: &vec}
	hdr.SetIovlen(1)
	if p.size > 0 {
		hdr.Control = (*byte)(unsafe.Pointer(&p.control))
		hdr.SetControllen(p.size)
	}
	var errno unix.Errno
	if err := s.raw.Control(func(fd uintptr) {
		if len(packet) > smallAnswer {
			s.divide(fd)
		}
		errno = s.sendOne(fd, &hdr)
	}); err != nil {
		return err
	}
	if errno != 0 {
		return os.NewSyscallError("sendmsg", errno)
	}
	return nil
}

// sendOne sends one packet, in the same patience as send.
func (s *socket) sendOne(fd uintptr, hdr *unix.Msghdr) unix.Errno {
	for waited := false; ; {
		_, _, errno := unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(hdr)), unix.MSG_DONTWAIT)
		switch {
		case errno == unix.EINTR, errno == unix.EMSGSIZE && s.divide(fd):
		case errno == unix.EAGAIN && !waited:
			waited = true
			awaitRoom(fd)
		default:
			return errno
		}
	}
}

// zone implements [conn].
func (*socket) zone(p *path) string {
	if p.name.Family != unix.AF_INET6 || p.name.Scope_id == 0 {
		return ""
	}
	return interfaces.name(int(p.name.Scope_id))
}

// local implements [conn].
func (s *socket) local() net.Addr { return s.at }

// retire implements [conn]. A socket that is connected, to nobody who would ever send, is none that the kernel leads the
// packets of a group to (Linux 5.4); one on all addresses leaves the group altogether.
func (s *socket) retire() error {
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = connect(int(fd), reachable(s.local())) }) //nolint:gosec // a descriptor
	return errors.Join(err, failed)
}

// connect connects a socket to the discard port of the first of the hosts that can be had.
func connect(fd int, hosts []netip.AddrPort) error {
	const discard = 9
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	for _, host := range hosts {
		var to unix.Sockaddr
		switch {
		case family == unix.AF_INET6:
			to = &unix.SockaddrInet6{Port: discard, Addr: host.Addr().As16(), ZoneId: scope(host.Addr())}
		case host.Addr().Is4():
			to = &unix.SockaddrInet4{Port: discard, Addr: host.Addr().As4()}
		default:
			continue
		}
		if err = unix.Connect(fd, to); err == nil {
			return nil
		}
	}
	return os.NewSyscallError("connect", err)
}

// scope returns the number of the interface of a link-local address, 0 for others.
func scope(addr netip.Addr) uint32 {
	if i, err := net.InterfaceByName(addr.Zone()); addr.Zone() != "" && err == nil {
		return uint32(i.Index) //nolint:gosec // from 1
	}
	return 0
}

// stop implements [conn].
func (s *socket) stop() {
	s.stopped.Store(true)
	s.watch.stop()
}

func (s *socket) close() error { return errors.Join(s.watch.close(), s.file.Close()) }

// interfaceNames knows the names of interfaces for a minute each, as the net package does for its own sockets: asking
// the kernel takes as long as answering a question.
type interfaceNames struct {
	mu    sync.Mutex
	names map[int]string
	until time.Time
}

var interfaces interfaceNames

func (n *interfaceNames) name(index int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.names == nil || now.After(n.until) {
		n.names, n.until = map[int]string{}, now.Add(time.Minute)
	}
	if name, ok := n.names[index]; ok {
		return name
	}
	name := strconv.Itoa(index)
	if i, err := net.InterfaceByIndex(index); err == nil {
		name = i.Name
	}
	n.names[index] = name
	return name
}

// ask sends the datagrams to the address from a socket that has nothing to do with the lane.
func ask(ctx context.Context, to netip.AddrPort, datagrams [][]byte) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, d := range datagrams {
		if _, err := conn.Write(d); err != nil {
			return err
		}
	}
	return nil
}
