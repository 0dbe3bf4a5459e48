package runtime_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plexha/plugin/runtime"
	"plexha/zones"
)

// named counts what freshName has given out.
var named atomic.Int64

// freshName returns a name that nobody has had in this process, whose registry outlives a test.
func freshName(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(t.Name(), " ", named.Add(1))
}

// serials returns the serials of a zone that is new to the process.
func serials(t *testing.T, file string) *runtime.Serials {
	t.Helper()
	s, err := runtime.SerialsOf(freshName(t), file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is a time that reads as this serial.
func at(serial uint32) time.Time { return time.Unix(int64(serial), 0) }

func TestSerialIsTheTimeOfTheChange(t *testing.T) {
	steps := []struct {
		what    string
		view    zones.View
		records uint64
		now     uint32
		want    uint32
		raised  bool
	}{
		{"the first", zones.External, 1, 1000, 1000, true},
		{"nothing has changed", zones.External, 1, 2000, 1000, false},
		{"the other view has its own", zones.Internal, 1, 2000, 2000, true},
		{"a change", zones.External, 2, 3000, 3000, true},
		{"a change in the same second", zones.External, 3, 3000, 3001, true},
		{"the clock was set back", zones.External, 4, 500, 3002, true},
		{"back to earlier records is a change", zones.External, 3, 4000, 4000, true},
		{"half the number space ahead", zones.External, 5, 4000 + math.MaxInt32, 4000 + math.MaxInt32, true},
		{"and one more is behind (RFC 1982)", zones.External, 6, 4000, 4001 + math.MaxInt32, true},
	}
	s := serials(t, "")
	for _, step := range steps {
		n, raised := s.For(step.view, step.records, at(step.now))
		if n != step.want || raised != step.raised {
			t.Errorf("%s: got %d, %t, want %d, %t", step.what, n, raised, step.want, step.raised)
		}
	}
}

func TestSerialWraps(t *testing.T) {
	s := serials(t, "")
	s.For(zones.External, 1, at(math.MaxUint32))
	if n, _ := s.For(zones.External, 2, at(math.MaxUint32)); n != 0 {
		t.Errorf("after the last number: got %d, want 0", n)
	}
	if n, _ := s.For(zones.External, 3, at(1)); n != 1 {
		t.Errorf("the clock has wrapped too: got %d, want 1", n)
	}
}

func TestNewer(t *testing.T) {
	tests := []struct {
		a, b uint32
		want bool
	}{
		{1, 0, true},
		{0, 1, false},
		{5, 5, false},
		{0, math.MaxUint32, true},
		{math.MaxUint32, 0, false},
		{math.MaxInt32, 0, true},
		{math.MaxInt32 + 1, 0, false}, // RFC 1982 leaves it undefined
		{0, math.MaxInt32 + 1, false},
	}
	for _, tt := range tests {
		if got := runtime.Newer(tt.a, tt.b); got != tt.want {
			t.Errorf("%d after %d: got %t, want %t", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestSerialsAreReadBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "home.duckdns.org.serials")
	before := serials(t, file)
	before.For(zones.External, 7, at(1000))
	before.For(zones.Internal, math.MaxUint64, at(2000))
	if err := before.Save(file); err != nil {
		t.Fatal(err)
	}
	after := serials(t, file)
	if n, raised := after.For(zones.External, 7, at(9000)); n != 1000 || raised {
		t.Errorf("external: got %d, %t, want the 1000 of before", n, raised)
	}
	if n, raised := after.For(zones.Internal, math.MaxUint64, at(9000)); n != 2000 || raised {
		t.Errorf("internal: got %d, %t, want the 2000 of before", n, raised)
	}
	if n, _ := after.For(zones.External, 8, at(500)); n != 1001 {
		t.Errorf("a change under a clock that is behind: got %d, want 1001", n)
	}
}

func TestSaveWritesOnlyChanges(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "serials")
	s := serials(t, file)
	if err := s.Save(file); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was written although nothing is known")
	}
	s.For(zones.External, 1, at(1000))
	if err := s.Save(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.For(zones.External, 1, at(2000))
	if err := s.Save(file); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("an unchanged serial was written: %v", entries)
	}
}

func TestSaveNamesWhatFailed(t *testing.T) {
	s := serials(t, "")
	s.For(zones.External, 1, at(1000))
	err := s.Save(filepath.Join(t.TempDir(), "gone", "serials"))
	if err == nil || !strings.HasPrefix(err.Error(), "writing the serials: ") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "serials")
	if err := s.Save(file); err != nil {
		t.Errorf("what could not be written is not tried again: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestBadSerialsFileCountsAsMissing(t *testing.T) {
	for what, content := range map[string]string{
		"no JSON":         "serial 7",
		"another version": `{"version": 99, "views": {"external": {"serial": 7, "records": 1}}}`,
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "serials")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := runtime.SerialsOf(freshName(t), file)
			if err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want an error that names the file", err)
			}
			if n, _ := s.For(zones.External, 1, at(1000)); n != 1000 {
				t.Errorf("got serial %d, want 1000", n)
			}
		})
	}
}
