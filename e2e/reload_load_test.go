package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

// TestReloadUnderLoad keeps 64 questions outstanding while the Corefile changes every 2 s and the zone files
// every second, and a node dies in between. None may be lost and none answered wrong; what the kernel dropped
// is counted apart.
func TestReloadUnderLoad(t *testing.T) {
	const outstanding = 64
	length := 5 * time.Second
	if gate.Long() {
		length = time.Minute
	}
	l := newLoad(t)
	dropsBefore := kernelDrops(t, l.h.dns.addr)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range outstanding {
		wg.Go(func() { l.ask(ctx, i) })
	}
	wg.Go(func() { l.askTCP(ctx) })
	wg.Go(func() { l.askVersion(ctx) })
	wg.Go(func() { l.rewriteCorefile(ctx) })
	wg.Go(func() { l.rewriteZoneFiles(ctx) })
	wg.Go(func() { l.killANode(ctx, length/2) })
	reloaded := func() int { return l.h.dns.proc.output.count("Reloading complete") }
	// CoreDNS looks at the file every 2 s, and so misses some of the writes.
	want := int(length / (5 * time.Second))
	time.Sleep(length)
	for late := time.Now().Add(20 * time.Second); (reloaded() < want || !l.detected.Load()) && time.Now().Before(late); {
		time.Sleep(10 * time.Millisecond) // the machine has stood still meanwhile
	}
	cancel()
	wg.Wait()
	drops := kernelDrops(t, l.h.dns.addr) - dropsBefore

	reloads := reloaded()
	t.Logf("%s: %d answers over UDP, %d lost, %d wrong, %d dropped by the kernel; %d over TCP, %d reconnects; %d reloads",
		length, l.answers.Load(), l.lost.Load(), l.wrong.Load(), drops, l.tcpAnswers.Load(), l.reconnects.Load(), reloads)
	if l.wrong.Load() > 0 {
		t.Errorf("%d wrong answers", l.wrong.Load())
	}
	if lost := l.lost.Load() - drops; lost > 0 {
		t.Errorf("%d questions lost that the kernel did not drop", lost)
	}
	if reloads < want {
		t.Errorf("%d reloads, want %d or more", reloads, want)
	}
	if !l.detected.Load() {
		t.Error("the dead node is still answered")
	}
	l.checkVersions(length)
	if l.answers.Load() == 0 || l.tcpAnswers.Load() == 0 {
		t.Error("nothing was answered")
	}
}

// load is what runs during the test.
type load struct {
	t      *testing.T
	h      *home
	config homeConfig

	answers, lost, wrong, tcpAnswers, reconnects atomic.Int64

	version  atomic.Int64 // of the zone files: the newest one written
	versions []int64      // of the answers, in order, each once; askVersion's until it ends
	killed   atomic.Bool  // plex1 was told to die
	left     sync.Once    // an answer without it was seen
	detected atomic.Bool  // and those that were on their way then had time to come
}

func newLoad(t *testing.T) *load {
	t.Helper()
	l := &load{t: t}
	dir := t.TempDir()
	l.config = homeConfig{lines: []string{
		"answer nodes all", "zonefile internal " + filepath.Join(dir, "inside.zone"),
		"zonefile external " + filepath.Join(dir, "outside.zone"),
	}}
	l.config.lines = append(l.config.lines, "") // the line that rewriteCorefile changes
	l.writeZoneFiles()
	l.h = newHome(t, l.config)
	return l
}

func (l *load) writeZoneFiles() {
	v := l.version.Add(1)
	for i, line := range l.config.lines[1:3] {
		writeFile(l.t, strings.Fields(line)[2], fmt.Sprintf("box 10 IN A 192.0.2.%d\nversion 10 IN TXT \"%d\"\n", 1+i, v))
	}
}

func (l *load) rewriteZoneFiles(ctx context.Context) {
	every(ctx, time.Second, func(int) { l.writeZoneFiles() })
}

// askVersion follows the record that is rewritten with the zone files.
func (l *load) askVersion(ctx context.Context) {
	every(ctx, 10*time.Millisecond, func(int) {
		v, err := l.servedVersion()
		if err != nil {
			l.t.Errorf("asking for the version: %v", err)
			return
		}
		if n := len(l.versions); n == 0 || l.versions[n-1] != v {
			l.versions = append(l.versions, v)
		}
	})
}

func (l *load) servedVersion() (int64, error) {
	m, err := l.h.dns.tryAsk(inside, "version."+zone, dns.TypeTXT)
	if err != nil {
		return 0, err
	}
	if len(m.Answer) != 1 {
		return 0, fmt.Errorf("got %v", m)
	}
	return strconv.ParseInt(m.Answer[0].(*dns.TXT).Txt[0], 10, 64)
}

// checkVersions: each zone file written was served, none after a newer one, and the last one still is.
func (l *load) checkVersions(length time.Duration) {
	l.t.Helper()
	if !slices.IsSorted(l.versions) {
		l.t.Errorf("the version fell: %v", l.versions)
	}
	if want := int(length/time.Second) / 2; len(l.versions) < want {
		l.t.Errorf("%d versions of the zone files were served, want %d or more: %v", len(l.versions), want, l.versions)
	}
	eventually(l.t, 5*time.Second, func() error {
		v, err := l.servedVersion()
		if want := l.version.Load(); err == nil && v != want {
			err = fmt.Errorf("version %d is served, %d was written last", v, want)
		}
		return err
	})
}

func (l *load) rewriteCorefile(ctx context.Context) {
	every(ctx, 2*time.Second, func(n int) {
		c := l.config
		c.lines = slices.Clone(c.lines)
		c.lines[3] = fmt.Sprintf("negative %ds", 11+n%2)
		l.h.dns.write(l.h.corefile(c))
	})
}

func (l *load) killANode(ctx context.Context, after time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(after):
		l.killed.Store(true)
		l.h.nodes[0].kill()
	}
}

// every calls f with 1, 2, ... once per period until ctx ends.
func every(ctx context.Context, period time.Duration, f func(n int)) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(n)
		}
	}
}

// question is one that clients ask, with what the answer must be.
type question struct {
	from  netip.Addr
	name  string
	check func(m *dns.Msg, late bool) error // late: it was asked when the dead node was known to be detected
}

// always is a check that does not depend on when the question was asked.
func always(check func(*dns.Msg) error) func(*dns.Msg, bool) error {
	return func(m *dns.Msg, _ bool) error { return check(m) }
}

func (l *load) questions() []question {
	return []question{
		{inside, mainName, l.checkNodes},
		{outside, mainName, always(wantAddrs(uplink))},
		{inside, "plex2." + zone, always(wantAddrs(addrs(l.h.nodes[1])...))},
		{inside, "box." + zone, always(wantAddrs(netip.MustParseAddr("192.0.2.1")))},
		{outside, "box." + zone, always(wantAddrs(netip.MustParseAddr("192.0.2.2")))},
		{outside, "nothing." + zone, always(func(m *dns.Msg) error {
			if m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
				return fmt.Errorf("%v, want NXDOMAIN with SOA", m)
			}
			return nil
		})},
	}
}

func wantAddrs(want ...netip.Addr) func(*dns.Msg) error {
	return func(m *dns.Msg) error {
		if got := addresses(m); !slices.Equal(got, want) {
			return fmt.Errorf("%s, %v, want %v", dns.RcodeToString[m.Rcode], got, want)
		}
		return nil
	}
}

// checkNodes: both nodes until the kill is detected, then the one that is left. Whoever asked before the
// detection may be answered after it, so that the first answer without the dead node opens a short grace. What counts is
// when the question was asked: the answer may have waited for this process.
func (l *load) checkNodes(m *dns.Msg, late bool) error {
	got := addresses(m)
	switch {
	case slices.Equal(got, addrs(l.h.nodes...)) && !late:
		return nil
	case slices.Equal(got, addrs(l.h.nodes[1])) && l.killed.Load():
		l.left.Do(func() { time.AfterFunc(100*time.Millisecond, func() { l.detected.Store(true) }) })
		return nil
	default:
		return fmt.Errorf("%s, %v; killed %t, asked after the detection %t", dns.RcodeToString[m.Rcode], got, l.killed.Load(), late)
	}
}

// ask has one question outstanding at any time, each asked once.
func (l *load) ask(ctx context.Context, i int) {
	qs := l.questions()
	from := qs[i%len(qs)].from
	qs = slices.DeleteFunc(qs, func(q question) bool { return q.from != from })
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.DialContext(ctx, "udp", l.h.dns.addr.String())
	if err != nil {
		l.t.Error(err)
		return
	}
	defer c.Close()
	conn := &dns.Conn{Conn: c, UDPSize: dns.DefaultMsgSize}
	for n := i; ctx.Err() == nil; n++ {
		q, late := qs[n%len(qs)], l.detected.Load()
		m, err := exchange(conn, q.name)
		if err != nil {
			if n := l.lost.Add(1); n <= 20 {
				l.t.Logf("lost: %s from %s: %v", q.name, from, err)
			}
			continue
		}
		l.answers.Add(1)
		l.judge(q, m, late)
	}
}

func (l *load) judge(q question, m *dns.Msg, late bool) {
	if err := q.check(m, late); err != nil {
		if n := l.wrong.Add(1); n <= 20 { // the rest is only counted
			l.t.Errorf("wrong: %s from %s: %v", q.name, q.from, err)
		}
	}
}

// exchange asks one question on a connection. An answer to an earlier one that was given up is not its answer.
func exchange(conn *dns.Conn, name string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	if err := errors.Join(conn.SetDeadline(time.Now().Add(5*time.Second)), conn.WriteMsg(q)); err != nil {
		return nil, err
	}
	for {
		m, err := conn.ReadMsg()
		if err != nil || m.Id == q.Id {
			return m, err
		}
	}
}

// askTCP asks over one connection after the other: CoreDNS closes them at a reload.
func (l *load) askTCP(ctx context.Context) {
	q := l.questions()[1]
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(q.from, 0))}
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			l.reconnects.Add(1)
		}
		c, err := d.DialContext(ctx, "tcp", l.h.dns.addr.String())
		if err != nil {
			continue
		}
		conn := &dns.Conn{Conn: c}
		for ctx.Err() == nil {
			late := l.detected.Load()
			m, err := exchange(conn, q.name)
			if err != nil {
				break
			}
			l.tcpAnswers.Add(1)
			l.judge(q, m, late)
		}
		c.Close()
	}
}

// kernelDrops returns how many datagrams the kernel has dropped at the server's sockets, and at those of
// this machine that talk to it.
func kernelDrops(t *testing.T, server netip.AddrPort) int64 {
	t.Helper()
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	port := fmt.Sprintf(":%04X", server.Port())
	var drops int64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 13 || !strings.HasSuffix(fields[1], port) && !strings.HasSuffix(fields[2], port) {
			continue
		}
		n, err := strconv.ParseInt(fields[12], 10, 64)
		if err != nil {
			t.Fatalf("/proc/net/udp: %q", lines.Text())
		}
		drops += n
	}
	return drops
}
