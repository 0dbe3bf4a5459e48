package standin

import (
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

	server packetServer
}

// NameServerFault is what is wrong with a name server.
type NameServerFault string

// The faults.
const (
	NameServerFine     NameServerFault = ""
	NameServerDrop     NameServerFault = "drop"     // no answer
	NameServerFail     NameServerFault = "servfail" // SERVFAIL
	NameServerTruncate NameServerFault = "truncate" // over UDP only that there is more
	NameServerForward  NameServerFault = "forward"  // the records as a resolver on the way has them, without authority
)

// SetServers says where the NS records of duckdns.org lead: to ns1, ns2, ... at these addresses.
func (d *DuckDNS) SetServers(addrs ...netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.servers = addrs
}

// NameServer starts a name server at an address, over UDP and TCP. It must be closed.
func (d *DuckDNS) NameServer(addr netip.AddrPort) (*NameServer, error) {
	tcp, udp, err := listenBoth(addr)
	if err != nil {
		return nil, err
	}
	s := &NameServer{duck: d, server: packetServer{tcp: tcp, udp: udp}}
	s.server.reply = s.reply
	s.server.start()
	return s, nil
}

// Addr returns where it listens.
func (s *NameServer) Addr() netip.AddrPort {
	return netip.MustParseAddrPort(s.server.tcp.Addr().String())
}

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
func (s *NameServer) Close() { s.server.close() }

// reply returns the answer to a packet; nil: none.
func (s *NameServer) reply(packet []byte, _ netip.AddrPort, udp bool) []byte {
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
	m := s.duck.lookup(q, when)
	m.forwarded = fault == NameServerForward
	reply := m.pack()
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
