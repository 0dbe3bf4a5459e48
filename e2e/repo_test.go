package e2e_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/e2e/internal/gate"
)

const root = ".." // of the repository

// goFile is one Go file of the repository.
type goFile struct {
	path string // slash-separated, from the root
	pkg  string // the folder, "." for none
	test bool
	ast  *ast.File
}

// goFiles parses all Go files of the repository.
func goFiles(t *testing.T, mode parser.Mode) []goFile {
	t.Helper()
	var files []goFile
	fset := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, filepath.Join(root, filepath.FromSlash(p)), nil, mode)
		files = append(files, goFile{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// imports are the rules for a folder, and the folders below it that have no row of their own.
type imports struct {
	folder string
	ours   []string // the folders of this module that it may import, with what is below them after "/..."
	never  []string // other modules that it must not import
	only   []string // if not empty: the only other modules that it may import outside tests
	why    string
}

const (
	coredns = "github.com/coredns/coredns"
	caddy   = "github.com/caddyserver/caddy"
	xxhash  = "github.com/cespare/xxhash/v2"
	std     = "std" // in imports.only: the standard library and nothing more
)

var importRules = []imports{
	{
		folder: "zones", only: []string{xxhash}, never: []string{coredns, caddy},
		why: "what a zone says is decided without I/O, so that its tests run in under a second",
	},
	{
		folder: "zones/board", ours: []string{"zones"}, only: []string{std}, never: []string{coredns, caddy},
		why: "a verdict is judged without I/O, so that its tests can use a fake clock",
	},
	{
		folder: "zones/diary", ours: []string{"zones", "zones/board"}, only: []string{std}, never: []string{coredns, caddy},
		why: "what a log says is decided without writing it, so that both programs say it in the same words",
	},
	{
		folder: "zones/timeline", ours: []string{"zones", "zones/board", "zones/diary"}, only: []string{std}, never: []string{coredns, caddy},
		why: "what has happened is remembered without I/O, so that both programs show it in the same words",
	},
	{
		folder: "corefile", ours: []string{"zones"}, only: []string{"github.com/coredns/caddy/caddyfile"},
		never: []string{coredns, caddy},
		why:   "plexproxy and plexctl read the file without a CoreDNS server",
	},
	{
		folder: "corefile/lint", ours: []string{"zones", "corefile"}, only: []string{"github.com/coredns/caddy/caddyfile"},
		never: []string{coredns, caddy},
		why:   "both programs and plexctl find the same unwise, whatever else they hold",
	},
	{
		folder: "corefile/state", ours: []string{"zones/...", "corefile"}, only: []string{std}, never: []string{coredns, caddy},
		why: "both programs keep files in one folder, and plexctl writes there",
	},
	{
		folder: "corefile/token", ours: []string{"corefile"}, only: []string{std}, never: []string{coredns, caddy},
		why: "both programs tell DuckDNS with one token, and plexctl looks at it",
	},
	{
		folder: "corefile/watch", only: []string{"github.com/fsnotify/fsnotify"}, never: []string{coredns, caddy},
		why: "both programs watch files, and neither needs more for it than the kernel's word",
	},
	{
		folder: "plugin", ours: []string{"zones/...", "corefile/...", "plugin/..."}, never: []string{caddy},
		why: "the plugin drops into any CoreDNS, which holds no Caddy",
	},
	{
		folder: "plugin/...", ours: []string{"zones/...", "corefile/...", "plugin/*"}, never: []string{caddy},
		why: "the parts of the plugin do not know the whole",
	},
	{
		folder: "plugin/via", ours: []string{"zones"}, only: []string{"golang.org/x/sys"}, never: []string{coredns, caddy},
		why: "the way out knows nothing of what is asked, so that probes, echoes and pushes all take it",
	},
	{
		folder: "plugin/resolve", ours: []string{"zones", "plugin/via"}, never: []string{coredns, caddy},
		why: "both programs ask what DuckDNS shows the world, and plexproxy holds no CoreDNS",
	},
	{
		folder: "plugin/pack", only: []string{"github.com/miekg/dns"}, never: []string{coredns, caddy},
		why: "an answer's bytes do not depend on who sends them, so that their tests run in under a second",
	},
	{
		folder: "plugin/lane", ours: []string{"plugin/pack"}, never: []string{caddy},
		why: "the lane knows packets, not what is answered",
	},
	{
		folder: "plugin/wanip", ours: []string{"zones/...", "corefile/...", "plugin/via", "plugin/resolve", "plugin/probe"},
		never: []string{coredns, caddy},
		why:   "what our address is does not depend on who answers with it, or tells DuckDNS",
	},
	{
		folder: "plugin/duckdns", ours: []string{"zones/...", "corefile/...", "plugin/via", "plugin/resolve"},
		never: []string{coredns, caddy},
		why:   "what DuckDNS is told does not depend on how it was found",
	},
	{
		folder: "plugin/status",
		ours:   []string{"zones/...", "corefile/...", "plugin/resolve", "plugin/wanip", "plugin/duckdns", "plugin/status/*"},
		never:  []string{caddy},
		why:    "a status page shows what others know",
	},
	{
		folder: "plugin/status/page", ours: []string{"zones/timeline", "plugin/status/door"}, only: []string{std},
		never: []string{coredns, caddy},
		why:   "both programs show pages of one look, and neither is known to it",
	},
	{
		folder: "plugin/status/door", only: []string{std}, never: []string{coredns, caddy},
		why: "both programs let the same people see and change what they show",
	},
	{
		folder: "proxy",
		ours: []string{
			"zones/...", "corefile/...", "plugin/probe", "plugin/resolve", "plugin/status/page", "plugin/status/door", "proxy/...",
		},
		never: []string{coredns},
		why:   "plexproxy runs without plexdns; they share what is below them, the probes, the public resolvers and the page's look",
	},
	{
		folder: "proxy/affinity", ours: []string{"zones"}, only: []string{xxhash}, never: []string{coredns, caddy},
		why: "who serves a request is decided without I/O, so that its tests run in under a second",
	},
	{
		folder: "proxy/playback", ours: []string{"zones", "proxy/affinity"}, only: []string{std}, never: []string{coredns, caddy},
		why: "who plays is decided without I/O, so that its tests run in under a second",
	},
	{
		folder: "proxy/status",
		ours:   []string{"zones/...", "corefile/...", "plugin/status/page", "plugin/status/door", "proxy/cluster", "proxy/playback"},
		never:  []string{coredns, caddy},
		why:    "what plexproxy shows does not depend on the server that shows it, and plexctl reads it",
	},
	{
		folder: "proxy/cluster", ours: []string{"zones/...", "corefile/...", "plugin/probe", "proxy/affinity", "proxy/playback"},
		never: []string{coredns, caddy},
		why:   "how the nodes are does not depend on the server that asks",
	},
	{
		folder: "proxy/relay", ours: []string{"zones/...", "corefile", "proxy/affinity", "proxy/playback", "proxy/cluster"},
		never: []string{coredns},
		why:   "a relay knows its cluster, not the program",
	},
	{
		folder: "proxy/certs", ours: []string{"corefile", "corefile/token", "plugin/via", "plugin/resolve"}, never: []string{coredns},
		why: "where certificates come from has nothing to do with nodes",
	},
	{
		folder: "proxy/redact", only: []string{std}, never: []string{coredns, caddy},
		why: "what a log may not say has nothing to do with nodes, nor with who writes it; and the fuzz targets compile at once",
	},
	{
		folder: "cmd", ours: []string{"zones/...", "corefile/...", "plugin/...", "proxy/...", "cmd/...", "e2e/standin"},
		why: "programs assemble; of the tests' folders they may only use the stand-ins, for the demo",
	},
	{
		folder: "e2e", ours: []string{"..."},
		why: "tests of the whole may look at everything",
	},
	{
		folder: "e2e/standin", only: []string{std},
		why: "a stand-in must not share a mistake with what it tests",
	},
}

// ruleFor returns the rule of the longest folder that is pkg or holds it.
func ruleFor(pkg string) (best imports, ok bool) {
	for _, r := range importRules {
		folder, below := strings.CutSuffix(r.folder, "/...")
		matches := strings.HasPrefix(pkg, folder+"/") || !below && pkg == folder
		if matches && len(r.folder) >= len(best.folder) {
			best, ok = r, true
		}
	}
	return best, ok
}

// allows tells whether a file of the module's folder pkg may import the path, and if not, in what it is wrong.
func (r imports) allows(pkg, importPath string, test bool) bool {
	within := func(prefixes []string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool {
			return importPath == p || strings.HasPrefix(importPath, p+"/")
		})
	}
	ours, isOurs := strings.CutPrefix(importPath, "plexha/")
	first, _, _ := strings.Cut(importPath, "/")
	switch {
	case isOurs:
		return test && ours == pkg || slices.ContainsFunc(r.ours, func(p string) bool { return covers(p, ours) })
	case within(r.never):
		return false
	case !strings.Contains(first, "."): // the standard library
		return true
	default:
		return test || len(r.only) == 0 || within(r.only)
	}
}

// covers tells whether the pattern is the folder, or covers it: a/... covers a and all below, a/* what is
// below a, "..." everything.
func covers(pattern, folder string) bool {
	if pattern == "..." {
		return true
	}
	if p, ok := strings.CutSuffix(pattern, "/..."); ok {
		return folder == p || strings.HasPrefix(folder, p+"/")
	}
	if p, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(folder, p+"/")
	}
	return folder == pattern
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range goFiles(t, parser.ImportsOnly) {
		rule, ok := ruleFor(f.pkg)
		if !ok {
			t.Errorf("%s: no import rule for this folder", f.path)
			continue
		}
		for _, spec := range f.ast.Imports {
			if p, _ := strconv.Unquote(spec.Path.Value); !rule.allows(f.pkg, p, f.test) {
				t.Errorf("%s imports %s: %s", f.path, p, rule.why)
			}
		}
	}
}

func TestImportRules(t *testing.T) {
	tests := []struct {
		pkg, imported string
		test          bool
		want          bool
	}{
		{"zones", "net/netip", false, true},
		{"zones", xxhash, false, true},
		{"zones", "plexha/corefile", false, false},
		{"zones", "github.com/google/go-cmp/cmp", false, false},
		{"zones", "github.com/google/go-cmp/cmp", true, true},
		{"zones", coredns + "/plugin", true, false},
		{"zones", "plexha/zones", true, true},
		{"zones/board", "plexha/zones", false, true},
		{"zones/board", xxhash, false, false},
		{"corefile", "github.com/coredns/caddy/caddyfile", false, true},
		{"corefile", "github.com/coredns/caddy", false, false},
		{"corefile", "plexha/zones/board", false, false},
		{"corefile", "plexha/corefile/watch", false, false},
		{"corefile/watch", "github.com/fsnotify/fsnotify", false, true},
		{"corefile/watch", "plexha/corefile", false, false},
		{"corefile/state", "plexha/corefile", false, true},
		{"corefile/state", "plexha/corefile/watch", false, false},
		{"corefile/token", "plexha/corefile", false, true},
		{"corefile/token", "plexha/corefile/state", false, false},
		{"plugin/via", "golang.org/x/sys/unix", false, true},
		{"plugin/via", "plexha/corefile", false, false},
		{"plugin/pack", "plexha/zones", false, false},
		{"plugin/lane", "plexha/plugin/pack", false, true},
		{"plugin/lane", "plexha/plugin/status", false, false},
		{"plugin/resolve", "plexha/plugin/via", false, true},
		{"plugin/resolve", coredns + "/plugin", false, false},
		{"plugin/wanip", "plexha/plugin/resolve", false, true},
		{"plugin/wanip", "plexha/plugin/duckdns", false, false},
		{"plugin/duckdns", "plexha/corefile/token", false, true},
		{"plugin/duckdns", "plexha/plugin/wanip", false, false},
		{"plugin/status", "plexha/plugin/wanip", false, true},
		{"plugin/status", "plexha/plugin", false, false},
		{"proxy/certs", "plexha/plugin/resolve", false, true},
		{"proxy/certs", "plexha/plugin/probe", false, false},
		{"zones/diary", "plexha/zones/board", false, true},
		{"zones/diary", xxhash, false, false},
		{"plugin", "plexha/plugin/probe", false, true},
		{"plugin", "plexha/proxy", false, false},
		{"plugin/probe", "plexha/zones/board", false, true},
		{"plugin/probe", "plexha/plugin", false, false},
		{"plugin/probe", "plexha/plugin/runtime", false, true},
		{"proxy", "plexha/plugin/probe", false, true},
		{"proxy/affinity", "plexha/plugin", false, false},
		{"proxy", caddy + "/v2", false, true},
		{"cmd/plexdns", "plexha/cmd/internal/dnsmain", false, true},
		{"cmd/plexctl", "plexha/e2e/standin", false, true},
		{"cmd/plexctl", "plexha/e2e/internal/gate", false, false},
		{"e2e", "plexha/plugin", true, true},
		{"e2e/standin", "plexha/zones", false, false},
	}
	for _, tt := range tests {
		rule, ok := ruleFor(tt.pkg)
		if !ok {
			t.Errorf("%s: no rule", tt.pkg)
		}
		if got := rule.allows(tt.pkg, tt.imported, tt.test); got != tt.want {
			t.Errorf("%s imports %s (test: %t): allowed %t, want %t", tt.pkg, tt.imported, tt.test, got, tt.want)
		}
	}
}

func TestPackageDoc(t *testing.T) {
	docs := map[string][]string{} // by folder
	names := map[string]string{}
	for _, f := range goFiles(t, parser.PackageClauseOnly|parser.ParseComments) {
		if f.test {
			continue
		}
		names[f.pkg] = f.ast.Name.Name
		if f.ast.Doc != nil {
			docs[f.pkg] = append(docs[f.pkg], f.ast.Doc.Text())
		}
	}
	for pkg, name := range names {
		if len(docs[pkg]) != 1 {
			t.Errorf("%s: %d files with package documentation, want 1", pkg, len(docs[pkg]))
			continue
		}
		begins := []string{"Package " + name + " "}
		if name == "main" {
			program := path.Base(pkg)
			begins = []string{"Command " + program + " ", strings.ToUpper(program[:1]) + program[1:] + " "}
		}
		synopsis := new(doc.Package).Synopsis(docs[pkg][0])
		begun := slices.ContainsFunc(begins, func(b string) bool { return strings.HasPrefix(synopsis, b) })
		if !begun || !strings.HasSuffix(synopsis, ".") {
			t.Errorf("%s: documentation begins with %q, want a sentence that begins with %q", pkg, synopsis, begins)
		}
	}
}

// tracked returns the paths of the files that the repository holds or is about to hold.
func tracked(t *testing.T) []string {
	t.Helper()
	gate.Need(t, gate.Tool("git"))
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the repository's files: %v", err)
	}
	var files []string
	for f := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(root, f)); err == nil { // not one that is being deleted
			files = append(files, f)
		}
	}
	return files
}

func TestTopLevel(t *testing.T) {
	allowed := []string{
		"zones", "corefile", "plugin", "proxy", "cmd", "e2e",
		"go.mod", "go.sum", "README.md", "LICENSE", ".ci", ".golangci.yml", ".gitignore",
	}
	for _, f := range tracked(t) {
		if top, _, _ := strings.Cut(f, "/"); !slices.Contains(allowed, top) {
			t.Errorf("%s: the top level holds only %s", f, strings.Join(allowed, " "))
		}
	}
}

// bannedWord is a word that no file may hold.
type bannedWord struct {
	pattern *regexp.Regexp
	why     string
}

func (b bannedWord) in(line string) bool { return b.pattern.MatchString(line) }

// banned are words that no file may hold. They are written in two parts, so that this file does not hold them.
var banned = []bannedWord{
	{regexp.MustCompile(`(^|[^\w.])/(wo` + `rk|ro` + `ot|fa` + `rm)/`), "a path of one machine"},
	{
		regexp.MustCompile(`\b(proxy\.golang|sum\.golang|registry\.npm` + `js|registry\.yarn` + `pkg)\.|\bdeb\.deb` + `ian\.`),
		"a registry's host: which one serves a module is the machine's affair",
	},
	{
		regexp.MustCompile(`(?i)\b(cod` + `ing|A` + `I|sub|helper)[- ]?age` + `nts?\b|\bL` + `LMs?\b|\bcla` + `ude\b|` +
			`\banthro` + `pic\b|\bco-auth` + `ored-by\b|\bage` + `nt session\b|\bC` + `EO\b`),
		"who wrote it, and how, is no part of the code",
	},
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`), "done or not written"},
	{regexp.MustCompile(`\b(DES` + `IGN|ST` + `YLE)\.md\b|\bshared` + `/`), "a document that is not in the repository"},
}

func TestBannedWords(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range banned {
			if b.in(string(content)) {
				b.report(t, name, string(content))
			}
		}
	}
}

// report names the lines of a file with the word.
func (b bannedWord) report(t *testing.T, name, content string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(content) {
		n++
		if word := b.pattern.FindString(line); word != "" {
			t.Errorf("%s:%d: %q: %s", name, n, word, b.why)
		}
	}
}

func TestBannedPatterns(t *testing.T) {
	for _, line := range []string{
		"read from /ro" + "ot/go", "/wo" + "rk/main", "a sub" + "agent", "an A" + "I agent", "// TO" + "DO: later",
		"see DES" + "IGN.md",
		"GOPROXY=https://proxy.go" + "lang.org",
	} {
		if !slices.ContainsFunc(banned, func(b bannedWord) bool { return b.in(line) }) {
			t.Errorf("%q passes", line)
		}
	}
	for _, line := range []string{"User-Agent: plexha/1", "a Plex session", "/.plexha/work", "framework/x", "a root zone"} {
		for _, b := range banned {
			if b.in(line) {
				t.Errorf("%q does not pass: %s", line, b.why)
			}
		}
	}
}

// TestGateFindsFuzzTargets compares what the gate would fuzz with what the Go parser finds.
func TestGateFindsFuzzTargets(t *testing.T) {
	gate.Need(t, gate.Tool("bash"))
	var want []string
	for _, f := range goFiles(t, parser.SkipObjectResolution) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				want = append(want, "./"+f.pkg+" "+fn.Name.Name)
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "bash", filepath.Join(root, ".ci", "run"), "fuzz_targets").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "./") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the gate's fuzz targets (-want +got):\n%s", diff)
	}
}

// TestSkipsAreGated: a test that skips on its own would be skipped in CI too, and nobody would notice.
func TestSkipsAreGated(t *testing.T) {
	for _, f := range goFiles(t, parser.SkipObjectResolution) {
		if f.pkg == "e2e/internal/gate" {
			continue
		}
		for _, call := range skips(f.ast) {
			t.Errorf("%s calls %s: use package gate", f.path, call)
		}
	}
}

// skips returns the calls that skip a test, whatever the test goes by: t, q.tb, h.t.
func skips(f *ast.File) []string {
	var calls []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			calls = append(calls, types.ExprString(sel))
		}
		return true
	})
	return calls
}

func TestSkips(t *testing.T) {
	tests := []struct {
		body string
		want []string
	}{
		{`t.Skip("no")`, []string{"t.Skip"}},
		{`q.tb.Skipf("no %s", why)`, []string{"q.tb.Skipf"}},
		{`if x { test(b).SkipNow() }`, []string{"test(b).SkipNow"}},
		{`gate.Need(t, gate.Root)`, nil},
		{`return fs.SkipDir`, nil},
	}
	for _, tt := range tests {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+tt.body+" }", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, skips(f)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.body, diff)
		}
	}
}
