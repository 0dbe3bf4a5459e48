package plugin_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/bufsize"
	_ "github.com/coredns/coredns/plugin/cancel"
	_ "github.com/coredns/coredns/plugin/dns64"
	_ "github.com/coredns/coredns/plugin/header"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/local"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/multisocket"
	_ "github.com/coredns/coredns/plugin/nsid"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/shed"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/tsig"
	_ "github.com/coredns/coredns/plugin/view"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"plexha/corefile"
	"plexha/corefile/lint"
	plex "plexha/plugin"
)

// Who answers a question: the lane, CoreDNS to whom the lane has handed it, or who has got it beside the lane, by the
// names of the counters; and CoreDNS where there is no lane.
const (
	byLane    = "answers"
	byCoreDNS = "handed"
	strayed   = "strays"
	noLane    = "no lane"
)

// laned is a CoreDNS at one port of loopback of which a test knows who answers.
type laned struct {
	*server

	port string
}

// startLaned starts a server with a Corefile in which PORT is its port. It comes back when all zones are served.
func startLaned(t *testing.T, text string) *laned {
	t.Helper()
	l := &laned{port: freePort(t)}
	l.server = startServer(t, l.text(text))
	l.asked(text)
	return l
}

// freePort returns a port that is free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenPacket("udp", ln.Addr().String())
		_ = ln.Close()
		if err == nil {
			_ = conn.Close()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (l *laned) text(text string) string { return strings.ReplaceAll(text, "PORT", l.port) }

// reload takes over another Corefile.
func (l *laned) reload(text string) {
	l.t.Helper()
	if err := l.restart(l.text(text)); err != nil {
		l.t.Fatal(err)
	}
	l.asked(text)
}

// asked waits until the first round of all blocks has ended.
func (l *laned) asked(text string) {
	l.t.Helper()
	if !strings.Contains(text, "plex ") {
		return
	}
	configs, err := corefile.Read("Corefile", strings.NewReader(strings.ReplaceAll(l.text(text), "STATE", l.state)))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, cfg := range configs {
		for _, origin := range cfg.Cluster.Origins {
			eventually(l.t, func() string {
				if !source(l.t, cfg.Cluster.Origins[0]).Ready() {
					return origin + " is not ready"
				}
				return ""
			})
		}
	}
	if len(plex.Plans(l.instance)) > 0 {
		eventually(l.t, func() string {
			if got := l.counts(); got["sockets"] == 0 {
				return fmt.Sprintf("the lane has no sockets: %v", got)
			}
			return ""
		})
	}
}

// overTCP returns what CoreDNS answers: a lane has no part in it.
func (l *laned) overTCP(q *dns.Msg) *dns.Msg {
	l.t.Helper()
	var m *dns.Msg
	eventually(l.t, func() string { // a reload to fewer sockets cuts those that wait at one of the others
		var err error
		if m, _, err = (&dns.Client{Net: "tcp", Timeout: time.Second}).Exchange(q, "127.0.0.1:"+l.port); err != nil {
			return err.Error()
		}
		return ""
	})
	return m
}

// who asks over UDP, and returns who has answered. The answer must be the one that CoreDNS gives. A question that has
// strayed, as some may when sockets come and go, is asked again.
func (l *laned) who(text string) string {
	l.t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; {
		before := l.counts()
		l.same(question(l.t, text))
		if before == nil {
			return noLane
		}
		counted := ""
		eventually(l.t, func() string {
			now := l.counts()
			for _, by := range []string{byLane, byCoreDNS, strayed} {
				if now[by] == before[by]+1 {
					counted = by
					return ""
				}
			}
			return fmt.Sprintf("%s: nobody counts an answer: %v before, %v after", text, before, now)
		})
		if counted != strayed {
			return counted
		}
	}
	return strayed
}

// same asks over UDP, and fails the test unless the answer is CoreDNS's.
func (l *laned) same(q *dns.Msg) {
	l.t.Helper()
	m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, "127.0.0.1:"+l.port)
	if err != nil {
		l.t.Fatalf("%s: %v", q.Question[0].String(), err)
	}
	if diff := cmp.Diff(l.overTCP(q).String(), m.String()); diff != "" {
		l.t.Errorf("%s (-over TCP +over UDP):\n%s", q.Question[0].String(), diff)
	}
}

// counts returns the counters of the lane; nil: there is none.
func (l *laned) counts() map[string]float64 {
	l.t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	var out map[string]float64
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), "coredns_plex_lane_")
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if ours && label.GetName() == "server" && label.GetValue() == "dns://127.0.0.1:"+l.port {
					if out == nil {
						out = map[string]float64{}
					}
					out[strings.TrimSuffix(name, "_total")] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return out
}

// answered fails the test unless all questions are answered by whom they should be.
func (l *laned) answered(want map[string]string) {
	l.t.Helper()
	got := map[string]string{}
	for text := range want {
		got[text] = l.who(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("who answers (-want +got):\n%s", diff)
	}
}

// in returns a server block at the port of the test.
func in(zones, body string) string {
	var keys []string
	for key := range strings.FieldsSeq(zones) {
		keys = append(keys, key+":PORT")
	}
	return strings.Join(keys, " ") + " {\nbind 127.0.0.1\n" + body + "\n}\n"
}

// cluster returns a plex block for zones, or those of the server block, whose node is never asked.
func cluster(zones string, lines ...string) string {
	own := []string{
		"node plex1 127.0.1.1:1", "probe none", "internal 127.0.0.0/8", "uplink wan 203.0.113.7", "state STATE", "status 127.0.0.1:0",
	}
	return "plex " + zones + " {\n" + strings.Join(append(own, lines...), "\n") + "\n}"
}

// others is a plugin that answers all that it is asked.
const others = "template IN ANY {\nrcode NXDOMAIN\n}"

// TestLaneRoutes: a lane answers for the names whose server block and plex block are those that CoreDNS would find.
func TestLaneRoutes(t *testing.T) {
	for _, tc := range []struct {
		name, corefile string
		want           map[string]string
	}{
		{"a block", in("a.test", cluster("")), map[string]string{
			"plex.a.test. A": byLane, "PLEX.A.Test. A": byLane, "a.test. SOA": byLane, "plex.a.test. MX": byLane, "none.a.test. A": byLane,
			"plex.a.test. ANY": byCoreDNS, "a.test. DS": byCoreDNS, "b.test. A": byCoreDNS, "test. A": byCoreDNS, ". NS": byCoreDNS,
			"aa.test. A": byCoreDNS,
		}},
		{"a block under two keys", in("a.test b.test", cluster("")), map[string]string{
			"plex.a.test. A": byLane, "plex.b.test. A": byLane, "plex.c.test. A": byCoreDNS,
		}},
		{"two server blocks", in("a.test", cluster("")) + in("b.test", cluster("")), map[string]string{
			"plex.a.test. A": byLane, "plex.b.test. A": byLane,
		}},
		{"two plex blocks in a server block", in(".", cluster("a.test")+"\n"+cluster("b.test")), map[string]string{
			"plex.a.test. A": byLane, "plex.b.test. A": byLane, "plex.c.test. A": byCoreDNS, ". NS": byCoreDNS,
		}},
		{"a server block below", in("a.test", cluster("")) + in("x.a.test", others), map[string]string{
			"plex.a.test. A": byLane, "x.a.test. A": byCoreDNS, "y.x.a.test. A": byCoreDNS, "y.a.test. A": byLane,
		}},
		{"a plex block below another", in("a.test", cluster("")) + in("x.a.test", cluster("")), map[string]string{
			"plex.a.test. A": byLane, "plex.x.a.test. A": byLane, "x.a.test. SOA": byLane,
		}},
		{"a zone that is another server block's", in(".", cluster("a.test b.test")) + in("a.test", others), map[string]string{
			"plex.a.test. A": byCoreDNS, "plex.b.test. A": byLane,
		}},
		{"a zone in another one's, which a question meets first", in(".", cluster("a.test")+"\n"+cluster("x.a.test")), map[string]string{
			"plex.x.a.test. A": byLane, "plex.a.test. A": byLane,
		}},
		{"a zone in another one's, which a question meets later", in(".", cluster("x.a.test")+"\n"+cluster("a.test")), map[string]string{
			"plex.x.a.test. A": byLane, "plex.a.test. A": byLane,
		}},
		{"lane off in one server block", in("a.test", cluster("", "lane off")) + in("b.test", cluster("")), map[string]string{
			"plex.a.test. A": byCoreDNS, "plex.b.test. A": byLane,
		}},
		{"lane off in one plex block", in(".", cluster("a.test")+"\n"+cluster("x.a.test b.test", "lane off")), map[string]string{
			"plex.a.test. A": byLane, "plex.b.test. A": byCoreDNS,
		}},
		{"lane off", in("a.test", cluster("", "lane off")) + in("b.test", cluster("", "lane off")), map[string]string{
			"plex.a.test. A": noLane, "plex.b.test. A": noLane,
		}},
		{"lane on", in("a.test", cluster("", "lane on 2")), map[string]string{"plex.a.test. A": byLane}},
		{"a log in one server block", in("a.test", "log\n"+cluster("")) + in("b.test", cluster("")), map[string]string{
			"plex.a.test. A": byCoreDNS, "plex.b.test. A": byLane,
		}},
		{"an acl in another server block", in("a.test", cluster("")) + in("b.test", "acl {\nblock\n}\n"+others), map[string]string{
			"plex.a.test. A": byLane, "b.test. A": byCoreDNS,
		}},
		{
			"a view beside a block",
			in("a.test", "view some {\nexpr type() == 'TXT'\n}\n"+others) + in("a.test", cluster("")) + in("b.test", cluster("")),
			map[string]string{"plex.a.test. A": byCoreDNS, "_status.a.test. TXT": byCoreDNS, "plex.b.test. A": byLane},
		},
		{"plain DNS and another port", in("a.test", cluster("")) + strings.Replace(in("b.test", others), "PORT", "0", 1), map[string]string{
			"plex.a.test. A": byLane, "b.test. A": byCoreDNS,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { startLaned(t, tc.corefile).answered(tc.want) })
	}
}

// besidePlex are lines of plugins in a plex block's server block, by the plugin. The lane stands aside for those that
// package lint names.
var besidePlex = map[string]string{
	"acl":         "acl {\nallow\n}",
	"any":         "any",
	"bufsize":     "bufsize 1232",
	"cache":       "cache",
	"cancel":      "cancel",
	"chaos":       "chaos",
	"dns64":       "dns64",
	"errors":      "errors",
	"header":      "header {\nresponse set ra\n}",
	"loadbalance": "loadbalance",
	"local":       "local",
	"log":         "log",
	"metadata":    "metadata",
	"minimal":     "minimal",
	"nsid":        "nsid here",
	"prometheus":  "prometheus 127.0.0.1:0",
	"rewrite":     "rewrite name b.test c.test",
	"shed":        "shed",
	"template":    "template IN A b.test {\nrcode NXDOMAIN\n}",
	"transfer":    "transfer {\nto 127.0.0.1\n}",
	"tsig":        "tsig {\nsecret a.test. Zm9v\n}",
	"view":        "view some {\nexpr true\n}",
}

// TestLaneBesidePlugins: whatever must see each question does.
func TestLaneBesidePlugins(t *testing.T) {
	for name, lines := range besidePlex {
		t.Run(name, func(t *testing.T) {
			l := startLaned(t, in("a.test", lines+"\n"+cluster("", "ns ns1 127.0.0.1")))
			want := byLane
			if lint.SeesAll(name) {
				want = noLane
			}
			l.answered(map[string]string{"plex.a.test. A": want, "none.a.test. A": want})
		})
	}
}

// ofCoreDNS are CoreDNS's own plugins, in their order, before any test adds one.
var ofCoreDNS = slices.Clone(dnsserver.Directives)

// TestAllPluginsAreKnown: of each of CoreDNS's plugins before ours it is known whether the lane may answer for it.
func TestAllPluginsAreKnown(t *testing.T) {
	meetNoQuestion := []string{
		"root", "quic", "grpc_server", "https", "https3", "timeouts", "multisocket", "reload", "bind", "debug", "ready", "health", "pprof",
	}
	for _, name := range ofCoreDNS[:slices.Index(ofCoreDNS, "transfer")+1] {
		known := 0
		for _, is := range []bool{slices.Contains(meetNoQuestion, name), slices.Contains(plex.Transparent, name), lint.SeesAll(name)} {
			if is {
				known++
			}
		}
		if known != 1 {
			t.Errorf("%s is in %d of three lists, want one", name, known)
		}
	}
}

// stranger is a plugin that CoreDNS does not have, under another name than its own if that is not empty.
type stranger struct{ plugin.Handler }

var strangerName = "stranger"

func (stranger) Name() string { return strangerName }

func init() {
	plugin.Register("stranger", func(c *caddy.Controller) error {
		dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler { return stranger{next} })
		return nil
	})
}

// TestLaneBesideStrangers: nobody knows what another plugin does, so that it sees all questions, and that is said.
func TestLaneBesideStrangers(t *testing.T) {
	directives(t)
	before := dnsserver.Directives
	t.Cleanup(func() { dnsserver.Directives = before })
	if err := dnsserver.SetDirectives(append([]string{"stranger"}, before...)); err != nil {
		t.Fatal(err)
	}
	for name, said := range map[string]string{"stranger": "stranger", "another": "one without a name"} {
		t.Run(name, func(t *testing.T) {
			strangerName = name
			l := startLaned(t, in("a.test", "stranger\n"+cluster("")))
			l.answered(map[string]string{"plex.a.test. A": noLane})
			want := "the fast lane stands aside for a.test, since " + said + " may have to see each question: CoreDNS answers them all, as with lane off"
			if got := laneFindings(t, "a.test."); !slices.Equal(got, []string{want}) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// laneFindings returns what a running block shows about its lane.
func laneFindings(t *testing.T, zone string) []string {
	t.Helper()
	var out []string
	for _, f := range source(t, zone).Findings() {
		if f.Code == lint.Lane || f.Code == lint.LaneShed {
			out = append(out, f.Text)
		}
	}
	return out
}

// TestLaneAndShed: one place is theirs. In one server block they share it, and with `shed` in another one that comes
// later there is no lane.
func TestLaneAndShed(t *testing.T) {
	shed := in("b.test", "shed\n"+others)
	for _, tc := range []struct {
		name, corefile, want string
		findings             int
	}{
		{"in its server block", in("a.test", "shed\n"+cluster("")) + in("b.test", others), byLane, 0},
		{"in another before", shed + in("a.test", cluster("")), byLane, 1},
		{"in another behind", in("a.test", cluster("")) + shed, noLane, 1},
		{"in another behind, with a lane of its own", in("a.test", cluster("")) + in("b.test", "shed\n"+cluster("")), byLane, 0},
		{"in another behind, and no lane", in("a.test", cluster("", "lane off")) + shed, noLane, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := startLaned(t, tc.corefile)
			l.answered(map[string]string{"plex.a.test. A": tc.want})
			if got := laneFindings(t, "a.test."); len(got) != tc.findings {
				t.Errorf("%d findings, want %d: %q", len(got), tc.findings, got)
			}
			if !sheds(t, l.port) {
				t.Error("shed does not guard the socket")
			}
		})
	}
}

// sheds reports whether the plugin shed guards the socket at a port: it counts from then on.
func sheds(t *testing.T, port string) bool {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if f.GetName() == "coredns_shed_dropped_total" && label.GetValue() == "dns://127.0.0.1:"+port {
					return true
				}
			}
		}
	}
	return false
}

// TestLaneOverReloads: each Corefile has its lanes, whatever was before, and one that is refused changes nothing.
func TestLaneOverReloads(t *testing.T) {
	on, off := in("a.test", cluster("")), in("a.test", cluster("", "lane off"))
	l := startLaned(t, on)
	steps := []struct {
		name, corefile string
		want           map[string]string
	}{
		{"the same", on, map[string]string{"plex.a.test. A": byLane, "b.test. A": byCoreDNS}},
		{"off", off, map[string]string{"plex.a.test. A": noLane}},
		{"still off", off, map[string]string{"plex.a.test. A": noLane}},
		{"on", on, map[string]string{"plex.a.test. A": byLane}},
		{"a second zone", on + in("b.test", cluster("")), map[string]string{"plex.a.test. A": byLane, "plex.b.test. A": byLane}},
		{"another block", in("c.test", cluster("")), map[string]string{"plex.a.test. A": byCoreDNS, "plex.c.test. A": byLane}},
		{"a log", in("c.test", "log\n"+cluster("")), map[string]string{"plex.c.test. A": noLane}},
		{"no plex block", in("a.test", others), map[string]string{"a.test. A": noLane}},
		{"three sockets", in("a.test", "multisocket 3\n"+cluster("")), map[string]string{"plex.a.test. A": byLane, "b.test. A": byCoreDNS}},
		{"one socket", on, map[string]string{"plex.a.test. A": byLane, "b.test. A": byCoreDNS}},
		{"four of the lane's", in("a.test", cluster("", "lane on 4")), map[string]string{"plex.a.test. A": byLane}},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			l.t, l.server.t = t, t
			l.reload(step.corefile)
			l.answered(step.want)
			for name, bad := range map[string]string{
				"a mistake":                 in("a.test", cluster("", "lane up")),
				"a plugin's mistake":        step.corefile + in("d.test", cluster("", "lane off")) + in("e.test", "errors a b c"),
				"a port that is not to get": step.corefile + in("d.test", cluster("")) + "e.test:" + l.busy(t) + " {\nbind 127.0.0.1\nwhoami\n}\n",
			} {
				if err := l.restart(l.text(bad)); err == nil {
					t.Fatalf("%s: the reload is taken over", name)
				}
			}
			l.answered(step.want)
		})
	}
	l.t, l.server.t = t, t
}

// busy returns a port that somebody else has.
func (l *laned) busy(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// TestNoLaneAtAnyPort: port 0 is another one for each socket, so that a lane's would be nobody's.
func TestNoLaneAtAnyPort(t *testing.T) {
	s := startServer(t, strings.ReplaceAll(in("a.test", cluster("")), "PORT", "0"))
	l := &laned{server: s, port: "0"}
	if got := l.counts(); got != nil {
		t.Errorf("there is a lane: %v", got)
	}
	if got := s.ask("ns1.a.test."); got == "" {
		t.Error("no answer")
	}
}
