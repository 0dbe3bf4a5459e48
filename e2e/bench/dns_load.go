package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// load asks a server as fast as it answers, or at a rate, and judges each answer.
type load struct {
	home      *home
	questions []question
	server    *net.UDPAddr

	from    netip.Addr // the first client's address
	clients int        // addresses; 1: that one alone
	sockets int
	window  int     // questions without an answer, of each socket
	rate    float64 // questions a second, of each socket; 0: as fast as it answers
	timeout time.Duration

	serial atomic.Uint32 // the newest that was seen
	begun  time.Time
}

// loadFlags reads what a load is to be like.
func newLoad(args []string) (*load, time.Duration, error) {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	l := &load{home: homeFlags(flags)}
	seconds := flags.Float64("seconds", 1, "how long")
	from := flags.String("from", "127.0.0.1", "the first client's address")
	flags.IntVar(&l.clients, "clients", 1, "addresses that ask, from the first one on")
	flags.IntVar(&l.sockets, "sockets", 8, "sockets")
	flags.IntVar(&l.window, "window", 16, "questions without an answer, for each socket")
	rate := flags.Float64("rate", 0, "questions a second; 0: as fast as they are answered")
	flags.DurationVar(&l.timeout, "timeout", 2*time.Second, "when an answer is lost")
	if err := flags.Parse(args); err != nil {
		return nil, 0, err
	}
	if flags.NArg() != 1 || l.window < 1 || l.window > maxWindow || l.sockets < 1 {
		return nil, 0, errUsage
	}
	var err error
	if l.from, err = netip.ParseAddr(*from); err != nil {
		return nil, 0, fmt.Errorf("reading the first client's address: %w", err)
	}
	if l.server, err = net.ResolveUDPAddr("udp4", flags.Arg(0)); err != nil {
		return nil, 0, fmt.Errorf("reading the server's address: %w", err)
	}
	l.rate = *rate / float64(l.sockets)
	l.questions, err = l.home.questions()
	return l, time.Duration(*seconds * float64(time.Second)), err
}

// counts are what happened to the questions.
type counts struct {
	sent, answered, lost, wrong, late, changes int

	example error // of what is wrong
}

func (c *counts) add(o counts) {
	c.sent, c.answered, c.lost, c.wrong = c.sent+o.sent, c.answered+o.answered, c.lost+o.lost, c.wrong+o.wrong
	c.late, c.changes = c.late+o.late, max(c.changes, o.changes)
	if c.example == nil {
		c.example = o.example
	}
}

// runLoad asks, and prints what became of it: questions sent, answered, lost, answered wrongly, answered after they
// were taken for lost; how often the main name's addresses changed; microseconds.
func runLoad(ctx context.Context, args []string, stdout io.Writer) error {
	l, lasts, err := newLoad(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	l.begun = time.Now()
	results, errs := make([]counts, l.sockets), make([]error, l.sockets)
	var wg sync.WaitGroup
	for i := range l.sockets {
		wg.Go(func() { results[i], errs[i] = l.ask(ctx, i) })
	}
	wg.Wait()
	micros := min(time.Since(l.begun), lasts).Microseconds()
	var sum counts
	for _, c := range results {
		sum.add(c)
	}
	if sum.example != nil {
		fmt.Fprintln(os.Stderr, "an answer is wrong:", sum.example)
	}
	fmt.Fprintf(stdout, "measured %d %d %d %d %d %d %d\n", sum.sent, sum.answered, sum.lost, sum.wrong, sum.late, sum.changes, micros)
	return errors.Join(errs...)
}

const (
	loadBatch = 32
	// maxWindow leaves some bits of an id to tell a question from the one that had its place before.
	maxWindow = 1 << 10
	// slack bounds how long a read waits, and with it how late a lost answer is noticed.
	slack = 5 * time.Millisecond
)

// pending is a question without an answer.
type pending struct {
	question *question
	id       uint16
	sent     time.Time
	floor    uint32 // the newest serial that was seen when it was sent
	open     bool
}

// socket is one of a load's, which one goroutine uses.
type socket struct {
	*load
	counts

	conn      *ipv4.PacketConn
	out, in   []ipv4.Message
	slots     []pending
	free      []int // slots
	next      int   // question
	client    int
	known     map[string]*judged // by what follows the id
	last      string             // the main name's addresses
	swept     time.Time
	connected bool
}

// ask is the work of the i-th socket.
func (l *load) ask(ctx context.Context, i int) (counts, error) {
	s := &socket{load: l, known: map[string]*judged{}, next: i * len(l.questions) / l.sockets, client: i}
	conn, err := s.open()
	if err != nil {
		return counts{}, err
	}
	defer conn.Close()
	s.slots, s.free = make([]pending, l.window), make([]int, 0, l.window)
	for slot := range s.slots {
		s.free = append(s.free, slot)
	}
	for ctx.Err() == nil {
		if err := s.turn(true); err != nil {
			return s.counts, err
		}
	}
	for len(s.free) < len(s.slots) { // until all are answered, or lost
		if err := s.turn(false); err != nil {
			return s.counts, err
		}
	}
	return s.counts, nil
}

// open makes the socket: connected if there is one client, else one that can send from many addresses.
func (s *socket) open() (*net.UDPConn, error) {
	var conn *net.UDPConn
	var err error
	if s.connected = s.clients == 1; s.connected {
		conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: s.from.AsSlice()}, s.server)
	} else {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{})
	}
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	_ = conn.SetReadBuffer(4 << 20) // what the kernel allows
	s.conn = ipv4.NewPacketConn(conn)
	s.out, s.in = make([]ipv4.Message, loadBatch), make([]ipv4.Message, loadBatch)
	for i := range loadBatch {
		s.in[i].Buffers = [][]byte{make([]byte, 4096)}
		s.out[i].Buffers = [][]byte{make([]byte, 0, 512)}
		if !s.connected {
			s.out[i].Addr = s.server
			s.out[i].OOB = (&ipv4.ControlMessage{Src: s.from.AsSlice()}).Marshal()
		}
	}
	return conn, nil
}

// turn sends what may be sent and reads what has come.
func (s *socket) turn(send bool) error {
	now := time.Now()
	if send {
		if err := s.send(now); err != nil {
			return err
		}
	}
	if now.Sub(s.swept) > slack {
		s.swept = now
		s.sweep(now)
		if err := s.conn.SetReadDeadline(now.Add(slack)); err != nil {
			return err
		}
	}
	n, err := s.conn.ReadBatch(s.in, 0)
	if err != nil {
		s.swept = time.Time{} // have the next turn set a deadline
		if isTransient(err) {
			return nil
		}
		return fmt.Errorf("reading answers: %w", err)
	}
	for i := range n {
		s.take(s.in[i].Buffers[0][:s.in[i].N])
	}
	return nil
}

// isTransient tells an error that says nothing but that there is no answer.
func isTransient(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet
}

// allowed returns how many questions may be sent now.
func (s *socket) allowed(now time.Time) int {
	n := min(len(s.free), loadBatch)
	if s.rate > 0 {
		n = min(n, int(s.rate*now.Sub(s.begun).Seconds())-s.sent)
	}
	return max(n, 0)
}

func (s *socket) send(now time.Time) error {
	n := s.allowed(now)
	if n == 0 {
		return nil
	}
	floor := s.serial.Load()
	for i := range n {
		slot := s.free[len(s.free)-1-i]
		p := &s.slots[slot]
		id := uint16(slot) | (p.id+maxWindow)&^(maxWindow-1)
		*p = pending{&s.questions[s.next%len(s.questions)], id, now, floor, true}
		s.next++
		s.out[i].Buffers[0] = binary.BigEndian.AppendUint16(s.out[i].Buffers[0][:0], id)
		s.out[i].Buffers[0] = append(s.out[i].Buffers[0], p.question.packet[2:]...)
		if !s.connected {
			s.address(s.out[i].OOB)
		}
	}
	sent, err := s.conn.WriteBatch(s.out[:n], 0)
	sent = max(sent, 0)
	for i := sent; i < n; i++ {
		s.slots[s.free[len(s.free)-1-i]].open = false
	}
	s.sent += sent
	s.free = append(s.free[:len(s.free)-n], s.free[len(s.free)-n:len(s.free)-sent]...)
	if err != nil && !isTransient(err) {
		return fmt.Errorf("sending questions: %w", err)
	}
	return nil
}

// sourceAt is where in an IP_PKTINFO control message the source address is: behind a header of 16 bytes and the
// interface's number. See ip(7).
const sourceAt = 20

// address writes the next client's address into a control message.
func (s *socket) address(oob []byte) {
	first := s.from.As4()
	binary.BigEndian.PutUint32(oob[sourceAt:], binary.BigEndian.Uint32(first[:])+uint32(s.client%s.clients))
	s.client += s.sockets
}

// sweep takes questions for lost that have waited too long.
func (s *socket) sweep(now time.Time) {
	for slot := range s.slots {
		if p := &s.slots[slot]; p.open && now.Sub(p.sent) > s.timeout {
			p.open = false
			s.lost++
			s.free = append(s.free, slot)
		}
	}
}

// judged is what an answer was found to be.
type judged struct {
	err    error
	serial uint32 // 0: it has none
	addrs  string // of the main name; empty: it is about something else
}

// take takes an answer in.
func (s *socket) take(packet []byte) {
	if len(packet) < 12 {
		s.fail(fmt.Errorf("%d bytes came", len(packet)))
		return
	}
	id := binary.BigEndian.Uint16(packet)
	slot := int(id) & (maxWindow - 1)
	if slot >= len(s.slots) || !s.slots[slot].open || s.slots[slot].id != id {
		s.late++
		return
	}
	p := &s.slots[slot]
	p.open = false
	s.free = append(s.free, slot)
	s.answered++
	j, ok := s.known[string(packet[2:])]
	if !ok {
		j = s.judge(p.question, packet)
		s.known[string(packet[2:])] = j
	} else if !sameQuestion(p.question.packet, packet) {
		s.fail(fmt.Errorf("%s is answered for another question", p.question.name))
		return
	}
	s.note(j, p)
}

// sameQuestion compares the question in an answer with the one that was asked.
func sameQuestion(asked, answer []byte) bool {
	end := 12
	for asked[end] != 0 {
		end += 1 + int(asked[end])
	}
	end += 1 + 4
	return len(answer) >= end && bytes.Equal(asked[12:end], answer[12:end])
}

func (s *socket) judge(q *question, packet []byte) *judged {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		return &judged{err: fmt.Errorf("reading an answer for %s: %w", q.name, err)}
	}
	j := new(judged)
	if err := s.home.judge(*q, m); err != nil {
		j.err = fmt.Errorf("%s %s: %w", q.name, dns.TypeToString[q.qtype], err)
	}
	j.serial, _ = serial(m)
	if s.home.flapping > 0 && q.qtype == dns.TypeA && len(m.Answer) > 0 && m.Answer[0].Header().Name == "plex."+homeZone {
		j.addrs = fmt.Sprint(len(m.Answer))
	}
	return j
}

// note takes in what the answer to a question is. A serial must not be older than one that anybody had before the
// question was sent.
func (s *socket) note(j *judged, p *pending) {
	switch {
	case j.err != nil:
		s.fail(j.err)
	case j.serial != 0 && p.floor != 0 && int32(j.serial-p.floor) < 0:
		s.fail(fmt.Errorf("%s has the serial %d, behind %d", p.question.name, j.serial, p.floor))
	}
	if j.addrs != "" && j.addrs != s.last {
		if s.last != "" {
			s.changes++
		}
		s.last = j.addrs
	}
	for j.serial != 0 {
		old := s.serial.Load()
		if old != 0 && int32(j.serial-old) <= 0 || s.serial.CompareAndSwap(old, j.serial) {
			return
		}
	}
}

func (s *socket) fail(err error) {
	s.wrong++
	if s.example == nil {
		s.example = err
	}
}
