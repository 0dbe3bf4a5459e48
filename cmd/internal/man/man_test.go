package man_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/command"
	"plexha/cmd/internal/man"
)

// sources are made up.
func sources() *man.Sources {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.String("conf", "", "`FILE` the Corefile")
	return &man.Sources{
		Version: "1.2.3",
		Plexctl: &command.Program{Name: "plexctl", Summary: "the tool", About: "It *shows*.", Commands: []command.Command{
			{
				Name: "drain", Args: "NODE", Summary: "take a node out", About: "Before it_is_out.\n\none    what one is\ntwo    what two is",
				Flags: &command.Flags{Define: func(set *flag.FlagSet) {
					set.Bool("wait", false, "return when it is over")
					set.Duration("for", 0, "`DURATION` until it ends")
				}},
				Exits: []command.Exit{{Code: 3, Meaning: "it took too long"}},
			},
			{Name: "__inner", Hidden: true},
		}},
		Plexdns: &command.Program{Name: "plexdns", Summary: "the name server", Flags: set},
		Plugin:  "# plex\n\n## Name\n\n*plex* - serves it.\n\n## See Also\n\n[plexproxy](../proxy/README.md)\n",
		Proxy:   "# plexproxy\n\n## Name\n\n*plexproxy* - one name.\n",
	}
}

// run is the command with these arguments.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	p := command.Program{Name: "plexctl", Commands: []command.Command{man.Command(sources)}}
	var out strings.Builder
	err := p.Run(t.Context(), append([]string{"man"}, args...), strings.NewReader(""), &out, io.Discard)
	return out.String(), err
}

// TestAdapt: what a manual has that a man page has in another way.
func TestAdapt(t *testing.T) {
	for _, tc := range []struct{ name, manual, want string }{
		{"the name", "# plex\n\n## Name\n\n*plex* - serves it.\n", "\n# NAME\n\ncoredns-plex - serves it\n"},
		{"a heading", "## See Also\n", "# SEE ALSO\n"},
		{"a link to another manual", "see [the proxy](../proxy/README.md) too", "see the proxy, **plexproxy**(8) too"},
		{"a link to another file", "see [it](../README.md#x)", "see it"},
		{"a link elsewhere", "see [it](https://example.org)", "see [it](https://example.org)"},
		{"a code block", "~~~ corefile\n## no heading\n| no | table |\n   x\n~~~\n", "~~~\n## no heading\n| no | table |\n   x\n~~~\n"},
		{"a table", "| name | leads to |\n|---|---|\n| `a` | b |\n| c\\|d | |\n\nend", "\n* `a`: b\n* c|d: \n\n\nend"},
		{"a table of three", "| name | inside | outside |\n|---|---|---|\n| a | b | c |\n", "\n* a: inside: b; outside: c\n\n"},
		{"items with paragraphs", "* a\n  b\n    * c\n      d\n\n  e\n", "* a\n    b\n    * c\n        d\n\n    e\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, man.Adapt(tc.manual, "coredns-plex")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPage is what man gets of plexctl.
func TestPage(t *testing.T) {
	out, err := run(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".TH \"PLEXCTL\" \"1\" \"\" \"plexha 1.2.3\" \"plexha\"\n", ".SH NAME\nplexctl \\- the tool\n",
		"It \\fIshows\\fP\\&.\n", ".SS drain\n\\fBplexctl drain\\fP [\\fB-for\\fP \\fIDURATION\\fP] [\\fB-wait\\fP] NODE\n", "\nTake a node out.\n",
		"Before it_is_out.\n", ".EX\none    what one is\ntwo    what two is\n.EE\n",
		".TP\n\\fB-for\\fP \\fIDURATION\\fP\nuntil it ends\n", "Exit code 3: it took too long.\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "__inner") {
		t.Error("it shows what is hidden")
	}
}

func TestCommand(t *testing.T) {
	for _, name := range []string{"plexctl", "plexdns", "plexproxy", "plex"} {
		if out, err := run(t, name); err != nil || !strings.Contains(out, ".SH NAME\n") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	const want = "reading the arguments: want one of plexctl plexdns plexproxy plex: see plexctl man -h"
	for _, args := range [][]string{{"bind"}, {"plex", "plexctl"}} {
		if _, err := run(t, args...); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", args, err, want)
		}
	}
}

// TestFolder: the pages stand where man looks for them.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if out, err := run(t, "-dir", dir, "plexdns"); err != nil || out != "" {
		t.Errorf("one page: %q, %v", out, err)
	}
	if _, err := run(t, "-dir", dir); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"man1/plexctl.1", "man7/coredns-plex.7", "man8/plexdns.8", "man8/plexproxy.8"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), ".TH ") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
