package standin

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// packetServer answers packets over UDP and TCP, as those of DNS, or over one of them. It ends by close.
type packetServer struct {
	// reply returns the answer to a packet; nil: none, and over TCP the connection ends.
	reply func(packet []byte, from netip.AddrPort, udp bool) []byte

	udp   net.PacketConn // nil: TCP alone
	tcp   net.Listener   // nil: UDP alone
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
}

// listenBoth listens at one address over TCP and UDP. Port 0 becomes one that is free for both, most likely.
func listenBoth(addr netip.AddrPort) (net.Listener, net.PacketConn, error) {
	var lc net.ListenConfig
	tcp, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, nil, err
	}
	udp, err := lc.ListenPacket(context.Background(), "udp", tcp.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp, nil
}

// start begins to answer.
func (s *packetServer) start() {
	s.conns = map[net.Conn]bool{}
	if s.udp != nil {
		s.wg.Go(s.serveUDP)
	}
	if s.tcp != nil {
		s.wg.Go(s.serveTCP)
	}
}

// close ends it, and waits for that. An answer that is being made must not wait for anything then.
func (s *packetServer) close() {
	if s.udp != nil {
		_ = s.udp.Close()
	}
	if s.tcp != nil {
		_ = s.tcp.Close()
	}
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *packetServer) serveUDP() {
	packet := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(packet)
		if err != nil {
			return
		}
		question := append([]byte(nil), packet[:n]...)
		s.wg.Go(func() { // an answer may be late, and others are not to wait for it
			if reply := s.reply(question, addrOf(from), true); reply != nil {
				_, _ = s.udp.WriteTo(reply, from)
			}
		})
	}
}

func (s *packetServer) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.conns == nil {
			_ = c.Close()
		} else {
			s.conns[c] = true
			s.wg.Go(func() { s.serveConn(c) })
		}
		s.mu.Unlock()
	}
}

// serveConn answers the questions of one connection, each after its length (RFC 1035, 4.2.2).
func (s *packetServer) serveConn(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	for {
		var length uint16
		if err := binary.Read(c, binary.BigEndian, &length); err != nil {
			return
		}
		packet := make([]byte, length)
		if _, err := io.ReadFull(c, packet); err != nil {
			return
		}
		reply := s.reply(packet, addrOf(c.RemoteAddr()), false)
		if reply == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// addrOf returns the address and port of one who asks.
func addrOf(a net.Addr) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// late is how much later a slow answer comes.
const late = 2 * time.Second
