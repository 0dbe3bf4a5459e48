package lint_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/corefile/lint"
)

// good is a Corefile without a finding. Its properties stand in the lines 3 to 10.
const good = `home.duckdns.org {
    plex {
        node     plex1 192.168.1.4
        node     plex2 192.168.1.5
        proxy    192.168.1.2
        internal 192.168.1.0/24 fd12:3456::/48
        uplink   wan 203.0.113.7
        duckdns  token_file /etc/plexha/duckdns.token
        tls      acme mail@example.com
        fallthrough
    }
    forward . tls://1.1.1.1
    errors
    reload 2s 0s
}
`

// changed returns the good Corefile with words replaced, each of which it must have once.
func changed(t *testing.T, replace ...string) string {
	t.Helper()
	text := good
	for i := 0; i < len(replace); i += 2 {
		if strings.Count(text, replace[i]) != 1 {
			t.Fatalf("%q stands %d times in\n%s", replace[i], strings.Count(text, replace[i]), text)
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

// found returns the findings in short.
func found(t *testing.T, text string) []string {
	t.Helper()
	if _, err := corefile.Read("Corefile", strings.NewReader(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var all []string
	for _, f := range lint.Check("Corefile", []byte(text)) {
		who := f.Program
		if who == lint.Both {
			who = "both"
		}
		all = append(all, fmt.Sprintf("%d %s %s %s", f.Line, f.Level, f.Code, who))
	}
	return all
}

// props adds properties in line 11.
func props(lines string) []string { return []string{"fallthrough\n", "fallthrough\n" + lines + "\n"} }

// plugins adds plugins in line 15.
func plugins(lines string) []string {
	return []string{"reload 2s 0s\n", "reload 2s 0s\n" + lines + "\n"}
}

// resolver adds a server block from line 16.
func resolver(lines string) []string {
	return []string{"reload 2s 0s\n}\n", "reload 2s 0s\n}\n" + lines}
}

// unwise are Corefiles with what is to be said of them.
var unwise = []struct {
	name   string
	change []string
	want   string // nothing, or lines joined with commas
}{
	{"nothing to say", nil, ""},

	{"node where the proxy listens", []string{"plex1 192.168.1.4", "plex1 192.168.1.2:80"}, "3 warning proxy-is-node plexproxy, 3 note node-fallback plexdns"},
	{"node beside the proxy", []string{"plex1 192.168.1.4", "plex1 192.168.1.2"}, ""},

	{"node at loopback", []string{"plex1 192.168.1.4", "plex1 127.0.0.1"}, "3 warning unreachable plexdns"},
	{"node at loopback, clients are told another", []string{"plex1 192.168.1.4", "PLEX1 127.0.0.1 at 192.168.1.4"}, ""},
	{"proxy at loopback", []string{"proxy    192.168.1.2", "proxy    127.0.0.1"}, "5 warning unreachable plexdns"},
	{
		"all at loopback, and no client elsewhere",
		[]string{"plex1 192.168.1.4", "plex1 127.0.0.1", "192.168.1.0/24 fd12:3456::/48", "127.0.0.0/8", "192.168.1.2\n", "127.0.0.1\n"},
		"",
	},

	{"proxy at a port that nobody listens at", []string{"192.168.1.2\n", "192.168.1.2:8443\n"}, "5 warning listen-ports both"},
	{"proxy at the port that listen has", append(props("listen :8443 :80"), "192.168.1.2\n", "192.168.1.2:8443\n"), ""},
	{"listen without the proxy's port", props("listen :8443 :80"), "5 warning listen-ports both"},
	{"listen at a socket that is handed over", props("listen fd/3"), ""},

	{"proxy beside strangers", []string{"192.168.1.2\n", "192.168.2.2\n"}, "5 warning proxy-outside plexdns"},
	{"proxy with an address of the provider's", []string{"192.168.1.2\n", "192.168.1.2 2001:db8::2\n"}, "5 warning proxy-outside plexdns"},
	{"proxy with an address that may be on-link", []string{"192.168.1.2\n", "192.168.1.2 2001:db8::2\n", "fd12:3456::/48", "onlink"}, ""},
	{"proxy in a network of guests", append(props("external 192.168.1.0/28"), "192.168.1.2\n", "192.168.1.2:443\n"), "5 warning proxy-outside plexdns"},

	{"uplink inside", []string{"203.0.113.7", "192.168.1.7"}, "7 warning internal-uplink both"},
	{"uplink inside by a word", []string{"192.168.1.0/24 fd12:3456::/48", "private", "203.0.113.7", "10.0.0.7"}, "7 warning internal-uplink both"},
	{"uplink's network inside", []string{"fd12:3456::/48", "203.0.113.0/24"}, "7 warning internal-uplink both"},
	{"uplink is an exception", append(props("external 203.0.113.7"), "fd12:3456::/48", "203.0.113.0/24"), ""},
	{"everybody is inside", []string{"fd12:3456::/48", "::/0"}, "6 warning internal-everybody both"},
	{"half of the world is inside", []string{"fd12:3456::/48", "0.0.0.0/1"}, "6 warning internal-everybody both"},

	{"nodes at ports of their own", []string{"192.168.1.4", "docker1:32401", "192.168.1.5", "docker2:32402"}, "3 note node-fallback plexdns"},
	{"nodes at one port", []string{"192.168.1.4", "docker1:32401", "192.168.1.5", "docker2:32401"}, ""},
	{"found nodes at another port", props("nodes p tasks.plex 32401"), "3 note node-fallback plexdns"},
	{"nodes alone at ports of their own", append(props("answer nodes"), "192.168.1.5", "192.168.1.5:32401"), "3 warning node-ports plexdns"},

	{"alldown empty", props("alldown empty"), "11 warning alldown-empty plexdns"},
	{"alldown servfail", props("alldown servfail"), ""},
	{"probe none", props("probe none"), "11 warning probe-none both"},
	{"ttl 0", props("ttl 0s"), "11 warning ttl plexdns"},
	{"ttl over 60", props("ttl 61s"), "11 warning ttl plexdns"},
	{"ttl 60", props("ttl 60s"), ""},

	{"one name server", props("ns ns1 192.168.1.53"), "11 warning one-ns plexdns"},
	{"two names for one name server", props("ns ns1 192.168.1.53\nns ns2 192.168.1.53"), "11 warning one-ns plexdns"},
	{"two name servers", props("ns ns1 192.168.1.53\nns ns2 192.168.1.54"), ""},
	{"secondaries without a name server to tell", plugins("transfer {\nto 192.0.2.53\n}"), "2 mistake no-ns plexdns"},
	{
		"secondaries with one name server", append(plugins("transfer {\nto 192.0.2.53\n}"), props("ns ns1 192.0.2.1")...),
		"11 warning one-ns plexdns",
	},

	{"passthrough to nowhere", []string{"fallthrough", "passthrough nas", "forward . tls://1.1.1.1", ""}, "10 warning passthrough plexdns"},
	{"passthrough", []string{"fallthrough", "passthrough nas"}, ""},
	{"fallthrough to nowhere", []string{"forward . tls://1.1.1.1", ""}, "10 warning rest-of-zone plexdns"},
	{"fallthrough to a file of hosts", []string{"forward . tls://1.1.1.1", "hosts"}, ""},
	{"no fallthrough", []string{"fallthrough", ""}, "2 warning rest-of-zone plexdns"},
	{"no fallthrough, but a wildcard", []string{"fallthrough", "wildcard"}, ""},
	{"no fallthrough, but a zone file", []string{"fallthrough", "zonefile internal db"}, ""},
	{"trust in everybody's client subnet", props("trust_ecs 0.0.0.0/0"), "11 warning trust-ecs plexdns"},
	{"trust in one resolver", props("trust_ecs 192.168.1.1"), ""},

	{"token in the file", []string{"token_file /etc/plexha/duckdns.token", "token 11111111-2222-3333-4444-555555555555"}, "8 warning token both"},
	{"token of systemd's", []string{"token_file /etc/plexha/duckdns.token", "token from $CREDENTIALS_DIRECTORY"}, ""},
	{"verify off", []string{"duckdns.token", "duckdns.token verify off"}, "8 warning verify-off plexdns"},

	{"affinity off", props("affinity off"), "11 warning affinity-off plexproxy"},
	{"affinity off with one node", append(props("affinity off"), "        node     plex2 192.168.1.5\n", "\n"), ""},
	{"certificates of our own", []string{"acme mail@example.com", "internal"}, "9 warning tls-internal plexproxy"},
	{"certificates of our own by default", []string{"tls      acme mail@example.com", ""}, "2 warning tls-internal plexproxy"},
	{"no proxy, no certificates", []string{"tls      acme mail@example.com", "", "proxy    192.168.1.2", ""}, ""},
	{"no TLS", []string{"tls      acme mail@example.com", "tls off"}, "9 warning tls-off plexproxy"},
	{"no TLS behind a proxy that has it", append(props("trusted_proxies 192.168.1.1"), "tls      acme mail@example.com", "tls off"), ""},
	{"proxies without common certificates", []string{"proxy    192.168.1.2", "proxy    192.168.1.2 192.168.1.3"}, "5 warning storage plexproxy"},
	{"proxies with common certificates", append(props("storage /srv/c"), "proxy    192.168.1.2", "proxy    192.168.1.2 192.168.1.3"), ""},
	{"max_requests 1", props("max_requests 1"), "11 warning max-requests plexproxy"},
	{"max_requests 5", props("max_requests 5"), "11 warning max-requests plexproxy"},
	{"max_requests 6", props("max_requests 6"), ""},
	{"trust in everybody's headers", props("trusted_proxies 10.0.0.0/7"), "11 warning trusted-proxies plexproxy"},

	{"pages that are public everywhere", props("status 0.0.0.0:8053 public\nproxy_status 203.0.113.7:8054 public"), "11 warning status-public plexdns, 12 warning status-public plexproxy"},
	{"pages that are public in the house", props("status 192.168.1.2:8053 public\nproxy_status 192.168.1.2:8054 public"), ""},
	{"pages for nobody", props("status 192.168.1.2:8053\nproxy_status 192.168.1.2:8054"), "11 warning status-closed plexdns, 12 warning status-closed plexproxy"},

	{"features to come", props("notify ntfy://x/y\nstate etcd://x:2379"), "11 note inactive plexdns, 12 note inactive both"},

	{"lane", props("lane on"), ""},
	{"lane beside plugins that don't see all", append(props("lane on 4"), plugins("any\nbufsize 1232\nchaos\nnsid\nprometheus\nshed")...), ""},
	{"lane by default, and a log", plugins("log"), "2 note lane plexdns"},
	{"lane, and a log", append(props("lane on"), plugins("log")...), "11 note lane plexdns"},
	{"no lane, and a log", append(props("lane off"), plugins("log")...), ""},
	{"a log over TLS alone", append(plugins("log"), "home.duckdns.org {", "tls://home.duckdns.org {"), ""},
	{"a log elsewhere", resolver("lan {\nlog\nwhoami\n}\n"), ""},
	{"shed elsewhere", resolver("lan {\nwhoami\nshed\n}\n"), "18 mistake lane-shed plexdns"},
	{"shed elsewhere and here", append(resolver("lan {\nwhoami\nshed\n}\n"), "    errors\n", "    errors\n    shed\n"), "19 mistake lane-shed plexdns"},
	{"shed elsewhere, and no lane", append(resolver("lan {\nwhoami\nshed\n}\n"), props("lane off")...), ""},
	{"shed elsewhere, and a lane that stands aside", append(resolver("lan {\nwhoami\nshed\n}\n"), "    errors\n", "    errors\n    log\n"), "2 note lane plexdns"},
	{"shed at another port", resolver("lan:5353 {\nwhoami\nshed\n}\n"), ""},
	{"shed at another address", append(resolver("lan {\nbind 192.168.1.54\nwhoami\nshed\n}\n"), "    errors\n", "    errors\n    bind 192.168.1.53\n"), ""},
	{"shed at an address of both", append(resolver("lan {\nbind lo 192.168.1.53\nwhoami\nshed\n}\n"), "    errors\n", "    errors\n    bind 192.168.1.53\n"), "20 mistake lane-shed plexdns"},
	{"shed at an address, and a lane at all others", resolver("lan {\nbind 192.168.1.53\nwhoami\nshed\n}\n"), ""},

	{"no reload", []string{"reload 2s 0s", ""}, "2 warning no-reload plexdns"},
	{"reload in another block", append(resolver("lan {\nwhoami\nreload\n}\n"), "    errors\n    reload 2s 0s", "    errors"), ""},
	{"ready once", plugins("ready"), "15 warning ready plexdns"},
	{"ready at an address", plugins("ready :8181 {\nmonitor until-ready\n}"), "15 warning ready plexdns"},
	{"ready for as long as it is", plugins("ready {\nmonitor continuously\n}"), ""},
	{"no errors", []string{"errors", ""}, "2 warning no-errors plexdns"},
	{"no errors in the resolver", resolver(". {\nacl {\nblock\n}\nforward . tls://1.1.1.1\n}\n"), "20 warning no-errors plexdns"},
	{"cache", plugins("cache {\nserve_stale\n}"), "15 note cache plexdns"},
	{"forward to ourselves", []string{"tls://1.1.1.1", "127.0.0.1"}, "12 warning forward-self plexdns"},
	{"forward to the address that is bound", append(plugins("bind 192.168.1.53"), "tls://1.1.1.1", "192.168.1.1 192.168.1.53:53"), "12 warning forward-self plexdns"},
	{
		"forward to the port of a key",
		[]string{"home.duckdns.org {", "dns://home.duckdns.org:5353 home.duckdns.org:5354 {", "tls://1.1.1.1", "127.0.0.1:5354"},
		"12 warning forward-self plexdns",
	},
	{"forward over TLS to plain", []string{"home.duckdns.org {", "tls://home.duckdns.org {", "tls://1.1.1.1", "127.0.0.1"}, ""},
	{"cache at a port", append(plugins("cache"), "home.duckdns.org {", "tls://home.duckdns.org:853 {"), "15 note cache plexdns"},
	{"forward to another port", []string{"tls://1.1.1.1", "127.0.0.1:5353"}, ""},
	{"forward to loopback from an address", append(plugins("bind 192.168.1.53"), "tls://1.1.1.1", "127.0.0.1"), ""},
}

func TestCheck(t *testing.T) {
	for _, tc := range unwise {
		t.Run(tc.name, func(t *testing.T) {
			got := strings.Join(found(t, changed(t, tc.change...)), ", ")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestEachRuleIsTested makes a rule without a Corefile of its own fail. Access lists have a test of their own.
func TestEachRuleIsTested(t *testing.T) {
	seen := []string{"open-recursion"}
	for _, tc := range unwise {
		for one := range strings.SplitSeq(tc.want, ", ") {
			if words := strings.Fields(one); len(words) > 0 {
				seen = append(seen, words[2])
			}
		}
	}
	slices.Sort(seen)
	if diff := cmp.Diff(lint.Codes(), slices.Compact(seen)); diff != "" {
		t.Errorf("(-rules +tests):\n%s", diff)
	}
}

func TestTexts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change []string
		want   string
	}{
		{
			"a lane that stands aside", append(props("lane on 4"), plugins("log\nacl {\nallow\n}\nrewrite name a.org b.org")...),
			"Corefile:11: the fast lane stands aside for home.duckdns.org, since acl, log and rewrite must see each question: " +
				"CoreDNS answers them all, as with lane off",
		},
		{
			"shed elsewhere", resolver("lan {\nwhoami\nshed\n}\n"),
			"Corefile:18: shed stands in another server block than plex, at the same address, where CoreDNS has one place for it and the fast lane: " +
				"let it stand in the server block of home.duckdns.org alone, where it protects both",
		},
		{
			"ports of nodes",
			[]string{"192.168.1.4", "docker1:32401"},
			"Corefile:3: while no proxy is up plex.home.duckdns.org leads to the nodes, which no client can use: " +
				"they listen at :32400 and :32401, and DNS carries no port: give all nodes one port, such as 32400",
		},
		{
			"ports of a proxy", append(props("listen :8443 :8444 :80"), "192.168.1.2\n", "192.168.1.2 fd12:3456::2\n"),
			"Corefile:5: proxy 192.168.1.2:443: plexproxy listens at :8443, :8444 and :80, so that it counts as down unless something on the way " +
				"changes the port: add :443 to `listen`, or write the port that it has into the proxy line",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			all := lint.Check("Corefile", []byte(changed(t, tc.change...)))
			if len(all) == 0 {
				t.Fatal("nothing is found")
			}
			if diff := cmp.Diff(tc.want, all[0].String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMistakesHideFindings says that a Corefile which does not say what was meant has no findings.
func TestMistakesHideFindings(t *testing.T) {
	for _, text := range []string{"", "a.org {\n", changed(t, "uplink", "upnlik"), "a.org {\nwhoami\n}\n"} {
		if got := lint.Check("Corefile", []byte(text)); len(got) > 0 {
			t.Errorf("%v of\n%s", got, text)
		}
	}
}

// TestImports says that a finding names the file that it is in.
func TestImports(t *testing.T) {
	dir := t.TempDir()
	block, main := filepath.Join(dir, "block"), filepath.Join(dir, "Corefile")
	for name, text := range map[string]string{
		block: "node plex1 192.168.1.4\nmax_requests 1\n",
		main: "(log) {\nerrors\n}\na.org {\nplex {\nimport block\ntls acme a@b.org\nfallthrough\n}\n" +
			"import log\nforward . 192.0.2.53\nready\n}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := lint.Load(main)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, f := range got {
		places = append(places, fmt.Sprintf("%s:%d %s", filepath.Base(f.File), f.Line, f.Code))
	}
	want := []string{"Corefile:5 no-reload", "Corefile:12 ready", "block:2 max-requests"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := lint.Load(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there can be read")
	}
}

// TestExamples says that there is nothing to complain of in what people start from.
func TestExamples(t *testing.T) {
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(corefile.Examples, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range lint.Check(file, text) {
			t.Error(f)
		}
	}
}

func TestConcerns(t *testing.T) {
	for _, tc := range []struct {
		of        lint.Program
		dns, http bool
	}{{lint.Plexdns, true, false}, {lint.Plexproxy, false, true}, {lint.Both, true, true}} {
		f := lint.Finding{Program: tc.of}
		if f.Concerns(lint.Plexdns) != tc.dns || f.Concerns(lint.Plexproxy) != tc.http {
			t.Errorf("of %q: %v, %v", tc.of, f.Concerns(lint.Plexdns), f.Concerns(lint.Plexproxy))
		}
	}
}
