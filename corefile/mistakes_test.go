package corefile_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is said of each mistake to the golden file")

const golden = "testdata/mistakes.golden"

// TestMistakes compares what is said of wrong lines with a golden file: paragraphs of properties, the first
// of which is line 4 of its Corefile, with the messages behind a tab.
func TestMistakes(t *testing.T) {
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var now []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(file)), "\n\n") {
		properties, want := cut(paragraph)
		t.Run(properties, func(t *testing.T) {
			got := complaints(t, server("node plex1 docker1\n"+properties))
			if diff := cmp.Diff(want, got); diff != "" && !*update {
				t.Errorf("%s\n(-want +got):\n%s", properties, diff)
			}
			now = append(now, properties+"\n\t"+strings.ReplaceAll(got, "\n", "\n\t")+"\n")
		})
	}
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(now, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// cut splits a paragraph of the golden file into properties and messages.
func cut(paragraph string) (properties, messages string) {
	var p, m []string
	for line := range strings.SplitSeq(paragraph, "\n") {
		if message, ok := strings.CutPrefix(line, "\t"); ok {
			m = append(m, message)
		} else {
			p = append(p, line)
		}
	}
	return strings.Join(p, "\n"), strings.Join(m, "\n")
}
