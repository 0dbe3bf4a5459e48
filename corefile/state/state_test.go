package state_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plexha/corefile"
	"plexha/corefile/state"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/diary"
)

func TestDirIsMade(t *testing.T) {
	want := filepath.Join(t.TempDir(), "var", "plexha")
	got, err := state.Dir(corefile.State{Dir: want})
	if got != want || err != nil {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	info, err := os.Stat(want)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o770 {
		t.Errorf("the folder's mode is %o, want 770", mode)
	}
	left, err := os.ReadDir(want)
	if len(left) > 0 || err != nil {
		t.Errorf("the trial has left %v, %v", left, err)
	}
}

func TestDirThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(file, "plexha")
	got, err := state.Dir(corefile.State{Dir: dir})
	if want := "writing to " + dir + ": not a directory"; got != "" || err == nil || err.Error() != want {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}

// TestDirThatLeadsNowhere: why is told in one line.
func TestDirThatLeadsNowhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plexha")
	if err := os.Symlink("nowhere", dir); err != nil {
		t.Fatal(err)
	}
	got, err := state.Dir(corefile.State{Dir: dir})
	if want := "mkdir " + dir + ": file exists"; got != "" || err == nil || err.Error() != want {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
}

func TestFileIsNamedByZone(t *testing.T) {
	if got, want := state.File("/x", "home.duckdns.org.", "orders"), "/x/home.duckdns.org.orders"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	for _, content := range []string{"one", "two"} {
		if err := state.Replace(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file's mode is %o, want 600", mode)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("the folder holds %v, want the file alone", all)
	}
	if err := state.Replace(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that does not exist: %v", err)
	}
}

// takes is a board that knows plex1 alone.
type takes struct{ orders []board.OrderLine }

func (b *takes) SetOrders(orders []board.OrderLine, _ time.Time) (unknown []string) {
	b.orders = orders
	for _, o := range orders {
		if o.Name != "plex1" {
			unknown = append(unknown, o.Name)
		}
	}
	return unknown
}

func TestOrders(t *testing.T) {
	file := state.File(t.TempDir(), "home.duckdns.org.", "orders")
	orders := state.Orders{File: file, Groups: []string{"found"}}
	drain := []board.OrderLine{{Name: "plex1", Order: zones.OrderDrain}}
	const bad = `reading the orders in FILE: line 1: unknown order "dwon": want up, drain or down: the last good ones stay in force`
	b := &takes{}
	for _, step := range []struct {
		what, content string
		lines         []diary.Line
		want          []board.OrderLine
	}{
		{"no file", "", nil, nil},
		{"a good one", "plex1 drain\n", nil, drain},
		{"a bad one", "plex1 dwon\n", []diary.Line{{Level: diary.Error, Text: bad}}, drain},
		{
			"mended", "plex1 drain\n",
			[]diary.Line{{Level: diary.Info, Text: "reading the orders in FILE: nothing is wrong any more"}},
			drain,
		},
		{
			"of nobody", "plex7 up\n",
			[]diary.Line{{Level: diary.Warning, Text: `reading the orders in FILE: there is no node, proxy or uplink "plex7"`}},
			[]board.OrderLine{{Name: "plex7", Order: zones.OrderUp}},
		},
		{"of nobody still", "plex7 up # x\n", nil, []board.OrderLine{{Name: "plex7", Order: zones.OrderUp, Why: "x"}}},
		{"of one that may be found yet", "found2 up\n", nil, []board.OrderLine{{Name: "found2", Order: zones.OrderUp}}},
	} {
		t.Run(step.what, func(t *testing.T) {
			if step.content != "" {
				if err := state.Replace(file, []byte(step.content)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range step.lines {
				step.lines[i].Text = strings.ReplaceAll(step.lines[i].Text, "FILE", file)
			}
			if diff := cmp.Diff(step.lines, orders.Read(b, time.Now())); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(step.want, b.orders); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
		})
	}
}
