package state_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plexha/corefile/state"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name  string
		make  func(file string) error
		reads string
		err   string // a part of the error
	}{
		{"a file", func(file string) error { return os.WriteFile(file, []byte("{}"), 0o600) }, "{}", ""},
		{"a file without end", func(file string) error {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(file, 1<<40)
		}, "", "has 1099511627776 bytes: want 1048576 at most"},
		{"a folder", func(file string) error { return os.Mkdir(file, 0o700) }, "", "is no regular file"},
		{"a device", func(file string) error { return os.Symlink("/dev/zero", file) }, "", "is no regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(dir, tc.name)
			if err := tc.make(file); err != nil {
				t.Fatal(err)
			}
			got, err := state.Read(file)
			if string(got) != tc.reads || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
	if _, err := state.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
