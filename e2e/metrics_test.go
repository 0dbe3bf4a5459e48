package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// metrics are the metrics of one program whose names begin alike, in Prometheus's text format.
type metrics struct {
	text   string
	series []string // without their values, sorted; of a histogram all its series
}

// scrape asks for the metrics whose names begin so.
func scrape(tb testing.TB, address, prefix string) metrics {
	tb.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("asking for metrics: %s, %v", resp.Status, err)
	}
	var m metrics
	for line := range strings.Lines(string(body)) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		m.text += line
		if series, _, ok := cutLast(line, " "); ok && name == line {
			m.series = append(m.series, series)
		}
	}
	slices.Sort(m.series)
	return m
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

var (
	oneSeries  = regexp.MustCompile(`^([a-z0-9_]+?)(_bucket|_sum|_count)?(?:\{(.*)\})?$`)
	oneLabel   = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
	typeOfOne  = regexp.MustCompile(`(?m)^# TYPE ([a-z0-9_]+) (\w+)$`)
	documented = regexp.MustCompile("`((?:coredns_plex|plexha)_[a-z0-9_]+)(?:\\{([^}]*)\\})?`")
)

// forms returns each metric with the names of its labels, such as "coredns_plex_serial{view, zone}".
func (m metrics) forms(tb testing.TB) []string {
	tb.Helper()
	histograms := map[string]bool{}
	for _, match := range typeOfOne.FindAllStringSubmatch(m.text, -1) {
		histograms[match[1]] = match[2] == "histogram"
	}
	found := map[string]bool{}
	for _, s := range m.series {
		match := oneSeries.FindStringSubmatch(s)
		if match == nil {
			tb.Fatalf("not a series: %s", s)
		}
		name := match[1]
		if !histograms[name] {
			name += match[2]
		}
		var labels []string
		for _, label := range oneLabel.FindAllStringSubmatch(match[3], -1) {
			if !histograms[name] || label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		found[form(name, labels)] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func form(name string, labels []string) string {
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ", ") + "}"
}

// documentedMetrics returns the metrics that a README's section `Metrics` tells of, in the same form.
func documentedMetrics(t *testing.T, file string) []string {
	t.Helper()
	_, section, ok := strings.Cut(readText(t, file), "\n## Metrics\n")
	if !ok {
		t.Fatalf("%s has no section Metrics", file)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for _, match := range documented.FindAllStringSubmatch(section, -1) {
		var labels []string
		if match[2] != "" {
			labels = strings.Split(match[2], ", ")
		}
		out = append(out, form(match[1], labels))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkNames fails the test unless the metrics are named and described as Prometheus wants it.
func (m metrics) checkNames(tb testing.TB) {
	tb.Helper()
	problems, err := promlint.New(strings.NewReader(m.text)).Lint()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range problems {
		tb.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestMetricsOfPlexdns: a plexdns that has everything in its block and has met everything shows the metrics that its
// README tells of, and no others; and no question adds a series.
func TestMetricsOfPlexdns(t *testing.T) {
	t.Parallel()
	c := wanConfig{lines: []string{"wildcard"}}
	w := newWAN(t, c)
	node, proxy := netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("127.1.1.1")
	mortal := startPlex(t, netip.AddrPortFrom(node, freePort(t, node)), "1")
	lasting := startPlex(t, netip.AddrPortFrom(node, freePort(t, node)), "2")
	front := startProxy(t, netip.AddrPortFrom(proxy, freePort(t, proxy)))
	at := netip.AddrPortFrom(inside, freePort(t, inside))
	w.dns.write(strings.NewReplacer(
		"node plex1 127.0.0.1:9", "node plex1 "+mortal.addr.String(),
		"probe none", fmt.Sprintf("node plex2 %s\nproxy %s\ncanary %s", lasting.addr, front.addr, lasting.addr),
		"errors", "errors\nprometheus "+at.String(),
	).Replace(w.corefile(c)))
	writeFile(t, filepath.Join(w.dns.dir, "home.duckdns.org.orders"), "plex2 drain # new disk\n")
	w.start()
	w.confirmed(firstAddr)
	eventually(t, 20*time.Second, func() error { return w.holds(firstAddr) })
	w.says(20*time.Second, "is verified after")
	mortal.kill()
	eventually(t, 10*time.Second, func() error {
		if m := scrape(t, "http://"+at.String()+"/metrics", "coredns_plex_transitions_total"); !strings.Contains(m.text, `subject="plex1",to="down"`) {
			return fmt.Errorf("the node's end is in no metric:\n%s", m.text)
		}
		return nil
	})
	for _, name := range []string{mainName, zone, "plex1." + zone, "ns1." + zone, "_status.plex1." + zone, "any." + zone} {
		for _, from := range []netip.Addr{inside, outside} {
			w.dns.ask(from, name, dns.TypeA)
		}
	}

	var all metrics
	eventually(t, 10*time.Second, func() error { // what is logged is shown a moment later
		all = scrape(t, "http://"+at.String()+"/metrics", "coredns_plex_")
		if diff := cmp.Diff(documentedMetrics(t, "../plugin/README.md"), all.forms(t)); diff != "" {
			return fmt.Errorf("metrics (-plugin/README.md +shown):\n%s", diff)
		}
		return nil
	})
	all.checkNames(t)

	for i := range 300 {
		from := netip.AddrFrom4([4]byte{127, byte(i % 10), 0, byte(1 + i%200)})
		w.dns.ask(from, fmt.Sprintf("name-%d.%s", i, zone), uint16(1+i%100))
		w.dns.ask(from, fmt.Sprintf("_status.%d.plex.%s", i, zone), dns.TypeTXT)
	}
	after := scrape(t, "http://"+at.String()+"/metrics", "coredns_plex_answers_total")
	before := slices.DeleteFunc(slices.Clone(all.series), func(s string) bool {
		return !strings.HasPrefix(s, "coredns_plex_answers_total")
	})
	kinds := len([]string{"main", "node", "ns", "status", "other"}) * len([]string{"internal", "external"})
	if len(before) == 0 || len(after.series) > kinds {
		t.Errorf("%d series of answers after all these questions, and %d before; want %d at most", len(after.series), len(before), kinds)
	}
}

// TestMetricsOfPlexproxy: likewise, for a plexproxy through which clients have played.
func TestMetricsOfPlexproxy(t *testing.T) {
	t.Parallel()
	h := &home{tb: t, nodes: []*standIn{startFaultyNode(t, 1), startFaultyNode(t, 2)}}
	p := newPlexproxy(t, h)
	p.lines = []string{"max_requests 50"}
	p.start()
	s := &stage{tb: t, maker: ours, nodes: h.nodes, front: p.front}
	if c := s.play(p.front.clientOn("plex1"), "a-film"); c.failed > 0 {
		t.Fatalf("playing: %s", c)
	}
	kill := fault{Only: "plex1"}.atMoment(t, atHeaders, h.nodes[0].kill)
	if a := p.front.get(p.front.pathOn("plex1"), with(kill)); a.node() != "plex2" {
		t.Fatalf("a request whose node ends before it answers: %s, want 200 from plex2", a)
	}
	address := "http://" + p.status.String() + "/metrics"
	all := scrape(t, address, "plexha_")
	if diff := cmp.Diff(documentedMetrics(t, "../proxy/README.md"), all.forms(t)); diff != "" {
		t.Errorf("metrics (-proxy/README.md +shown):\n%s", diff)
	}
	all.checkNames(t)

	for i := range 300 {
		p.front.get(fmt.Sprintf("/nowhere/%d", i), by(fmt.Sprintf("stranger-%d", i)))
	}
	after := scrape(t, address, "plexha_")
	if more := len(after.series) - len(all.series); more > 10 {
		t.Errorf("300 clients and paths add %d series", more)
	}
}
