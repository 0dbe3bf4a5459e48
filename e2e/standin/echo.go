package standin

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Echo is what the world sees of a home: which external address its packets come from. The servers that
// [Echo.Serve] starts tell it whoever asks.
//
// One that is asked by a packet whose address no rule of SetAddress covers tells that address itself, as the
// world does where no router translates.
type Echo struct {
	mu    sync.Mutex
	rules map[netip.Prefix]netip.Addr
}

// NewEcho returns a world without a router.
func NewEcho() *Echo { return &Echo{rules: map[netip.Prefix]netip.Addr{}} }

// SetAddress has packets from a prefix come from an external address of the same family from now on. The
// longest prefix counts.
func (e *Echo) SetAddress(from netip.Prefix, external netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules[from.Masked()] = external
}

// of returns the external address of packets.
func (e *Echo) of(from netip.Addr) netip.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	external, bits := from, -1
	for p, a := range e.rules {
		if p.Contains(from) && p.Bits() > bits {
			external, bits = a, p.Bits()
		}
	}
	return external
}

// EchoKind is whose server an echo behaves as.
type EchoKind string

// The kinds. Those of the second group speak DNS.
const (
	EchoHTTPS  EchoKind = "https"  // api.ipify.org and its like; /cdn-cgi/trace answers as Cloudflare's does
	EchoSTUN   EchoKind = "stun"   // RFC 8489 over UDP
	EchoNATPMP EchoKind = "natpmp" // the router, RFC 6886
	EchoUPnP   EchoKind = "upnp"   // the router: /rootDesc.xml, and what that leads to

	EchoOpenDNS    EchoKind = "opendns"    // A and AAAA myip.opendns.com
	EchoCloudflare EchoKind = "cloudflare" // CH TXT whoami.cloudflare
	EchoGoogle     EchoKind = "google"     // TXT o-o.myaddr.l.google.com
	EchoAkamai     EchoKind = "akamai"     // A and AAAA whoami.akamai.net, TXT whoami.ds.akahelp.net
)

// Transport is how an echo that speaks DNS is asked.
type Transport string

// The transports.
const (
	OverUDP Transport = "udp" // and TCP
	OverTLS Transport = "dot" // RFC 7858
	OverWeb Transport = "doh" // RFC 8484, at any path
)

// EchoOptions say what an echo is like.
type EchoOptions struct {
	Kind        EchoKind
	Transport   Transport        // of one that speaks DNS; empty: OverUDP
	Addr        netip.AddrPort   // port 0: one that is free
	Certificate *tls.Certificate // of OverTLS, OverWeb and EchoHTTPS; nil: the latter two speak plain HTTP
}

// EchoServer is one server that tells addresses. It must be closed.
type EchoServer struct {
	options EchoOptions
	world   *Echo
	addr    netip.AddrPort
	close   func()

	mu       sync.Mutex
	fault    EchoFault
	lies     []netip.Addr
	released chan struct{} // closed when the fault changes, or the server ends
	closed   bool

	asked, packets, bytes atomic.Int64
}

// Serve starts a server.
func (e *Echo) Serve(o EchoOptions) (*EchoServer, error) {
	o.Transport = cmp.Or(o.Transport, OverUDP)
	s := &EchoServer{options: o, world: e, released: make(chan struct{})}
	start := map[EchoKind]func() error{
		EchoHTTPS: s.serveEchoHTTP, EchoSTUN: s.serveSTUN, EchoNATPMP: s.serveNATPMP, EchoUPnP: s.serveUPnP,
	}[o.Kind]
	if _, ok := echoNames[o.Kind]; ok {
		start = map[Transport]func() error{OverUDP: s.serveDNS, OverTLS: s.serveDoT, OverWeb: s.serveDoH}[o.Transport]
	}
	if start == nil {
		return nil, fmt.Errorf("no echo %q over %q", o.Kind, o.Transport)
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("starting an echo %s: %w", o.Kind, err)
	}
	return s, nil
}

// Addr returns where it listens.
func (s *EchoServer) Addr() netip.AddrPort { return s.addr }

// Close ends it, and waits for that.
func (s *EchoServer) Close() {
	s.mu.Lock()
	if !s.closed {
		close(s.released)
	}
	s.closed = true
	s.mu.Unlock()
	s.close()
}

// Tell makes it lie: it tells the address of the asker's family, whatever is true. Without addresses it tells
// the truth again. It tells the truth about a family that it has no lie for.
func (s *EchoServer) Tell(lies ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = lies
}

// SetFault changes how it answers. Who waits for it is answered, or cut off. It panics if a server of that kind
// cannot have that fault.
func (s *EchoServer) SetFault(f EchoFault) {
	if !f.fits(s.options) {
		panic(fmt.Sprintf("an echo %s over %s has no fault %q", s.options.Kind, s.options.Transport, f))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
	if !s.closed {
		close(s.released)
		s.released = make(chan struct{})
	}
}

// EchoCount is what an echo has had to do.
type EchoCount struct {
	Questions int64
	Packets   int64 // of UDP, or reads and writes of TCP, in both directions
	Bytes     int64 // in them
}

// Count returns what it has had to do until now.
func (s *EchoServer) Count() EchoCount {
	return EchoCount{s.asked.Load(), s.packets.Load(), s.bytes.Load()}
}

// ask counts a question, and returns how it is to be answered: with which address, the right one or not, and
// what is wrong. It returns late if that is what is wrong, or, if the asker is to get nothing, when the fault
// is released.
func (s *EchoServer) ask(ctx context.Context, from netip.Addr) (told netip.Addr, fault EchoFault) {
	s.asked.Add(1)
	s.mu.Lock()
	fault, released, lies := s.fault, s.released, s.lies
	s.mu.Unlock()
	told = s.world.of(from)
	if i := slices.IndexFunc(lies, func(a netip.Addr) bool { return a.Is4() == from.Is4() }); i >= 0 {
		told = lies[i]
	}
	switch fault {
	case EchoOwn:
		told = s.addr.Addr()
	case EchoSlow:
		wait(ctx, time.After(late), released)
	case EchoSilent:
		wait(ctx, nil, released)
	}
	return told, fault
}

// wait returns when the caller leaves, the time has come, or the fault is released.
func wait(ctx context.Context, after <-chan time.Time, released <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-after:
	case <-released:
	}
}

// listen opens a TCP listener and a UDP socket at its address, as they are wanted, which count.
func (s *EchoServer) listen(tcp, udp bool) (l net.Listener, p net.PacketConn, err error) {
	var lc net.ListenConfig
	switch addr := s.options.Addr; {
	case tcp && udp:
		l, p, err = listenBoth(addr)
	case tcp:
		l, err = lc.Listen(context.Background(), "tcp", addr.String())
	default:
		p, err = lc.ListenPacket(context.Background(), "udp", addr.String())
	}
	if err != nil {
		return nil, nil, err
	}
	if l != nil {
		s.addr, l = netip.MustParseAddrPort(l.Addr().String()), countedListener{l, s}
	}
	if p != nil {
		s.addr, p = netip.MustParseAddrPort(p.LocalAddr().String()), countedPackets{p, s}
	}
	return l, p, nil
}

// count counts what was read or written at once.
func (s *EchoServer) count(n int) {
	if n > 0 {
		s.packets.Add(1)
		s.bytes.Add(int64(n))
	}
}

type countedListener struct {
	net.Listener
	server *EchoServer
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.server}, nil
}

type countedConn struct {
	net.Conn
	server *EchoServer
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.server.count(n)
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.server.count(n)
	return n, err
}

type countedPackets struct {
	net.PacketConn
	server *EchoServer
}

func (p countedPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.PacketConn.ReadFrom(b)
	p.server.count(n)
	return n, from, err
}

func (p countedPackets) WriteTo(b []byte, to net.Addr) (int, error) {
	n, err := p.PacketConn.WriteTo(b, to)
	p.server.count(n)
	return n, err
}

// errNoCertificate says that a server over TLS was given none.
var errNoCertificate = errors.New("no certificate")
