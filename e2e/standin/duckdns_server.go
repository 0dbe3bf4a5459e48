package standin

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// NameServer is one of the name servers of duckdns.org: each has its own lag and its own troubles.
type NameServer struct {
	duck *DuckDNS

	mu     sync.Mutex
	lag    time.Duration
	frozen time.Time // shows the records of then; zero: goes on
	fault  NameServerFault
	asked  int

	udp   net.PacketConn
	tcp   net.Listener
	wg    sync.WaitGroup
	mine  sync.Mutex
	conns map[net.Conn]bool // nil: closed
}

// NameServerFault is what is wrong with a name server.
type NameServerFault string

// The faults.
const (
	NameServerFine     NameServerFault = ""
	NameServerDrop     NameServerFault = "drop"     // no answer
	NameServerFail     NameServerFault = "servfail" // SERVFAIL
	NameServerTruncate NameServerFault = "truncate" // over UDP only that there is more
)

// SetServers says where the NS records of duckdns.org lead: to ns1, ns2, ... at these addresses.
func (d *DuckDNS) SetServers(addrs ...netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = addrs
}

// NameServer starts a name server at an address, over UDP and TCP. It must be closed.
func (d *DuckDNS) NameServer(addr netip.AddrPort) (*NameServer, error) {
	var lc net.ListenConfig
	tcp, err := lc.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	udp, err := lc.ListenPacket(context.Background(), "udp", tcp.Addr().String())
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	s := &NameServer{duck: d, udp: udp, tcp: tcp, conns: map[net.Conn]bool{}}
	s.wg.Go(s.serveUDP)
	s.wg.Go(s.serveTCP)
	return s, nil
}

// Addr returns where it listens.
func (s *NameServer) Addr() netip.AddrPort { return netip.MustParseAddrPort(s.tcp.Addr().String()) }

// Asked returns how many questions it has got.
func (s *NameServer) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// SetLag makes it show every record so long after it was set.
func (s *NameServer) SetLag(lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag = lag
}

// Freeze makes it show the records of now from now on, or lets it go on.
func (s *NameServer) Freeze(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = time.Time{}
	if on {
		s.frozen = time.Now()
	}
}

// SetFault changes how questions are answered.
func (s *NameServer) SetFault(f NameServerFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Close ends it, and waits for that.
func (s *NameServer) Close() {
	_ = s.udp.Close()
	_ = s.tcp.Close()
	s.mine.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.mine.Unlock()
	s.wg.Wait()
}

func (s *NameServer) serveUDP() {
	packet := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(packet)
		if err != nil {
			return
		}
		if reply := s.reply(packet[:n], true); reply != nil {
			_, _ = s.udp.WriteTo(reply, from)
		}
	}
}

func (s *NameServer) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mine.Lock()
		if s.conns == nil {
			_ = c.Close()
		} else {
			s.conns[c] = true
			s.wg.Go(func() { s.serveConn(c) })
		}
		s.mine.Unlock()
	}
}

// serveConn answers the questions of one connection, each after its length (RFC 1035, 4.2.2).
func (s *NameServer) serveConn(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mine.Lock()
		delete(s.conns, c)
		s.mine.Unlock()
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
		reply := s.reply(packet, false)
		if reply == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// reply returns the answer to a packet; nil: none.
func (s *NameServer) reply(packet []byte, udp bool) []byte {
	q, ok := parseQuestion(packet)
	if !ok {
		return nil
	}
	s.mu.Lock()
	s.asked++
	fault, when := s.fault, time.Now().Add(-s.lag)
	if !s.frozen.IsZero() {
		when = s.frozen
	}
	s.mu.Unlock()
	switch {
	case fault == NameServerDrop:
		return nil
	case fault == NameServerFail:
		return message{question: q, rcode: rcodeFailure}.pack()
	case fault == NameServerTruncate && udp:
		return message{question: q, truncated: true}.pack()
	}
	reply := s.duck.lookup(q, when).pack()
	if udp && len(reply) > q.size {
		return message{question: q, truncated: true}.pack()
	}
	return reply
}

// lookup answers a question about duckdns.org with the records of that time.
func (d *DuckDNS) lookup(q question, when time.Time) message {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := message{question: q}
	labels, ours := strings.CutSuffix("."+strings.ToLower(q.name), duckZone)
	switch label := labels[strings.LastIndexByte(labels, '.')+1:]; {
	case !ours:
		m.rcode = rcodeRefused
		return m
	case labels == "":
		m.answer = d.apexRecords(q.kind)
	case d.tokens[label] != "":
		m.answer = recordsOf(d.at(label, when), q.kind, d.EmptyTXT)
	default:
		if m.answer, ours = d.serverRecords(label, q.kind); !ours {
			m.rcode = rcodeNoName
		}
	}
	if len(m.answer) == 0 {
		m.authority = []rr{soa}
	}
	return m
}

// recordsOf returns the records of a domain, which are those of all names below.
func recordsOf(r DuckRecord, kind uint16, emptyTXT bool) []rr {
	const ttl = 60
	switch {
	case kind == typeA && r.IPv4.IsValid():
		return []rr{{kind: typeA, ttl: ttl, data: r.IPv4.AsSlice()}}
	case kind == typeAAAA && r.IPv6.IsValid():
		return []rr{{kind: typeAAAA, ttl: ttl, data: r.IPv6.AsSlice()}}
	case kind == typeTXT && (r.TXT != "" || emptyTXT):
		return []rr{{kind: typeTXT, ttl: ttl, data: packText(r.TXT)}}
	default:
		return nil
	}
}
