package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// answers asks a server the different questions once, and says whether it is right. Servers that have just been
// started are given some time for the first answer.
func answers(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("answers", flag.ContinueOnError)
	h := homeFlags(flags)
	from := flags.String("from", "127.0.0.1", "the client's address")
	most := flags.Int("most", 1000, "questions")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errUsage
	}
	qs, err := h.questions()
	if err != nil {
		return err
	}
	local := &net.UDPAddr{IP: net.ParseIP(*from)}
	conn, err := (&net.Dialer{LocalAddr: local}).DialContext(ctx, "udp", flags.Arg(0))
	if err != nil {
		return fmt.Errorf("asking %s: %w", flags.Arg(0), err)
	}
	defer conn.Close()
	for i, q := range qs[:min(*most, len(qs))] {
		if err := h.askOne(conn, q, uint16(i+1)); err != nil {
			return fmt.Errorf("%s %s: %w", q.name, dns.TypeToString[q.qtype], err)
		}
	}
	return nil
}

func (h *home) askOne(conn net.Conn, q question, id uint16) error {
	packet := append([]byte{byte(id >> 8), byte(id)}, q.packet[2:]...)
	if _, err := conn.Write(packet); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(buf)
	if err != nil {
		return fmt.Errorf("waiting for an answer: %w", err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if m.Id != id {
		return fmt.Errorf("the id is %d, want %d", m.Id, id)
	}
	return h.judge(q, m)
}
