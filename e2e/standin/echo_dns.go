package standin

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

// echoName is a name that tells who asks for it.
type echoName struct {
	name    string
	class   uint16
	records func(kind uint16, a netip.Addr) []rr
}

var echoNames = map[EchoKind][]echoName{
	EchoOpenDNS:    {{"myip.opendns.com", classIN, asAddress}},
	EchoCloudflare: {{"whoami.cloudflare", classCH, asText}},
	EchoGoogle:     {{"o-o.myaddr.l.google.com", classIN, asText}},
	EchoAkamai:     {{"whoami.akamai.net", classIN, asAddress}, {"whoami.ds.akahelp.net", classIN, asPair}},
}

func asAddress(kind uint16, a netip.Addr) []rr {
	if kind == typeA && a.Is4() || kind == typeAAAA && a.Is6() {
		return []rr{{kind: kind, data: a.AsSlice()}}
	}
	return nil
}

func asText(kind uint16, a netip.Addr) []rr {
	if kind != typeTXT {
		return nil
	}
	return []rr{{kind: typeTXT, data: packText(a.String())}}
}

// asPair is a text of two strings, of which the first says that the address is that of the one who asks.
func asPair(kind uint16, a netip.Addr) []rr {
	if kind != typeTXT {
		return nil
	}
	return []rr{{kind: typeTXT, ttl: 20, data: append(packText("ns"), packText(a.String())...)}}
}

// authority reports whether it is a name server of its names, and not a resolver that has made them up.
func (k EchoKind) authority() bool { return k == EchoGoogle || k == EchoAkamai }

// portalAddr is where a captive portal leads everybody.
var portalAddr = netip.MustParseAddr("192.168.182.1")

func (s *EchoServer) serveDNS() error {
	tcp, udp, err := s.listen(true, true)
	if err != nil {
		return err
	}
	s.startDNS(&packetServer{tcp: tcp, udp: udp})
	return nil
}

func (s *EchoServer) serveDoT() error {
	if s.options.Certificate == nil {
		return errNoCertificate
	}
	tcp, _, err := s.listen(true, false)
	if err != nil {
		return err
	}
	s.startDNS(&packetServer{tcp: tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{*s.options.Certificate}})})
	return nil
}

func (s *EchoServer) startDNS(d *packetServer) {
	ctx, cancel := context.WithCancel(context.Background())
	d.reply = func(packet []byte, from netip.AddrPort, udp bool) []byte { return s.replyDNS(ctx, packet, from, udp) }
	s.close = func() {
		cancel()
		d.close()
	}
	d.start()
}

func (s *EchoServer) serveDoH() error {
	return s.serveWeb(func(w http.ResponseWriter, r *http.Request, told netip.Addr, fault EchoFault) {
		packet, err := io.ReadAll(io.LimitReader(r.Body, 4096))
		if r.Method == http.MethodGet {
			packet, err = base64.RawURLEncoding.DecodeString(r.FormValue("dns"))
		}
		q, ok := parseQuestion(packet)
		if err != nil || !ok {
			http.Error(w, "no question", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(s.answerDNS(q, told, fault, false))
	})
}

// replyDNS returns the answer to a packet; nil: none.
func (s *EchoServer) replyDNS(ctx context.Context, packet []byte, from netip.AddrPort, udp bool) []byte {
	q, ok := parseQuestion(packet)
	if !ok {
		return nil
	}
	told, fault := s.ask(ctx, from.Addr())
	if fault == EchoSilent {
		return nil
	}
	return s.answerDNS(q, told, fault, udp)
}

// answerDNS returns the answer to a question.
func (s *EchoServer) answerDNS(q question, told netip.Addr, fault EchoFault, udp bool) []byte {
	m := message{question: q, forwarded: !s.options.Kind.authority()}
	m.answer, m.rcode = s.records(q, told)
	switch fault {
	case EchoFail:
		m.answer, m.rcode = nil, rcodeFailure
	case EchoNoName:
		m.answer, m.rcode = nil, rcodeNoName
	case EchoNothing:
		m.answer = nil
	case EchoForward:
		m.forwarded = true
	case EchoPortal:
		m.answer, m.forwarded = asAddress(q.kind, portalAddr), true
	case EchoTruncate:
		if m.truncated = udp; udp {
			m.answer = nil
		}
	case EchoWrongID:
		m.question.id++
	case EchoWrong:
		m.question.raw = append(packName("version.bind"), q.raw[len(q.raw)-4:]...)
	case EchoJunk:
		m.answer = []rr{{kind: q.kind, data: packText("not.an.address")}}
	case EchoSeveral:
		more, _ := s.records(q, told.Next())
		m.answer = append(m.answer, more...)
	}
	return m.pack()
}

// records returns what a name says. A resolver cannot look others up here; a name server would not.
func (s *EchoServer) records(q question, told netip.Addr) (records []rr, rcode uint16) {
	for _, n := range echoNames[s.options.Kind] {
		if strings.EqualFold(n.name, q.name) && n.class == q.class {
			return n.records(q.kind, told), 0
		}
	}
	if s.options.Kind.authority() {
		return nil, rcodeRefused
	}
	return nil, rcodeFailure
}
