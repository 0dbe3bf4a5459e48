package lane_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"plexha/plugin/lane"
	"plexha/plugin/pack"
)

// hotName is the name that blocks answer, with an address of theirs; CoreDNS answers it, and all others, with words.
const hotName = "plex.home.example."

var hotWire = wire(hotName)

// longName is a name that CoreDNS has many words for, some 4,000 bytes.
const longName = "long.example."

// block is a [lane.Block] that answers one name.
type block struct {
	answer *pack.Answer
	before func(addr netip.Addr) // is called with each question; nil: nothing
	large  bool                  // other names have answers that no datagram holds

	flushed atomic.Int64
}

func newBlock(tb testing.TB, address string) *block {
	tb.Helper()
	m := new(dns.Msg).SetQuestion(hotName, dns.TypeA)
	m.Response, m.Authoritative = true, true
	m.Answer = []dns.RR{rr(tb, hotName+" 10 IN A "+address)}
	answer, err := pack.New(m, hotName)
	if err != nil {
		tb.Fatal(err)
	}
	return &block{answer: answer}
}

func rr(tb testing.TB, line string) dns.RR {
	tb.Helper()
	rr, err := dns.NewRR(line)
	if err != nil {
		tb.Fatal(err)
	}
	return rr
}

func (b *block) Answer(dst []byte, q *pack.Question, addr netip.Addr, t lane.Tally) []byte {
	if b.before != nil {
		b.before(addr)
	}
	if b.large && string(q.Lower()) != hotWire {
		return append(dst, make([]byte, 70_000)...)
	}
	if string(q.Lower()) != hotWire || q.Type != dns.TypeA {
		return nil
	}
	t.(*tally).n++
	return b.answer.Append(dst, q, 0)
}

func (b *block) Tally(string) lane.Tally { return &tally{block: b} }

type tally struct {
	block *block
	n     int64
}

func (t *tally) Flush() {
	t.block.flushed.Add(t.n)
	t.n = 0
}

// wire returns a name in wire form.
func wire(name string) string {
	buf := make([]byte, 255)
	n, err := dns.PackDomainName(name, buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return string(buf[:n])
}

func routesTo(b lane.Block) *lane.Routes {
	return lane.NewRoutes(map[string]lane.Block{wire("home.example."): b, wire("."): nil})
}

// words is a plugin that answers with the client's address and how often it was asked.
type words struct {
	say   string
	wait  func() // before it answers; nil: not
	asked atomic.Int64
}

func (*words) Name() string { return "words" }

func (h *words) ServeDNS(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	h.asked.Add(1)
	if h.wait != nil {
		h.wait()
	}
	m := new(dns.Msg).SetReply(r)
	m.Answer = []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1},
		Txt: []string{h.say, fmt.Sprintf("%T %s", w.RemoteAddr(), w.RemoteAddr()), w.LocalAddr().String()},
	}}
	if r.Question[0].Name == longName {
		txt := m.Answer[0].(*dns.TXT)
		txt.Txt = append(txt.Txt, slices.Repeat([]string{strings.Repeat("long ", 40)}, 20)...)
	}
	return dns.RcodeSuccess, w.WriteMsg(m)
}

// instance is an instance of CoreDNS with a server for each socket, as it starts and ends them.
type instance struct {
	tb      testing.TB
	lanes   *lane.Lanes
	servers []*dnsserver.Server
	sockets []net.PacketConn
	serving sync.WaitGroup
}

// config says how an instance is.
type config struct {
	addr    string // host:port
	chain   plugin.Handler
	plan    lane.Plan // without Addr
	sockets int       // of CoreDNS
	inherit *instance // whose sockets it has, as a reload hands them down; nil: it binds its own
	writer  dns.DecorateWriter
	secrets map[string]string
}

func (c config) claim(lanes *lane.Lanes, owner *instance) {
	c.plan.Addr = "dns://" + c.addr
	c.plan.Others = c.sockets
	if c.plan.Info == nil {
		c.plan.Info = func(string, ...any) {}
	}
	if c.plan.Warn == nil {
		c.plan.Warn = owner.tb.Errorf
	}
	lanes.Claim(owner, c.plan)
}

// start starts an instance and returns when all of its servers run.
func start(tb testing.TB, lanes *lane.Lanes, c config) *instance {
	tb.Helper()
	c.sockets = max(1, c.sockets)
	i := &instance{tb: tb, lanes: lanes}
	if c.plan.Routes != nil {
		c.claim(lanes, i)
	}
	var called sync.WaitGroup
	for n := range c.sockets {
		called.Add(1)
		s, err := dnsserver.NewServer("dns://"+c.addr, []*dnsserver.Config{{
			Zone: ".", TsigSecret: c.secrets,
			Plugin: []plugin.Plugin{func(plugin.Handler) plugin.Handler { return c.chain }},
			UDPDecorateWriterFunc: func(s *dnsserver.Server) dns.DecorateWriter {
				defer called.Done()
				return lanes.Serve(i, s, c.writer)
			},
		}})
		if err != nil {
			tb.Fatal(err)
		}
		i.servers = append(i.servers, s)
		i.sockets = append(i.sockets, c.listen(tb, s, n))
	}
	for n, s := range i.servers {
		i.serving.Go(func() { _ = s.ServePacket(i.sockets[n]) })
	}
	called.Wait()
	return i
}

func (c config) listen(tb testing.TB, s *dnsserver.Server, n int) net.PacketConn {
	tb.Helper()
	if c.inherit != nil && n < len(c.inherit.sockets) {
		file, err := c.inherit.sockets[n].(*net.UDPConn).File()
		if err != nil {
			tb.Fatal(err)
		}
		defer file.Close()
		pc, err := net.FilePacketConn(file)
		if err != nil {
			tb.Fatal(err)
		}
		return pc
	}
	pc, err := s.ListenPacket()
	if err != nil {
		tb.Fatal(err)
	}
	return pc
}

// stop ends an instance in the order of a reload: its servers, then what is its own.
func (i *instance) stop() {
	for _, s := range i.servers {
		if err := s.Stop(); err != nil {
			i.tb.Errorf("stopping: %v", err)
		}
	}
	for _, pc := range i.sockets {
		pc.Close() // a server that was stopped before it began would begin now
	}
	i.serving.Wait()
	i.lanes.Release(i)
}

// freePort returns an address of the host with a port that nobody has.
func freePort(tb testing.TB, host string) string {
	tb.Helper()
	pc, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	defer pc.Close()
	_, port, err := net.SplitHostPort(pc.LocalAddr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return net.JoinHostPort(host, port)
}
