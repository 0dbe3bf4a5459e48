package proxymain_test

import (
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names returns the first group of each match, sorted.
func names(text, pattern string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// TestReadmeHasAllFlags: the manual has those that -help shows, in its synopsis and among its options.
func TestReadmeHasAllFlags(t *testing.T) {
	help, _, err := says(t, "-help")
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	want := names(help, `(?m)^  -([a-z-]+)`)
	manual, err := os.ReadFile("../../../proxy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	synopsis, rest, _ := strings.Cut(string(manual), "\n## Description\n")
	_, options, _ := strings.Cut(rest, "\n## Options\n")
	options, _, _ = strings.Cut(options, "\n## ")
	if diff := cmp.Diff(want, names(synopsis, `\B-([a-z-]+)`)); diff != "" {
		t.Errorf("flags (-help +synopsis):\n%s", diff)
	}
	if diff := cmp.Diff(want, names(options, "(?m)^\\* `-([a-z-]+)")); diff != "" {
		t.Errorf("flags (-help +options):\n%s", diff)
	}
}
