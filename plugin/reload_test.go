package plugin_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/whoami"
	"github.com/miekg/dns"

	_ "plexha/plugin"
	"plexha/zones/timeline"
)

// node is a Plex server for tests, at an address of 127/8 that tells it apart in answers.
type node struct {
	addr string // HOST:PORT
	bad  atomic.Bool
	srv  *httptest.Server
}

func startNode(t *testing.T, host string) *node {
	t.Helper()
	n := &node{}
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	n.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.bad.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, `<MediaContainer size="0" machineIdentifier="%040x"></MediaContainer>`, host)
	}))
	_ = n.srv.Listener.Close()
	n.srv.Listener = ln
	n.srv.Start()
	t.Cleanup(n.srv.Close)
	n.addr = ln.Addr().String()
	return n
}

// server is a CoreDNS in this process.
type server struct {
	t        *testing.T
	instance *caddy.Instance
	state    string
}

// directives puts ours where the binary has it.
func directives(t *testing.T) {
	t.Helper()
	var out []string
	for _, d := range dnsserver.Directives {
		out = append(out, d)
		if d == "transfer" && !strings.Contains(strings.Join(dnsserver.Directives, " "), " plex ") {
			out = append(out, "plex")
		}
	}
	dnsserver.SetDirectives(out)
	dnsserver.Quiet = true
}

func startServer(t *testing.T, blocks string) *server {
	t.Helper()
	directives(t)
	s := &server{t: t, state: t.TempDir()}
	instance, err := caddy.Start(s.input(blocks))
	if err != nil {
		t.Fatal(err)
	}
	s.instance = instance
	t.Cleanup(func() {
		s.instance.ShutdownCallbacks()
		if err := s.instance.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *server) input(blocks string) caddy.Input {
	blocks = strings.ReplaceAll(blocks, "STATE", s.state)
	return caddy.CaddyfileInput{Contents: []byte(blocks), Filepath: "Corefile", ServerTypeName: "dns"}
}

func (s *server) restart(blocks string) error {
	next, err := s.instance.Restart(s.input(blocks))
	s.instance = next
	return err
}

// addr returns where the instance answers over UDP.
func (s *server) addr() string {
	for _, l := range s.instance.Servers() {
		if a := l.LocalAddr(); a != nil {
			return a.String()
		}
	}
	s.t.Fatal("the server has no address")
	return ""
}

// ask returns the addresses of an answer as text.
func (s *server) ask(name string) string {
	s.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	c := &dns.Client{Timeout: 5 * time.Second}
	r, _, err := c.Exchange(m, s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, rr := range r.Answer {
		out = append(out, rr.(*dns.A).A.String())
	}
	if len(out) == 0 {
		return dns.RcodeToString[r.Rcode]
	}
	return strings.Join(out, " ")
}

// text returns the TXT records of a name.
func (s *server) text(name string) string {
	s.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeTXT)
	r, err := dns.Exchange(m, s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(r.Answer)
}

// eventually asks until the answer is want.
func (s *server) eventually(name, want string) {
	s.t.Helper()
	got := ""
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		if got = s.ask(name); got == want {
			return
		}
	}
	s.t.Fatalf("%s: got %s for 10 s, want %s", name, got, want)
}

const main = "plex.home.duckdns.org."

func block(lines ...string) string {
	return `home.duckdns.org:0 {
	bind 127.0.0.1
	plex {
		internal 127.0.0.0/8
		uplink wan 203.0.113.7
		interval 200ms
		timeout 5s
		state STATE
		` + strings.Join(lines, "\n\t\t") + `
	}
	errors
}
`
}

func TestReloadCarriesStatesOver(t *testing.T) {
	one, two := startNode(t, "127.0.1.1"), startNode(t, "127.0.2.1")
	one.bad.Store(true)
	corefile := block("node plex1 "+one.addr, "node plex2 "+two.addr, "answer nodes first")
	steady := strings.Replace(corefile, "interval 200ms", "interval 1h", 1) // no node is doubted meanwhile
	s := startServer(t, steady)
	s.eventually(main, "127.0.2.1")
	since := s.text("_status." + main)
	time.Sleep(1100 * time.Millisecond) // the times in the status have seconds
	for range 5 {
		if err := s.restart(steady); err != nil {
			t.Fatal(err)
		}
		if got := s.ask(main); got != "127.0.2.1" {
			t.Fatalf("right after a reload the answer is %s: the state of plex1 was forgotten", got)
		}
		if got := s.text("_status." + main); got != since {
			t.Fatalf("a reload changed the status from %s to %s", since, got)
		}
	}
	one.bad.Store(false)
	if err := s.restart(corefile); err != nil {
		t.Fatal(err)
	}
	s.eventually(main, "127.0.1.1")
}

func TestNewNodeStaysOutUntilItsFirstVerdict(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	hanging, err := net.Listen("tcp", "127.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Close() }()
	s := startServer(t, block("node plex1 "+one.addr, "answer nodes all"))
	s.eventually(main, "127.0.1.1")
	if err := s.restart(block("node plex1 "+one.addr, "node plex2 "+hanging.Addr().String(), "answer nodes all")); err != nil {
		t.Fatal(err)
	}
	if got := s.ask(main); got != "127.0.1.1" {
		t.Errorf("a node without a verdict is answered: got %s", got)
	}
}

func TestBadReloadsLeaveTheOldInstanceServing(t *testing.T) {
	one, two := startNode(t, "127.0.1.1"), startNode(t, "127.0.2.1")
	good := block("node plex1 "+one.addr, "node plex2 "+two.addr, "answer nodes first")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	s := startServer(t, good)
	s.eventually(main, "127.0.1.1")
	// One good reload first, so that what runs is not the first start.
	if err := s.restart(good); err != nil {
		t.Fatal(err)
	}
	before := settled()
	tests := map[string]string{
		"a mistake in the block":             block("node plex1 "+one.addr, "intervall 2s"),
		"a later block that fails its setup": good + "example.org:0 {\n\terrors a b c d\n}\n",
		"a port in use":                      good + "example.org:" + port + " {\n\tbind 127.0.0.1\n\twhoami\n}\n",
		"a zone file that is missing":        block("node plex1 "+one.addr, "zonefile internal STATE/none.zone"),
		"transfer without ns":                strings.Replace(good, "errors", "transfer {\n\t\tto 127.0.0.1\n\t}\n\terrors", 1),
	}
	for name, corefile := range tests {
		t.Run(name, func(t *testing.T) {
			if err := s.restart(corefile); err == nil {
				t.Fatal("the reload was taken over")
			}
			if got := s.ask(main); got != "127.0.1.1" {
				t.Errorf("after the bad reload: got %s", got)
			}
		})
	}
	if after := settledAt(before + 2); after > before+2 {
		t.Errorf("goroutines: %d before the bad reloads, %d after: %s", before, after, stacks())
	}
	one.bad.Store(true)
	s.eventually(main, "127.0.2.1") // the old instance goes on asking
}

// TestTwoReloadsAtOnce: a signal and the reload plugin replace the same instance. One of them wins, and what it
// has started lives.
func TestTwoReloadsAtOnce(t *testing.T) {
	one, two := startNode(t, "127.0.1.1"), startNode(t, "127.0.2.1")
	corefile := block("node plex1 "+one.addr, "node plex2 "+two.addr, "answer nodes first")
	s := startServer(t, corefile)
	s.eventually(main, "127.0.1.1")
	before := len(source(t, "home.duckdns.org.").Timeline().Since(0))
	for range 2 {
		old := s.instance
		next, lost := make(chan *caddy.Instance, 2), make(chan struct{})
		old.OnShutdown = append(old.OnShutdown, func() error {
			select {
			case <-lost: // the slower one fails before the quicker one is through
			case <-time.After(10 * time.Second): // or does not, which is told below
			}
			return nil
		})
		for range cap(next) {
			go func() {
				instance, err := old.Restart(s.input(corefile))
				if err != nil {
					instance = nil
					close(lost)
				}
				next <- instance
			}()
		}
		a, b := <-next, <-next
		if (a == nil) == (b == nil) {
			t.Fatalf("of two reloads at once %v and %v came through, want one", a, b)
		}
		s.instance = a
		if a == nil {
			s.instance = b
		}
		one.bad.Store(true)
		s.eventually(main, "127.0.2.1") // the new instance asks
		one.bad.Store(false)
		s.eventually(main, "127.0.1.1")
	}
	for _, e := range source(t, "home.duckdns.org.").Timeline().Since(0)[before:] {
		if e.Kind == timeline.Configuration && e.Level != timeline.Info {
			t.Errorf("the timeline tells of the slower one: %s", e.Text)
		}
	}
}

func TestFiftyReloadsLeakNothing(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	zonefile := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(zonefile, []byte("printer A 192.168.1.9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	corefile := block("node plex1 "+one.addr, "answer nodes first", "zonefile internal "+zonefile)
	s := startServer(t, corefile)
	s.eventually(main, "127.0.1.1")
	if err := s.restart(corefile); err != nil {
		t.Fatal(err)
	}
	goroutines, files := settled(), openFiles()
	for range 50 {
		if err := s.restart(corefile); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually(main, "127.0.1.1")
	if got := settledAt(goroutines + 3); got > goroutines+3 {
		t.Errorf("goroutines: %d before, %d after 50 reloads: %s", goroutines, got, stacks())
	}
	eventually(t, func() string {
		if got := openFiles(); got > files+5 {
			return fmt.Sprintf("open files: %d before, %d after 50 reloads", files, got)
		}
		return ""
	})
}

func TestSerialsOutliveTheProcessAndReloads(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	corefile := block("node plex1 "+one.addr, "answer nodes first")
	s := startServer(t, corefile)
	s.eventually(main, "127.0.1.1")
	serial := s.serial()
	if err := s.restart(corefile); err != nil {
		t.Fatal(err)
	}
	if got := s.serial(); got != serial {
		t.Errorf("a reload that changes no record raised the serial from %d to %d", serial, got)
	}
	if err := s.restart(strings.Replace(corefile, "uplink wan", "ttl 20s\n\t\tuplink wan", 1)); err != nil {
		t.Fatal(err)
	}
	if got := s.serial(); got != serial {
		t.Errorf("a change of TTLs raised the serial from %d to %d", serial, got)
	}
	if err := s.restart(strings.Replace(corefile, "uplink wan", "node plex9 127.0.9.9:9\n\t\tuplink wan", 1)); err != nil {
		t.Fatal(err)
	}
	if got := s.serial(); int32(got-serial) <= 0 { //nolint:gosec // RFC 1982
		t.Errorf("a new node did not raise the serial %d: got %d", serial, got)
	}
	if _, err := os.Stat(filepath.Join(s.state, "home.duckdns.org.serials")); err != nil {
		t.Errorf("the serials are not kept: %v", err)
	}
}

func (s *server) serial() uint32 {
	s.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("home.duckdns.org.", dns.TypeSOA)
	r, err := dns.Exchange(m, s.addr())
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Answer[0].(*dns.SOA).Serial
}

// settled counts the goroutines once their number has stopped falling.
func settled() int {
	http.DefaultClient.CloseIdleConnections()
	best := runtime.NumGoroutine()
	for range 40 {
		time.Sleep(25 * time.Millisecond)
		best = min(best, runtime.NumGoroutine())
	}
	return best
}

// settledAt waits until there are no more goroutines than so many, for some seconds at most, and counts them.
func settledAt(most int) int {
	got := settled()
	for begin := time.Now(); got > most && time.Since(begin) < 10*time.Second; {
		got = settled()
	}
	return got
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// TestOneZoneInTwoBlocks: the blocks of a file are read one by one, but a zone belongs to one of them.
func TestOneZoneInTwoBlocks(t *testing.T) {
	one := startNode(t, "127.0.1.1")
	good := block("node plex1 "+one.addr, "answer nodes first")
	s := startServer(t, good)
	s.eventually(main, "127.0.1.1")
	err := s.restart(good + block("node plex9 "+one.addr))
	if err == nil || !strings.Contains(err.Error(), `zone "home.duckdns.org." belongs to the plex block in line 3 already`) {
		t.Errorf("two blocks have one zone: got the error %v", err)
	}
}
