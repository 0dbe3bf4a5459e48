package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"plexha/e2e/internal/gate"
)

// rootAnchor is the public key of the root zone that validators start from, by its hash: KSK-2017 of IANA.
const rootAnchor = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"

// lan is a resolver of a house, with the lines that plexctl prints for it. It protects from rebinding, validates, blocks
// dynamic DNS and gives answers after their time, as far as it can do these. The rest of the world is out of its reach.
type lan struct {
	name    string // of the lines
	program string
	args    []string      // with CONF for the configuration, DIR for its folder, OWN and PORT for where it listens
	minTTL  time.Duration // the least that it tells clients by itself
	// conf returns the configuration from the printed lines without comments, and with them.
	conf func(l *lanStage, lines, printed string) string
	// without are lines whose absence breaks the resolver, and the answer that shows it.
	without map[string]string
}

// lanStage is where a resolver runs.
type lanStage struct {
	dir  string
	own  netip.AddrPort
	dead netip.AddrPort // where nobody answers: the Internet
}

var lans = []lan{
	{
		name: "dnsmasq", program: "dnsmasq", args: []string{"-k", "-C", "CONF"},
		conf:    func(l *lanStage, lines, _ string) string { return l.dnsmasq(lines) },
		without: map[string]string{"rebind-domain-ok=": "NOERROR []", "server=": "REFUSED []"},
	},
	{
		name: "openwrt", program: "dnsmasq", args: []string{"-k", "-C", "CONF"},
		conf:    func(l *lanStage, lines, _ string) string { return l.dnsmasq(uci(lines)) },
		without: map[string]string{".rebind_domain=": "NOERROR []"},
	},
	{
		name: "pihole", program: "dnsmasq", args: []string{"-k", "-C", "CONF"},
		conf:    func(l *lanStage, lines, _ string) string { return l.dnsmasq(quoted(lines)) },
		without: map[string]string{"rebind-domain-ok=": "NOERROR []"},
	},
	{
		name: "unbound", program: "unbound", args: []string{"-d", "-c", "CONF"},
		conf: func(l *lanStage, lines, _ string) string {
			return l.unbound(lines, "serve-expired: yes")
		},
		without: map[string]string{"private-domain:": "NOERROR []", "local-zone:": "NXDOMAIN []", "domain-insecure:": "timeout", "do-not-query-localhost:": "SERVFAIL []"},
	},
	{
		name: "pfsense", program: "unbound", args: []string{"-d", "-c", "CONF"},
		conf: func(l *lanStage, lines, printed string) string {
			return l.unbound(lines+forwardZones(printed, `Domain: (\S+) +IP Address: (\S+)`), "")
		},
		without: map[string]string{"private-domain:": "NOERROR []", "local-zone:": "NXDOMAIN []", "domain-insecure:": "timeout"},
	},
	{
		name: "opnsense", program: "unbound", args: []string{"-d", "-c", "CONF"},
		conf: func(l *lanStage, lines, printed string) string {
			return l.unbound(lines+forwardZones(printed, `Domain: (\S+) +Server IP: (\S+) +Server Port: (\S+)`), "")
		},
		without: map[string]string{"private-domain:": "NOERROR []", "local-zone:": "NXDOMAIN []", "domain-insecure:": "timeout"},
	},
	{
		name: "bind", program: "named", args: []string{"-g", "-c", "CONF"},
		conf:    func(l *lanStage, lines, printed string) string { return l.named(lines, printed) },
		without: map[string]string{"validate-except": "SERVFAIL []", "except-from": "SERVFAIL []"},
	},
	{
		name: "knot", program: "kresd", args: []string{"-n", "-a", "OWN", "-c", "CONF", "DIR"}, minTTL: 5 * time.Second,
		conf:    func(l *lanStage, _, printed string) string { return l.kresd(printed) },
		without: map[string]string{"ALLOW_LOCAL": "REFUSED []"},
	},
	{
		name: "coredns", program: "plexdns", args: []string{"-conf", "CONF", "-dns.port", "PORT"}, // the plexdns of the tests: a CoreDNS
		conf: func(l *lanStage, lines, _ string) string {
			return lines + fmt.Sprintf(". {\n    forward . %s\n    cache\n}\n", l.dead)
		},
		without: map[string]string{"    forward ": "SERVFAIL []"},
	},
}

func (l *lanStage) dnsmasq(lines string) string {
	anchor := strings.ReplaceAll(rootAnchor, " ", ",")
	return fmt.Sprintf("port=%d\nlisten-address=%s\nbind-interfaces\nno-resolv\nno-hosts\nuser=\npid-file=\nstop-dns-rebind\n"+
		"dnssec\ntrust-anchor=.,%s\n%s", l.own.Port(), l.own.Addr(), anchor, lines)
}

// uci returns what OpenWrt's start script makes of the lists of uci.
func uci(lines string) string {
	var out strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^uci add_list dhcp\.@dnsmasq\[0\]\.(\w+)='(.*)'$`).FindAllStringSubmatch(lines, -1) {
		option := map[string]string{"server": "server", "rebind_domain": "rebind-domain-ok"}[m[1]]
		fmt.Fprintf(&out, "%s=%s\n", option, m[2])
	}
	return out.String()
}

// quoted returns the strings of a list, as Pi-hole hands them to its dnsmasq.
func quoted(lines string) string {
	var out strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^ *"(.*)",$`).FindAllStringSubmatch(lines, -1) {
		out.WriteString(m[1] + "\n")
	}
	return out.String()
}

func (l *lanStage) unbound(lines, more string) string {
	return fmt.Sprintf(`server:
    interface: %s
    port: %d
    access-control: 127.0.0.0/8 allow
    username: ""
    chroot: ""
    directory: %q
    pidfile: ""
    use-syslog: no
    module-config: "validator iterator"
    trust-anchor: ". IN DS %s"
    private-address: 127.0.0.0/8
    local-zone: duckdns.org always_nxdomain
    %s
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: %s@%d
%s`, l.own.Addr(), l.own.Port(), l.dir, rootAnchor, more, l.dead.Addr(), l.dead.Port(), lines)
}

// forwardZones returns what a web interface writes for the fields that a pattern finds: zone, address and port.
func forwardZones(printed, pattern string) string {
	var out strings.Builder
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(printed, -1) {
		fmt.Fprintf(&out, "forward-zone:\n    name: %q\n    forward-addr: %s\n", m[1], strings.Join(m[2:], "@"))
	}
	return out.String()
}

func (l *lanStage) named(lines, printed string) string {
	options, zones := lines, ""
	if i := strings.Index(lines, "zone "); i >= 0 {
		options, zones = lines[:i], lines[i:]
	}
	except := ";"
	if m := regexp.MustCompile(`end it in: (except-from .*)`).FindStringSubmatch(printed); m != nil {
		except = m[1]
	}
	return fmt.Sprintf(`options {
    directory %q;
    pid-file "%[1]s/pid";
    session-keyfile "%[1]s/key";
    listen-on port %d { %s; };
    listen-on-v6 { none; };
    dnssec-validation yes;
    forward only;
    forwarders { %s port %d; };
    deny-answer-addresses { 127.0.0.0/8; } %s
    %s
};
trust-anchors { . static-ds %s; };
controls { };
%s`, l.dir, l.own.Port(), l.own.Addr(), l.dead.Addr(), l.dead.Port(), except, options, anchorOfBIND(), zones)
}

// kresd returns a configuration of Knot Resolver 5 with the lines for that version, which are printed as comments.
func (l *lanStage) kresd(printed string) string {
	var lines strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^# (policy\.add.*)$`).FindAllStringSubmatch(printed, -1) {
		lines.WriteString(m[1] + "\n")
	}
	return fmt.Sprintf("modules = { 'rebinding < iterate' }\ncache.size = 5 * MB\ntrust_anchors.remove('.')\n"+
		"trust_anchors.add('. IN DS %s')\n%spolicy.add(policy.all(policy.FORWARD({'%s@%d'})))\n",
		rootAnchor, lines.String(), l.dead.Addr(), l.dead.Port())
}

// anchorOfBIND is the root's anchor as BIND writes it: the hash in quotes.
func anchorOfBIND() string {
	i := strings.LastIndexByte(rootAnchor, ' ')
	return fmt.Sprintf("%s %q", rootAnchor[:i], rootAnchor[i+1:])
}

// printed returns what plexctl prints for a resolver of the home.
func (h *home) printed(t *testing.T, resolver string, flags ...string) string {
	t.Helper()
	args := append([]string{"resolver", resolver, "-conf", h.dns.file()}, flags...)
	out, err := exec.CommandContext(t.Context(), programs.path(t, "plexctl"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("plexctl resolver %s: %v\n%s", resolver, err, out)
	}
	return string(out)
}

// drop returns the text without the lines that hold a word.
func drop(text, word string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, word) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// uncommented returns the lines that are no comments.
func uncommented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// start runs the resolver with what was printed for it, and returns where it answers.
func (r *lan) start(t, parent *testing.T, printed string) netip.AddrPort {
	t.Helper()
	l := &lanStage{
		dir:  parent.TempDir(),
		own:  netip.AddrPortFrom(inside, freePort(parent, inside)),
		dead: netip.AddrPortFrom(inside, freePort(parent, inside)),
	}
	conf := filepath.Join(l.dir, "conf")
	if err := os.WriteFile(conf, []byte(r.conf(l, uncommented(printed), printed)), 0o600); err != nil {
		t.Fatal(err)
	}
	program := r.program
	if program == "plexdns" {
		program = programs.path(t, program)
	}
	var args []string
	for _, a := range r.args {
		args = append(args, strings.NewReplacer("CONF", conf, "DIR", l.dir, "PORT", fmt.Sprint(l.own.Port()),
			"OWN", fmt.Sprintf("%s@%d", l.own.Addr(), l.own.Port())).Replace(a))
	}
	p := startProcess(parent, "", exec.CommandContext(parent.Context(), program, args...))
	eventually(t, 20*time.Second, func() error {
		select {
		case <-p.done:
			t.Fatalf("%s has ended: %v\n%s", r.name, p.err, p.output)
		default:
		}
		c, err := net.DialTimeout("tcp", l.own.String(), time.Second)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return l.own
}

// says asks a resolver, and returns the answer in short: its code and its addresses.
func says(at netip.AddrPort, name string, qtype uint16, within time.Duration) string {
	client := &dns.Client{Timeout: within}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), at.String())
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timeout"
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %v", dns.RcodeToString[m.Rcode], addresses(m))
}

// TestResolvers: with the printed lines real resolvers answer as plexdns does, with their protection against rebinding
// on, validating, and without Internet; and follow when a node dies. Without one of the lines they do not.
func TestResolvers(t *testing.T) {
	t.Parallel()
	h := newHome(t, homeConfig{lines: []string{"answer nodes first", "ttl 2s 1s", "negative 2s"}})
	running := map[string]netip.AddrPort{}
	var caching netip.AddrPort
	for _, r := range lans {
		t.Run(r.name, func(st *testing.T) {
			if r.program != "plexdns" {
				gate.Need(st, gate.Tool(r.program))
			}
			text := h.printed(st, r.name)
			running[r.name] = r.start(st, t, text)
			h.answersThrough(st, running[r.name], r.minTTL)
			for word, want := range r.without {
				st.Run("without "+word, func(st *testing.T) { r.needs(st, text, word, want) })
			}
			st.Run("one of two plexdns", func(st *testing.T) {
				down := netip.AddrPortFrom(inside, freePort(st, inside)).String()
				at := r.start(st, st, h.printed(st, r.name, "-at", down, "-at", h.dns.addr.String()))
				eventually(st, 10*time.Second, func() error {
					if got, want := says(at, mainName, dns.TypeA, 5*time.Second), "NOERROR "+fmt.Sprint(addrs(h.nodes[0])); got != want {
						return fmt.Errorf("with the other one down it answers %s, want %s", got, want)
					}
					return nil
				})
			})
			if r.name == "unbound" {
				caching = r.start(st, t, drop(text, "forward-no-cache:"))
			}
		})
	}
	node1, node2 := "NOERROR "+fmt.Sprint(addrs(h.nodes[0])), "NOERROR "+fmt.Sprint(addrs(h.nodes[1]))
	for _, at := range append(slices.Collect(maps.Values(running)), caching) {
		if !at.IsValid() {
			continue // it was skipped, or has failed
		}
		// One that was kept waiting by a busy machine keeps its SERVFAIL for some seconds.
		eventually(t, 20*time.Second, func() error {
			if got := says(at, mainName, dns.TypeA, 10*time.Second); got != node1 {
				return fmt.Errorf("before a node's death the answer at %s is %s, want %s", at, got, node1)
			}
			return nil
		})
	}
	h.nodes[0].kill()
	died := time.Now()
	for name, at := range running {
		eventually(t, 10*time.Second, func() error {
			if got := says(at, mainName, dns.TypeA, 3*time.Second); got != node2 {
				return fmt.Errorf("%s answers %s, want %s", name, got, node2)
			}
			return nil
		})
		t.Logf("%s follows %s after the node's death", name, time.Since(died).Round(time.Millisecond))
	}
	if !caching.IsValid() {
		return
	}
	// It is asked for the first time since.
	if got := says(caching, mainName, dns.TypeA, 3*time.Second); got != node1 {
		t.Errorf("with serve-expired and without forward-no-cache it answers %s, want the dead %s", got, node1)
	}
}

// answersThrough compares what a resolver says of the home with what plexdns does.
func (h *home) answersThrough(t *testing.T, at netip.AddrPort, minTTL time.Duration) {
	t.Helper()
	keepsTTL(t, at, max(2*time.Second, minTTL))
	node1, node2 := "NOERROR "+fmt.Sprint(addrs(h.nodes[0])), "NOERROR "+fmt.Sprint(addrs(h.nodes[1]))
	got := map[string]string{}
	ask := func(what, name string, qtype uint16) { got[what] = says(at, name, qtype, 10*time.Second) }
	ask("the main name", mainName, dns.TypeA)
	ask("a node's name", "plex2."+zone, dns.TypeA)
	ask("the apex", zone, dns.TypeA)
	ask("a family that it lacks", mainName, dns.TypeAAAA)
	ask("HTTPS", mainName, dns.TypeHTTPS)
	ask("no such name", "nothing."+zone, dns.TypeA)
	want := map[string]string{
		"the main name": node1, "a node's name": node2, "the apex": node1,
		"a family that it lacks": "NOERROR []", "HTTPS": "NOERROR []", "no such name": "NXDOMAIN []",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// needs fails unless the resolver answers otherwise without the lines that hold a word.
func (r *lan) needs(t *testing.T, printed, word, want string) {
	t.Helper()
	short := drop(printed, word)
	if short == printed {
		t.Fatalf("no line holds it:\n%s", printed)
	}
	patience := 10 * time.Second
	if want == "timeout" {
		patience = 2 * time.Second
	}
	if got := says(r.start(t, t, short), mainName, dns.TypeA, patience); got != want {
		t.Errorf("it answers %s, want %s", got, want)
	}
}

// keepsTTL fails if a client is told to keep the main name's address for longer.
func keepsTTL(t *testing.T, at netip.AddrPort, most time.Duration) {
	t.Helper()
	client := &dns.Client{Timeout: 10 * time.Second}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(mainName, dns.TypeA), at.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range m.Answer {
		if ttl := time.Duration(rr.Header().Ttl) * time.Second; ttl > most {
			t.Errorf("%s: it may be kept for %s, want at most %s", rr, ttl, most)
		}
	}
}
