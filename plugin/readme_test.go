package plugin_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/coredns/coredns/plugin/acl"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/root"
	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/corefile/lint"
	"plexha/plugin/status"
	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onLoopback moves a Corefile to this machine, so that it starts anywhere and asks nobody else: each IPv4 address
// becomes one of 127/8, each host name localhost, each port one that is free, state goes into a folder of the test,
// no address is detected, and DuckDNS is a port where nobody listens.
func onLoopback(text string) string {
	for _, r := range []struct{ from, to string }{
		{`\b\d+\.(\d+\.\d+\.\d+)\b`, "127.$1"},
		{`\bdocker(\d)\b`, "127.0.0.10$1"},
		{`(?m)^ *detect .*\n`, ""},
		{`(?m)^( *duckdns .*)$`, "$1 api http://127.0.0.1:9 verify off"},
		{`(?m)^(\s*)plex \{$`, "${1}plex {\n${1}    state STATE\n${1}    status 127.0.0.1:0\n${1}    detect command false"},
		{`(?m)^(\S+) \{$`, "$1:0 {\n    bind 127.0.0.1"},
		{`(?m)^    ready \{`, "    ready 127.0.0.1:0 {"},
		{`(?m)^    prometheus$`, "    prometheus 127.0.0.1:0"},
		{`(?m)^    reload .*$`, "    reload 1h 0s"},
	} {
		text = regexp.MustCompile(r.from).ReplaceAllString(text, r.to)
	}
	return text
}

// unpackExamples goes to a folder that holds the examples and the zone files that they name.
func unpackExamples(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, corefile.Examples); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "examples"))
}

// starts has a Corefile start and answer.
func starts(t *testing.T, text string) {
	t.Helper()
	configs, err := corefile.Read("Corefile", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, onLoopback(text))
	for _, cfg := range configs {
		for _, origin := range cfg.Cluster.Origins {
			if got := s.says(insideLo, origin+" SOA"); !strings.HasPrefix(got, "SOA "+cfg.Cluster.NS[0].Name+"."+origin) {
				t.Errorf("%s SOA: got %s", origin, got)
			}
		}
	}
}

func TestReadmeCorefiles(t *testing.T) {
	blocks := regexp.MustCompile("(?s)\n~~~ corefile\n(.*?\n)~~~\n").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d Corefiles are in the README", len(blocks))
	}
	unpackExamples(t)
	for _, b := range blocks {
		t.Run(strings.TrimSpace(b[1][:strings.IndexByte(b[1], '{')]), func(t *testing.T) { starts(t, b[1]) })
	}
}

func TestExamplesStart(t *testing.T) {
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	unpackExamples(t)
	for _, file := range files {
		t.Run(path.Base(file), func(t *testing.T) {
			text, err := fs.ReadFile(corefile.Examples, file)
			if err != nil {
				t.Fatal(err)
			}
			starts(t, string(text))
		})
	}
}

// TestReadmeHasTheSections of CoreDNS's manual pages, in its order.
func TestReadmeHasTheSections(t *testing.T) {
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(readme(t), -1) {
		got = append(got, m[1])
	}
	want := []string{
		"Name", "Description", "Syntax", "Properties", "Answers", "Fast Lane", "Zone Files", "Orders", "Status", "Metrics", "Ready",
		"Metadata", "Examples", "See Also", "Bugs",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

// TestReadmeHasAllProperties looks for each property that the parser knows in the Syntax and in what follows.
func TestReadmeHasAllProperties(t *testing.T) {
	_, err := corefile.Read("Corefile", strings.NewReader("home.duckdns.org {\nplex {\nnode a 192.0.2.1\n@@@\n}\n}\n"))
	if err == nil {
		t.Fatal("no error")
	}
	_, allowed, ok := strings.Cut(err.Error(), "allowed are ")
	if !ok {
		t.Fatalf("the properties cannot be read from %q", err)
	}
	properties := regexp.MustCompile(`[a-z_]+`).FindAllString(allowed, -1)
	properties = slices.DeleteFunc(properties, func(p string) bool { return p == "and" || p == "or" })
	syntax, rest, ok := strings.Cut(readme(t), "\n## Properties\n")
	if !ok || len(properties) < 30 {
		t.Fatalf("properties: %q", properties)
	}
	for _, p := range properties {
		if !regexp.MustCompile(`(?m)^    ` + p + `( |$)`).MatchString(syntax) {
			t.Errorf("%s is not in the Syntax", p)
		}
		if !strings.Contains(rest, "`"+p) {
			t.Errorf("%s is not among the Properties", p)
		}
	}
}

// TestReadmeNamesWhatIsNotActive: a block of all properties must name as inactive what the README does.
func TestReadmeNamesWhatIsNotActive(t *testing.T) {
	cfg := parse(t, zone,
		"node plex1 192.168.1.11", "uplink wan auto via eth0 ipv6 ::1", "duckdns token_file /x", "detect router cloudflare", "balance random",
		"affinity off", "listen :443", "retry 1s", "max_requests 1", "trusted_proxies 192.0.2.0/24", "storage /x",
		"state etcd://host:1/x", "status 127.0.0.1:1", "proxy_status 127.0.0.1:2", "open_ok plex1", "lane off",
		"notify ntfy://x/y")
	m := regexp.MustCompile(`(?s)\*\*not yet active\*\*: (.*?)One\s+note`).FindStringSubmatch(readme(t))
	if m == nil {
		t.Fatal("the README does not say what is not active")
	}
	var got []string
	for _, word := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(m[1], -1) {
		got = append(got, strings.TrimSuffix(word[1], "://..."))
	}
	want := slices.Sorted(slices.Values(cfg.Inactive))
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not active (-parser +README):\n%s", diff)
	}
}

// metricsOf returns the metrics that the sources make, as the README writes them: name and labels, and their type.
func metricsOf(t *testing.T, files ...string) map[string]string {
	t.Helper()
	counted := regexp.MustCompile(`(?s)New(Counter|Histogram)Vec\(.*?Name:\s+"(\w+)".*?\[\]string\{(.*?)\}\)`)
	read := regexp.MustCompile(`(?s)= desc\("(\w+)",\s*"[^"]*",\s*(.*?)\)`)
	out := map[string]string{}
	add := func(name, labels, kind string) {
		out["coredns_plex_"+name+"{"+strings.ReplaceAll(labels, `"`, "")+"}"] = kind
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range counted.FindAllStringSubmatch(string(source), -1) {
			add(m[2], m[3], strings.ToLower(m[1]))
		}
		for _, m := range read.FindAllStringSubmatch(string(source), -1) {
			add(m[1], m[2], "gauge")
		}
	}
	return out
}

// metricsOfLane is metricsOf for the lane, whose metrics all have the label server. What they are their words say.
func metricsOfLane(t *testing.T) map[string]string {
	t.Helper()
	source, err := os.ReadFile("lane/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{"Counter": "counter", "Number": "gauge", "Histogram": "histogram"}
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`= desc\("(\w+)", "(\w+) of [^"]*"(?:\s*\+\s*"[^"]*")*((?:, "\w+")*)\)`).FindAllStringSubmatch(string(source), -1) {
		out["coredns_plex_lane_"+m[1]+"{server"+strings.ReplaceAll(m[3], `"`, "")+"}"] = kinds[m[2]]
	}
	if len(out) < 7 {
		t.Fatalf("only %v are found in the sources", out)
	}
	return out
}

// TestReadmeHasAllMetrics with their labels and types, and no others. That those are what a running plexdns shows is
// held in e2e.
func TestReadmeHasAllMetrics(t *testing.T) {
	got := map[string]string{}
	for _, row := range table(t, "metric", "type") {
		got[strings.Trim(row[0], "`")] = row[1]
	}
	want := metricsOf(t, "metrics.go", "metrics_external.go")
	maps.Copy(want, metricsOfLane(t))
	if len(want) < 20 {
		t.Fatalf("only %v are found in the sources", want)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-source +README):\n%s", diff)
	}
}

// table returns the rows of the README's tables whose first columns have these heads, cell by cell.
func table(t *testing.T, heads ...string) [][]string {
	t.Helper()
	var out [][]string
	in := false
	for line := range strings.Lines(readme(t)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			in = false
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		switch {
		case len(cells) >= len(heads) && slices.Equal(cells[:len(heads)], heads):
			in = true
		case in && !strings.HasPrefix(cells[0], "---"):
			out = append(out, cells)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no table of %v", heads)
	}
	return out
}

// objects are the types of /status.json and of the events, as the README calls them.
var objects = []struct {
	name string
	of   any
}{
	{"document", status.Document{}},
	{"cluster", status.Cluster{}},
	{"answer", status.Answer{}},
	{"node", status.Node{}},
	{"proxy", status.Proxy{}},
	{"uplink", status.Uplink{}},
	{"health", status.Health{}},
	{"address", status.Address{}},
	{"external", status.External{}},
	{"family", status.Family{}},
	{"source", status.Finding{}},
	{"duckdns", status.DuckDNS{}},
	{"record", status.Record{}},
	{"name server", status.NameServer{}},
	{"finding", lint.Finding{}},
	{"event", page.Entry{}},
}

// fields returns the fields of an object in JSON, its own and those of a type that has no row of its own.
func fields(of reflect.Type) []string {
	var out []string
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name != "":
			out = append(out, name)
		case f.Type != reflect.TypeFor[status.Health]():
			out = append(out, fields(f.Type)...)
		}
	}
	return out
}

// TestReadmeHasAllFields of what the status page shows as JSON, in their order, and says something of each.
func TestReadmeHasAllFields(t *testing.T) {
	var want, got []string
	for _, o := range objects {
		for _, field := range fields(reflect.TypeOf(o.of)) {
			want = append(want, o.name+" "+field)
		}
	}
	for _, row := range table(t, "object", "field") {
		got = append(got, row[0]+" "+strings.Trim(row[1], "`"))
		if row[2] == "" {
			t.Errorf("nothing is said of %s %s", row[0], row[1])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-source +README):\n%s", diff)
	}
}

// TestNoObjectIsForgotten: each type that a document is made of has its rows.
func TestNoObjectIsForgotten(t *testing.T) {
	known := map[reflect.Type]bool{reflect.TypeFor[timeline.Event](): true}
	for _, o := range objects {
		known[reflect.TypeOf(o.of)] = true
	}
	var visit func(of reflect.Type, path string)
	visit = func(of reflect.Type, path string) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(of.Elem(), path)
		case reflect.Struct:
			if !strings.HasPrefix(of.PkgPath(), "plexha/") {
				return // a time or an address
			}
			if !known[of] {
				t.Errorf("%s is a %s, which the README does not have", path, of)
			}
			for f := range of.Fields() {
				visit(f.Type, path+"."+f.Name)
			}
		}
	}
	for _, o := range objects {
		visit(reflect.TypeOf(o.of), o.name)
	}
}

// TestReadmeHasAllPaths that the page has.
func TestReadmeHasAllPaths(t *testing.T) {
	source, err := os.ReadFile("status/http.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range regexp.MustCompile(`"(/[a-z.]*)":\s+\{(Show|Change):`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, map[string]string{"Show": "GET", "Change": "POST"}[m[2]]+" "+m[1])
	}
	for _, row := range table(t, "path") {
		path, _, _ := strings.Cut(strings.Trim(row[0], "`"), "?")
		got = append(got, path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-source +README):\n%s", diff)
	}
}
