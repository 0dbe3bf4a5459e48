package plugin_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"plexha/corefile"
	plex "plexha/plugin"
	"plexha/zones"
	"plexha/zones/board"
)

const zone = "home.duckdns.org."

// Who asks. The house is 192.168.1.0/24 unless a test says otherwise.
const (
	inside  = "192.168.1.77"
	outside = "198.51.100.23"
)

// began is when a house's subjects had their first verdicts.
var began = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// twoNodes and oneProxy are the lines of most houses.
var (
	twoNodes = []string{
		"node plex1 192.168.1.11", "node plex2 192.168.1.12", "internal 192.168.1.0/24", "uplink wan 203.0.113.7",
	}
	oneProxy = append(slices.Clone(twoNodes), "proxy 192.168.1.2")
)

// house is a plex block about which the test knows everything: nothing runs, and nobody is probed.
type house struct {
	*plex.Plex
	t     testing.TB
	cfg   *corefile.Config
	board *board.Board
	dir   string    // where relative zone files are
	now   time.Time // of what is served next

	published int
}

// newHouse returns a house of these properties in which all is up.
func newHouse(t testing.TB, lines ...string) *house {
	t.Helper()
	return newHouseAt(t, t.TempDir(), nil, lines...)
}

// newHouseBefore is [newHouse] with a plugin behind.
func newHouseBefore(t testing.TB, next plugin.Handler, lines ...string) *house {
	t.Helper()
	return newHouseAt(t, t.TempDir(), next, lines...)
}

// newHouseAt is [newHouse] with its zone files in dir.
func newHouseAt(t testing.TB, dir string, next plugin.Handler, lines ...string) *house {
	t.Helper()
	h := coldHouse(t, dir, next, lines...)
	for s, health := range h.board.Snapshot().Subjects {
		for _, a := range health.Addrs {
			h.board.Report(board.Verdict{Subject: s, Addr: a.Addr, Result: board.OK, At: began})
		}
	}
	h.board.FirstRoundDone(began)
	h.show()
	return h
}

// coldHouse returns a house in which nobody was asked yet.
func coldHouse(t testing.TB, dir string, next plugin.Handler, lines ...string) *house {
	t.Helper()
	cfg := parse(t, zone, lines...)
	b := board.New(board.Config{
		Cluster: &cfg.Cluster, Rise: cfg.Rise, Fall: cfg.Fall, Interval: cfg.Interval, Timeout: cfg.Timeout,
	}, began)
	p, err := plex.Still(cfg, dir, b, next)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Plex: p, t: t, cfg: cfg, board: b, dir: dir, now: began}
	h.show()
	return h
}

// parse reads a server block that holds one plex block. A line that starts with "plex " replaces the block's
// head, and one that starts with "keys " the server block's.
func parse(t testing.TB, keys string, lines ...string) *corefile.Config {
	t.Helper()
	head := "plex"
	var properties []string
	for _, l := range lines {
		switch first, rest, _ := strings.Cut(l, " "); first {
		case "keys":
			keys = rest
		case "plex":
			head = l
		default:
			properties = append(properties, l)
		}
	}
	text := keys + " {\n" + head + " {\n" + strings.Join(properties, "\n") + "\n}\n}\n"
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return configs[0]
}

// with returns lines and more lines.
func with(lines []string, more ...string) []string { return slices.Concat(lines, more) }

// file writes a zone file and returns the line's argument for it.
func file(t testing.TB, dir, name string, lines ...string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// show serves what the board says now.
func (h *house) show() {
	h.t.Helper()
	if err := h.Show(h.now); err != nil {
		h.t.Fatal(err)
	}
}

// says gives verdicts on each address of a subject, named as in an orders file, and serves what follows.
func (h *house) says(name string, results ...board.Result) {
	h.t.Helper()
	found := false
	for s, health := range h.board.Snapshot().Subjects {
		if s.Name != name {
			continue
		}
		found = true
		for _, result := range results {
			for _, a := range health.Addrs {
				h.board.Report(board.Verdict{Subject: s, Addr: a.Addr, Result: result, Why: "the test says so", At: began})
			}
		}
	}
	if !found {
		h.t.Fatalf("no subject %q", name)
	}
	h.publish()
}

// publish has the board make a snapshot without its coalescing time, by an order on nobody, and serves it.
func (h *house) publish() {
	h.t.Helper()
	h.published++
	h.board.SetOrders([]board.OrderLine{{Name: "nobody", Order: zones.OrderUp, Why: fmt.Sprint(h.published)}}, began)
	h.show()
}

// flap has the operator order a subject down, or if it is ordered so already, up, and serves what follows.
func (h *house) flap(name string) {
	h.t.Helper()
	h.published++
	order := []zones.Order{zones.OrderDown, zones.OrderUp}[h.published%2]
	h.board.SetOrders([]board.OrderLine{{Name: name, Order: order}}, began)
	h.show()
}

// kill takes subjects down.
func (h *house) kill(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.says(name, board.Failed, board.Failed)
	}
}

// revive brings subjects back.
func (h *house) revive(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.says(name, board.OK, board.OK)
	}
}

// question returns a question with a type, written as in dig: "plex.home.duckdns.org. A".
func question(t testing.TB, text string) *dns.Msg {
	t.Helper()
	name, word, ok := strings.Cut(text, " ")
	qtype, known := dns.StringToType[word]
	if strings.HasPrefix(word, "TYPE") {
		qtype, known = 300, word == "TYPE300"
	}
	if !ok || !known {
		t.Fatalf("no question: %q", text)
	}
	return new(dns.Msg).SetQuestion(name, qtype)
}

// send asks as CoreDNS's server does, and returns what the client gets.
func (h *house) send(from string, q *dns.Msg) *dns.Msg {
	h.t.Helper()
	return h.sendOver(&test.ResponseWriter{RemoteIP: from}, q)
}

func (h *house) sendOver(w dns.ResponseWriter, q *dns.Msg) *dns.Msg {
	h.t.Helper()
	asked := q.Copy()
	m := h.exchange(w, q)
	h.check(asked, m)
	return m
}

// exchange is what CoreDNS's server does with a question: the answer is made to fit, an error code that the
// plugin returns becomes an answer.
func (h *house) exchange(w dns.ResponseWriter, q *dns.Msg) *dns.Msg {
	rec := dnstest.NewRecorder(w)
	code, _ := h.ServeDNS(context.Background(), request.NewScrubWriter(q, rec), q)
	if !plugin.ClientWrite(code) {
		return new(dns.Msg).SetRcode(q, code)
	}
	return rec.Msg
}

// check holds for every answer of ours.
func (h *house) check(asked, m *dns.Msg) {
	h.t.Helper()
	if m == nil {
		h.t.Fatal("nothing was written")
	}
	text := asked.Question[0].String()
	if _, err := m.Pack(); err != nil {
		h.t.Errorf("%s: packing the answer: %v", text, err)
	}
	if len(m.Question) != 1 || m.Question[0] != asked.Question[0] {
		h.t.Errorf("%s: the question came back as %v", text, m.Question)
	}
	if m.RecursionAvailable {
		h.t.Errorf("%s: RA is set", text)
	}
	ours := m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError
	if ours && words(m) != "next" && words(m) != "referral" && !m.Authoritative {
		h.t.Errorf("%s: AA is not set", text)
	}
	if w := words(m); w == "nodata" || w == "nxdomain" {
		if len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA {
			h.t.Errorf("%s: %s with %v in the authority section, want the SOA alone", text, w, m.Ns)
		}
	}
}

// ask returns an answer in a few words.
func (h *house) ask(from, text string) string {
	h.t.Helper()
	return words(h.send(from, question(h.t, text)))
}

// words tells an answer: the addresses, or the other records' types and data, or what it is without any.
func words(m *dns.Msg) string {
	var out []string
	for _, rr := range m.Answer {
		data := strings.TrimPrefix(rr.String(), rr.Header().String())
		if t := rr.Header().Rrtype; t != dns.TypeA && t != dns.TypeAAAA {
			data = dns.TypeToString[t] + " " + data
		}
		out = append(out, data)
	}
	answer := strings.Join(out, ", ")
	switch {
	case m.Rcode != dns.RcodeSuccess:
		code := strings.ToLower(dns.RcodeToString[m.Rcode])
		return strings.TrimSpace(answer + " " + code)
	case strings.Contains(answer, "next plugin"):
		return "next"
	case answer != "":
		return answer
	case len(m.Ns) > 0 && m.Ns[0].Header().Rrtype == dns.TypeNS:
		return "referral"
	default:
		return "nodata"
	}
}

// next is the plugin behind: it answers everything.
var next = test.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	m := new(dns.Msg).SetReply(r)
	m.Answer = []dns.RR{test.TXT(r.Question[0].Name + ` 60 IN TXT "next plugin"`)}
	return dns.RcodeSuccess, w.WriteMsg(m)
})

// sorted orders the parts of an answer, where their own order is of no interest.
func sorted(answer string) string {
	all := strings.Split(answer, ", ")
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// withoutID returns a message's text without the number of its question, which differs each time.
func withoutID(text string) string {
	return regexp.MustCompile(`id: \d+`).ReplaceAllString(text, "id: *")
}
