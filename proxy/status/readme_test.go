package status_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/proxy/status"
)

// TestReadmeHasAllFields of the document, in its order, and no others.
func TestReadmeHasAllFields(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| field | |\n")
	table, _, ended := strings.Cut(table, "\n\n")
	if !found || !ended {
		t.Fatal("the manual has no table of the fields")
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	if diff := cmp.Diff(fields("", reflect.TypeFor[status.Document]()), got); diff != "" {
		t.Errorf("fields (-document +README):\n%s", diff)
	}
}

// fields returns the paths of all fields of a struct, as its JSON has them.
func fields(prefix string, of reflect.Type) []string {
	var out []string
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path, is := prefix+name, f.Type
		if is.Kind() == reflect.Slice && is.Elem().Kind() == reflect.Struct {
			path, is = path+"[]", is.Elem()
		}
		out = append(out, path)
		if is.Kind() == reflect.Struct && is != reflect.TypeFor[time.Time]() {
			out = slices.Concat(out, fields(path+".", is))
		}
	}
	return out
}
