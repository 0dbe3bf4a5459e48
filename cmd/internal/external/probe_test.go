package external_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/standin"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares an output with a file, but for what differs from run to run.
func (h *house) golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, h.dir, "DIR")
	got = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got, "127.0.0.1:PORT")
	got = regexp.MustCompile(` \d+(\.\d+)?m?s\b`).ReplaceAllString(got, " TIME")
	got = regexp.MustCompile(` +\n`).ReplaceAllString(regexp.MustCompile(` {2,}`).ReplaceAllString(got, "  "), "\n")
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestProbe: every source stands beside the others, and one sentence says what is to be believed.
func TestProbe(t *testing.T) {
	h := newHouse(t)
	out, err := h.says("probe")
	want(t, out, err, nil, "")
	h.golden(t, "probe.txt", out)
}

// TestProbeOfTrouble shows why what is said is refused, and ends with exit code 1.
func TestProbeOfTrouble(t *testing.T) {
	h := newHouse(t)
	h.opendns.Tell(netip.MustParseAddr("100.64.0.7"))
	h.stun.SetFault(standin.EchoFail)
	h.word("no address")
	out, err := h.says("probe", "-4")
	want(t, out, err, nil, "uplink wan: no ipv4 address that can be believed")
	h.golden(t, "trouble.txt", out)
}

func TestProbeVerdicts(t *testing.T) {
	for _, tc := range []struct {
		name, more string
		change     func(h *house)
		args       []string
		words      []string
		wrong      string
	}{
		{
			name:  "two operators, one of them secure",
			words: []string{"203.0.113.7 is the address: opendns udp", "there is no ipv6 here"},
		},
		{
			name:   "one lies",
			change: func(h *house) { h.stun.Tell(lie) },
			words:  []string{"203.0.113.7 is the address: opendns udp, file"},
		},
		{
			name:   "each says something else",
			change: func(h *house) { h.stun.Tell(lie); h.word("203.0.113.77") },
			words:  []string{"no address has a quorum: it takes two operators"},
			wrong:  "no ipv4 address that can be believed",
		},
		{
			name:   "the operator's own word alone",
			change: func(h *house) { h.detect("file " + filepath.Join(h.dir, "address")) },
			words:  []string{"203.0.113.7 is the address: file", "/address says so"},
		},
		{
			name:   "the operator's own words against each other",
			change: func(h *house) { h.detect("file "+h.file("address", lie.String()), "command /bin/echo "+truth.String()) },
			words:  []string{"the sources do not agree"},
			wrong:  "no ipv4 address that can be believed",
		},
		{
			name:   "nobody secure",
			change: func(h *house) { h.word("") },
			words:  []string{"no address has a quorum"},
			wrong:  "no ipv4 address that can be believed",
		},
		{
			name:   "nobody at all",
			change: func(h *house) { h.word(""); h.stun.Close(); h.opendns.SetFault(standin.EchoFail) },
			words:  []string{"no source tells an address"},
			wrong:  "no ipv4 address that can be believed",
		},
		{
			name:  "a family that is not here",
			args:  []string{"-6"},
			words: []string{"there is no ipv6 here"},
			wrong: "uplink wan: no address at all",
		},
		{
			name:  "an address that the Corefile gives",
			more:  "uplink spare 203.0.113.9",
			args:  []string{"-uplink", "spare"},
			words: []string{"home.duckdns.org, uplink spare, ipv4\n203.0.113.9 is the address: the Corefile gives it"},
		},
		{
			name:  "an uplink that is not there",
			args:  []string{"-uplink", "lte"},
			wrong: `there is no uplink "lte": want one of wan`,
		},
		{
			name: "its zone",
			args: []string{"-zone", "HOME.duckdns.org."}, words: []string{"home.duckdns.org, uplink wan, ipv4"},
		},
		{
			name: "a zone that is not there",
			args: []string{"-zone", "x.test"}, wrong: `there is no zone "x.test" in `,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHouse(t)
			h.write(tc.more)
			if tc.change != nil {
				tc.change(h)
			}
			out, err := h.says("probe", tc.args...)
			want(t, out, err, tc.words, tc.wrong)
		})
	}
}

func TestProbeJSON(t *testing.T) {
	h := newHouse(t)
	h.opendns.Tell(netip.MustParseAddr("10.0.0.1"))
	out, err := h.says("probe", "-json")
	want(t, out, err, nil, "")
	var shown []struct {
		Zone, Uplink string
		External     struct {
			IPv4 struct {
				Address  netip.Addr
				Findings []struct{ Source, Refused string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := fmt.Sprint(shown[0].Zone, " ", shown[0].Uplink, " ", shown[0].External.IPv4.Address)
	if got != "home.duckdns.org wan 203.0.113.7" {
		t.Errorf("got %s", got)
	}
	if f := shown[0].External.IPv4.Findings[0]; f.Source != "opendns udp" || !strings.Contains(f.Refused, "private") {
		t.Errorf("got %+v", f)
	}
}

func TestArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct{ args, out, wrong string }{
		{args: "probe -h", out: "usage: plexctl probe [-4] [-6] "},
		{args: "probe -x", wrong: "reading the arguments: flag provided but not defined: -x: see plexctl probe -h"},
		{args: "probe now", wrong: `reading the arguments: unexpected "now": see plexctl probe -h`},
		{args: "probe -conf none", wrong: "reading the Corefile: open none"},
		{args: "duckdns", out: "usage: plexctl duckdns COMMAND"},
		{args: "duckdns -h", out: "usage: plexctl duckdns COMMAND"},
		{args: "duckdns once -h", out: "usage: plexctl duckdns once [-conf FILE] [-n]"},
		{args: "duckdns twice", wrong: `unknown command "duckdns twice": see plexctl duckdns -h`},
		{args: "duckdns once -yes", wrong: "flag provided but not defined: -yes: see plexctl duckdns once -h"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var out strings.Builder
			err := run(t.Context(), strings.Fields(tc.args), &out)
			want(t, out.String(), err, []string{tc.out}, tc.wrong)
		})
	}
}
