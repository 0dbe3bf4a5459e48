package corefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coredns/caddy/caddyfile"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"plexha/corefile"
	"plexha/zones"
)

// unpack writes the files of a txtar archive to a folder of their own.
func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := txtar.Write(txtar.Parse([]byte(archive)), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func nodeNames(configs []*corefile.Config) (names []zones.NodeName) {
	for _, c := range configs {
		for _, n := range c.Cluster.Nodes {
			names = append(names, n.Name)
		}
	}
	return names
}

func TestLoadReadsAsCoreDNSDoes(t *testing.T) {
	t.Setenv("PLEX_HOST", "docker3")
	t.Setenv("PLEX_NAME", "plex4")
	dir := unpack(t, `
-- Corefile --
(common) {
	interval 3s
	import nodes/plex1.conf
}
home.duckdns.org tls://home.duckdns.org {
	plex {
		import common
		import nodes/two/*.conf
		node plex3 {$PLEX_HOST}
		node {%PLEX_NAME%} docker4
	}
	errors
}
. {
	forward . 1.1.1.1
}
-- nodes/plex1.conf --
node plex1 docker1
-- nodes/two/a.conf --
node plex2 docker2
import b.inc
-- nodes/two/b.inc --
fall 7
`)
	configs, err := corefile.Load(filepath.Join(dir, "Corefile"))
	if err != nil {
		t.Fatal(err)
	}
	want := []zones.NodeName{"plex1", "plex2", "plex3", "plex4"}
	if diff := cmp.Diff(want, nodeNames(configs)); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	c := configs[0]
	if c.Interval.String() != "3s" || c.Fall != 7 || c.Cluster.Nodes[2].Host != "docker3" {
		t.Errorf("got interval %v, fall %d, plex3 at %q, want 3s, 7, docker3", c.Interval, c.Fall, c.Cluster.Nodes[2].Host)
	}
	if c.File != filepath.Join(dir, "Corefile") || c.Line != 6 {
		t.Errorf("got the block at %s:%d, want the Corefile, line 6", c.File, c.Line)
	}
}

func TestMistakesInImportedFilesNameThem(t *testing.T) {
	dir := unpack(t, `
-- Corefile --
home.duckdns.org {
	plex {
		interval 3s
		import nodes.conf
		fall 0
	}
}
-- nodes.conf --
node plex1 docker1
interval 2s
rise 0
`)
	nodes := filepath.Join(dir, "nodes.conf")
	main := filepath.Join(dir, "Corefile")
	_, err := corefile.Load(main)
	want := main + `:5: fall: N "0" is not a whole number of 1 or more
` + nodes + `:2: interval stands twice, first in ` + main + `:3
` + nodes + `:3: rise: N "0" is not a whole number of 1 or more`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAllMistakesOfAllBlocksInOneGo(t *testing.T) {
	got := complaints(t, `home.duckdns.org {
	plex {
		noed  plex1 docker1
		proxy 192.168.1.2:0 fd12::2
		answer proxies spred
		ttl 1s 2s
		ttl 3s
		tls acme
		open_ok plex1
		colour red
	}
	forward . 1.1.1.1
}
example.org {
	plex {
		fall 0
	}
	plex {
		node plex1 docker1 bakup
	}
}
`)
	want := []string{
		`Corefile:3: unknown property "noed": did you mean "node"?`,
		`Corefile:4: proxy: ADDRESS "192.168.1.2:0": port "0" is not a number from 1 to 65535`,
		`Corefile:5: answer: "spred" is not all, first or spread: did you mean "spread"?`,
		`Corefile:6: ttl: MIN 2s is above 1s`,
		`Corefile:7: ttl stands twice, first in line 6`,
		`Corefile:8: tls: EMAIL is missing: write tls acme EMAIL [dns] [ca URL]|internal|files CERT KEY|off`,
		`Corefile:10: unknown property "colour": allowed are `,
		`Corefile:15: no node: write a line such as node plex1 192.168.1.4:32400`,
		`Corefile:16: fall: N "0" is not a whole number of 1 or more`,
		`Corefile:18: zone "example.org." belongs to the plex block in line 15 already: give that one both keys, or this one another zone`,
		`Corefile:19: node plex1: unexpected "bakup", allowed here: https, verify, at, weight, backup or id: did you mean "backup"?`,
	}
	lines := strings.Split(got, "\n")
	if len(lines) == len(want) {
		lines[6], _, _ = strings.Cut(lines[6], "node,")
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStructure(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "Corefile: no plex block: write plex { } into the server block of your zone"},
		{"no plex", ". {\n errors\n}", "Corefile: no plex block: write plex { } into the server block of your zone"},
		{"no braces", "a.org {\n plex\n}", "Corefile:2: no node: write a line such as node plex1 192.168.1.4:32400"},
		{"no lines", "a.org {\n plex {\n }\n}", "Corefile:2: no node: write a line such as node plex1 192.168.1.4:32400"},
		{"all on one line", "a.org {\n plex { node plex1 docker1 }\n}", "no error"},
		{"brace on the next line", "a.org {\n plex\n {\n node plex1 docker1\n }\n}", "no error"},
		{"words behind the block", "a.org {\n plex {\n node plex1 docker1\n } a b\n errors\n}", `Corefile:4: unexpected "a" after the plex block`},
		{"two blocks", "a.org {\n plex b.a.org {\n node plex1 docker1\n }\n plex c.a.org {\n node plex1 docker1\n }\n}", "no error"},
		{"unclosed", "a.org {\n plex {\n node plex1 docker1\n", "Corefile:3: unexpected end of the file: is a } missing?"},
		{"closed once too often", "a.org {\n plex {\n }\n }\n }\n", "Corefile:2: no node: write a line such as node plex1 192.168.1.4:32400"},
		{"import of nothing", "a.org {\n plex {\n import /nowhere/nodes\n }\n}\n", "Corefile:3: file to import not found: /nowhere/nodes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := complaints(t, tc.text); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestErrorsCanBeTakenApart(t *testing.T) {
	_, err := corefile.Read("Corefile", strings.NewReader("a.org {\n plex {\n fall 0\n rise 0\n }\n}"))
	all, ok := errors.AsType[corefile.Errors](err)
	if !ok || len(all) != 3 {
		t.Fatalf("got %T of %v, want Errors of 3", err, err)
	}
	first, ok := errors.AsType[*corefile.Error](err)
	if !ok || first.File != "Corefile" || first.Line != 2 || first.Unwrap().Error() != "no node: write a line such as node plex1 192.168.1.4:32400" {
		t.Errorf("got %#v as the first", first)
	}
	if _, err = corefile.Read("Corefile", strings.NewReader(". {\n}")); !errors.Is(err, corefile.ErrNoBlock) {
		t.Errorf("got %v, want ErrNoBlock", err)
	}
	if _, err = corefile.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	if _, err = corefile.Read("Corefile", iotest.ErrReader(os.ErrDeadlineExceeded)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

// TestParseTakesWhatASetupGets feeds the tokens and keys as CoreDNS hands them to a plugin.
func TestParseTakesWhatASetupGets(t *testing.T) {
	d := caddyfile.NewDispenser("Corefile", strings.NewReader("plex {\n node plex1 docker1\n}\nplex b.home.duckdns.org {\n node plex2 docker2\n}\n"))
	configs, err := new(corefile.Parser).Parse(&d, []string{"dns://home.duckdns.org.:53", "tls://home.duckdns.org.:853"})
	if err != nil {
		t.Fatal(err)
	}
	var origins [][]string
	for _, c := range configs {
		origins = append(origins, c.Cluster.Origins)
	}
	if diff := cmp.Diff([][]string{{"home.duckdns.org."}, {"b.home.duckdns.org."}}, origins); diff != "" {
		t.Errorf("zones (-want +got):\n%s", diff)
	}
	d = caddyfile.NewDispenser("Testfile", strings.NewReader("plex home.duckdns.org {\n node plex1 docker1\n"))
	if _, err = new(corefile.Parser).Parse(&d, nil); err == nil || err.Error() != "Testfile:1: plex block without its closing }" {
		t.Errorf("got %v for a block without end", err)
	}
}

func TestNoSecretInErrors(t *testing.T) {
	const secret = token
	for _, line := range []string{
		"duckdns " + secret,
		"duckdns home " + secret,
		"duckdns token " + secret + " " + secret,
		"duckdns token " + secret + " verify " + secret,
		"duckdns token " + secret + " token_file f",
		"duckdns token_file " + secret,
		"duckdns token_file f every " + secret,
		"duckdns token_file f verify at " + secret,
		"duckdns token_file f api " + secret,
		"duckdns token_file f api https://www.duckdns.org/update?domains=home&token=" + secret,
		"duckdns token from " + secret,
		"duckdns token from " + secret + "/duckdns_token",
		"duckdns token '" + secret + "'",
		"duckdns token DUCKDNS_TOKEN=" + secret,
		"duckdns token " + secret[1:],
		"duckdns " + secret + " token_file f",
		"duckdns " + secret + ".duckdns.org token_file f",
		"notify " + secret,
		"notify smtp//u:" + secret + "@h",
		"notify ntfy://" + secret + " ntfy://" + secret,
		"state etcd://u:" + secret + "@h etcd://u:" + secret + "@h",
		"state etcd://u:" + secret + "%@h",
	} {
		if got := complaints(t, server("node plex1 docker1\n"+line)); got == "no error" || strings.Contains(got, secret) {
			t.Errorf("%s\ngives\n%s", line, got)
		}
	}
}
