package e2e_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

// laned is a home that shows what its plexdns counts.
type laned struct {
	*home

	config homeConfig
	at     string // where its metrics are
	asked  int    // questions that it has answered while it started
}

// newLaned starts a home, and returns when its lane answers, if it has one.
func newLaned(t *testing.T, lines ...string) *laned {
	t.Helper()
	metrics := netip.AddrPortFrom(inside, freePort(t, inside))
	file := filepath.Join(t.TempDir(), "inside.zone")
	writeFile(t, file, "box A 192.0.2.1\n*.wild A 192.0.2.2\nalias CNAME box\ndns.sub A 192.0.2.3\nsub NS dns.sub\n")
	l := &laned{at: "http://" + metrics.String() + "/metrics", config: homeConfig{
		proxies: 1, still: true, lines: append([]string{"zonefile internal " + file}, lines...),
		plugins: []string{"nsid here", "prometheus " + metrics.String()},
	}}
	l.home = newHome(t, l.config)
	l.asked = 1 // whether it answers
	l.settle()
	eventually(t, 20*time.Second, func() error { // an answer is counted when it has been sent
		if n := l.counted("coredns_dns_requests_total"); n < float64(l.asked) {
			return fmt.Errorf("%v of %d questions are counted", n, l.asked)
		}
		return nil
	})
	return l
}

// settle waits for the lane, if the Corefile wants one: CoreDNS answers alone until it has its sockets.
func (l *laned) settle() {
	l.tb.Helper()
	if slices.Contains(l.config.lines, "lane off") {
		return
	}
	eventually(l.tb, 10*time.Second, func() error {
		if l.counted("coredns_plex_lane_sockets") == 0 {
			return errors.New("the lane has no sockets")
		}
		before := l.counted("coredns_plex_lane_answers_total")
		l.dns.ask(inside, mainName, dns.TypeA)
		l.asked++
		if l.counted("coredns_plex_lane_answers_total") == before {
			return errors.New("the lane does not answer")
		}
		return nil
	})
}

// counters returns the counters and gauges whose names begin so, without the address of the server.
func (l *laned) counters(prefixes ...string) map[string]float64 {
	l.tb.Helper()
	out := map[string]float64{}
	for _, prefix := range prefixes {
		for line := range strings.Lines(scrape(l.tb, l.at, prefix).text) {
			series, value, _ := cutLast(strings.TrimSpace(line), " ")
			if n, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(line, "#") {
				out[strings.ReplaceAll(series, "dns://"+l.dns.addr.String(), "HERE")] = n
			}
		}
	}
	return out
}

// since returns what of them has changed, and by how much.
func (l *laned) since(before map[string]float64, prefixes ...string) map[string]float64 {
	l.tb.Helper()
	out := l.counters(prefixes...)
	for series := range out {
		out[series] -= before[series]
	}
	maps.DeleteFunc(out, func(_ string, n float64) bool { return n == 0 })
	return out
}

// counted returns the sum of a metric.
func (l *laned) counted(name string) (sum float64) {
	l.tb.Helper()
	for series, n := range l.counters(name) {
		if base, _, _ := strings.Cut(series, "{"); base == name {
			sum += n
		}
	}
	return sum
}

// reload takes another Corefile over by a signal.
func (l *laned) reload(lines ...string) {
	l.tb.Helper()
	l.config.lines = append(l.config.lines[:1:1], lines...)
	done := l.dns.proc.output.count("Reloading complete")
	l.dns.write(l.corefile(l.config))
	l.dns.proc.signal(l.tb, syscall.SIGUSR1)
	eventually(l.tb, 20*time.Second, func() error {
		if l.dns.proc.output.count("Reloading complete") == done {
			return errors.New("the Corefile is not taken over")
		}
		return nil
	})
	l.settle()
}

// laneQuestion is a question, with who answers it.
type laneQuestion struct {
	text   string
	from   netip.Addr
	packet []byte
	lane   bool
}

// laneWays are the ways in which each question is asked, and whether the lane answers what is asked so.
var laneWays = []struct {
	name string
	edit func(*dns.Msg)
	lane bool
}{
	{"", func(*dns.Msg) {}, true},
	{" +ednsbufsize=512", func(m *dns.Msg) { m.SetEdns0(512, false) }, true},
	{" +ednsbufsize=4096", func(m *dns.Msg) { m.SetEdns0(4096, false) }, true},
	{" +do", func(m *dns.Msg) { m.SetEdns0(1232, true) }, true},
	{" +cd +ad +nord", func(m *dns.Msg) { m.CheckingDisabled, m.AuthenticatedData, m.RecursionDesired = true, true, false }, true},
	{" in capitals", func(m *dns.Msg) { m.Question[0].Name = strings.ToUpper(m.Question[0].Name) }, true},
	{" +nsid", option(&dns.EDNS0_NSID{Code: dns.EDNS0NSID}), false},
	{" +cookie", option(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}), false},
	{" +subnet", option(&dns.EDNS0_SUBNET{
		Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0).To4(),
	}), false},
}

func option(o dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(dns.DefaultMsgSize, false)
		m.IsEdns0().Option = []dns.EDNS0{o}
	}
}

// laneNames are all managed names and others, and laneTypes what they are asked for, with whether the lane answers.
var (
	laneNames = map[string]bool{
		mainName: true, zone: true, "plex1." + zone: true, "plex2." + zone: true, "ns1." + zone: true,
		"_status." + zone: true, "_status.plex." + zone: true, "_status.plex1." + zone: true, "nothing." + zone: true,
		"a.b." + mainName: true, "x.wild." + zone: true, "wild." + zone: true, "box." + zone: true,
		"_acme-challenge." + zone: false, "example.org.": false, "x.sub." + zone: false,
	}
	laneTypes = map[uint16]bool{
		dns.TypeA: true, dns.TypeAAAA: true, dns.TypeTXT: true, dns.TypeSOA: true, dns.TypeNS: true, dns.TypeMX: true,
		dns.TypeHTTPS: true, 300: true, dns.TypeANY: false, dns.TypeDS: false, dns.TypeAXFR: false,
	}
)

// laneQuestions are all of these.
func laneQuestions(tb testing.TB) []laneQuestion {
	tb.Helper()
	var all []laneQuestion
	for _, name := range slices.Sorted(maps.Keys(laneNames)) {
		for _, qtype := range slices.Sorted(maps.Keys(laneTypes)) {
			for _, way := range laneWays {
				for _, from := range []netip.Addr{inside, outside} {
					m := new(dns.Msg).SetQuestion(name, qtype)
					m.Id = uint16(len(all)) //nolint:gosec // the number of the question
					way.edit(m)
					packet, err := m.Pack()
					if err != nil {
						tb.Fatal(err)
					}
					denied := name == "x.sub."+zone && from == outside // what is delegated inside does not exist there
					all = append(all, laneQuestion{
						text: fmt.Sprintf("%s %s%s from %s", name, dns.Type(qtype), way.name, from), from: from, packet: packet,
						lane: (laneNames[name] || denied) && laneTypes[qtype] && way.lane,
					})
				}
			}
		}
	}
	return all
}

// answers asks all questions, and returns the packets that come back. Each must come from where it was asked.
func (l *laned) answers(all []laneQuestion) map[string]string {
	l.tb.Helper()
	out := map[string]string{}
	for _, from := range []netip.Addr{inside, outside} {
		l.answersTo(from, all, out)
	}
	return out
}

// answersTo asks the questions of one client.
func (l *laned) answersTo(from netip.Addr, all []laneQuestion, out map[string]string) {
	l.tb.Helper()
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := d.DialContext(l.tb.Context(), "udp", l.dns.addr.String())
	if err != nil {
		l.tb.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, dns.MaxMsgSize)
	for _, q := range all {
		if q.from != from {
			continue
		}
		if err := errors.Join(conn.SetDeadline(time.Now().Add(5*time.Second)), second(conn.Write(q.packet))); err != nil {
			l.tb.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			l.tb.Fatalf("%s: %v", q.text, err)
		}
		out[q.text] = hex.EncodeToString(buf[:n])
	}
}

func second(_ int, err error) error { return err }

// TestLaneAnswersAsCoreDNSDoes: byte for byte, whatever is asked.
func TestLaneAnswersAsCoreDNSDoes(t *testing.T) {
	t.Parallel()
	l := newLaned(t)
	all := laneQuestions(t)
	withLane := l.answers(all)
	if got := l.counted("coredns_plex_lane_answers_total"); got < float64(len(all)/3) {
		t.Errorf("the lane has answered %v of %d questions only", got, len(all))
	}
	l.reload("lane off")
	answered := l.counted("coredns_plex_answers_total")
	if diff := cmp.Diff(l.answers(all), withLane); diff != "" {
		t.Errorf("answers (-lane off +lane on):\n%s", diff)
	}
	if l.counted("coredns_plex_answers_total") == answered {
		t.Error("our own answers are not counted without a lane")
	}
	if got := l.counted("coredns_plex_lane_sockets"); got != 0 {
		t.Errorf("with lane off there are %v sockets", got)
	}
}

// TestLaneCountsAsCoreDNSDoes: the counters of prometheus, and ours, say the same of questions that a lane answers as
// of those that CoreDNS does, to the last one; and each question is counted as answered or handed on.
func TestLaneCountsAsCoreDNSDoes(t *testing.T) {
	t.Parallel()
	asked := []string{
		"coredns_dns_requests_total", "coredns_dns_responses_total", "coredns_dns_do_requests_total", "coredns_plex_answers_total",
	}
	on, off := newLaned(t), newLaned(t, "lane off")
	all := laneQuestions(t)
	onBefore, offBefore := on.counters(asked...), off.counters(asked...)
	lane := on.counters("coredns_plex_lane")
	on.answers(all)
	off.answers(all)
	eventually(t, 20*time.Second, func() error { // on both the last answer is counted when it has been sent
		want := off.since(offBefore, asked...)
		if len(want) < 20 {
			return fmt.Errorf("CoreDNS counts %v only", want)
		}
		if diff := cmp.Diff(want, on.since(onBefore, asked...)); diff != "" {
			return fmt.Errorf("counters (-lane off +lane on):\n%s", diff)
		}
		return nil
	})
	want := map[string]float64{}
	for _, q := range all {
		if q.lane {
			want[`coredns_plex_lane_answers_total{server="HERE"}`]++
		} else {
			want[`coredns_plex_lane_handed_total{server="HERE"}`]++
		}
	}
	got := on.since(lane, "coredns_plex_lane")
	maps.DeleteFunc(got, func(series string, _ float64) bool { return strings.Contains(series, "_batch_size") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the lane counts (-want +got):\n%s", diff)
	}
}

// changing is what differs from run to run in what dig and kdig print.
var changing = regexp.MustCompile(`(?m)(, |; )id: \d+|^;; (Query time|WHEN|From|Received|MSG SIZE|Time|SERVER).*$|in [\d.]+ ms|^; (<<>>.*|COOKIE: .*)$`)

// TestLaneByDig: people's tools see no difference.
func TestLaneByDig(t *testing.T) {
	t.Parallel()
	gate.Need(t, gate.Tool("dig"), gate.Tool("kdig"))
	l := newLaned(t)
	said := func() map[string]string {
		out := map[string]string{}
		for _, tool := range []string{"dig", "kdig"} {
			for _, name := range []string{mainName, zone, "plex1." + zone, "_status." + zone, "box." + zone, "nothing." + zone} {
				for _, options := range []string{"A", "A +nocookie +noedns", "A +nocookie +dnssec", "A +nsid", "A +subnet=192.0.2.0/24", "TXT +bufsize=512", "SOA +norec"} {
					args := []string{"@" + l.dns.addr.Addr().String(), "-p", fmt.Sprint(l.dns.addr.Port()), "-b", inside.String(), name}
					text, err := exec.CommandContext(t.Context(), tool, append(args, strings.Fields(options)...)...).Output()
					if err != nil {
						t.Fatalf("%s %v %s: %v: %s", tool, args, options, err, text)
					}
					out[tool+" "+name+" "+options] = changing.ReplaceAllString(string(text), "")
				}
			}
		}
		return out
	}
	withLane := said()
	l.reload("lane off")
	without := said()
	if diff := cmp.Diff(without, withLane); diff != "" {
		t.Errorf("(-lane off +lane on):\n%s", diff)
	}
	if got := withLane["dig "+mainName+" A +nsid"]; !strings.Contains(got, "here") {
		t.Errorf("NSID is lost:\n%s", got)
	}
}

// TestLaneSockets: there are as many as CPUs, or as the Corefile says, and CoreDNS answers alone with none.
func TestLaneSockets(t *testing.T) {
	t.Parallel()
	l := newLaned(t)
	if got := l.counted("coredns_plex_lane_sockets"); got < 1 {
		t.Errorf("by default there are %v sockets", got)
	}
	for line, want := range map[string]float64{"lane on 3": 3, "lane on 1": 1, "lane off": 0} {
		l.reload(line)
		eventually(t, 20*time.Second, func() error { // the former lane answers until the new one takes over
			if got := l.counted("coredns_plex_lane_sockets"); got != want {
				return fmt.Errorf("%s: %v sockets, want %v", line, got, want)
			}
			return nil
		})
		if m := l.dns.ask(inside, mainName, dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("%s: got %v", line, m)
		}
	}
}

// TestLaneOverSignals keeps questions outstanding while signals take over Corefiles with a lane and without. None may
// be lost, and none answered wrong.
func TestLaneOverSignals(t *testing.T) {
	length := 4 * time.Second
	if gate.Long() {
		length = 20 * time.Second
	}
	l := newLoad(t)
	before := kernelDrops(t, l.h.dns.addr)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() { l.ask(ctx, i) })
	}
	wg.Go(func() {
		every(ctx, 250*time.Millisecond, func(n int) {
			c := l.config
			c.lines = append(slices.Clone(c.lines), []string{"lane off", "lane on 3", "lane on", "lane on 1"}[n%4])
			l.h.dns.write(l.h.corefile(c))
			l.h.dns.proc.signal(t, syscall.SIGUSR1)
		})
	})
	wg.Wait()
	drops := kernelDrops(t, l.h.dns.addr) - before
	reloads := l.h.dns.proc.output.count("Reloading complete")
	t.Logf("%d answers, %d lost, %d wrong, %d dropped by the kernel; %d reloads", l.answers.Load(), l.lost.Load(), l.wrong.Load(), drops, reloads)
	if l.wrong.Load() > 0 {
		t.Errorf("%d wrong answers", l.wrong.Load())
	}
	if lost := l.lost.Load() - drops; lost > 0 {
		t.Errorf("%d questions lost that the kernel did not drop", lost)
	}
	if want := int(length / time.Second); reloads < want || l.answers.Load() == 0 {
		t.Errorf("%d reloads, %d answers, want %d reloads or more", reloads, l.answers.Load(), want)
	}
}

// TestLaneEnds: a plexdns under load ends as soon as without a lane.
func TestLaneEnds(t *testing.T) {
	t.Parallel()
	l := newLaned(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = l.dns.tryAsk(inside, mainName, dns.TypeA) // until it has ended
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	begin := time.Now()
	l.dns.stop()
	took := time.Since(begin)
	cancel()
	wg.Wait()
	if took > 5*time.Second { // for so long CoreDNS waits for what is under way
		t.Errorf("it took %s to end", took)
	}
}
