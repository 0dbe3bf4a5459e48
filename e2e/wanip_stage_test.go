package e2e_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/e2e/standin"
)

// duckName is the domain at DuckDNS, without its ending.
const duckName = "home"

// The external addresses that a home of the tests has one after the other. They are set apart for
// documentation, and let through by `detect allow`.
var (
	firstAddr  = netip.MustParseAddr("203.0.113.7")
	secondAddr = netip.MustParseAddr("203.0.113.8")
)

// wan is a home whose external address is found and told to DuckDNS by plexdns, with the Internet around it.
type wan struct {
	tb        testing.TB
	ns        string // the network namespace of plexdns, and of all that has no other; empty: the test's
	far       string // that of the echoes, if it is another one
	authority *standin.Authority
	world     *standin.Echo
	echoes    map[string][]*standin.EchoServer // as `detect` has them: "cloudflare dot"
	duck      *standin.DuckDNS
	api       string // the URL of DuckDNS's API
	names     []*standin.NameServer
	page      netip.AddrPort // of the status
	detect    []string       // lines
	dns       *plexdns
}

// wanConfig says what is in a wan. The zero value has one uplink without IPv6, and four sources.
type wanConfig struct {
	net     *network     // where plexdns is `here`, and the echoes `there`, at addresses of their own; nil: neither
	sources []string     // wanSources, if nil
	also    []netip.Addr // further addresses of each echo
	uplinks []string     // lines; one uplink `wan`, if nil
	lines   []string     // further properties of the plex block
	plugins []string     // further plugins of its server block
	duckdns string       // what follows in the duckdns line; "-": there is none
	still   bool         // without the plugin `reload`, which is not made for signals in a row
	running bool         // as if plexdns had run until a moment ago, with firstAddr
}

// routers counts those that speak NAT-PMP.
var routers atomic.Int64

// wanSources are four operators, two of them over TLS.
var wanSources = []string{"cloudflare dot", "opendns udp", "google udp", "https"}

// newWAN starts everything but plexdns. Packets of the home come from firstAddr, and DuckDNS has never heard
// of it.
func newWAN(tb testing.TB, c wanConfig) *wan {
	tb.Helper()
	authority, err := standin.NewAuthority()
	if err != nil {
		tb.Fatal(err)
	}
	w := &wan{
		tb: tb, authority: authority, world: standin.NewEcho(), echoes: map[string][]*standin.EchoServer{},
		duck: standin.NewDuckDNS(), dns: newPlexdns(tb),
	}
	programs.path(tb, "plexdns") // so that no test takes the time for its start
	if c.net != nil {
		w.ns, w.far, w.dns.ns = c.net.here, c.net.there, c.net.here
	}
	w.dns.env = []string{"SSL_CERT_FILE=" + w.write("roots.pem", authority.PEM())}
	w.moveTo(firstAddr)
	sources := c.sources
	if sources == nil {
		sources = wanSources
	}
	for _, s := range sources {
		at := []netip.Addr{inside}
		if c.net != nil {
			at = append([]netip.Addr{c.net.host()}, c.also...)
		}
		w.serve(s, at)
	}
	w.duck.Add(duckToken, duckName)
	w.outThere(func() (err error) {
		at := inside
		if c.net != nil {
			at = c.net.host()
		}
		w.api, err = serveDuckDNS(tb, authority, w.duck, at)
		return err
	})
	for range 2 {
		w.in(func() error {
			s, err := w.duck.NameServer(netip.AddrPortFrom(inside, freePort(tb, inside)))
			if err != nil {
				return err
			}
			tb.Cleanup(s.Close)
			w.names = append(w.names, s)
			return nil
		})
	}
	w.page = netip.AddrPortFrom(inside, freePort(tb, inside))
	w.dns.write(w.corefile(c))
	if c.running {
		w.remember(firstAddr, time.Hour)
	}
	return w
}

// moveTo changes the home's external IPv4 address, as its provider does.
func (w *wan) moveTo(addr netip.Addr) {
	for _, p := range []string{"127.0.0.0/8", "198.18.0.0/15"} { // on this machine, and in a network of the tests
		w.world.SetAddress(netip.MustParsePrefix(p), addr)
	}
}

// in runs f where everything is.
func (w *wan) in(f func() error) {
	w.tb.Helper()
	if w.ns != "" {
		inNamespace(w.tb, w.ns, f)
	} else if err := f(); err != nil {
		w.tb.Fatal(err)
	}
}

// outThere runs f where the echoes are.
func (w *wan) outThere(f func() error) {
	w.tb.Helper()
	if w.far != "" {
		inNamespace(w.tb, w.far, f)
	} else {
		w.in(f)
	}
}

// write writes a file beside the Corefile, and returns its name.
func (w *wan) write(name string, content []byte) string {
	w.tb.Helper()
	file := filepath.Join(w.dns.dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		w.tb.Fatal(err)
	}
	return file
}

func (w *wan) pair(names ...string) *tls.Certificate {
	w.tb.Helper()
	pair, err := w.authority.Issue(names...)
	if err != nil {
		w.tb.Fatal(err)
	}
	return &pair
}

// serve starts a source at some addresses, and has it asked.
func (w *wan) serve(source string, addrs []netip.Addr) {
	w.tb.Helper()
	kind, transport, _ := strings.Cut(source, " ")
	o := standin.EchoOptions{
		Kind: standin.EchoKind(kind), Transport: standin.Transport(transport),
		Certificate: w.pair("one.one.one.one", "cloudflare-dns.com", "dns.opendns.com", "checkip.example"),
	}
	switch source {
	case "router natpmp", "router upnp":
		o.Kind, o.Transport, o.Certificate = standin.EchoKind(transport), "", nil
	}
	var all []string
	start := func() error {
		for _, addr := range addrs {
			o.Addr = netip.AddrPortFrom(addr, 0)
			if source == "router natpmp" { // its port is fixed, and this router is one of many
				o.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 53, byte(routers.Add(1)), byte(1 + os.Getpid()%250)}), 5351)
			}
			s, err := w.world.Serve(o)
			if err != nil {
				return err
			}
			w.tb.Cleanup(s.Close)
			w.echoes[source] = append(w.echoes[source], s)
			all = append(all, s.Addr().String())
		}
		return nil
	}
	w.outThere(start)
	at := strings.Join(all, " ")
	switch source {
	case "https":
		w.detect = append(w.detect, fmt.Sprintf("detect https https://checkip.example/ at %s", at))
	case "router upnp":
		w.detect = append(w.detect, fmt.Sprintf("detect router upnp at http://%s/rootDesc.xml", at))
	case "router natpmp":
		w.detect = append(w.detect, "detect router natpmp at "+w.echoes[source][0].Addr().Addr().String())
	case "stun":
		w.detect = append(w.detect, fmt.Sprintf("detect stun %s", at))
	default:
		w.detect = append(w.detect, fmt.Sprintf("detect %s at %s", source, at))
	}
}

// serveDuckDNS starts the API of a DuckDNS over TLS at an address, and returns its URL.
func serveDuckDNS(tb testing.TB, authority *standin.Authority, duck *standin.DuckDNS, at netip.Addr) (api string, err error) {
	tb.Helper()
	own, err := authority.Issue("www.duckdns.org", at.String())
	if err != nil {
		return "", err
	}
	other, err := authority.IssueElsewhere("parked.example")
	if err != nil {
		return "", err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler: duck, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: duck.TLS(own, other),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(l, "", "")
	}()
	tb.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return "https://" + l.Addr().String(), nil
}

// corefile returns the wan's Corefile.
func (w *wan) corefile(c wanConfig) string {
	lines := append(slices.Clone(w.detect), c.lines...)
	lines = append(lines, "node plex1 127.0.0.1:9", "probe none", "tls off", "internal 127.0.0.0/8", "external 127.9.9.0/24",
		"detect allow 203.0.113.0/24 2001:db8::/32", "state "+w.dns.dir,
		"status "+w.page.String())
	if c.uplinks == nil {
		c.uplinks = []string{"uplink wan auto ipv6 off"}
	}
	lines = append(lines, c.uplinks...)
	if c.duckdns != "-" {
		var at []string
		for _, s := range w.names {
			at = append(at, s.Addr().String())
		}
		lines = append(lines, fmt.Sprintf("duckdns %s token_file %s api %s verify at %s %s", duckName,
			w.write("token", []byte(duckToken+"\n")), w.api, strings.Join(at, " "), c.duckdns))
	}
	plugins := append([]string{"errors", "bind 127.0.0.1"}, c.plugins...)
	if !c.still {
		plugins = append(plugins, "reload 2s 0s")
	}
	return fmt.Sprintf("%s:%d {\n    %s\n    plex {\n        %s\n    }\n}\n", strings.TrimSuffix(zone, "."), w.dns.addr.Port(),
		strings.Join(plugins, "\n    "), strings.Join(lines, "\n        "))
}

// remember leaves what a plexdns would have left that has found and pushed an address that long ago.
func (w *wan) remember(addr netip.Addr, ago time.Duration) {
	w.tb.Helper()
	then := time.Now().Add(-ago).UTC().Format(time.RFC3339)
	w.write("home.duckdns.org.external.json", fmt.Appendf(nil,
		`{"version": 1, "uplinks": {"wan": {"ipv4": {"address": %q, "since": %q}}}}`, addr, then))
	w.write("home.duckdns.org.duckdns.json", fmt.Appendf(nil,
		`{"version": 1, "name": %q, "api": %q, "ipv4": {"published": %q, "uplink": "wan", "published_at": %q, "tried": %q, "tried_addr": %q}}`,
		duckName, w.api, addr, then, then, addr))
	w.duck.SetRecord(duckName, standin.DuckRecord{IPv4: addr})
}

// start starts plexdns, and returns when it answers.
func (w *wan) start() {
	w.tb.Helper()
	w.dns.launch()
	w.tb.Cleanup(w.showStatus)
	eventually(w.tb, 20*time.Second, func() error {
		_, err := w.outside()
		return err
	})
}

// outside returns the addresses that clients outside get for the main name.
func (w *wan) outside() (addrs []netip.Addr, err error) {
	w.tb.Helper()
	select {
	case <-w.dns.proc.done:
		w.tb.Fatalf("plexdns has ended: %v", w.dns.proc.err)
	default:
	}
	w.in(func() error {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m, failed := w.dns.tryAsk(outside, mainName, qtype)
			if err = errors.Join(err, failed); failed == nil {
				addrs = append(addrs, addresses(m)...)
			}
		}
		return nil
	})
	return addrs, err
}

// showsOutside returns nil if clients outside get these addresses.
func (w *wan) showsOutside(want ...netip.Addr) error {
	w.tb.Helper()
	got, err := w.outside()
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("outside: %v, want %v", got, want)
	}
	return err
}

// holds returns nil if DuckDNS has these addresses.
func (w *wan) holds(want ...netip.Addr) error {
	r := w.duck.Record(duckName)
	got := slices.DeleteFunc([]netip.Addr{r.IPv4, r.IPv6}, func(a netip.Addr) bool { return !a.IsValid() })
	if !slices.Equal(got, want) {
		return fmt.Errorf("DuckDNS has %v, want %v", got, want)
	}
	return nil
}

// arrives waits until both clients outside and DuckDNS have an address, and logs how long that took.
func (w *wan) arrives(what string, addr netip.Addr, within time.Duration) {
	w.tb.Helper()
	began := time.Now()
	eventually(w.tb, within, func() error { return w.showsOutside(addr) })
	answered := time.Since(began)
	eventually(w.tb, within, func() error { return w.holds(addr) })
	w.tb.Logf("%s: %s outside after %s, at DuckDNS after %s", what, addr,
		answered.Round(10*time.Millisecond), time.Since(began).Round(10*time.Millisecond))
}

// says waits until the log has these words.
func (w *wan) says(within time.Duration, words ...string) {
	w.tb.Helper()
	eventually(w.tb, within, func() error {
		for _, word := range words {
			if w.dns.proc.output.count(word) == 0 {
				return fmt.Errorf("the log does not say %q", word)
			}
		}
		return nil
	})
}

// line waits until one line of the log has all the words, and returns it.
func (w *wan) line(within time.Duration, words ...string) (found string) {
	w.tb.Helper()
	eventually(w.tb, within, func() error {
		for line := range strings.Lines(w.dns.proc.output.String()) {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				found = strings.TrimSpace(line)
				return nil
			}
		}
		return fmt.Errorf("no line of the log says %q", words)
	})
	return found
}

// confirmed waits until a source has confirmed an address.
func (w *wan) confirmed(addr netip.Addr) {
	w.tb.Helper()
	eventually(w.tb, 15*time.Second, func() error {
		s, err := w.status()
		if err != nil {
			return err
		}
		if known := s.Clusters[0].Uplinks[0].External.IPv4; known.Address != addr || known.Confirmed.IsZero() {
			return fmt.Errorf("%s is known, confirmed %s; want %s", known.Address, known.Confirmed, addr)
		}
		return nil
	})
}

func cmpAddrs(want, got []netip.Addr) string { return cmp.Diff(want, got, cmpAddr) }

// fault makes some of the sources faulty, or all of them if none is named.
func (w *wan) fault(f standin.EchoFault, sources ...string) {
	w.each(sources, func(s *standin.EchoServer) { s.SetFault(f) })
}

// tell makes some of the sources lie, or tell the truth again.
func (w *wan) tell(lie netip.Addr, sources ...string) {
	w.each(sources, func(s *standin.EchoServer) {
		if lie.IsValid() {
			s.Tell(lie)
		} else {
			s.Tell()
		}
	})
}

func (w *wan) each(sources []string, f func(*standin.EchoServer)) {
	w.tb.Helper()
	if len(sources) == 0 {
		sources = slices.Collect(maps.Keys(w.echoes))
	}
	for _, name := range sources {
		if w.echoes[name] == nil {
			w.tb.Fatalf("no source %q", name)
		}
		for _, s := range w.echoes[name] {
			f(s)
		}
	}
}

// trigger starts a round (detect), or a look at DuckDNS (duckdns), over the Unix socket.
func (w *wan) trigger(what string) {
	w.tb.Helper()
	resp, err := w.dns.client().Post("http://plexdns/"+what, "", nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		body, _ := io.ReadAll(resp.Body)
		w.tb.Fatalf("trigger %s: %s %s", what, resp.Status, body)
	}
}

// wanStatus is what the tests want of status.json.
type wanStatus struct {
	Clusters []struct {
		Uplinks []struct {
			Name     string
			State    string
			External struct {
				NoIPv6     string `json:"no_ipv6"`
				IPv4, IPv6 struct {
					Address   netip.Addr
					Confirmed time.Time
					Trouble   string
					Findings  []struct{ Source, Refused, Error string }
				}
			}
		}
		DuckDNS struct {
			IPv4 struct {
				Published netip.Addr
				View      string
				Error     string
			}
		}
	}
}

// showStatus logs status.json if the test has failed.
func (w *wan) showStatus() {
	if !w.tb.Failed() {
		return
	}
	if resp, err := w.dns.client().Get("http://plexdns/status.json"); err == nil {
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		w.tb.Logf("status.json: %s", body)
	}
}

// status returns status.json.
func (w *wan) status() (s wanStatus, err error) {
	resp, err := w.dns.client().Get("http://plexdns/status.json")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&s)
	if err == nil && len(s.Clusters) != 1 {
		err = errors.New("no cluster in status.json")
	}
	return s, err
}

// pushes returns the addresses that DuckDNS was told, whatever it answered, and fails the test if one of the
// calls did anything else, or came too soon after another.
func (w *wan) pushes() (addrs []netip.Addr) {
	w.tb.Helper()
	last := map[string]time.Time{} // by family
	for _, c := range w.duck.Calls() {
		query, family := c.Query, "ip"
		if query.Has("ipv6") {
			family = "ipv6"
		}
		addr, err := netip.ParseAddr(query.Get(family))
		if err != nil || query.Has("txt") || query.Has("clear") || query.Has("ip") == query.Has("ipv6") || !slices.Equal(c.Domains, []string{duckName}) {
			w.tb.Errorf("a call of DuckDNS that is no push of one address of %s: %v", duckName, query)
		}
		if gap := c.At.Sub(last[family]); gap < 55*time.Second {
			w.tb.Errorf("two pushes within %s", gap)
		}
		last[family] = c.At
		addrs = append(addrs, addr)
	}
	return addrs
}
