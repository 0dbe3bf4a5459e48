package lint_test

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"plexha/corefile"
	"plexha/corefile/lint"
)

// FuzzCheck says that whatever package corefile takes has findings in order, each with a place, a code and a text in
// one line.
func FuzzCheck(f *testing.F) {
	files, err := fs.Glob(corefile.Examples, "examples/*.corefile")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(corefile.Examples, file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(good + ". {\nacl {\nallow type A net 10.0.0.0/8\nblock net *\n}\nforward . [::1]:53 127.0.0.1\nbind lo\n}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("import")) {
			return // it may name any file
		}
		all := lint.Check("Corefile", text)
		if !slices.IsSortedFunc(all, lint.Compare) {
			t.Errorf("out of order: %v", all)
		}
		for _, f := range all {
			if f.Line == 0 || f.Code == "" || f.Text == "" || strings.ContainsAny(f.Text, "\r\n") {
				t.Errorf("%+v", f)
			}
		}
		if _, err := corefile.Read("Corefile", bytes.NewReader(text)); err != nil && len(all) > 0 {
			t.Errorf("%v, yet %v", err, all)
		}
	})
}
