package share_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/share"
)

// ways are those in which two nodes can come to share. Each has another plan.
var ways = []struct {
	name  string
	flags []string
	begin func(h *house)
	some  int // end an apply at one of so many calls; 0: as often as the others
}{
	{name: "renames, bind"},
	{name: "copies, bind", flags: []string{"-copy"}},
	{name: "copies side by side, bind", flags: []string{"-copy"}, begin: func(h *house) { h.beside = 3 }},
	{name: "copies, symlink", flags: []string{"-copy", "-mode", "symlink", "-seen-as", "/shared"}},
	{
		name: "renames into a folder that is shared already, symlink", flags: []string{"-mode", "symlink", "-seen-as", "/shared"},
		begin: func(h *house) {
			h.put("both/Metadata/Movies/a/b.bundle/Contents/_stored/newer.jpg", "of neither", 2)
			h.must(os.Mkdir(filepath.Join(h.root, "both", "Media"), 0o755))
			h.must(os.RemoveAll(h.of("two", "Media")))
			h.must(os.Mkdir(h.of("two", "Media"), 0o755))
		},
	},
	{name: "three nodes, renames", begin: addThird},
	{name: "three nodes, copies", flags: []string{"-copy"}, begin: addThird},
	{name: "three nodes, renames in small batches", begin: func(h *house) { addThird(h); h.batch = 3 }, some: 5},
	{name: "three nodes, copies in small batches", flags: []string{"-copy"}, begin: func(h *house) { addThird(h); h.batch = 2 }, some: 5},
	{
		name: "over links of the write-up",
		begin: func(h *house) {
			for _, node := range []string{"one", "two"} {
				h.must(os.RemoveAll(h.of(node, "Media")))
				h.must(os.Symlink(filepath.Join(h.root, "both", "Media"), h.of(node, "Media")))
			}
		},
	},
}

// addThird adds a node whose files are the newest, and links between folders of files that lose and of files that win.
func addThird(h *house) {
	h.nodes = append(h.nodes, "three")
	stored := "Metadata/Movies/a/b.bundle/Contents/_stored/"
	h.put(filepath.Join("three", library, stored, "newer.jpg"), "of three", 11)
	h.put(filepath.Join("three", library, stored, "older.jpg"), "from three", 11)
	for _, node := range h.nodes {
		h.must(os.MkdirAll(h.of(node, "Media"), 0o755))
		h.must(os.Link(h.of(node, stored, "newer.jpg"), h.of(node, "Media", "link of "+node)))
		h.must(os.Link(h.of(node, stored, "newer.jpg"), h.of(node, "Metadata", "zlink of "+node)))
	}
}

// TestCrash ends an apply at each of its calls: the call is not done, or is done and nobody knows, or half of what it
// writes is. Then another process goes on, or takes it back, which is itself ended once at a call of its own. Nothing
// is lost, whatever the point.
func TestCrash(t *testing.T) {
	stride := 11 // over a second or two
	if os.Getenv("PLEXHA_E2E") == "all" {
		stride = 1
	}
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // the same run each time
			root, houses := t.TempDir(), 0
			build := func() *house {
				houses++
				h := newHouse(t, filepath.Join(root, strconv.Itoa(houses)))
				if way.begin != nil {
					way.begin(h)
					h.settle()
				}
				return h
			}
			h := build()
			whole := mortalAt(0, before)
			if out, err := h.share(whole, "apply", way.flags...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			want := withoutPoints(h.look())
			for end := 1; end <= len(whole.calls); end += stride * max(way.some, 1) {
				for _, how := range []fate{before, after, torn} {
					if how == torn && whole.calls[end-1].what != "write" {
						continue
					}
					name := fmt.Sprintf("%s call %d of %d, %s", how, end, len(whole.calls), whole.calls[end-1])
					again := 1 + rnd.IntN(len(whole.calls))
					if (end%2 == 0) == (how == after) {
						crash(t, name+", then apply", build(), end, how, way.flags, "apply", again, want)
					} else {
						crash(t, name+", then undo", build(), end, how, way.flags, "undo", again, nil)
					}
				}
			}
		})
	}
}

// crash ends an apply, ends what comes then, and has it done once more. Without a house that is wanted, it is wanted as
// it was.
func crash(t *testing.T, name string, h *house, end int, how fate, flags []string, then string, again int, want []string) {
	t.Helper()
	was := h.look()
	if _, err := h.share(mortalAt(end, how), "apply", flags...); !errors.Is(err, errDead) {
		t.Fatalf("%s: the first run: %v, want it ended", name, err)
	}
	if then == "undo" {
		flags = nil
	}
	_, _ = h.share(mortalAt(again, how), then, flags...) // it may end before that call
	out, err := h.share(mortalAt(0, before), then, flags...)
	nothing := then == "undo" && err != nil && strings.Contains(err.Error(), "nothing was shared")
	if nothing {
		err = nil // it had not begun, or ended at last
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	if strings.Contains(out, "have written there since") {
		t.Errorf("%s: nobody has written anything\n%s", name, out)
	}
	got := h.look()
	if then == "apply" {
		got = withoutPoints(got)
	} else {
		h.checkTidied(name, was, nothing)
		want, got = withoutShared(was), withoutShared(got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s\n%s", name, diff, out)
	}
	_ = os.RemoveAll(h.root) // there are many
}

// checkTidied checks that an undo has left nothing that was not there. That nothing is known of a shared folder is said
// of one that was made for an apply, too, which the journal no longer tells, or does not tell yet.
func (h *house) checkTidied(name string, was []string, nothing bool) {
	h.tb.Helper()
	both := filepath.Join(h.root, "both")
	if _, err := os.Lstat(filepath.Join(both, ".plexha-share")); !errors.Is(err, fs.ErrNotExist) {
		h.tb.Errorf("%s: the journal's folder stays: %v", name, err)
	}
	_, err := os.Lstat(both)
	if had := len(withoutShared(was)) < len(was); err == nil && !had && !nothing || err != nil && had {
		h.tb.Errorf("%s: the shared folder was there before: %t, and after: %v", name, had, err)
	}
}

// TestOrderOfUndo: the journal goes when it says that all is undone, and that is on the disk.
func TestOrderOfUndo(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := h.look()
	if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatal(err)
	}
	m := mortalAt(0, before)
	if out, err := h.share(m, "undo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []call{
		{"syncdisk", m.calls[len(m.calls)-6].at},
		{"write", "journal"},
		{"sync", "journal"},
		{"remove", "journal"},
		{"remove", ".plexha-share"},
		{"remove", "both"},
	}
	if diff := cmp.Diff(want, m.calls[len(m.calls)-6:], cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("the last calls (-want +got):\n%s", diff)
	}
	h.checkTidied("undo", was, false)
}

// withoutShared leaves the shared folder itself out: that it was made is no harm.
func withoutShared(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, `"both" `) })
}

// TestOrder is what a killed process does not show, and a power cut does: what is on the disk when. It looks at the
// recorded calls.
func TestOrder(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir())
			if way.begin != nil {
				way.begin(h)
			}
			m := mortalAt(0, before)
			if _, err := h.share(m, "apply", way.flags...); err != nil {
				t.Fatal(err)
			}
			checkOrder(t, m.calls)
		})
	}
}

// checkOrder checks that the journal is on the disk before anything else is done; that a copy is before it gets its
// name; and that what was done is before the journal says so.
func checkOrder(t *testing.T, calls []call) {
	t.Helper()
	journal, disk, copies := true, true, true // are on the disk
	begun, names := false, 0
	for i, c := range calls {
		isJournal := c.at == "journal"
		switch {
		case c.what == "write" && isJournal:
			if begun && !disk {
				t.Errorf("call %d: the journal is written while what was done is not on the disk", i)
			}
			journal, begun = false, true
		case c.what == "sync" && isJournal:
			journal = true
		case c.what == "syncdisk":
			disk, copies = true, true
		case !begun || c.what == "sync":
		case !journal:
			t.Errorf("call %d: %v is done while the journal is not on the disk", i, c)
		default:
			if c.what == "rename" && strings.HasPrefix(c.at, "stage/") {
				names++
				if !copies {
					t.Errorf("call %d: %v gives a copy its name that is not on the disk", i, c)
				}
			}
			if slices.Contains([]string{"create", "write", "truncate", "attr"}, c.what) {
				copies = false
			}
			disk = false
		}
	}
	if !journal {
		t.Error("at the end the journal is not on the disk")
	}
	t.Logf("%d calls, %d copies got their names", len(calls), names)
}

var _ share.System = (*mortal)(nil)
