package corefile_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	block := write("block", "plex {\nnode plex1 192.0.2.1\n}\n")
	other := write("other", "b.test {\nerrors\n}\n")
	good := write("Corefile", "a.test {\nimport block\nerrors\n}\nimport oth*\n")
	broken := write("broken", "a.test {\n")
	for _, tc := range []struct {
		name, file string
		want       []string
		ok         bool
	}{
		{"a block and a server block that are imported", good, []string{good, block, other}, true},
		{"a file that can't be read as one", broken, []string{broken}, false},
		{"no file", filepath.Join(dir, "nothing"), []string{filepath.Join(dir, "nothing")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := corefile.Files(tc.file)
			slices.Sort(got)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != tc.ok {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}
