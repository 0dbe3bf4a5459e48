package wanip_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/corefile"
	"plexha/plugin/wanip"
	"plexha/zones"
)

// asked is what a server sees of a question.
type asked struct {
	Name        string // in lower case
	Type, Class uint16
	Recursion   bool
	UDPSize     uint16
}

func askedOf(q *dns.Msg) asked {
	a := asked{
		Name: strings.ToLower(q.Question[0].Name), Type: q.Question[0].Qtype, Class: q.Question[0].Qclass,
		Recursion: q.RecursionDesired,
	}
	if opt := q.IsEdns0(); opt != nil {
		a.UDPSize = opt.UDPSize()
	}
	return a
}

// Each operator is asked what it answers, by each way that it answers, over the family that is wanted.
func TestOperators(t *testing.T) {
	const inet, chaos = dns.ClassINET, dns.ClassCHAOS
	for _, tc := range []struct {
		kind, certificate string
		transports        []string
		want4, want6      asked
	}{
		{
			"opendns", "dns.opendns.com",
			[]string{"udp", "dot"},
			asked{"myip.opendns.com.", dns.TypeA, inet, true, 1232},
			asked{"myip.opendns.com.", dns.TypeAAAA, inet, true, 1232},
		},
		{
			"cloudflare", "one.one.one.one",
			[]string{"udp", "dot"},
			asked{"whoami.cloudflare.", dns.TypeTXT, chaos, true, 1232},
			asked{"whoami.cloudflare.", dns.TypeTXT, chaos, true, 1232},
		},
		{
			"cloudflare", "cloudflare-dns.com",
			[]string{"doh"},
			asked{"whoami.cloudflare.", dns.TypeTXT, chaos, true, 1232},
			asked{"whoami.cloudflare.", dns.TypeTXT, chaos, true, 1232},
		},
		{
			"google", "",
			[]string{"udp"},
			asked{"o-o.myaddr.l.google.com.", dns.TypeTXT, inet, false, 1232},
			asked{"o-o.myaddr.l.google.com.", dns.TypeTXT, inet, false, 1232},
		},
		{
			"akamai", "",
			[]string{"udp"},
			asked{"whoami.akamai.net.", dns.TypeA, inet, false, 1232},
			asked{"whoami.akamai.net.", dns.TypeAAAA, inet, false, 1232},
		},
	} {
		for _, transport := range tc.transports {
			for f, want := range map[zones.Family]asked{zones.IPv4: tc.want4, zones.IPv6: tc.want6} {
				t.Run(tc.kind+" "+transport+" "+f.String(), func(t *testing.T) {
					questions := make(chan *dns.Msg, 10)
					h := func(q *dns.Msg) *dns.Msg {
						questions <- q
						return tells(homeOf(f))(q)
					}
					cert, roots := certFor(t, tc.certificate)
					var at netip.AddrPort
					switch transport {
					case "udp":
						at = serveUDP(t, loopbackOf(f), h)
					case "dot":
						at = serveDoT(t, loopbackOf(f), cert, h)
					case "doh":
						at, _ = serveDoH(t, loopbackOf(f), cert, h)
					}
					s := corefile.Source{Kind: tc.kind, Transport: transport, At: []netip.AddrPort{at}}
					got, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, f)
					if err != nil || got != homeOf(f) {
						t.Fatalf("got %v, %v; want %v", got, err, homeOf(f))
					}
					if diff := cmp.Diff(want, askedOf(<-questions)); diff != "" {
						t.Errorf("the question (-want +got)\n%s", diff)
					}
				})
			}
		}
	}
}

// What one server may answer over UDP, and what becomes of it.
func TestUDPAnswers(t *testing.T) {
	resolver := netip.MustParseAddr("203.0.113.53")
	for _, tc := range []struct {
		name, kind string
		answer     dnsHandler
		want       string // an address, or the words of the error after the server's address
		redirected bool
	}{
		{"its own address family", "akamai", tells(home4), home4.String(), false},
		{"NXDOMAIN", "opendns", refuses(dns.RcodeNameError), "answers NXDOMAIN: " + wanip.ErrRedirected.Error(), true},
		{"REFUSED, as in France", "opendns", refuses(dns.RcodeRefused), "answers REFUSED", false},
		{"SERVFAIL", "google", refuses(dns.RcodeServerFailure), "answers SERVFAIL", false},
		{"a code that has no name", "google", refuses(15), "answers with code 15", false},
		{"no data", "opendns", tells(), "answers without an address", false},
		{
			"a forwarder, which lacks authority", "google",
			changed(says(resolver.String()), func(m *dns.Msg) { m.Authoritative = false }),
			"answers without authority: " + wanip.ErrRedirected.Error(), true,
		},
		{
			"a resolver, which needs none", "cloudflare",
			changed(says(home4.String()), func(m *dns.Msg) { m.Authoritative = false }), home4.String(), false,
		},
		{"a client subnet beside it", "google", says("edns0-client-subnet 203.0.113.0/24", home4.String()), home4.String(), false},
		{"a client subnet alone", "google", says("edns0-client-subnet 203.0.113.0/24"), "answers without an address", false},
		{"no address", "cloudflare", says("hello"), `answers "hello", which is no address`, false},
		{"an address with a port", "cloudflare", says("198.51.100.7:53"), `answers "198.51.100.7:53", which is no address`, false},
		{"an address with a zone", "cloudflare", says("fe80::1%eth0"), `answers "fe80::1%eth0", which is no address`, false},
		{"the other family's", "cloudflare", says(home6.String()), "tells an ipv6 address over ipv4", false},
		{"an IPv4 address in IPv6 clothes", "cloudflare", says("::ffff:198.51.100.7"), home4.String(), false},
		{"the same twice", "opendns", tells(home4, home4), home4.String(), false},
		{"two addresses", "opendns", tells(home4, resolver), "tells more than one address", false},
		{
			"another name's address", "opendns",
			changed(tells(home4), func(m *dns.Msg) { m.Answer[0].Header().Name = "poison.example." }),
			"answers without an address", false,
		},
		{
			"an alias beside it", "opendns",
			changed(tells(home4), func(m *dns.Msg) {
				alias := &dns.CNAME{Hdr: *m.Answer[0].Header(), Target: "poison.example."}
				alias.Hdr.Rrtype = dns.TypeCNAME
				m.Answer = append([]dns.RR{alias}, m.Answer...)
			}),
			home4.String(), false,
		},
		{
			"another class's address", "cloudflare",
			changed(says(home4.String()), func(m *dns.Msg) { m.Answer[0].Header().Class = dns.ClassINET }),
			"answers without an address", false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := serveUDP(t, "127.0.0.1:0", tc.answer)
			got, err := ask(t.Context(), udp(tc.kind, at), wanip.SourceOptions{}, zones.IPv4)
			if text := outcome(got, err); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
			if got := errors.Is(err, wanip.ErrRedirected); got != tc.redirected {
				t.Errorf("says that port 53 is redirected: %v, want %v", got, tc.redirected)
			}
		})
	}
}

func udp(kind string, at ...netip.AddrPort) corefile.Source {
	return corefile.Source{Kind: kind, Transport: "udp", At: at}
}

// outcome is an address, or what was said instead of one, without whom it is about.
func outcome(got netip.Addr, err error) string {
	if err == nil {
		return got.String()
	}
	return strings.TrimPrefix(err.Error(), "127.0.0.1: ")
}

// A datagram that does not answer the question is not taken for an answer: the right one is waited for.
func TestUDPStrays(t *testing.T) {
	liar := says("203.0.113.66")
	for _, tc := range []struct {
		name  string
		stray func(q *dns.Msg) []byte
	}{
		{"another id", func(q *dns.Msg) []byte { return packed(changed(liar, func(m *dns.Msg) { m.Id++ })(q)) }},
		{"another name", func(q *dns.Msg) []byte {
			return packed(changed(liar, func(m *dns.Msg) { m.Question[0].Name = "whoami.example." })(q))
		}},
		{"another type", func(q *dns.Msg) []byte {
			return packed(changed(liar, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA })(q))
		}},
		{"another class", func(q *dns.Msg) []byte {
			return packed(changed(liar, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassINET })(q))
		}},
		{"no question", func(q *dns.Msg) []byte { return packed(changed(liar, func(m *dns.Msg) { m.Question = nil })(q)) }},
		{"a question", func(q *dns.Msg) []byte { return packed(changed(liar, func(m *dns.Msg) { m.Response = false })(q)) }},
		{"no DNS", func(*dns.Msg) []byte { return []byte("HTTP/1.1 200 OK\r\n\r\n203.0.113.66") }},
		{"nothing", func(*dns.Msg) []byte { return nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
				q := question(packet)
				_, _ = pc.WriteTo(tc.stray(q), from)
				_, _ = pc.WriteTo(packed(says(home4.String())(q)), from)
			})
			got, err := ask(t.Context(), udp("cloudflare", at), wanip.SourceOptions{}, zones.IPv4)
			if err != nil || got != home4 {
				t.Errorf("got %v, %v; want %v", got, err, home4)
			}
		})
	}
}

// Who guesses everything but cannot send from the server's address is not heard.
func TestUDPSpoofedSource(t *testing.T) {
	liar, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer liar.Close()
	at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
		q := question(packet)
		_, _ = liar.WriteTo(packed(says("203.0.113.66")(q)), from)
		_, _ = pc.WriteTo(packed(says(home4.String())(q)), from)
	})
	got, err := ask(t.Context(), udp("cloudflare", at), wanip.SourceOptions{}, zones.IPv4)
	if err != nil || got != home4 {
		t.Errorf("got %v, %v; want %v", got, err, home4)
	}
}

// When nothing else comes, what came is told: somebody tries to answer.
func TestUDPStraysOnly(t *testing.T) {
	at := serveUDP(t, "127.0.0.1:0", changed(tells(home4), func(m *dns.Msg) { m.Id++ }))
	got, err := ask(within(t, time.Second), udp("opendns", at), wanip.SourceOptions{}, zones.IPv4)
	const want = "no answer in time, but others that do not belong to the question: 1"
	if text := outcome(got, err); !strings.Contains(text, want) {
		t.Errorf("got %s, want %s", text, want)
	}
}

// What does not fit into a datagram is asked for again over TCP.
func TestTruncated(t *testing.T) {
	cut := changed(tells(), func(m *dns.Msg) { m.Truncated = true })
	at := servePort(t, cut, tells(home4))
	got, err := ask(t.Context(), udp("google", at), wanip.SourceOptions{}, zones.IPv4)
	if err != nil || got != home4 {
		t.Errorf("got %v, %v; want %v", got, err, home4)
	}
}

// Who answers in other letters has not seen the question, or folds them: TCP tells.
func TestOtherLetters(t *testing.T) {
	liar := changed(says("203.0.113.66"), func(m *dns.Msg) { m.Question[0].Name = swapCase(m.Question[0].Name) })
	folds := changed(says(home4.String()), func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) })
	at := servePort(t, liar, folds)
	got, err := ask(t.Context(), udp("cloudflare", at), wanip.SourceOptions{}, zones.IPv4)
	if err != nil || got != home4 {
		t.Errorf("got %v, %v; want %v", got, err, home4)
	}
}

// Each question comes from a port of its own, under an id and in a letter case that nobody can know.
func TestQuestionsDiffer(t *testing.T) {
	const n = 20
	type seen struct {
		port, name string
		id         uint16
	}
	questions := make(chan seen, n)
	at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
		q := question(packet)
		questions <- seen{from.String(), q.Question[0].Name, q.Id}
		_, _ = pc.WriteTo(packed(says(home4.String())(q)), from)
	})
	ports, ids, names := map[string]bool{}, map[uint16]bool{}, map[string]bool{}
	for range n {
		if _, err := ask(t.Context(), udp("google", at), wanip.SourceOptions{}, zones.IPv4); err != nil {
			t.Fatal(err)
		}
		q := <-questions
		ports[q.port], ids[q.id], names[q.name] = true, true, true
	}
	// Two of 20 may be the same, out of 28,232 ports, 65,536 ids or 2^18 letter cases; four never are.
	for what, got := range map[string]int{"ports": len(ports), "ids": len(ids), "letter cases": len(names)} {
		if got < n-3 {
			t.Errorf("%d %s in %d questions", got, what, n)
		}
	}
}

func TestServersInTurn(t *testing.T) {
	dead := closedPort(t)
	mute := serveUDP(t, "127.0.0.1:0", silent)
	redirected := serveUDP(t, "127.0.0.1:0", refuses(dns.RcodeNameError))
	good := serveUDP(t, "127.0.0.1:0", tells(home4))
	for _, tc := range []struct {
		name  string
		at    []netip.AddrPort
		bound time.Duration
		want  string
	}{
		{"the second when the first is silent", []netip.AddrPort{mute, good}, 5 * time.Second, home4.String()},
		{"the second at once when the first cannot be reached", []netip.AddrPort{dead, good}, time.Hour, home4.String()},
		{"the second at once when the first says no", []netip.AddrPort{redirected, good}, time.Hour, home4.String()},
		{"nobody listens", []netip.AddrPort{dead}, time.Hour, "connection refused"},
		{"nobody answers", []netip.AddrPort{mute}, 300 * time.Millisecond, "no answer in time"},
		{
			"two for one reason",
			[]netip.AddrPort{dead, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), dead.Port())},
			time.Hour,
			"127.0.0.1, 127.0.0.2: connection refused",
		},
		{
			"each for its own reason",
			[]netip.AddrPort{dead, redirected},
			time.Hour,
			"connection refused; 127.0.0.1: answers NXDOMAIN: " + wanip.ErrRedirected.Error(),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ask(within(t, tc.bound), udp("opendns", tc.at...), wanip.SourceOptions{}, zones.IPv4)
			if text := outcome(got, err); text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

// A datagram may get lost: a lone server is asked again.
func TestLostDatagram(t *testing.T) {
	first := true
	at := serveRaw(t, func(pc net.PacketConn, from net.Addr, packet []byte) {
		if !first {
			_, _ = pc.WriteTo(packed(tells(home4)(question(packet))), from)
		}
		first = false
	})
	got, err := ask(within(t, 5*time.Second), udp("akamai", at), wanip.SourceOptions{}, zones.IPv4)
	if err != nil || got != home4 {
		t.Errorf("got %v, %v; want %v", got, err, home4)
	}
}

// Whom nobody can be asked of a family is no fault.
func TestNothingOfAFamily(t *testing.T) {
	at4 := serveUDP(t, "127.0.0.1:0", tells(home4))
	for name, s := range map[string]corefile.Source{
		"Akamai has no IPv6 address":  {Kind: "akamai", Transport: "udp"},
		"`at` gives none":             udp("opendns", at4),
		"a URL's host is of one only": {Kind: "https", Args: []string{"https://192.0.2.1/"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ask(t.Context(), s, wanip.SourceOptions{}, zones.IPv6); !errors.Is(err, wanip.ErrNothing) {
				t.Errorf("got %v, want ErrNothing", err)
			}
		})
	}
}

func TestDoTCertificates(t *testing.T) {
	operators, operatorsRoots := certFor(t, "one.one.one.one")
	address, addressRoots := certFor(t, "127.0.0.1")
	portal, portalRoots := certFor(t, "portal.example")
	for _, tc := range []struct {
		name    string
		cert    func() wanip.SourceOptions
		at      netip.AddrPort
		wantErr string
	}{
		{
			"the operator's", func() wanip.SourceOptions { return wanip.SourceOptions{Roots: operatorsRoots} },
			serveDoT(t, "127.0.0.1:0", operators, tells(home4)), "",
		},
		{
			"the address's", func() wanip.SourceOptions { return wanip.SourceOptions{Roots: addressRoots} },
			serveDoT(t, "127.0.0.1:0", address, tells(home4)), "",
		},
		{
			"somebody else's", func() wanip.SourceOptions { return wanip.SourceOptions{Roots: portalRoots} },
			serveDoT(t, "127.0.0.1:0", portal, tells(home4)), "certificate is valid for portal.example, not one.one.one.one",
		},
		{
			"of an unknown authority", func() wanip.SourceOptions { return wanip.SourceOptions{Roots: portalRoots} },
			serveDoT(t, "127.0.0.1:0", operators, tells(home4)), "unknown authority",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := corefile.Source{Kind: "cloudflare", Transport: "dot", At: []netip.AddrPort{tc.at}}
			got, err := ask(t.Context(), s, tc.cert(), zones.IPv4)
			switch {
			case tc.wantErr == "" && (err != nil || got != home4):
				t.Errorf("got %v, %v; want %v", got, err, home4)
			case tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)):
				t.Errorf("got %v, %v; want %q", got, err, tc.wantErr)
			}
		})
	}
}

// Over TLS, too, the answer must be to the question, and NXDOMAIN is the operator's own word.
func TestDoTAnswers(t *testing.T) {
	cert, roots := certFor(t, "dns.opendns.com")
	for _, tc := range []struct {
		name   string
		answer dnsHandler
		want   string
	}{
		{"another id", changed(tells(home4), func(m *dns.Msg) { m.Id++ }), "answers another question"},
		{"NXDOMAIN", refuses(dns.RcodeNameError), "answers NXDOMAIN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := serveDoT(t, "127.0.0.1:0", cert, tc.answer)
			s := corefile.Source{Kind: "opendns", Transport: "dot", At: []netip.AddrPort{at}}
			got, err := ask(t.Context(), s, wanip.SourceOptions{Roots: roots}, zones.IPv4)
			if text := outcome(got, err); text != tc.want || errors.Is(err, wanip.ErrRedirected) {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}

// A server that takes the connection and says no more holds nobody up.
func TestDoTSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := addrOf(l)
	s := corefile.Source{Kind: "opendns", Transport: "dot", At: []netip.AddrPort{at}}
	_, err = ask(within(t, 100*time.Millisecond), s, wanip.SourceOptions{}, zones.IPv4)
	if got := outcome(netip.Addr{}, err); got != "no answer in time" {
		t.Errorf("got %s", got)
	}
}

// Nor does one that hangs up.
func TestDoTClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Read(make([]byte, 4096)) // closing with something unread is a reset
			conn.Close()
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	s := corefile.Source{Kind: "opendns", Transport: "dot", At: []netip.AddrPort{addrOf(l)}}
	_, err = ask(t.Context(), s, wanip.SourceOptions{}, zones.IPv4)
	if got := outcome(netip.Addr{}, err); got != "the connection was closed without an answer" {
		t.Errorf("got %s", got)
	}
}

// serveRaw has each datagram answered, or not, by hand.
func serveRaw(t *testing.T, handle func(pc net.PacketConn, from net.Addr, packet []byte)) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			handle(pc, from, buf[:n])
		}
	}()
	t.Cleanup(func() {
		pc.Close()
		<-done
	})
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func question(packet []byte) *dns.Msg {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil {
		panic(err)
	}
	return q
}

func packed(m *dns.Msg) []byte {
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return out
}

func swapCase(s string) string {
	if lower := strings.ToLower(s); lower != s {
		return lower
	}
	return strings.ToUpper(s)
}
