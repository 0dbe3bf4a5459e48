package resolve

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"plexha/plugin/via"
)

// What bounds the question of [Exchange] to one server.
const (
	exchangeTimeout = 6 * time.Second
	udpShare        = 2 // UDP gets one of so many parts of the time: a lost packet must leave TCP enough
)

// errOther is an answer that does not repeat the question: it is not the server's, or not to this question.
var errOther = errors.New("the answer is to another question")

// Exchange asks a server a question over UDP, from a new socket and in letters of random case, which the answer
// must repeat: so nobody who does not see the question can answer it. No answer, one that is cut or does not
// repeat those letters (some servers fold them) lets it ask again over TCP. What is said of the question's
// name comes back in the question's own letters.
func Exchange(ctx context.Context, path via.Path, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := withTimeout(ctx, exchangeTimeout)
	defer cancel()
	r, err := overUDP(ctx, path, q, server)
	if ctx.Err() == nil && (err != nil || r.Truncated) {
		r, err = exchangeOver(ctx, path, "tcp", q, server)
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r, err
}

func overUDP(ctx context.Context, path via.Path, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeLeft(ctx)/udpShare)
	defer cancel()
	scrambled := q.Copy()
	scrambled.Question[0].Name = scramble(q.Question[0].Name)
	r, err := exchangeOver(ctx, path, "udp", scrambled, server)
	if err != nil {
		return nil, err
	}
	if r.Question[0].Name != scrambled.Question[0].Name {
		return nil, errOther
	}
	unscramble(r, q.Question[0].Name)
	return r, nil
}

// exchangeOver asks over one connection, which ends with the answer.
func exchangeOver(ctx context.Context, path via.Path, network string, q *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	raw, err := path.Dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	conn := &dns.Conn{Conn: raw}
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	r, err := conn.ReadMsg()
	if err != nil {
		return nil, err
	}
	if r.Id != q.Id || !repeats(r, q.Question[0]) {
		return nil, errOther
	}
	return r, nil
}

// repeats reports whether a message is a reply to the question.
func repeats(r *dns.Msg, q dns.Question) bool {
	return r.Response && len(r.Question) == 1 && r.Question[0].Qtype == q.Qtype &&
		r.Question[0].Qclass == q.Qclass && strings.EqualFold(r.Question[0].Name, q.Name)
}

// scramble gives each letter of a name a random case (draft-vixie-dnsext-dns0x20).
func scramble(name string) string {
	out := []byte(name)
	for i, c := range out {
		if lower := c | 0x20; lower >= 'a' && lower <= 'z' {
			out[i] = lower &^ (byte(rand.N(2)) << 5)
		}
	}
	return string(out)
}

// unscramble gives the question's name its letters back, wherever it stands in front of a record.
func unscramble(r *dns.Msg, name string) {
	r.Question[0].Name = name
	for _, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		for _, rr := range section {
			if strings.EqualFold(rr.Header().Name, name) {
				rr.Header().Name = name
			}
		}
	}
}
