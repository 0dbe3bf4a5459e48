package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const zone = "home.duckdns.org."

// Where clients ask from. All of 127/8 is this machine.
var (
	inside  = netip.MustParseAddr("127.0.0.1")
	outside = netip.MustParseAddr("127.9.9.9")
)

// uplink is the external address of every test's home.
var uplink = netip.MustParseAddr("203.0.113.7")

// home is a cluster of stand-ins with a plexdns in front.
type home struct {
	tb      testing.TB
	nodes   []*standIn // plex1, plex2, ...
	proxies []*standIn
	dns     *plexdns
}

// homeConfig says what is in a home. The zero value has two nodes and no proxy.
type homeConfig struct {
	nodes   int      // 2 if zero
	proxies int      //
	lines   []string // further properties of the plex block
	plugins []string // further plugins of its server block
	exact   bool     // no properties but `lines` and what the members need
	still   bool     // without the plugin `reload`: the Corefile is read once
}

// newHome starts a home and returns when plexdns answers, and knows that all in it is up.
func newHome(tb testing.TB, c homeConfig) *home {
	tb.Helper()
	if c.nodes == 0 {
		c.nodes = 2
	}
	h := &home{tb: tb}
	for i := range c.nodes {
		addr := netip.AddrFrom4([4]byte{127, 0, byte(1 + i), 1})
		h.nodes = append(h.nodes, startPlex(tb, netip.AddrPortFrom(addr, freePort(tb, addr)), fmt.Sprintf("%x", (1+i)%16)))
	}
	for i := range c.proxies {
		addr := netip.AddrFrom4([4]byte{127, 1, byte(1 + i), 1})
		h.proxies = append(h.proxies, startProxy(tb, netip.AddrPortFrom(addr, freePort(tb, addr))))
	}
	h.dns = newPlexdns(tb)
	h.dns.write(h.corefile(c))
	h.dns.start()
	if !c.exact { // else nobody knows where it can be asked
		eventually(tb, 20*time.Second, h.dns.sees)
	}
	return h
}

// corefile returns the home's Corefile.
func (h *home) corefile(c homeConfig) string {
	lines := slices.Clone(c.lines)
	for i, n := range h.nodes {
		lines = append(lines, fmt.Sprintf("node plex%d %s", i+1, n.addr))
	}
	for _, p := range h.proxies {
		lines = append(lines, "proxy "+p.addr.String())
	}
	if !c.exact {
		lines = append(lines, "tls off", "internal 127.0.0.0/8", "external 127.9.9.0/24", "uplink wan "+uplink.String(),
			"state "+h.dns.dir)
	}
	plugins := append([]string{"errors", "bind 127.0.0.1"}, c.plugins...)
	if !c.still {
		plugins = append(plugins, "reload 2s 0s")
	}
	return fmt.Sprintf("%s:%d {\n    %s\n    plex {\n        %s\n    }\n}\n", strings.TrimSuffix(zone, "."), h.dns.addr.Port(),
		strings.Join(plugins, "\n    "), strings.Join(lines, "\n        "))
}

// addrs returns the addresses of the stand-ins, in order.
func addrs(of ...*standIn) []netip.Addr {
	var as []netip.Addr
	for _, s := range of {
		as = append(as, s.addr.Addr())
	}
	slices.SortFunc(as, netip.Addr.Compare)
	return as
}

// plexdns is the program, as a process, with its Corefile.
type plexdns struct {
	tb    testing.TB
	ns    string // the network namespace; empty: the test's
	dir   string
	addr  netip.AddrPort
	flags []string // beside -conf
	env   []string // beside the test's
	proc  *process
	ends  bool // it was told to end
}

// newPlexdns picks a folder and a port. It writes nothing and starts nothing.
func newPlexdns(tb testing.TB) *plexdns {
	tb.Helper()
	return &plexdns{tb: tb, dir: tb.TempDir(), addr: netip.AddrPortFrom(inside, freePort(tb, inside))}
}

func (p *plexdns) file() string { return filepath.Join(p.dir, "Corefile") }

// write writes the Corefile as an editor does: whole, by a rename.
func (p *plexdns) write(corefile string) {
	p.tb.Helper()
	writeFile(p.tb, p.file(), corefile)
}

// writeFile replaces a file by a rename, so that nobody reads a half of it.
func writeFile(tb testing.TB, name, content string) {
	tb.Helper()
	if err := errors.Join(os.WriteFile(name+"~", []byte(content), 0o600), os.Rename(name+"~", name)); err != nil {
		tb.Fatal(err)
	}
}

// launch starts it and does not wait. When the test ends, it must end well.
func (p *plexdns) launch() {
	p.tb.Helper()
	args := append([]string{"-conf", p.file()}, p.flags...)
	cmd := exec.CommandContext(context.Background(), programs.path(p.tb, "plexdns"), args...)
	cmd.Env = append(os.Environ(), p.env...)
	p.proc = startProcess(p.tb, p.ns, cmd)
	p.ends = false
	p.tb.Cleanup(p.stop)
}

// start starts it and returns when it answers.
func (p *plexdns) start() {
	p.tb.Helper()
	p.launch()
	eventually(p.tb, 20*time.Second, func() error {
		select {
		case <-p.proc.done:
			p.tb.Fatalf("plexdns has ended: %v", p.proc.err)
		default:
		}
		_, err := p.tryAsk(inside, zone, dns.TypeSOA)
		return err
	})
}

// client speaks HTTP with it over the Unix socket in its state folder.
func (p *plexdns) client() *http.Client { return clientIn(p.dir) }

// clientIn is client for the plexdns of a state folder.
func clientIn(state string) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(state, "plexdns.sock"))
		},
	}}
}

// sees returns nil if it has seen that all nodes and proxies are up.
func (p *plexdns) sees() error {
	resp, err := p.client().Get("http://plexdns/status.json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return allUp(resp.Body)
}

// allUp returns nil if a program's status.json shows all nodes and proxies as up. One whose first probe had to wait for
// a turn on a busy machine begins as down.
func allUp(document io.Reader) error {
	type subject struct{ Name, State string }
	var shown struct {
		Clusters []struct{ Nodes, Proxies []subject }
	}
	if err := json.NewDecoder(document).Decode(&shown); err != nil {
		return err
	}
	for _, c := range shown.Clusters {
		for _, s := range slices.Concat(c.Nodes, c.Proxies) {
			if s.State != "up" {
				return fmt.Errorf("%s is %s", s.Name, s.State)
			}
		}
	}
	return nil
}

// stop ends it by SIGTERM, and fails the test unless it ends well.
func (p *plexdns) stop() {
	p.tb.Helper()
	if !p.ends {
		p.ends = true
		p.proc.endWell(p.tb)
	}
}

// tryAsk asks one question over UDP, from that address.
func (p *plexdns) tryAsk(from netip.Addr, name string, qtype uint16, edits ...func(*dns.Msg)) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	for _, edit := range edits {
		edit(q)
	}
	client := &dns.Client{
		Timeout: 3 * time.Second,
		UDPSize: dns.DefaultMsgSize,
		Dialer:  &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))},
	}
	m, _, err := client.Exchange(q, p.addr.String())
	return m, err
}

// ask is tryAsk, and the test ends if there is no answer.
func (p *plexdns) ask(from netip.Addr, name string, qtype uint16, edits ...func(*dns.Msg)) *dns.Msg {
	p.tb.Helper()
	m, err := p.tryAsk(from, name, qtype, edits...)
	if err != nil {
		p.tb.Fatalf("asking for %s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return m
}

// addresses returns the A and AAAA of an answer, in order.
func addresses(m *dns.Msg) []netip.Addr {
	var as []netip.Addr
	for _, rr := range m.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			as = append(as, a.Unmap())
		}
	}
	slices.SortFunc(as, netip.Addr.Compare)
	return as
}

// eventually calls check until it returns nil, and fails the test if it does not within the time.
func eventually(tb testing.TB, within time.Duration, check func() error) {
	tb.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %s: %v", within, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
