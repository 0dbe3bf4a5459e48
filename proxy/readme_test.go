package proxy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/proxy"
)

// manual returns a file of documentation.
func manual(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what stands between two words, each of which must be there.
func section(t *testing.T, text, from, to string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, from)
	middle, _, ended := strings.Cut(rest, to)
	if !found || !ended {
		t.Fatalf("the documentation has no %q, or no %q after it", from, to)
	}
	return middle
}

// words returns what stands in the pattern's first group, sorted, each once.
func words(text, pattern string) []string {
	set := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		set[m[1]] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// TestReadmeCorefiles has Caddy take what is made of each Corefile of the manual.
func TestReadmeCorefiles(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	examples := regexp.MustCompile("(?s)\n([^\n]*):\n\n~~~ corefile\n(.*?\n)~~~\n").FindAllStringSubmatch(manual(t, "README.md"), -1)
	if len(examples) < 3 {
		t.Fatalf("%d Corefiles are in the manual", len(examples))
	}
	for _, e := range examples {
		t.Run(e[1], func(t *testing.T) {
			if err := proxy.Check(read(t, e[2])); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestExamplesBuild: the example Corefiles are plexproxy's too.
func TestExamplesBuild(t *testing.T) {
	files, err := filepath.Glob("../corefile/examples/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			blocks, err := corefile.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			text, err := proxy.Build(blocks, proxy.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			if main := blocks[0].Cluster.Main + "." + strings.TrimSuffix(blocks[0].Cluster.Origins[0], "."); !strings.Contains(string(text), main) {
				t.Errorf("no site is for %s:\n%s", main, text)
			}
		})
	}
}

// TestReadmeNamesWhatIsForPlexproxy compares the manual with the plugin's, which describes the properties.
func TestReadmeNamesWhatIsForPlexproxy(t *testing.T) {
	got := words(section(t, manual(t, "README.md"), "The properties of the block that are for *plexproxy*", ". A change"), "`([a-z_]+)`")
	want := words(section(t, manual(t, "../plugin/README.md"), "\nFor *plexproxy*", "\nFiles:"), "(?m)^\\* `([a-z_]+)`")
	want = slices.Sorted(slices.Values(append(want, "state")))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties (-plugin +README):\n%s", diff)
	}
}

// TestReadmeHasAllMetrics that a relay has, with their labels, and no others.
func TestReadmeHasAllMetrics(t *testing.T) {
	got := words(section(t, manual(t, "README.md"), "\n## Metrics\n", "\n## "), "`plexha_proxy_(\\w+\\{[^}]*\\})`")
	if diff := cmp.Diff(metricsIn(t, "relay/metrics.go"), got); diff != "" {
		t.Errorf("metrics (-source +README):\n%s", diff)
	}
}

// metricsIn returns name{label, ...} of each call of desc(name, help, label...) in a Go file, sorted.
func metricsIn(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var metrics []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "desc" {
			var labels []string
			for _, arg := range call.Args[2:] {
				labels = append(labels, literal(t, arg))
			}
			metrics = append(metrics, literal(t, call.Args[0])+"{"+strings.Join(labels, ", ")+"}")
		}
		return true
	})
	slices.Sort(metrics)
	return metrics
}

// literal returns the value of a string that stands in the source.
func literal(t *testing.T, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%T is no string", e)
	}
	value, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
