package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// flood sends packets at a rate and reads nothing.
type flood struct {
	server  netip.AddrPort
	rng     *rand.Rand
	packets [][]byte // what is sent, again and again
	mangle  func(f *flood, packet []byte) []byte
}

// floods are what may be sent: names that nobody has, packets that are no questions, and hot questions from
// addresses that never sent them.
var floods = map[string]func(*flood, []byte) []byte{
	"random":    (*flood).randomName,
	"malformed": (*flood).malformed,
	"spoofed":   func(_ *flood, packet []byte) []byte { return packet },
}

// runFlood sends until ctx or its time ends, and prints how many packets were sent, and in how many microseconds.
func runFlood(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("flood", flag.ContinueOnError)
	h := homeFlags(flags)
	seconds := flags.Float64("seconds", 1, "how long")
	rate := flags.Float64("rate", 1000, "packets a second")
	if err := flags.Parse(args); err != nil {
		return err
	}
	kind := flags.Arg(0)
	if flags.NArg() != 2 || floods[kind] == nil {
		return errUsage
	}
	server, err := netip.ParseAddrPort(flags.Arg(1))
	if err != nil {
		return fmt.Errorf("reading the server's address: %w", err)
	}
	qs, err := h.questions()
	if err != nil {
		return err
	}
	f := &flood{server: server, rng: rand.New(rand.NewPCG(3, 4)), mangle: floods[kind]} //nolint:gosec // no secret
	for _, q := range qs {
		f.packets = append(f.packets, q.packet)
	}
	send, closer, err := f.sender(ctx, kind == "spoofed")
	if err != nil {
		return err
	}
	defer closer.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds*float64(time.Second)))
	defer cancel()
	begun := time.Now()
	sent, err := f.run(ctx, *rate, send)
	fmt.Fprintf(stdout, "measured %d %d\n", sent, time.Since(begun).Microseconds())
	return err
}

// sender returns what sends one batch, and returns how many of it were sent.
func (f *flood) sender(ctx context.Context, spoofed bool) (func(packets [][]byte) (int, error), io.Closer, error) {
	if spoofed {
		return f.rawSender(ctx)
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(f.server))
	if err != nil {
		return nil, nil, fmt.Errorf("opening a socket: %w", err)
	}
	_ = conn.SetReadBuffer(1) // the answers are dropped
	p, out := ipv4.NewPacketConn(conn), make([]ipv4.Message, loadBatch)
	return func(packets [][]byte) (int, error) {
		for i := range packets {
			out[i].Buffers = packets[i : i+1]
		}
		return p.WriteBatch(out[:len(packets)], 0)
	}, conn, nil
}

// rawSender sends from addresses of the whole world. It needs root.
func (f *flood) rawSender(ctx context.Context) (func(packets [][]byte) (int, error), io.Closer, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "ip4:udp", "0.0.0.0")
	if err != nil {
		return nil, nil, fmt.Errorf("opening a raw socket: %w", err)
	}
	raw, err := ipv4.NewRawConn(conn)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a raw socket: %w", err)
	}
	_ = conn.(*net.IPConn).SetReadBuffer(1)
	return func(packets [][]byte) (int, error) {
		for i, packet := range packets {
			if err := f.sendRaw(raw, packet); err != nil {
				return i, err
			}
		}
		return len(packets), nil
	}, conn, nil
}

// sendRaw sends one packet. Its UDP header has no checksum, which IPv4 allows (RFC 768).
func (f *flood) sendRaw(raw *ipv4.RawConn, packet []byte) error {
	from := f.source()
	datagram := binary.BigEndian.AppendUint16(make([]byte, 0, 8+len(packet)), uint16(1024+f.rng.IntN(60000)))
	datagram = binary.BigEndian.AppendUint16(datagram, f.server.Port())
	datagram = binary.BigEndian.AppendUint16(datagram, uint16(8+len(packet)))
	datagram = append(append(datagram, 0, 0), packet...)
	return raw.WriteTo(&ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TotalLen: ipv4.HeaderLen + len(datagram), TTL: 64, Protocol: 17,
		Src: from.AsSlice(), Dst: f.server.Addr().AsSlice(),
	}, datagram, nil)
}

// source returns the address of one packet: each second one is a client's of the home's networks, others are from
// anywhere.
func (f *flood) source() netip.Addr {
	if f.rng.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(f.rng.Uint32()), byte(f.rng.Uint32()), byte(1 + f.rng.IntN(250))})
	}
	return netip.AddrFrom4([4]byte{byte(11 + f.rng.IntN(100)), byte(f.rng.Uint32()), byte(f.rng.Uint32()), byte(1 + f.rng.IntN(250))})
}

// run sends batches at a rate until ctx ends.
func (f *flood) run(ctx context.Context, rate float64, send func([][]byte) (int, error)) (int, error) {
	begun, sent, batch := time.Now(), 0, make([][]byte, 0, loadBatch)
	pause := time.NewTicker(100 * time.Microsecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		n := min(int(rate*time.Since(begun).Seconds())-sent, loadBatch)
		if n < 1 || n < loadBatch && rate > 10_000 {
			<-pause.C
			continue
		}
		batch = batch[:0]
		for i := range n {
			batch = append(batch, f.mangle(f, f.packets[(sent+i)%len(f.packets)]))
		}
		m, err := send(batch)
		if err != nil && !isTransient(err) {
			return sent, fmt.Errorf("sending a flood: %w", err)
		}
		sent += max(m, 1)
	}
	return sent, nil
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

// randomName asks for a name that nobody has, of one label or two.
func (f *flood) randomName([]byte) []byte {
	var label [12]byte
	for i := range label {
		label[i] = letters[f.rng.IntN(len(letters))]
	}
	if f.rng.IntN(2) == 0 {
		label[5] = '.'
	}
	m := new(dns.Msg).SetQuestion(string(label[:])+"."+homeZone, dns.TypeA)
	packet, err := m.Pack()
	if err != nil {
		panic(errors.Join(errors.New("packing a random name"), err)) // it is made of letters
	}
	return packet
}

// malformed spoils a packet: it is cut, has bytes changed, or says of itself what is not so.
func (f *flood) malformed(packet []byte) []byte {
	b := append([]byte(nil), packet...)
	switch f.rng.IntN(5) {
	case 0:
		return b[:f.rng.IntN(len(b))]
	case 1: // counts
		b[4+f.rng.IntN(8)] = byte(f.rng.Uint32())
	case 2: // a label's length, or a pointer
		b[12] = byte(f.rng.Uint32())
	case 3: // bytes that nobody asked for
		return append(b, packet[2:]...)
	default:
		for range 4 {
			b[2+f.rng.IntN(len(b)-2)] = byte(f.rng.Uint32())
		}
	}
	return b
}
