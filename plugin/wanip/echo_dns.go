package wanip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/zones"
)

// udpSize is what we take in one datagram; the common size that no network has to fragment
// (https://www.dnsflagday.net/2020/). The answers have about a hundred bytes.
const udpSize = 1232

// dnsEcho asks an operator's name servers.
type dnsEcho struct {
	operator
	name      string // the operator's
	transport string
	servers   []netip.AddrPort
	tls       tlsFor
	version   string
}

func newDNSEcho(s corefile.Source, o SourceOptions) *dnsEcho {
	op := operators[s.Kind]
	known := op.servers[s.Transport]
	e := &dnsEcho{
		operator: op, name: s.Kind, transport: s.Transport, servers: s.At, version: o.Version,
		tls: tlsFor{roots: o.Roots, name: known.name, orAddr: s.At != nil},
	}
	if s.At == nil {
		for _, addr := range known.addrs {
			e.servers = append(e.servers, netip.AddrPortFrom(addr, known.port))
		}
	}
	return e
}

func (e *dnsEcho) ask(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error) {
	return askServers(ctx, e.servers, f, e.transport == overUDP,
		func(ctx context.Context, server netip.AddrPort) (netip.Addr, error) {
			answer, err := e.exchange(ctx, path, server, e.newQuestion(f))
			if err != nil {
				return netip.Addr{}, err
			}
			return e.read(answer, f)
		})
}

// newQuestion returns a question that its answer can be told by: with a random id and, where somebody may guess
// that, random letter case (draft-vixie-dnsext-dns0x20).
func (e *dnsEcho) newQuestion(f zones.Family) *dns.Msg {
	q := new(dns.Msg)
	q.Id = dns.Id()
	q.RecursionDesired = !e.authoritative
	q.Question = []dns.Question{{Name: e.question, Qtype: e.qtype(f), Qclass: e.class}}
	q.SetEdns0(udpSize, false)
	if e.transport == overUDP {
		q.Question[0].Name = randomCase(e.question)
	}
	return q
}

func (e *dnsEcho) qtype(f zones.Family) uint16 {
	switch {
	case e.txt:
		return dns.TypeTXT
	case f == zones.IPv6:
		return dns.TypeAAAA
	default:
		return dns.TypeA
	}
}

func randomCase(name string) string {
	out := []byte(strings.ToLower(name))
	for i, c := range out {
		if 'a' <= c && c <= 'z' && rand.IntN(2) == 0 {
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

func (e *dnsEcho) exchange(ctx context.Context, path via.Path, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	switch e.transport {
	case overTLS:
		return askStream(ctx, path, server, q, e.tls.config(server))
	case overDoH:
		return askDoH(ctx, path, server, q, e.tls.config(server), e.version)
	}
	answer, err := askUDP(ctx, path, server, q)
	if err == nil && (answer.Truncated || answer.Question[0].Name != q.Question[0].Name) {
		return askStream(ctx, path, server, q, nil)
	}
	return answer, err
}

// askUDP asks by one datagram from a port of its own. What does not answer the question is somebody else's, and
// is passed over until the time is up; the kernel drops what comes from another address. The answer may be in
// other letters, since some servers fold them: then it proves nothing.
func askUDP(ctx context.Context, path via.Path, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	conn, err := path.Dial(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer endWith(ctx, conn)()
	if err := (&dns.Conn{Conn: conn}).WriteMsg(q); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	for strays := 0; ; strays++ {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, strayed(ctx, err, strays)
		}
		answer := new(dns.Msg)
		if answer.Unpack(buf[:n]) == nil && answers(answer, q) {
			return answer, nil
		}
	}
}

// strayed adds to an error what came instead of the answer.
func strayed(ctx context.Context, err error, strays int) error {
	if err = words(ctx, err); strays > 0 {
		return fmt.Errorf("%w, but others that do not belong to the question: %d", err, strays)
	}
	return err
}

// askStream asks over TCP, with a config over TLS (RFC 7858).
func askStream(ctx context.Context, path via.Path, server netip.AddrPort, q *dns.Msg, config *tls.Config) (*dns.Msg, error) {
	conn, err := path.Dial(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	defer func() { conn.Close() }()
	defer endWith(ctx, conn)()
	if config != nil {
		conn, err = handshake(ctx, conn, config)
		if err != nil {
			return nil, err
		}
	}
	stream := dns.Conn{Conn: conn}
	if err := stream.WriteMsg(q); err != nil {
		return nil, err
	}
	answer, err := stream.ReadMsg()
	if err != nil {
		return nil, err
	}
	if !answers(answer, q) {
		return nil, errOtherQuestion
	}
	return answer, nil
}

func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	return secured, err
}

var errOtherQuestion = errors.New("answers another question")

// answers reports whether a message answers the question, in whatever letter case.
func answers(answer, q *dns.Msg) bool {
	if !answer.Response || answer.Id != q.Id || len(answer.Question) != 1 {
		return false
	}
	got, want := answer.Question[0], q.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// read finds the address that an answer tells.
func (e *dnsEcho) read(answer *dns.Msg, f zones.Family) (netip.Addr, error) {
	plain := e.transport == overUDP
	switch {
	case answer.Rcode == dns.RcodeNameError && plain:
		return netip.Addr{}, fmt.Errorf("answers NXDOMAIN: %w", ErrRedirected)
	case answer.Rcode != dns.RcodeSuccess:
		return netip.Addr{}, fmt.Errorf("answers %s", rcodeWord(answer.Rcode))
	case e.authoritative && !answer.Authoritative && plain:
		return netip.Addr{}, fmt.Errorf("answers without authority: %w", ErrRedirected)
	}
	var texts []string
	for _, rr := range answer.Answer {
		h := rr.Header()
		if h.Rrtype == e.qtype(f) && h.Class == e.class && strings.EqualFold(h.Name, e.question) {
			texts = append(texts, textOf(rr))
		}
	}
	return readTexts(texts)
}

func rcodeWord(rcode int) string {
	if word, ok := dns.RcodeToString[rcode]; ok {
		return word
	}
	return fmt.Sprintf("with code %d", rcode)
}

func textOf(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return rr.A.String()
	case *dns.AAAA:
		return rr.AAAA.String()
	case *dns.TXT:
		return strings.Join(rr.Txt, "")
	}
	return ""
}

// subnetWord begins the string by which Google's servers repeat an EDNS client subnet (RFC 7871) that somebody
// on the way has added.
const subnetWord = "edns0-client-subnet "

// readTexts finds the one address among the records of an answer.
func readTexts(texts []string) (netip.Addr, error) {
	var found netip.Addr
	for _, text := range texts {
		if strings.HasPrefix(text, subnetWord) {
			continue
		}
		addr, err := parseAddr(text)
		switch {
		case err != nil:
			return netip.Addr{}, err
		case found.IsValid() && addr != found:
			return netip.Addr{}, errors.New("tells more than one address")
		}
		found = addr
	}
	if !found.IsValid() {
		return netip.Addr{}, errors.New("answers without an address")
	}
	return found, nil
}

// parseAddr takes an address and nothing else.
func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("answers %q, which is no address", cut(text))
	}
	return addr.Unmap(), nil
}
