package page_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/plugin/status/page"
	"plexha/zones/timeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

func render(t *testing.T, d page.Doc) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Render(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// assets are the style and the script, which are files of their own here.
var assets = regexp.MustCompile(`(?s)<(style|script)>.*?</(?:style|script)>`)

// TestPage: a page with a bit of everything, as a browser gets it.
func TestPage(t *testing.T) {
	const file = "testdata/small.html"
	got := assets.ReplaceAllString(render(t, small()), "<$1/>")
	got = regexp.MustCompile(`data-(look|state)="[^"]*"`).ReplaceAllString(got, `data-$1=""`)
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
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPolicyIsThePages: a browser runs the script and uses the style that are in it, and nothing else.
func TestPolicyIsThePages(t *testing.T) {
	w := httptest.NewRecorder()
	if err := page.Show(w, small()); err != nil {
		t.Fatal(err)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, kind := range []string{"style", "script"} {
		var digests []string
		for _, m := range regexp.MustCompile(`(?s)<`+kind+`>(.*?)</`+kind+`>`).FindAllStringSubmatch(w.Body.String(), -1) {
			sum := sha256.Sum256([]byte(m[1]))
			digests = append(digests, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		if len(digests) != 1 || !strings.Contains(policy, kind+"-src "+digests[0]+";") {
			t.Errorf("%v are not what is allowed: %s", digests, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	if inline := regexp.MustCompile(`(?i)\s(on\w+|style)=`).FindString(assets.ReplaceAllString(w.Body.String(), "")); inline != "" {
		t.Errorf("it has%s", inline)
	}
	if kind := w.Header().Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Errorf("it is %s", kind)
	}
}

// TestNothingComesFromElsewhere: it names no other host, so that it works without one.
func TestNothingComesFromElsewhere(t *testing.T) {
	if found := regexp.MustCompile(`(https?:)?//[a-z0-9]|@import|url\(`).FindString(render(t, small())); found != "" {
		t.Errorf("it has %q", found)
	}
}

// fill puts a text into every string within v.
func fill(v reflect.Value, text string) {
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for _, field := range v.Fields() {
			fill(field, text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	}
}

// full is a page in which every text is one and the same.
func full(text string) page.Doc {
	d := small()
	c := &d.Clusters[0]
	c.Troubles = append(c.Troubles, page.Trouble{Since: noon, Until: noon, Why: "x"})
	c.Events = append([]timeline.Event{}, c.Events...)
	fill(reflect.ValueOf(&d).Elem(), text)
	return d
}

// tags are the elements and the names of their attributes.
func tags(html string) []string {
	tag := regexp.MustCompile(`<[^>]*>`)
	value := regexp.MustCompile(`="[^"]*"`)
	var out []string
	for _, t := range tag.FindAllString(assets.ReplaceAllString(html, ""), -1) {
		out = append(out, value.ReplaceAllString(t, "="))
	}
	return out
}

// TestNoTextMakesAnElement: a probe's words come from the network, those of an order from whoever gives it, and those
// of a finding from the Corefile. None of them is more than text, wherever it stands.
func TestNoTextMakesAnElement(t *testing.T) {
	want := tags(render(t, full("word")))
	for _, text := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `" autofocus onfocus="alert(1)`,
		"\x00<b>", "</style><script>", "<!--", "javascript:alert(1)", "{{.}}", "`${alert(1)}`", "]]>", "\xff<i>",
	} {
		html := render(t, full(text))
		if diff := cmp.Diff(want, tags(html)); diff != "" {
			t.Errorf("%q changes the page (-want +got):\n%s", text, diff)
		}
		if strings.Contains(assets.ReplaceAllString(html, ""), "<"+strings.TrimLeft(text, "<\"'>")) && strings.Contains(text, "<") {
			t.Errorf("%q is there as it is", text)
		}
		if strings.Contains(html, "\x00") || strings.Contains(html, `formaction="javascript:`) {
			t.Errorf("%q is there as it is", text)
		}
	}
}

// TestFormsAreForThoseWhoMayChange.
func TestFormsAreForThoseWhoMayChange(t *testing.T) {
	d := small()
	if html := render(t, d); strings.Count(html, "<button") != 3 || strings.Count(html, "<form") != 1 {
		t.Errorf("buttons are missing: %s", html)
	}
	d.Changes = false
	html := render(t, d)
	if strings.Contains(html, "<button") || strings.Contains(html, "<form") {
		t.Errorf("there are buttons: %s", html)
	}
	if !strings.Contains(html, "Changes are made on the machine itself.") {
		t.Error("it does not say why there are none")
	}
}

// TestEventsThatDoNotFit are left out, the oldest ones, and said to be elsewhere.
func TestEventsThatDoNotFit(t *testing.T) {
	const count, length = 500, 1000
	d := small()
	d.Clusters[0].Events = nil
	for i := range count {
		text := strings.Repeat("<", length) // the longest that there is when it is escaped
		d.Clusters[0].Events = append(d.Clusters[0].Events, timeline.Event{Seq: uint64(i + 1), At: noon.Add(time.Duration(i) * time.Second), Level: timeline.Info, Text: text})
	}
	html := render(t, d)
	shown := strings.Count(html, "<li>")
	if len(html) > 100_000 || shown < 5 || shown > 25 {
		t.Errorf("%d bytes with %d lines", len(html), shown)
	}
	if !strings.Contains(html, "older ones are in") || !strings.Contains(html, "12:08:19Z") || strings.Contains(html, "12:00:00Z</time> &lt;") {
		t.Error("it is not the newest that are there")
	}
	if whole := strings.Count(html, strings.Repeat("&lt;", length)+"\n"); whole != shown {
		t.Errorf("of %d events %d are whole", shown, whole)
	}
}

// TestTitleIsTheWorst of the clusters' headlines.
func TestTitleIsTheWorst(t *testing.T) {
	well, bad := page.Cluster{Zone: "well.test"}, page.Cluster{Zone: "bad.test"}
	well.Judge(nil, noon)
	bad.Judge([]page.Trouble{{Level: page.Bad, Text: "no node is up"}}, noon)
	for _, tc := range []struct {
		name     string
		clusters []page.Cluster
		want     string
	}{
		{"none", nil, "plexdns"},
		{"all is well", []page.Cluster{well, well}, "all is well - well.test"},
		{"one is not", []page.Cluster{well, bad}, "no node is up - bad.test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if html := render(t, page.Doc{Program: "plexdns", Clusters: tc.clusters}); !strings.Contains(html, "<title>"+tc.want+"</title>") {
				t.Errorf("want %q in %s", tc.want, html[:200])
			}
		})
	}
}

// broken takes nothing.
type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// TestReaderThatHasGone is told of.
func TestReaderThatHasGone(t *testing.T) {
	if err := page.Render(broken{}, small()); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}
