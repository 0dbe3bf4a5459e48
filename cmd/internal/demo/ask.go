package demo

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// askTimeout bounds one question. On loopback it is lost only if nobody listens, or nobody can work.
const askTimeout = time.Second

// asker returns a function that asks the server at that address, over UDP.
func asker(server netip.AddrPort) func(context.Context, Question) (Answer, error) {
	return func(ctx context.Context, q Question) (Answer, error) {
		client := &dns.Client{
			Timeout: askTimeout,
			Dialer:  &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.From.Addr(), 0))},
		}
		m, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(q.Name, q.Type), server.String())
		if err != nil {
			return Answer{}, err
		}
		return answerOf(m), nil
	}
}

// answerOf keeps what the story is about.
func answerOf(m *dns.Msg) Answer {
	a := Answer{Rcode: m.Rcode}
	var addrs []string
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			addrs = append(addrs, rr.A.String())
		case *dns.AAAA:
			addrs = append(addrs, rr.AAAA.String())
		case *dns.TXT:
			a.Data = append(a.Data, rr.Txt...)
		}
	}
	slices.Sort(addrs)
	a.Data = append(a.Data, addrs...)
	return a
}
