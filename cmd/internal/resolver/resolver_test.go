package resolver_test

import (
	"encoding/json"
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/resolver"
)

var update = flag.Bool("update", false, "write the golden files anew")

// machine is the one that runs the tests' plexdns.
var machine = resolver.Machine{
	Hosts: []netip.Addr{
		netip.MustParseAddr("192.168.1.53"), netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("fd12:3456::53"),
	},
	Onlink:     []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")},
	Interfaces: map[string][]net.Addr{"eth0": {network("192.168.1.53/24"), network("fe80::53/64"), network("fd12:3456::53/48")}},
}

func network(text string) net.Addr {
	p := netip.MustParsePrefix(text)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// corefile writes one and returns its name.
func corefile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Corefile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// block is a server block with these keys, lines beside plex and properties of it.
func block(keys, beside, properties string) string {
	return keys + " {\n" + beside + "\nplex {\nnode plex1 192.168.1.4\nnode plex2 192.168.1.5\nuplink wan 203.0.113.7\n" + properties + "\n}\n}\n"
}

// printed returns what is printed for a Corefile, or the error.
func printed(t *testing.T, name, text string, args ...string) string {
	t.Helper()
	var out strings.Builder
	file := corefile(t, text)
	if err := machine.Run(append([]string{name, "-conf", file}, args...), &out); err != nil {
		return strings.ReplaceAll("error: "+err.Error(), file, "Corefile") + "\n"
	}
	return out.String()
}

const (
	// one has one zone, and plexdns at the port of DNS.
	one = "internal 192.168.1.0/24"
	// several is a list of addresses with several plexdns.
	several = "ns ns1 192.168.1.53 fd12:3456::53\nns ns2 192.168.1.54\ninternal 192.168.1.0/24 fd12:3456::/48"
)

// TestLines compares what is printed for each resolver with its golden file.
func TestLines(t *testing.T) {
	corefiles := map[string]string{
		"one":     block("home.duckdns.org", "", one),
		"several": block("home.duckdns.org:5300 plex.example:5300", "", several),
	}
	for which, text := range corefiles {
		for _, name := range resolver.Names() {
			t.Run(which+"/"+name, func(t *testing.T) {
				golden := filepath.Join("testdata", which, name+".txt")
				got := printed(t, name, text)
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestLinesAreNarrow: comments are read in terminals and editors; lines of a configuration are as long as they must.
func TestLinesAreNarrow(t *testing.T) {
	const width = 130
	for _, name := range resolver.Names() {
		for line := range strings.Lines(printed(t, name, block("home.duckdns.org", "", one))) {
			if len(line) > width || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("%s: %q is wider than %d, or ends in blanks", name, line, width)
			}
		}
	}
}

// TestServers: where plexdns is taken to answer.
func TestServers(t *testing.T) {
	const home = "home.duckdns.org"
	tests := []struct {
		name string
		text string
		args []string
		want string // the lines of dnsmasq that say it, or the error
	}{
		{
			"this machine's addresses in the house", block(home, "", "internal 192.168.1.0/24 fd12:3456::/48"), nil,
			"home.duckdns.org/192.168.1.53#53 home.duckdns.org/fd12:3456::53#53",
		},
		{"this machine's, by the word onlink", block(home, "", "internal onlink"), nil, "home.duckdns.org/192.168.1.53#53"},
		{"bind, with the key's port", block(home+":5300", "bind 192.168.1.60", one), nil, "home.duckdns.org/192.168.1.60#5300"},
		{
			"bind to an interface", block(home, "bind eth0", "internal private"), nil,
			"home.duckdns.org/192.168.1.53#53 home.duckdns.org/fd12:3456::53#53",
		},
		{"bind with an exception", block(home, "bind eth0 {\nexcept fd12:3456::53\n}", "internal private"), nil, "home.duckdns.org/192.168.1.53#53"},
		{"bind to an interface of another machine", block(home, "bind eth7", one), nil, "home.duckdns.org/192.168.1.53#53"},
		{"bind to all addresses", block(home, "bind 0.0.0.0 ::", one), nil, "home.duckdns.org/192.168.1.53#53"},
		{"loopback only if there is nothing else", block(home, "bind 127.0.0.1 192.168.1.53", one), nil, "home.duckdns.org/192.168.1.53#53"},
		{"loopback alone", block(home, "bind 127.0.0.1", one), nil, "home.duckdns.org/127.0.0.1#53"},
		{
			"ns lines, of several machines", block(home, "", several), nil,
			"home.duckdns.org/192.168.1.53#53 home.duckdns.org/fd12:3456::53#53 home.duckdns.org/192.168.1.54#53",
		},
		{
			"bind and ns: each once", block(home, "bind 192.168.1.53", several), nil,
			"home.duckdns.org/192.168.1.53#53 home.duckdns.org/fd12:3456::53#53 home.duckdns.org/192.168.1.54#53",
		},
		{"ns lines for the world do not count", block(home, "", "ns ns1 198.51.100.7\n"+one), nil, "home.duckdns.org/192.168.1.53#53"},
		{
			"-at before all", block(home+":5300", "bind 192.168.1.53", several),
			[]string{"-at", "192.168.1.60", "-at", "[fd12::60]:5400", "-at", "fd12::61"},
			"home.duckdns.org/192.168.1.60#5300 home.duckdns.org/fd12::60#5400 home.duckdns.org/fd12::61#5300",
		},
		{"a key with a scheme", block("dns://"+home+":5300", "", one), nil, "home.duckdns.org/192.168.1.53#5300"},
		{"the plain one of two keys", block("tls://"+home+":8530 "+home+":5300", "", one), nil, "home.duckdns.org/192.168.1.53#5300"},
		{
			"no plain key", block("tls://"+home, "", one), nil,
			"error: Corefile:3: no key of the server block is for plain DNS: add one without tls://, https:// and the like",
		},
		{"a zone below the key", strings.Replace(block(".:5300", "", one), "plex {", "plex home.duckdns.org {", 1), nil, "home.duckdns.org/192.168.1.53#5300"},
		{
			"the key of the zone, not its neighbour's", strings.Replace(block("example.org:5300 duckdns.org:5301", "", one), "plex {", "plex home.duckdns.org {", 1), nil,
			"home.duckdns.org/192.168.1.53#5301",
		},
		{
			"no address that is known", block(home, "", "internal 10.0.0.0/8"), nil,
			"error: Corefile:3: where plexdns answers can't be found out on this machine: say so with -at ADDRESS",
		},
		{
			"all blocks", block(home, "", one) + block("example.org:5300", "bind 192.168.1.60", one), nil,
			"home.duckdns.org/192.168.1.53#53 example.org/192.168.1.60#5300",
		},
		{"one zone", block(home+" example.org", "", one), []string{"-zone", "Example.org."}, "example.org/192.168.1.53#53"},
		{
			"a zone that is none", block(home, "", one),
			[]string{"-zone", "example.net"},
			`error: there is no zone "example.net" in Corefile: want one of home.duckdns.org`,
		},
		{
			"one block in two places", "(house) {\nplex {\nnode plex1 192.168.1.4\nuplink wan 203.0.113.7\ninternal 192.168.1.0/24\n}\n}\n" +
				"home.duckdns.org:5300 {\nimport house\n}\nexample.org:5301 {\nimport house\n}\n", nil,
			"home.duckdns.org/192.168.1.53#5300 example.org/192.168.1.53#5301",
		},
		{"a Corefile with a mistake", block(home, "", one+"\nlisten 99999999"), nil, "error: Corefile:8: listen: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := printed(t, "dnsmasq", tt.text, tt.args...)
			if !strings.HasPrefix(got, "error: ") {
				var servers []string
				for _, m := range regexp.MustCompile(`(?m)^server=/(.*)$`).FindAllStringSubmatch(got, -1) {
					servers = append(servers, m[1])
				}
				got = strings.Join(servers, " ")
			}
			if ok := got == tt.want || strings.HasPrefix(tt.want, "error: ") && strings.HasPrefix(got, tt.want); !ok {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"dnsmask"}, `reading the arguments: unknown resolver "dnsmask": want one of adguardhome bind`},
		{[]string{"dnsmask"}, `: did you mean "dnsmasq"?`},
		{[]string{"bind", "unbound"}, `reading the arguments: unexpected "unbound"`},
		{[]string{"bind", "-at", "plexdns"}, `want an address, or ADDRESS:PORT`},
		{[]string{"bind", "-at", "0.0.0.0"}, `want an address at which other machines reach plexdns, not 0.0.0.0`},
		{[]string{"bind", "-at", "fe80::1%eth0"}, `not fe80::1%eth0`},
		{[]string{"bind", "-conf", "no/Corefile"}, "no such file"},
	}
	for _, tt := range tests {
		err := machine.Run(tt.args, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.args, err, tt.want)
		}
	}
}

func TestListAndHelp(t *testing.T) {
	program := command.Program{Name: "plexctl", Commands: []command.Command{resolver.Command}}
	var list, help strings.Builder
	if err := program.Run(t.Context(), []string{"resolver"}, nil, &list, nil); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(list.String()), "\n") {
		if name, title, _ := strings.Cut(line, "  "); name != resolver.Names()[i] || title == "" {
			t.Errorf("line %d of the list is %q, want %s and what that is", i, line, resolver.Names()[i])
		}
	}
	if err := program.Run(t.Context(), []string{"resolver", "-h"}, nil, &help, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"usage: plexctl resolver ", "-at ADDRESS", "-zone ZONE", "-conf FILE", "[NAME]"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, help.String())
		}
	}
}

// TestKnotIsYAML: the lines for Knot Resolver 6 parse, and say what they should.
func TestKnotIsYAML(t *testing.T) {
	var got map[string]any
	if err := yaml.Unmarshal([]byte(printed(t, "knot", block("home.duckdns.org:5300", "", several))), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"forward": []any{map[string]any{
		"subtree": "home.duckdns.org",
		"servers": []any{"192.168.1.53@5300", "fd12:3456::53@5300", "192.168.1.54@5300"},
		"options": map[string]any{"authoritative": true, "dnssec": false},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPiholeIsTOML: the part of TOML that the lines use is a section's name, and a key with a value as JSON has it, but
// for the last comma of a list.
func TestPiholeIsTOML(t *testing.T) {
	got := map[string]any{}
	section, open := "", ""
	for line := range strings.Lines(printed(t, "pihole", block("home.duckdns.org:5300", "", several))) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case open == "" && strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			continue
		}
		open += line
		if strings.HasSuffix(line, "[") || strings.HasSuffix(line, ",") {
			continue
		}
		key, text, _ := strings.Cut(open, " = ")
		var value any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(text, ",]", "]")), &value); err != nil {
			t.Fatalf("%s: %v", open, err)
		}
		got[section+"."+key], open = value, ""
	}
	want := map[string]any{
		"misc.dnsmasq_lines": []any{
			"server=/home.duckdns.org/192.168.1.53#5300", "server=/home.duckdns.org/fd12:3456::53#5300", "server=/home.duckdns.org/192.168.1.54#5300",
			"rebind-domain-ok=/home.duckdns.org/",
		},
		"dns.cache.optimizer": -1.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestResolvedIsAnINIFile: what is no comment is a section or a key, systemd.syntax(7).
func TestResolvedIsAnINIFile(t *testing.T) {
	var got []string
	for line := range strings.Lines(printed(t, "systemd-resolved", block("home.duckdns.org:5300 example.org:5300", "", several))) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"[Resolve]", "DNS=192.168.1.53:5300 [fd12:3456::53]:5300 192.168.1.54:5300", "Domains=~home.duckdns.org ~example.org",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
