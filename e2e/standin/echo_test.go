package standin_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/e2e/standin"
)

// loopback is where everybody is who asks.
var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	anyPort  = netip.MustParseAddrPort("127.0.0.1:0")
)

// echoWorld is one where our packets come from 192.0.2.1, and whose certificates client trusts.
type echoWorld struct {
	*standin.Echo

	t      *testing.T
	pair   tls.Certificate
	roots  *x509.CertPool
	within time.Duration // how long an answer is waited for
}

func newEchoWorld(t *testing.T) *echoWorld {
	t.Helper()
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &echoWorld{Echo: standin.NewEcho(), t: t, roots: x509.NewCertPool(), within: answerTime}
	if w.pair, err = authority.Issue("echo.example"); err != nil {
		t.Fatal(err)
	}
	w.roots.AppendCertsFromPEM(authority.PEM())
	w.SetAddress(loopback, netip.MustParseAddr("192.0.2.1"))
	return w
}

// serve starts an echo at a free port.
func (w *echoWorld) serve(o standin.EchoOptions) *standin.EchoServer {
	w.t.Helper()
	o.Addr = anyPort
	s, err := w.Serve(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

func (w *echoWorld) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       w.within,
	}
}

// ask asks an echo that speaks DNS, over udp, tcp, tcp-tls or https, and returns what it says, in short.
func (w *echoWorld) ask(s *standin.EchoServer, network string, class uint16, kind, name string) string {
	w.t.Helper()
	q := new(dns.Msg).SetQuestion(name, dns.StringToType[kind])
	q.Question[0].Qclass = class
	q.SetEdns0(1232, false)
	r, err := w.exchange(s, network, q)
	if err != nil {
		return "no answer"
	}
	out := []string{dns.RcodeToString[r.Rcode]}
	if r.Authoritative {
		out = append(out, "aa")
	}
	if r.Truncated {
		out = append(out, "tc")
	}
	for _, rr := range r.Answer {
		out = append(out, strings.TrimPrefix(strings.Join(strings.Fields(rr.String()), " "), name+" "))
	}
	return strings.Join(out, " ")
}

func (w *echoWorld) exchange(s *standin.EchoServer, network string, q *dns.Msg) (*dns.Msg, error) {
	if network != "https" {
		c := &dns.Client{Net: network, Timeout: w.within, TLSConfig: &tls.Config{RootCAs: w.roots}}
		r, _, err := c.ExchangeContext(w.t.Context(), q, s.Addr().String())
		return r, err
	}
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	resp, err := w.client().Post("https://"+s.Addr().String()+"/dns-query", "application/dns-message", bytes.NewReader(packet))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	r := new(dns.Msg)
	err = r.Unpack(body)
	return r, err
}

func TestEchoOverDNS(t *testing.T) {
	const in, ch = dns.ClassINET, dns.ClassCHAOS
	tests := []struct {
		kind  standin.EchoKind
		class uint16
		qtype string
		name  string
		want  string
	}{
		{standin.EchoOpenDNS, in, "A", "MyIP.opendns.com.", "NOERROR 0 IN A 192.0.2.1"},
		{standin.EchoOpenDNS, in, "AAAA", "myip.opendns.com.", "NOERROR"},
		{standin.EchoOpenDNS, in, "A", "example.com.", "SERVFAIL"},
		{standin.EchoCloudflare, ch, "TXT", "whoami.cloudflare.", `NOERROR 0 CH TXT "192.0.2.1"`},
		{standin.EchoCloudflare, in, "TXT", "whoami.cloudflare.", "SERVFAIL"},
		{standin.EchoGoogle, in, "TXT", "o-o.myaddr.l.google.com.", `NOERROR aa 0 IN TXT "192.0.2.1"`},
		{standin.EchoGoogle, in, "A", "o-o.myaddr.l.google.com.", "NOERROR aa"},
		{standin.EchoGoogle, in, "TXT", "myip.opendns.com.", "REFUSED"},
		{standin.EchoAkamai, in, "A", "whoami.akamai.net.", "NOERROR aa 0 IN A 192.0.2.1"},
		{standin.EchoAkamai, in, "TXT", "whoami.ds.akahelp.net.", `NOERROR aa 20 IN TXT "ns" "192.0.2.1"`},
	}
	w := newEchoWorld(t)
	for _, tt := range tests {
		for transport, networks := range map[standin.Transport][]string{
			standin.OverUDP: {"udp", "tcp"}, standin.OverTLS: {"tcp-tls"}, standin.OverWeb: {"https"},
		} {
			s := w.serve(standin.EchoOptions{Kind: tt.kind, Transport: transport, Certificate: &w.pair})
			for _, network := range networks {
				// A server shows the question's letter case; letters of the answers are compared as they come.
				if got := w.ask(s, network, tt.class, tt.qtype, tt.name); got != tt.want {
					t.Errorf("%s over %s, %s %s: %q, want %q", tt.kind, network, tt.qtype, tt.name, got, tt.want)
				}
			}
		}
	}
}

func TestEchoFaultsOverDNS(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoGoogle})
	ask := func(network string) string {
		return w.ask(s, network, dns.ClassINET, "TXT", "o-o.myaddr.l.google.com.")
	}
	const right = `NOERROR aa 0 IN TXT "192.0.2.1"`
	for fault, want := range map[standin.EchoFault][2]string{
		standin.EchoFine:     {right, right},
		standin.EchoFail:     {"SERVFAIL", "SERVFAIL"},
		standin.EchoNoName:   {"NXDOMAIN aa", "NXDOMAIN aa"},
		standin.EchoNothing:  {"NOERROR aa", "NOERROR aa"},
		standin.EchoForward:  {`NOERROR 0 IN TXT "192.0.2.1"`, `NOERROR 0 IN TXT "192.0.2.1"`},
		standin.EchoTruncate: {"NOERROR aa tc", right},
		standin.EchoOwn:      {`NOERROR aa 0 IN TXT "127.0.0.1"`, `NOERROR aa 0 IN TXT "127.0.0.1"`},
		standin.EchoJunk:     {`NOERROR aa 0 IN TXT "not.an.address"`, `NOERROR aa 0 IN TXT "not.an.address"`},
		standin.EchoSeveral:  {right + ` 0 IN TXT "192.0.2.2"`, right + ` 0 IN TXT "192.0.2.2"`},
		standin.EchoPortal:   {"NOERROR", "NOERROR"},
		standin.EchoSilent:   {"no answer", "no answer"},
		standin.EchoSlow:     {"no answer", "no answer"}, // within the client's patience
		standin.EchoWrongID:  {"no answer", "no answer"}, // that it takes
		standin.EchoWrong:    {right[:10], right[:10]},   // of a question that it did not ask
	} {
		s.SetFault(fault)
		w.within = patience(want[0])
		got := [2]string{ask("udp"), ask("tcp")}
		if fault == standin.EchoWrong {
			got = [2]string{got[0][:10], got[1][:10]}
		}
		if got != want {
			t.Errorf("%s: over UDP and TCP %q, want %q", cmp.Or(fault, "fine"), got, want)
		}
	}
}

func TestEchoPortalLeadsToItself(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoOpenDNS})
	s.SetFault(standin.EchoPortal)
	if got, want := w.ask(s, "udp", dns.ClassINET, "A", "myip.opendns.com."), "NOERROR 0 IN A 192.168.182.1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEchoOverHTTP(t *testing.T) {
	w := newEchoWorld(t)
	get := func(s *standin.EchoServer, scheme, path string) (int, string) {
		resp, err := w.client().Get(scheme + "://" + s.Addr().String() + path)
		if err != nil {
			return 0, ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<17)) // one has no end
		return resp.StatusCode, string(body)
	}
	secure := w.serve(standin.EchoOptions{Kind: standin.EchoHTTPS, Certificate: &w.pair})
	if status, body := get(secure, "https", "/"); status != http.StatusOK || body != "192.0.2.1\n" {
		t.Errorf("over TLS: %d %q", status, body)
	}
	s := w.serve(standin.EchoOptions{Kind: standin.EchoHTTPS})
	if _, body := get(s, "http", "/cdn-cgi/trace"); !strings.Contains(body, "\nip=192.0.2.1\n") {
		t.Errorf("trace: %q", body)
	}
	for fault, want := range map[standin.EchoFault]struct {
		status int
		body   string // a part of it
	}{
		standin.EchoFine:     {http.StatusOK, "192.0.2.1\n"},
		standin.EchoOwn:      {http.StatusOK, "127.0.0.1\n"},
		standin.EchoJunk:     {http.StatusOK, "not an address\n"},
		standin.EchoFail:     {http.StatusServiceUnavailable, "busy"},
		standin.EchoHTML:     {http.StatusOK, "Address: 192.0.2.1<"},
		standin.EchoPortal:   {http.StatusOK, "Accept our terms"},
		standin.EchoRedirect: {http.StatusFound, "/login"},
		standin.EchoEndless:  {http.StatusOK, strings.Repeat(" ", 1<<16)},
		standin.EchoSilent:   {},
		standin.EchoSlow:     {},
		standin.EchoReset:    {},
	} {
		s.SetFault(fault)
		if w.within = answerTime; want.status == 0 {
			w.within = silenceTime
		}
		if status, body := get(s, "http", "/"); status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %.40q, want %d %.40q", cmp.Or(fault, "fine"), status, body, want.status, want.body)
		}
	}
}

// packet sends one and returns what comes back within that time, both in hexadecimal.
func packet(t *testing.T, s *standin.EchoServer, question string, within time.Duration) string {
	t.Helper()
	c, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := hex.DecodeString(question)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, 512)
	_ = c.SetReadDeadline(time.Now().Add(within))
	n, err := c.Read(in)
	if err != nil {
		return "no answer"
	}
	return hex.EncodeToString(in[:n])
}

func TestEchoNATPMP(t *testing.T) {
	w := newEchoWorld(t)
	began := time.Now()
	s := w.serve(standin.EchoOptions{Kind: standin.EchoNATPMP})
	tests := []struct {
		name     string
		fault    standin.EchoFault
		question string
		want     string
	}{
		{"address", standin.EchoFine, "0000", "0080" + "0000" + "........" + "c0000201"},
		{"another version", standin.EchoFine, "0200", "0080" + "0001" + "........" + "00000000"},
		{"a mapping", standin.EchoFine, "0001" + "0000" + "00500050" + "00000e10", "0081" + "0005" + "........" + "00000000"},
		{"an answer", standin.EchoFine, "0080", "no answer"},
		{"too short", standin.EchoFine, "00", "no answer"},
		{"no connection", standin.EchoFail, "0000", "0080" + "0003" + "........" + "00000000"},
		{"junk", standin.EchoJunk, "0000", "008000"},
		{"silent", standin.EchoSilent, "0000", "no answer"},
	}
	for _, tt := range tests {
		s.SetFault(tt.fault)
		got := packet(t, s, tt.question, patience(tt.want))
		if len(got) == 24 { // the router has run for so many seconds
			age, err := strconv.ParseUint(got[8:16], 16, 32)
			if err != nil || time.Duration(age)*time.Second > time.Since(began) {
				t.Errorf("%s: the router says that it has run for %d s, %v", tt.name, age, err)
			}
			got = got[:8] + "........" + got[16:]
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestEchoSTUN(t *testing.T) {
	const (
		id       = "0102030405060708090a0b0c"
		question = "0001" + "0000" + "2112a442" + id
	)
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoSTUN})
	got := packet(t, s, question, answerTime)
	if head := "0101" + "000c" + "2112a442" + id + "0020" + "0008" + "0001"; !strings.HasPrefix(got, head) {
		t.Fatalf("%s, want %s...", got, head)
	}
	if addr, want := got[len(got)-8:], "e112a643"; addr != want { // 192.0.2.1 XOR 2112a442
		t.Errorf("address %s, want %s", addr, want)
	}
	for fault, want := range map[standin.EchoFault]string{
		standin.EchoFail:   "0111" + "0008" + "2112a442" + id + "0009" + "0004" + "00000500",
		standin.EchoJunk:   "0101" + "0008" + "2112a442" + id + "0020" + "0003",
		standin.EchoSilent: "no answer",
	} {
		s.SetFault(fault)
		if got := packet(t, s, question, patience(want)); !strings.HasPrefix(got, want) || len(got)%8 != 0 && fault != standin.EchoSilent {
			t.Errorf("%s: %s, want %s", fault, got, want)
		}
	}
	s.SetFault(standin.EchoFine)
	if got := packet(t, s, "0001"+"0000"+"00000000"+id, silenceTime); got != "no answer" {
		t.Errorf("without the cookie: %s", got)
	}
}

func TestEchoUPnP(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoUPnP})
	base := "http://" + s.Addr().String()
	read := func(resp *http.Response, err error) string {
		if err != nil {
			return "no answer"
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.Status + " " + string(body)
	}
	if got := read(w.client().Get(base + "/rootDesc.xml")); !strings.Contains(got, "<controlURL>/ctl/IPConn</controlURL>") {
		t.Errorf("description: %s", got)
	}
	act := func(action string) string {
		r, err := http.NewRequest(http.MethodPost, base+"/ctl/IPConn", strings.NewReader("<s:Envelope/>"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("SOAPAction", `"urn:schemas-upnp-org:service:WANIPConnection:1#`+action+`"`)
		return read(w.client().Do(r))
	}
	if got := act("GetExternalIPAddress"); !strings.Contains(got, "<NewExternalIPAddress>192.0.2.1</NewExternalIPAddress>") {
		t.Errorf("address: %s", got)
	}
	if got := act("Reboot"); !strings.HasPrefix(got, "500") || !strings.Contains(got, "<errorCode>401</errorCode>") {
		t.Errorf("another action: %s", got)
	}
	s.SetFault(standin.EchoFail)
	if got := act("GetExternalIPAddress"); !strings.HasPrefix(got, "503") {
		t.Errorf("%s: %s", standin.EchoFail, got)
	}
}

func TestEchoAddresses(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoOpenDNS})
	expect := func(what, want string) {
		t.Helper()
		if got := w.ask(s, "udp", dns.ClassINET, "A", "myip.opendns.com."); got != "NOERROR 0 IN A "+want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	expect("of the prefix", "192.0.2.1")
	w.SetAddress(netip.MustParsePrefix("127.0.0.1/32"), netip.MustParseAddr("192.0.2.9"))
	expect("of a longer prefix", "192.0.2.9")
	s.Tell(netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("100.64.0.1"))
	expect("a lie", "100.64.0.1")
	s.Tell(netip.MustParseAddr("2001:db8::1"))
	expect("a lie about the other family", "192.0.2.9")
	s.Tell()
	expect("the truth again", "192.0.2.9")

	w.Echo = standin.NewEcho()
	s = w.serve(standin.EchoOptions{Kind: standin.EchoOpenDNS})
	expect("no router between", "127.0.0.1")
}

// TestEchoLetsGo: who hangs is let go when the fault changes and when the server ends.
func TestEchoLetsGo(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoHTTPS})
	s.SetFault(standin.EchoSilent)
	patient := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, letGo := range []func(){func() { s.SetFault(standin.EchoSilent) }, s.Close} {
		before, done := s.Count().Questions, make(chan error)
		go func() {
			resp, err := patient.Get("http://" + s.Addr().String())
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		for s.Count().Questions == before {
			time.Sleep(time.Millisecond)
		}
		letGo()
		if err := <-done; err == nil {
			t.Error("it was answered")
		}
	}
}

func TestEchoCounts(t *testing.T) {
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoNATPMP})
	packet(t, s, "0000", answerTime)
	packet(t, s, "0000", answerTime)
	want := standin.EchoCount{Questions: 2, Packets: 4, Bytes: 2*2 + 2*12}
	for began := time.Now(); s.Count().Bytes < want.Bytes && time.Since(began) < answerTime; { // an answer is counted when it is sent
		time.Sleep(time.Millisecond)
	}
	if got := s.Count(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestEchoRefusesWhatMakesNoSense(t *testing.T) {
	e := standin.NewEcho()
	for name, o := range map[string]standin.EchoOptions{
		"kind":        {Kind: "carrier pigeon"},
		"transport":   {Kind: standin.EchoOpenDNS, Transport: "tcp"},
		"certificate": {Kind: standin.EchoOpenDNS, Transport: standin.OverTLS},
		"address":     {Kind: standin.EchoSTUN, Addr: netip.MustParseAddrPort("192.0.2.1:1")},
	} {
		o.Addr = netip.AddrPortFrom(cmp.Or(o.Addr.Addr(), anyPort.Addr()), o.Addr.Port())
		if s, err := e.Serve(o); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	w := newEchoWorld(t)
	s := w.serve(standin.EchoOptions{Kind: standin.EchoSTUN})
	defer func() {
		if recover() == nil {
			t.Error("a STUN server has a fault of HTTP")
		}
	}()
	s.SetFault(standin.EchoRedirect)
}
