package check_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"plexha/cmd/internal/check"
	"plexha/cmd/internal/command"
	"plexha/corefile"
	"plexha/corefile/lint"
)

// TestMain makes a setup that leaves a goroutine behind fail. The plugin hosts looks after its file from its setup on,
// until the process ends, which here is at once.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/coredns/coredns/plugin/hosts.periodicHostsUpdate.func1"))
}

// good is a Corefile without a finding.
const good = `home.duckdns.org {
    plex {
        node     plex1 192.168.1.4
        proxy    192.168.1.2
        internal 192.168.1.0/24
        tls      acme mail@example.com
        fallthrough
    }
    forward . 192.0.2.53
    errors
    reload 2s 0s
}
`

// house goes to a new folder that holds a Corefile, so that messages name it without one.
func house(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Corefile", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says runs the command, and returns what it prints and its exit code.
func says(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var b, errs strings.Builder
	err := check.Run(t.Context(), args, strings.NewReader(""), &b, &errs)
	if exit, ok := errors.AsType[*command.ExitError](err); err != nil && (!ok || exit.Err != nil) || errs.Len() > 0 {
		t.Errorf("error %v, %s", err, &errs)
	}
	return b.String(), command.Code(err)
}

// TestMistakes says that no mistake hides another one: not in its block, not in its plugin, not in another program.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"none", good, "Corefile: nothing to complain of: 1 cluster, home.duckdns.org, 1 node, 1 proxy\n"},
		{
			"none in two blocks",
			good + "b.org c.org {\nplex {\nnodes p tasks.plex\ntls acme a@b.org\nfallthrough\n}\nwhoami\nerrors\n}\n",
			"Corefile: nothing to complain of: 2 clusters, home.duckdns.org, b.org, c.org, the nodes of tasks.plex, 1 node, 1 proxy\n",
		},
		{
			"none without a proxy", strings.NewReplacer("        proxy    192.168.1.2\n", "", "plex1", "plex1 192.168.1.5\nnode plex2").Replace(good),
			"Corefile: nothing to complain of: 1 cluster, home.duckdns.org, 2 nodes, 0 proxies\n",
		},
		{
			"in three blocks",
			"home.duckdns.org {\nplex {\nnode plex1 192.168.1.4\nintervall 2s\n}\nforward . tsl://1.1.1.1 {\nmax_fails x\n}\nerrors\nreload\n}\n" +
				"lan {\nacl {\nallow nett 192.168.1.0/24\n}\nfile\n}\n" +
				". {\nforwrd . 192.0.2.53\ncache 30 {\nsuccess x\n}\n}\n",
			"Corefile:4: mistake: unknown property \"intervall\": did you mean \"interval\"? [plex]\n" +
				"Corefile:7: mistake: forward: strconv.ParseUint: parsing \"x\": invalid syntax [plugin]\n" +
				"Corefile:14: mistake: acl: unexpected token \"nett\"; expect 'type | net' [plugin]\n" +
				"Corefile:16: mistake: file: wrong argument count or unexpected line ending after 'file' [plugin]\n" +
				"Corefile:19: mistake: unknown plugin \"forwrd\": did you mean \"forward\"? [unknown-plugin]\n" +
				"Corefile:21: mistake: cache: strconv.Atoi: parsing \"x\": invalid syntax [plugin]\n" +
				"6 mistakes\n",
		},
		{
			"in two uses of one plugin",
			strings.Replace(good, "    forward . 192.0.2.53\n", "forward a.org 192.0.2.53 {\nnope\n}\nforward b.org 192.0.2.53 {\nneither\n}\n", 1),
			"Corefile:10: mistake: forward: unknown property 'nope' [plugin]\n" +
				"Corefile:13: mistake: forward: unknown property 'neither' [plugin]\n2 mistakes\n",
		},
		{
			"one use too many",
			strings.Replace(good, "errors\n", "errors\ncache\nnsid\ncache 30\n", 1),
			"Corefile:11: note: cache keeps nothing of home.duckdns.org, serve_stale or not, since its answers differ from client to client: " +
				"leave it out here [cache]\n" +
				"Corefile:13: mistake: cache: this plugin can only be used once per Server Block [plugin]\n1 mistake, 1 note\n",
		},
		{
			"property outside of the plex block", strings.Replace(good, "errors\n", "errors\nnode plex2 192.168.1.5\n", 1),
			"Corefile:11: mistake: \"node\" is a property of the plugin plex: write it into plex { } [unknown-plugin]\n1 mistake\n",
		},
		{
			"plugin that nobody knows", strings.Replace(good, "errors\n", "errors\nxyzzy\n", 1),
			"Corefile:11: mistake: unknown plugin \"xyzzy\": plexdns holds " + held + " [unknown-plugin]\n1 mistake\n",
		},
		{
			"plugin of CoreDNS's that is left out", strings.Replace(good, "errors\n", "errors\nkubernetes cluster.local\n", 1),
			"Corefile:11: mistake: plexdns does not hold CoreDNS's plugin \"kubernetes\": it holds " + held + " [unknown-plugin]\n1 mistake\n",
		},
		{
			"one zone in two server blocks", good + "lan {\nwhoami\n}\nlan:53 {\nwhoami\n}\n",
			"Corefile:17: mistake: cannot serve dns://lan.:53 - it is already defined [servers]\n1 mistake\n",
		},
		{
			"keys that are none",
			good + "a..b {\nwhoami\n}\ntls://lan:85300 {\nwhoami now\n}\n192.168.1.0/24 fd12::/16 [::1]:5353 {\nwhoami\n}\n",
			"Corefile:14: mistake: server block a..b: zone is not a valid domain name: a..b [key]\n" +
				"Corefile:17: mistake: server block tls://lan:85300: port 85300 is not a number from 1 to 65535 [key]\n" +
				"Corefile:17: mistake: whoami: wrong argument count or unexpected line ending after 'now' [plugin]\n3 mistakes\n",
		},
		{
			"a file that ends too soon", "a.org {\nplex {\nnode plex1 192.168.1.4\n",
			"Corefile:3: mistake: unexpected end of the file: is a } missing? [syntax]\n1 mistake\n",
		},
		{
			"an import of nothing", "import nothing\n",
			"Corefile:1: mistake: file to import not found: nothing [syntax]\n1 mistake\n",
		},
		{"nothing", "", "Corefile: mistake: no plex block: write plex { } into the server block of your zone [no-plex]\n1 mistake\n"},
		{
			"no plex block", ". {\nwhoami\n}\n",
			"Corefile: mistake: no plex block: write plex { } into the server block of your zone [no-plex]\n1 mistake\n",
		},
		{
			"a zone file that is not there", strings.Replace(good, "fallthrough\n", "fallthrough\nzonefile internal nothing\n", 1),
			"Corefile:8: mistake: reading the internal zone file: open nothing: no such file or directory [plex]\n1 mistake\n",
		},
		{
			"certificates that are not there", strings.Replace(good, "acme mail@example.com", "files /nothing/cert /nothing/key", 1),
			"Corefile:2: mistake: looking at a certificate's files: stat /nothing/cert: no such file or directory [proxy]\n1 mistake\n",
		},
		{
			"two blocks for one proxy that do not go together",
			good + "b.org {\nplex {\nnode plex1 192.168.1.4\ntls off\ntrusted_proxies 192.168.1.9\nlisten http://:443\nfallthrough\n}\nwhoami\nerrors\n}\n",
			"Corefile:14: mistake: listen: :443 is with TLS in one block and without in another, Corefile:2 [proxy]\n1 mistake\n",
		},
		{
			"a folder that is not there yet", strings.Replace(good, "errors\n", "errors\nroot nothing\n", 1),
			"Corefile:11: warning: root: Root path does not exist: nothing [plugin]\nno mistake, 1 warning\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			house(t, tc.text)
			got, code := says(t)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := strings.Count(got, ": mistake: ") > 0; (code == 1) != want {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// held are the plugins that plexdns holds.
const held = "acl, any, auto, bind, bufsize, cache, cancel, chaos, debug, dnssec, errors, file, forward, header, health, hosts, https, " +
	"loadbalance, log, loop, metadata, minimal, multisocket, nsid, plex, pprof, prometheus, quic, ready, reload, rewrite, root, secondary, " +
	"shed, sign, template, timeouts, tls, transfer, tsig, view, whoami"

// TestStrict says what each level makes of the exit code.
func TestStrict(t *testing.T) {
	for _, tc := range []struct {
		name, add     string
		plain, strict int
	}{
		{"nothing", "", 0, 0},
		{"a note", "notify ntfy://x/y", 0, 0},
		{"a warning", "max_requests 1", 0, 1},
		{"a mistake", "max_request 1", 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			house(t, strings.Replace(good, "fallthrough\n", "fallthrough\n"+tc.add+"\n", 1))
			if _, code := says(t); code != tc.plain {
				t.Errorf("exit code %d, want %d", code, tc.plain)
			}
			if _, code := says(t, "-strict"); code != tc.strict {
				t.Errorf("-strict: exit code %d, want %d", code, tc.strict)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	type document struct {
		Version  int            `json:"version"`
		Files    []string       `json:"files"`
		Findings []lint.Finding `json:"findings"`
	}
	for _, tc := range []struct {
		name, text string
		want       document
	}{
		{"nothing to say", good, document{1, []string{"Corefile"}, []lint.Finding{}}},
		{
			"a mistake", strings.Replace(good, "errors\n", "errors\nxyzzy\n", 1),
			document{1, []string{"Corefile"}, []lint.Finding{{
				File: "Corefile", Line: 11, Level: lint.Mistake, Code: "unknown-plugin", Program: lint.Plexdns,
				Text: `unknown plugin "xyzzy": plexdns holds ` + held,
			}}},
		},
		{
			"a warning", strings.Replace(good, "fallthrough\n", "fallthrough\nttl 0s\n", 1),
			document{1, []string{"Corefile"}, []lint.Finding{{
				File: "Corefile", Line: 8, Level: lint.Warning, Code: "ttl", Program: lint.Plexdns,
				Text: "ttl 0s: clients and resolvers ask again before each connection, and some take 0 for an error: write 10s",
			}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			house(t, tc.text)
			text, _ := says(t, "-json")
			var got document
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestImported says where a mistake in an imported file is.
func TestImported(t *testing.T) {
	house(t, "a.org {\nplex {\nimport props\n}\nimport plugins\n}\n")
	for name, text := range map[string]string{
		"props":   "node plex1 192.168.1.4\nttl 1h\nfallthrough\nlane off\n",
		"plugins": "whoami\nerrors\nreload\nacl {\nnope\n}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := says(t, "Corefile")
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := "plugins:5: mistake: acl: unexpected token \"nope\"; expect 'allow', 'block', 'filter' or 'drop' [plugin]\n" +
		"props:2: warning: ttl 1h0m0s: for so long clients go on to an address that is down: write 60s or less, such as 10s [ttl]\n" +
		"1 mistake, 1 warning\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(got, dir+"/", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestExamples says that there is nothing to complain of in what people start from. Certificates and zone files are
// where the examples say.
func TestExamples(t *testing.T) {
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, corefile.Examples); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "examples"))
	for _, file := range files {
		file = filepath.Base(file)
		got, code := says(t, file)
		if file == "vip.corefile" { // the one whose certificates are files
			want := "vip.corefile:5: mistake: looking at a certificate's files: stat /etc/plexha/fullchain.pem: no such file or directory [proxy]\n1 mistake\n"
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			continue
		}
		if code != 0 || !strings.HasPrefix(got, file+": nothing to complain of: ") {
			t.Errorf("exit code %d, %s", code, got)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct{ name, args, want string }{
		{"a file that is not there", "none", "reading the Corefile: open none: no such file or directory"},
		{"two files", "a b", `reading the arguments: unexpected "b": want one FILE`},
		{"a flag that is none", "-jsn", "reading the arguments: flag provided but not defined: -jsn: did you mean -json?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := check.Run(t.Context(), strings.Fields(tc.args), strings.NewReader(""), &strings.Builder{}, &strings.Builder{})
			if err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
