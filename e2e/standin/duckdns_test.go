package standin_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/e2e/standin"
)

const duckToken = "12345678-9abc-4def-8123-456789abcdef"

// newDuck returns a stand-in with two accounts, which calls reach from 198.51.100.7.
func newDuck() *standin.DuckDNS {
	d := standin.NewDuckDNS()
	d.Source = netip.MustParseAddr("198.51.100.7")
	d.Add(duckToken, "home", "den")
	d.Add("another token", "away")
	return d
}

// call returns what a call of the API is answered.
func call(t *testing.T, d *standin.DuckDNS, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "www.duckdns.org"
	d.ServeHTTP(w, r)
	return w
}

func duckAddr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func TestDuckDNSUpdate(t *testing.T) {
	const update = "/update?token=" + duckToken + "&domains="
	type state struct{ v4, v6, txt string }
	full := state{"192.0.2.1", "2001:db8::1", "text"}
	tests := []struct {
		name   string
		before state
		target string
		answer string
		after  state
	}{
		{"address", state{}, update + "home&ip=192.0.2.1", "OK", state{"192.0.2.1", "", ""}},
		{"IPv6 address as ip", state{}, update + "home&ip=2001:db8::1", "OK", state{"", "2001:db8::1", ""}},
		{"one family leaves the other", full, update + "home&ipv6=2001:db8::2", "OK", state{"192.0.2.1", "2001:db8::2", "text"}},
		{"no address: the caller's", state{}, update + "home", "OK", state{"198.51.100.7", "", ""}},
		{"blank address: the caller's", state{}, update + "home&ip=", "OK", state{"198.51.100.7", "", ""}},
		{"ipv6 alone: not the caller's", state{}, update + "home&ip=&ipv6=2001:db8::1", "OK", state{"", "2001:db8::1", ""}},
		{"private address", state{}, update + "home&ip=192.168.1.1", "OK", state{"192.168.1.1", "", ""}},
		{"verbose", state{}, update + "home&ip=192.0.2.1&verbose=true", "OK\n192.0.2.1\n\nUPDATED", state{"192.0.2.1", "", ""}},
		{"verbose tells of this update only", full, update + "home&ipv6=2001:db8::1&verbose=true", "OK\n\n2001:db8::1\nNOCHANGE", full},
		{"clear takes both families", full, update + "home&ip=192.0.2.9&clear=true", "OK", state{"", "", "text"}},
		{"with its ending, in any case", state{}, update + "HOME.DuckDNS.org&ip=192.0.2.1", "OK", state{"192.0.2.1", "", ""}},
		{"below", state{}, update + "plex.home&ip=192.0.2.1", "OK", state{"192.0.2.1", "", ""}},
		{"several", state{}, update + "den,home&ip=192.0.2.1", "OK", state{"192.0.2.1", "", ""}},
		{"text", full, update + "home&txt=new&verbose=true", "OK\nnew\nUPDATED", state{"192.0.2.1", "2001:db8::1", "new"}},
		{"text again", full, update + "home&txt=text&verbose=true", "OK\ntext\nNOCHANGE", full},
		{"clear of the text", full, update + "home&txt=text&clear=true", "OK", state{"192.0.2.1", "2001:db8::1", ""}},
		{"clear of a text that is empty", full, update + "home&txt=&clear=true", "OK", state{"192.0.2.1", "2001:db8::1", ""}},
		{"in the path", state{}, "/update/home/" + duckToken + "/192.0.2.1", "OK", state{"192.0.2.1", "", ""}},
		{"in the path, the caller's", state{}, "/update/home/" + duckToken, "OK", state{"198.51.100.7", "", ""}},
		{"wrong token", full, "/update?token=x&domains=home&ip=192.0.2.2", "KO", full},
		{"another's domain in the list", full, update + "home,away&ip=192.0.2.2", "KO", full},
		{"unknown domain", full, update + "nobody&ip=192.0.2.2", "KO", full},
		{"not an address", full, update + "home&ip=router&verbose=true", "KO", full},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuck()
			d.SetRecord("home", standin.DuckRecord{IPv4: duckAddr(tt.before.v4), IPv6: duckAddr(tt.before.v6), TXT: tt.before.txt})
			if got := call(t, d, tt.target).Body.String(); got != tt.answer {
				t.Errorf("answer %q, want %q", got, tt.answer)
			}
			want := standin.DuckRecord{IPv4: duckAddr(tt.after.v4), IPv6: duckAddr(tt.after.v6), TXT: tt.after.txt}
			if got := d.Record("home"); got != want {
				t.Errorf("record %+v, want %+v", got, want)
			}
		})
	}
}

func TestDuckDNSRefusesBelow(t *testing.T) {
	d := newDuck()
	d.RefuseBelow = true
	if got := call(t, d, "/update?domains=plex.home&token="+duckToken).Body.String(); got != "KO" {
		t.Errorf("answer %q, want KO", got)
	}
}

func TestDuckDNSDoesAPartOfAList(t *testing.T) {
	d := newDuck()
	d.PartialList = true
	addr := netip.MustParseAddr("192.0.2.2")
	if got := call(t, d, "/update?domains=home,away&ip=192.0.2.2&token="+duckToken).Body.String(); got != "OK" {
		t.Errorf("answer %q, want OK", got)
	}
	if got, others := d.Record("home").IPv4, d.Record("away").IPv4; got != addr || others.IsValid() {
		t.Errorf("records %s and %s, want the first alone changed", got, others)
	}
	if got := call(t, d, "/update?domains=away&ip=192.0.2.2&token="+duckToken).Body.String(); got != "KO" {
		t.Errorf("another's alone: answer %q, want KO", got)
	}
}

func TestDuckDNSOtherPaths(t *testing.T) {
	d := newDuck()
	for target, status := range map[string]int{
		"/":                                   http.StatusNotFound,
		"/update/home":                        http.StatusNotFound,
		"http://duckdns.org/update?domains=a": http.StatusMovedPermanently,
		"http://www.duckdns.org/update?domains=a": http.StatusOK,
	} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Code != status {
			t.Errorf("%s: status %d, want %d", target, w.Code, status)
		}
	}
}

func TestDuckDNSCalls(t *testing.T) {
	d := newDuck()
	call(t, d, "/update?domains=home,DEN.duckdns.org&txt=a&token="+duckToken)
	call(t, d, "/update?domains=home&token=wrong")
	type short struct {
		Domains []string
		Answer  string
		Query   url.Values
	}
	var got []short
	for _, c := range d.Calls() {
		got = append(got, short{c.Domains, c.Answer, c.Query})
	}
	want := []short{
		{[]string{"home", "den"}, "OK", url.Values{"domains": {"home,DEN.duckdns.org"}, "txt": {"a"}, "token": {duckToken}}},
		{[]string{"home"}, "KO", url.Values{"domains": {"home"}, "token": {"wrong"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDuckDNSFaults(t *testing.T) {
	const ok = "OK\n192.0.2.1\n\nUPDATED"
	tests := []struct {
		fault  standin.DuckFault
		status int
		body   string // a part of it
		done   bool   // the record is changed
	}{
		{standin.DuckFine, 200, ok, true},
		{standin.DuckKO, 200, "KO", false},
		{standin.DuckLie, 200, ok, false},
		{standin.DuckGone, 404, "Jetty", true},
		{standin.DuckGateway, 502, "502 Bad Gateway", true},
		{standin.DuckBusy, 429, "slow down", true},
		{standin.DuckPortal, 200, duckToken, true},
		{standin.DuckError, 500, ok, true},
		{standin.DuckEmpty, 200, "", true},
		{standin.DuckCRLF, 200, ok + "\r\n", true},
		{standin.DuckRedirect, 302, "", true},
		{standin.DuckEcho, 200, "OK\n192.0.2.99\n", true},
		{standin.DuckSlow, 200, ok, true},
		{standin.DuckTrickle, 200, ok, true},
		{standin.DuckStranger, 200, ok, true},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDuck()
				d.SetFault(tt.fault)
				w := call(t, d, "/update?domains=home&ip=192.0.2.1&verbose=true&token="+duckToken)
				if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
					t.Errorf("%d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
				}
				if got := d.Record("home").IPv4.IsValid(); got != tt.done {
					t.Errorf("changed: %t, want %t", got, tt.done)
				}
			})
		})
	}
}

// TestDuckDNSOverTLS: behind a tunnel it is found by its name, answers in chunks, and hangs until it is let go.
func TestDuckDNSOverTLS(t *testing.T) {
	d := newDuck()
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("www.duckdns.org")
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority.Issue("parked.example")
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewUnstartedServer(d)
	api.TLS = d.TLS(pair, other)
	api.StartTLS()
	defer api.Close()
	tunnel := httptest.NewServer(standin.Tunnel{"www.duckdns.org:443": api.Listener.Addr().String()})
	defer tunnel.Close()
	proxy, err := url.Parse(tunnel.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM())
	client := &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots},
		DisableKeepAlives: true, // a connection that was used before would hide that another one is cut
	}}

	const target = "https://www.duckdns.org/update?domains=home&token=" + duckToken
	resp, err := client.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "OK" {
		t.Errorf("%q, %v; want OK", body, err)
	}
	if diff := cmp.Diff([]string{"chunked"}, resp.TransferEncoding); diff != "" {
		t.Errorf("encoding (-want +got):\n%s", diff)
	}
	if _, err := client.Get("https://elsewhere.example/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("another host: error %v, want that it is forbidden", err)
	}
	t.Run("another host's certificate", func(t *testing.T) {
		d.SetFault(standin.DuckStranger)
		before := len(d.Calls())
		_, err := client.Get(target)
		if _, ok := errors.AsType[x509.HostnameError](err); !ok {
			t.Errorf("error %v, want that the certificate is another host's", err)
		}
		if len(d.Calls()) > before {
			t.Error("it was called all the same")
		}
	})
	t.Run("cut", func(t *testing.T) {
		d.SetFault(standin.DuckReset)
		if _, err := client.Get(target); !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want %v", err, io.EOF)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		d.SetFault(standin.DuckAway)
		before := len(d.Calls())
		if _, err := client.Get(target); !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want %v", err, io.EOF)
		}
		if len(d.Calls()) > before {
			t.Error("the call was seen")
		}
	})
	t.Run("half an answer, until it is let go", func(t *testing.T) {
		d.SetFault(standin.DuckHangBody)
		resp, err := client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		d.SetFault(standin.DuckFine)
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		if got := d.AtOnce(); got != 1 {
			t.Errorf("%d calls at once, want 1", got)
		}
		d.SetFault(standin.DuckHang)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := client.Do(r); !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want none but that we left", err)
				}
			})
		}
		for d.AtOnce() < 2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond) // for an answer, if there were one
		cancel()
		wg.Wait()
		if got := d.AtOnce(); got != 2 {
			t.Errorf("%d calls at once, want 2", got)
		}
	})
}

// An answer is waited for as long as a busy machine may need, one that is not to come only for a moment.
const (
	answerTime  = 10 * time.Second
	silenceTime = 200 * time.Millisecond
)

// patience returns how long an answer is waited for that is to be like that.
func patience(want string) time.Duration {
	if want == "no answer" {
		return silenceTime
	}
	return answerTime
}

// duckServer starts a name server, and returns it with a way to ask it that shows the records, or the code.
func duckServer(t *testing.T, d *standin.DuckDNS) (*standin.NameServer, func(network, name string, kind uint16, within time.Duration) string) {
	t.Helper()
	var (
		s   *standin.NameServer
		err error
	)
	for s == nil || err != nil { // the UDP port of that number may be somebody's
		l, lerr := net.Listen("tcp", "127.0.0.1:0")
		if lerr != nil {
			t.Fatal(lerr)
		}
		l.Close()
		s, err = d.NameServer(netip.MustParseAddrPort(l.Addr().String()))
	}
	t.Cleanup(s.Close)
	return s, func(network, name string, kind uint16, within time.Duration) string {
		q := new(dns.Msg).SetQuestion(name, kind)
		q.SetEdns0(1232, false)
		r, _, err := (&dns.Client{Net: network, Timeout: within}).ExchangeContext(t.Context(), q, s.Addr().String())
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
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
		for _, rr := range r.Ns {
			out = append(out, "/ "+rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
		}
		return strings.Join(out, " ")
	}
}

func TestDuckDNSNames(t *testing.T) {
	d := newDuck()
	d.SetServers(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"))
	d.SetRecord("home", standin.DuckRecord{IPv4: duckAddr("192.0.2.1"), TXT: "text"})
	d.SetRecord("den", standin.DuckRecord{IPv6: duckAddr("2001:db8::1"), TXT: strings.Repeat("x", 300)})
	_, ask := duckServer(t, d)
	const nothing = " aa / duckdns.org. SOA"
	tests := []struct {
		name string
		kind uint16
		want string
	}{
		{"home.duckdns.org.", dns.TypeA, "NOERROR aa home.duckdns.org. 60 IN A 192.0.2.1"},
		{"Plex.HOME.duckdns.org.", dns.TypeA, "NOERROR aa Plex.HOME.duckdns.org. 60 IN A 192.0.2.1"},
		{"_acme-challenge.home.duckdns.org.", dns.TypeTXT, `NOERROR aa _acme-challenge.home.duckdns.org. 60 IN TXT "text"`},
		{"home.duckdns.org.", dns.TypeAAAA, "NOERROR" + nothing},
		{"home.duckdns.org.", dns.TypeMX, "NOERROR" + nothing},
		{"den.duckdns.org.", dns.TypeAAAA, "NOERROR aa den.duckdns.org. 60 IN AAAA 2001:db8::1"},
		{"den.duckdns.org.", dns.TypeTXT, `NOERROR aa den.duckdns.org. 60 IN TXT "` + strings.Repeat("x", 255) + `" "` + strings.Repeat("x", 45) + `"`},
		{"away.duckdns.org.", dns.TypeA, "NOERROR" + nothing},
		{"nobody.duckdns.org.", dns.TypeA, "NXDOMAIN" + nothing},
		{"x.nobody.duckdns.org.", dns.TypeTXT, "NXDOMAIN" + nothing},
		{"duckdns.org.", dns.TypeNS, "NOERROR aa duckdns.org. 600 IN NS ns1.duckdns.org. duckdns.org. 600 IN NS ns2.duckdns.org."},
		{"duckdns.org.", dns.TypeSOA, "NOERROR aa duckdns.org. 600 IN SOA ns1.duckdns.org. hostmaster.duckdns.org. 1 6000 120 2419200 600"},
		{"duckdns.org.", dns.TypeA, "NOERROR" + nothing},
		{"ns2.duckdns.org.", dns.TypeA, "NOERROR aa ns2.duckdns.org. 600 IN A 127.0.0.2"},
		{"ns3.duckdns.org.", dns.TypeA, "NXDOMAIN" + nothing},
		{"notduckdns.org.", dns.TypeA, "REFUSED"},
		{"example.com.", dns.TypeA, "REFUSED"},
	}
	for _, tt := range tests {
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(network, tt.name, tt.kind, answerTime); got != tt.want {
				t.Errorf("%s %s over %s: %s, want %s", tt.name, dns.TypeToString[tt.kind], network, got, tt.want)
			}
		}
	}
}

func TestDuckDNSNameServers(t *testing.T) {
	d := newDuck()
	s, ask := duckServer(t, d)
	txt := func(network string) string {
		_, text, _ := strings.Cut(ask(network, "home.duckdns.org.", dns.TypeTXT, answerTime), "TXT ")
		return text
	}
	d.SetRecord("home", standin.DuckRecord{TXT: "one"})
	s.Freeze(true)
	d.SetRecord("home", standin.DuckRecord{TXT: "two"})
	if got := txt("udp"); got != `"one"` {
		t.Errorf("frozen: %s, want the record of before", got)
	}
	s.Freeze(false)
	if got := txt("udp"); got != `"two"` {
		t.Errorf("no longer frozen: %s, want the record of now", got)
	}
	s.SetLag(time.Hour)
	if got := txt("udp"); got != "" {
		t.Errorf("an hour late: %s, want none", got)
	}
	s.SetLag(0)
	for fault, want := range map[standin.NameServerFault][2]string{
		standin.NameServerDrop:     {"no answer", "no answer"},
		standin.NameServerFail:     {"SERVFAIL", "SERVFAIL"},
		standin.NameServerForward:  {`NOERROR home.duckdns.org. 60 IN TXT "two"`, `NOERROR home.duckdns.org. 60 IN TXT "two"`},
		standin.NameServerTruncate: {"NOERROR aa tc", `NOERROR aa home.duckdns.org. 60 IN TXT "two"`},
	} {
		s.SetFault(fault)
		within := patience(want[0])
		got := [2]string{ask("udp", "home.duckdns.org.", dns.TypeTXT, within), ask("tcp", "home.duckdns.org.", dns.TypeTXT, within)}
		if got != want {
			t.Errorf("%s: over UDP and TCP %q, want %q", fault, got, want)
		}
	}
	s.SetFault(standin.NameServerFine)
	d.EmptyTXT = true
	d.SetRecord("home", standin.DuckRecord{})
	if got := txt("tcp"); got != `""` {
		t.Errorf("cleared: %s, want an empty text", got)
	}
	if s.Asked() == 0 {
		t.Error("no question was counted")
	}
}

// TestDuckDNSAnswersNoRubbish: packets that are no question get nothing, and do no harm.
func TestDuckDNSAnswersNoRubbish(t *testing.T) {
	s, ask := duckServer(t, newDuck())
	good, err := new(dns.Msg).SetQuestion("home.duckdns.org.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range good { // all that are cut
		if _, err := c.Write(good[:n]); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask("udp", "home.duckdns.org.", dns.TypeA, answerTime); got == "no answer" {
		t.Error("no answer to a question after the rubbish")
	}
	if got := s.Asked(); got != 1 {
		t.Errorf("%d questions, want 1", got)
	}
}
