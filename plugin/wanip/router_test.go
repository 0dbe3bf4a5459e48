package wanip_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

var routers atomic.Uint32

// newRouter returns a loopback address that no other router of this or another test process has, since the ports
// of NAT-PMP and UPnP are fixed.
func newRouter() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(100 + pid>>8&0x7f), byte(pid), byte(routers.Add(1))})
}

// serveDatagrams answers each packet to a port of a router with what handle makes of it, nil: not at all. It does
// no more after the test.
func serveDatagrams(t *testing.T, router netip.Addr, port uint16, handle func(packet []byte) []byte) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(router, port)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(packet)
			if err != nil {
				return
			}
			if answer := handle(packet[:n]); answer != nil {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
}

// soon is a context that a question to nobody ends with.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("no answer in time"))
	t.Cleanup(cancel)
	return ctx
}

func TestRouterSources(t *testing.T) {
	for transport, want := range map[string][]string{
		"":       {"router natpmp", "router upnp"},
		"natpmp": {"router natpmp"},
		"upnp":   {"router upnp"},
	} {
		sources := wanip.RouterSources(corefile.Source{Kind: "router", Transport: transport})
		for i, s := range sources {
			if s.Name != want[i] || s.Operator != "router" || s.Nature != wanip.Router || s.Secure {
				t.Errorf("router %s: source %q of %q, nature %v, secure %v", transport, s.Name, s.Operator, s.Nature, s.Secure)
			}
			if got := words(s.Ask(t.Context(), via.Path{}, zones.IPv6)); got != "nothing" {
				t.Errorf("%s has an IPv6 address: %s", s.Name, got)
			}
		}
		if len(sources) != len(want) {
			t.Errorf("router %s: %d sources", transport, len(sources))
		}
	}
}

// external is the answer of NAT-PMP to a question for the external address (RFC 6886, 3.2).
func external(result uint16, addr string) []byte {
	b := []byte{0, 128}
	b = binary.BigEndian.AppendUint16(b, result)
	b = binary.BigEndian.AppendUint32(b, 4711)
	return append(b, netip.MustParseAddr(addr).AsSlice()...)
}

func TestNATPMP(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer []byte
		want   string
	}{
		{"an external address", external(0, "203.0.113.7"), "203.0.113.7"},
		{"a private one is for the judge", external(0, "10.0.0.7"), "10.0.0.7"},
		{"carrier-grade NAT's as well", external(0, "100.64.1.1"), "100.64.1.1"},
		{"it is not connected", external(0, "0.0.0.0"), "error: the router has no external address now"},
		{
			"it has no lease", external(3, "0.0.0.0"),
			"error: asking the router ROUTER: Non-zero result code 3 (Network Failure (box has no DHCP lease or external IP))",
		},
		{
			"it refuses", external(2, "0.0.0.0"),
			"error: asking the router ROUTER: Non-zero result code 2 (Not Authorized/Refused)",
		},
		{"half an answer", external(0, "203.0.113.7")[:7], "error: asking the router ROUTER: unexpected result size 7, expected 12"},
		{
			"the answer to another question", append([]byte{0, 129}, external(0, "203.0.113.7")[2:]...),
			"error: asking the router ROUTER: Unexpected opcode 129. Expected 128",
		},
		{"garbage", []byte("<html>"), "error: asking the router ROUTER: unknown protocol version 60"},
		{"nothing", nil, "error: asking the router ROUTER: no answer by NAT-PMP, which may be turned off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			router := newRouter()
			serveDatagrams(t, router, 5351, func([]byte) []byte { return tc.answer })
			ctx := t.Context()
			if tc.answer == nil {
				ctx = soon(t)
			}
			got := words(wanip.RouterSource("natpmp", router).Ask(ctx, via.Path{}, zones.IPv4))
			if want := strings.ReplaceAll(tc.want, "ROUTER", router.String()); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func TestNATPMPQuestion(t *testing.T) {
	router := newRouter()
	asked := make(chan string, 16)
	serveDatagrams(t, router, 5351, func(packet []byte) []byte {
		asked <- fmt.Sprintf("%x", packet)
		if len(asked) == 1 {
			return nil // the first one is lost
		}
		return external(0, "203.0.113.7")
	})
	path := via.Path{Interface: loopback(t).Name, Source: netip.MustParseAddr("127.0.0.1")}
	got := words(wanip.RouterSource("natpmp", router).Ask(t.Context(), path, zones.IPv4))
	if got != "203.0.113.7" || len(asked) < 2 || <-asked != "0000" { // a third is sent if the answer is late
		t.Errorf("%s after %d questions", got, len(asked))
	}
}

func TestNATPMPTurnedOff(t *testing.T) {
	router := newRouter()
	got := words(wanip.RouterSource("natpmp", router).Ask(t.Context(), via.Path{}, zones.IPv4))
	if want := fmt.Sprintf("error: asking the router %v: it does not speak NAT-PMP, or that is turned off", router); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The library would go on for two minutes.
func TestNATPMPEndsWithItsContext(t *testing.T) {
	router := newRouter()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	serveDatagrams(t, router, 5351, func([]byte) []byte {
		cancel(errors.New("the round is over"))
		return nil
	})
	got := words(wanip.RouterSource("natpmp", router).Ask(ctx, via.Path{}, zones.IPv4))
	if want := fmt.Sprintf("error: asking the router %v: the round is over", router); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

const (
	ip1 = "urn:schemas-upnp-org:service:WANIPConnection:1"
	ip2 = "urn:schemas-upnp-org:service:WANIPConnection:2"
	ppp = "urn:schemas-upnp-org:service:WANPPPConnection:1"
)

// upnpRouter is a router that speaks UPnP.
type upnpRouter struct {
	*http.ServeMux
	addr     netip.Addr
	location string
	searched atomic.Int32 // how many searches it has answered
	asked    atomic.Int32 // for its address
}

func newUPnPRouter(t *testing.T) *upnpRouter {
	t.Helper()
	r := &upnpRouter{ServeMux: http.NewServeMux(), addr: newRouter()}
	r.location = serveAt(t, r.addr, r).URL + "/rootDesc.xml"
	return r
}

func serveAt(t *testing.T, addr netip.Addr, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// describe serves a description with services of these types; /control/N is the control URL of the Nth.
func (r *upnpRouter) describe(types ...string) {
	var services strings.Builder
	for i, s := range types {
		fmt.Fprintf(&services, "<service><serviceType>%s</serviceType><controlURL>/control/%d</controlURL></service>", s, i)
	}
	r.page("/rootDesc.xml", http.StatusOK, description(services.String()))
}

func description(services string) string {
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>` +
		`<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device><deviceList><device>` +
		`<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList>` + services +
		`</serviceList></device></deviceList></device></deviceList></device></root>`
}

// answer serves the external address of the Nth service, if it is asked as a service of that type.
func (r *upnpRouter) answer(n int, service, addr string) {
	r.HandleFunc(fmt.Sprintf("POST /control/%d", n), func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		if q.Header.Get("SOAPAction") != `"`+service+`#GetExternalIPAddress"` {
			http.Error(w, "unknown action", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, envelope(`<u:GetExternalIPAddressResponse xmlns:u="`+service+`"><NewExternalIPAddress>`+addr+
			`</NewExternalIPAddress></u:GetExternalIPAddressResponse>`))
	})
}

func envelope(body string) string {
	return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` + body + `</s:Body></s:Envelope>`
}

func (r *upnpRouter) page(pattern string, status int, body string) {
	r.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

// onSearch answers searches for gateways of the first version.
func (r *upnpRouter) onSearch(t *testing.T, answers ...string) {
	t.Helper()
	serveDatagrams(t, r.addr, 1900, func(packet []byte) []byte {
		if !strings.Contains(string(packet), "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n") {
			return nil
		}
		n := int(r.searched.Add(1)) - 1
		return []byte(answers[min(n, len(answers)-1)])
	})
}

// found is a good answer to a search.
func found(location string) string {
	return "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n" +
		"USN: uuid:1::urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nEXT:\r\nSERVER: x\r\nLOCATION: " + location + "\r\n\r\n"
}

func TestUPnP(t *testing.T) {
	fault := envelope(`<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>` +
		`<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>501</errorCode>` +
		`<errorDescription>Action Failed</errorDescription></UPnPError></detail></s:Fault>`)
	for _, tc := range []struct {
		name  string
		setup func(r *upnpRouter)
		want  string
	}{
		{"an external address", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "203.0.113.7") }, "203.0.113.7"},
		{"of the second version", func(r *upnpRouter) { r.describe(ip2); r.answer(0, ip2, "203.0.113.7") }, "203.0.113.7"},
		{"of PPP", func(r *upnpRouter) { r.describe(ppp); r.answer(0, ppp, " 203.0.113.7\n") }, "203.0.113.7"},
		{
			"of a second connection, as the first has none",
			func(r *upnpRouter) { r.describe(ip1, ppp); r.answer(0, ip1, ""); r.answer(1, ppp, "203.0.113.7") },
			"203.0.113.7",
		},
		{"a private one is for the judge", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "10.0.0.7") }, "10.0.0.7"},
		{
			"it is not connected", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "0.0.0.0") },
			"error: asking the router HOST: the router has no external address now",
		},
		{
			"it says nothing", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "") },
			"error: asking the router HOST: the router has no external address now",
		},
		{
			"an IPv6 address is none", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "2a02:8106::7") },
			"error: asking the router HOST: the router has no external address now",
		},
		{
			"garbage", func(r *upnpRouter) { r.describe(ip1); r.answer(0, ip1, "unknown") },
			`error: asking the router HOST: "unknown" is no address`,
		},
		{
			"it refuses", func(r *upnpRouter) { r.describe(ip1); r.page("/control/0", http.StatusInternalServerError, fault) },
			`error: asking the router HOST: UPnP error 501 "Action Failed"`,
		},
		{
			"no gateway", func(r *upnpRouter) { r.describe("urn:schemas-upnp-org:service:ContentDirectory:1") },
			"error: LOCATION is no Internet gateway",
		},
		{
			"no description", func(*upnpRouter) {},
			"error: reading the router's description at LOCATION: it answers 404 Not Found",
		},
		{
			"a page", func(r *upnpRouter) { r.page("/", http.StatusOK, "<html><body>log in</body></html>") },
			"error: reading the router's description at LOCATION: expected element type <root> but have <html>",
		},
		{
			"a description that never ends",
			func(r *upnpRouter) {
				r.page("/", http.StatusOK, description(strings.Repeat("<service></service>", 100_000)))
			},
			"error: reading the router's description at LOCATION: XML syntax error on line 1: unexpected EOF",
		},
		{
			"an address behind more than anybody reads", func(r *upnpRouter) {
				r.describe(ip1)
				r.page("/control/0", http.StatusOK, envelope(strings.Repeat(" ", 1<<20)))
			},
			"error: asking the router HOST: goupnp: error decoding response body: XML syntax error on line 1: unexpected EOF",
		},
		{
			"another alphabet", func(r *upnpRouter) {
				page := description("<service><serviceType>" + ip1 + "</serviceType><controlURL>/control/0</controlURL></service>")
				r.page("/rootDesc.xml", http.StatusOK, strings.Replace(page, `"1.0"`, `"1.0" encoding="ISO-8859-1"`, 1))
				r.answer(0, ip1, "203.0.113.7")
			}, "203.0.113.7",
		},
		{
			"it sends us elsewhere", func(r *upnpRouter) {
				r.Handle("/", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
			},
			"error: reading the router's description at LOCATION: it redirects elsewhere",
		},
		{
			"it points to somebody else", func(r *upnpRouter) {
				r.page("/", http.StatusOK, description("<service><serviceType>"+ip1+
					"</serviceType><controlURL>http://127.0.0.1:1/control</controlURL></service>"))
			},
			`error: asking the router HOST: it points to another host, "127.0.0.1:1"`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newUPnPRouter(t)
			tc.setup(r)
			source := wanip.RouterSource("upnp", netip.Addr{}, r.location)
			got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4))
			host := strings.TrimSuffix(strings.TrimPrefix(r.location, "http://"), "/rootDesc.xml")
			if want := strings.NewReplacer("LOCATION", r.location, "HOST", host).Replace(tc.want); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		})
	}
}

func TestUPnPEndsWithItsContext(t *testing.T) {
	r := newUPnPRouter(t)
	r.HandleFunc("/rootDesc.xml", func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	got := words(wanip.RouterSource("upnp", netip.Addr{}, r.location).Ask(soon(t), via.Path{}, zones.IPv4))
	if want := "error: reading the router's description at " + r.location + ": no answer in time"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestUPnPIsSearchedOnce(t *testing.T) {
	r := newUPnPRouter(t)
	r.describe(ip1)
	r.answer(0, ip1, "203.0.113.7")
	r.onSearch(t, found(r.location))
	source := wanip.RouterSource("upnp", r.addr)
	for range 3 {
		if got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4)); got != "203.0.113.7" {
			t.Error(got)
		}
	}
	// A search is sent twice.
	if s, a := r.searched.Load(), r.asked.Load(); s > 2 || a != 3 {
		t.Errorf("%d searches, want at most 2; %d questions, want 3", s, a)
	}
}

func TestUPnPIsSearchedAgainWhenItHasMoved(t *testing.T) {
	r := newUPnPRouter(t)
	first := serveAt(t, r.addr, r)
	r.describe(ip1)
	r.answer(0, ip1, "203.0.113.7")
	r.onSearch(t, found(first.URL+"/rootDesc.xml"), found(first.URL+"/rootDesc.xml"), found(r.location))
	source := wanip.RouterSource("upnp", r.addr)
	if got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4)); got != "203.0.113.7" {
		t.Errorf("at its first place: %s", got)
	}
	first.Close()
	if got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4)); got != "203.0.113.7" {
		t.Errorf("at its second place: %s", got)
	}
}

// Each of these answers is left out, and the one after it is heard.
func TestUPnPSearchHearsOnlyGateways(t *testing.T) {
	for name, bad := range map[string]string{
		"leads to somebody else":  found("http://127.0.0.1:1/rootDesc.xml"),
		"leads to a name":         found("http://router.example/rootDesc.xml"),
		"leads to another scheme": found("file:///etc/passwd"),
		"leads nowhere":           strings.Replace(found("x"), "LOCATION: x\r\n", "", 1),
		"another device":          strings.ReplaceAll(found("x"), "InternetGatewayDevice:1", "MediaServer:1"),
		"a failure":               strings.Replace(found("x"), "200 OK", "500 Bad", 1),
		"garbage":                 "\x00\x01\x02",
	} {
		t.Run(name, func(t *testing.T) {
			r := newUPnPRouter(t)
			r.describe(ip1)
			r.answer(0, ip1, "203.0.113.7")
			r.onSearch(t, bad, found(r.location))
			got := words(wanip.RouterSource("upnp", r.addr).Ask(t.Context(), via.Path{}, zones.IPv4))
			if got != "203.0.113.7" {
				t.Error(got)
			}
			if r.searched.Load() < 2 {
				t.Error("the bad answer was not sent")
			}
		})
	}
}

func TestUPnPTurnedOff(t *testing.T) {
	t.Parallel()
	router := newRouter()
	serveDatagrams(t, router, 1900, func([]byte) []byte { return nil })
	source := wanip.RouterSource("upnp", router)
	if got := words(source.Ask(soon(t), via.Path{}, zones.IPv4)); got != "error: no answer in time" {
		t.Error(got)
	}
	// This one waits for as long as a router may take, 2.2 s.
	got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4))
	if want := "error: no router answers by UPnP, which may be turned off"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzLocationIn(f *testing.F) {
	f.Add([]byte(found("http://192.168.1.1:5000/rootDesc.xml")))
	f.Add([]byte(found("http://user:pass@192.168.1.1:5000/rootDesc.xml")))
	f.Add([]byte(found("//192.168.1.1")))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	router := netip.MustParseAddr("192.168.1.1")
	f.Fuzz(func(t *testing.T, packet []byte) {
		location, ok := wanip.LocationIn(packet, router)
		if ok && (location.Hostname() != "192.168.1.1" || location.Scheme != "http") {
			t.Errorf("%v", location)
		}
	})
}
