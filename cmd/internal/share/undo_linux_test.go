package share_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plexha/cmd/internal/share"
)

// TestUndoOfWhatWasRestored: a folder that was restored from a backup has other inodes, and is the same.
func TestUndoOfWhatWasRestored(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := withoutShared(h.look())
	if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(h.root, "both")
	for _, part := range []string{"Media", "Metadata"} {
		h.must(os.Rename(filepath.Join(both, part), filepath.Join(both, "backup")))
		out, err := exec.CommandContext(t.Context(), "cp", "-a", filepath.Join(both, "backup"), filepath.Join(both, part)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		h.must(os.RemoveAll(filepath.Join(both, "backup")))
	}
	out, err := h.share(share.ThisSystem(), "undo")
	if err != nil || !strings.Contains(out, "is not the one that was shared, but has its place") {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUndoThatCannot: what cannot be brought back is told, and is an error until it is there again, or is given up.
func TestUndoThatCannot(t *testing.T) {
	for _, end := range []string{"brought back", "given up"} {
		h := newHouse(t, t.TempDir())
		was := withoutShared(h.look())
		if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(h.of("two", "Media.pre-share-*"))
		h.must(err)
		away := filepath.Join(h.root, "away")
		h.must(os.Rename(names[0], away))
		for range 2 {
			out, err := h.share(share.ThisSystem(), "undo")
			if err == nil || !strings.Contains(out, "not undone: '"+h.of("two", "Media")+"' cannot be brought back") {
				t.Errorf("%v\n%s", err, out)
			}
			if out, err := h.share(share.ThisSystem(), "status"); err != nil || !strings.Contains(out, "half undone") ||
				strings.Contains(out, "apply again") {
				t.Errorf("status: %v\n%s", err, out)
			}
		}
		if end == "given up" {
			if out, err := h.share(share.ThisSystem(), "undo", "-give-up"); err != nil || !strings.Contains(out, "undone, but for what is told above") {
				t.Errorf("%s: %v\n%s", end, err, out)
			}
			if out, err := h.share(share.ThisSystem(), "undo"); err == nil || !strings.Contains(err.Error(), "nothing was shared") {
				t.Errorf("%s, and once more: %v\n%s", end, err, out)
			}
			continue
		}
		h.must(os.Rename(away, names[0]))
		if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
			t.Errorf("%s: %v\n%s", end, err, out)
		}
		if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", end, diff)
		}
	}
}

// TestUndoWithoutANode: that one node's folder is gone keeps nothing of their own from the others, once it is given up.
func TestUndoWithoutANode(t *testing.T) {
	for _, way := range ways[:3] {
		h := newHouse(t, t.TempDir())
		was := h.look()
		if _, err := h.share(share.ThisSystem(), "apply", way.flags...); err != nil {
			t.Fatal(err)
		}
		h.must(os.RemoveAll(filepath.Join(h.root, "two")))
		if out, err := h.share(share.ThisSystem(), "undo"); err == nil || !strings.Contains(out, "cannot be brought back") {
			t.Errorf("%s: %v\n%s", way.name, err, out)
		}
		out, err := h.share(share.ThisSystem(), "undo", "-give-up")
		if err != nil {
			t.Errorf("%s: %v\n%s", way.name, err, out)
		}
		now := h.look()
		for _, line := range was {
			// The file of which two's was the newer is kept beside the shared one.
			if strings.HasPrefix(line, `"one`) && !slices.Contains(now, line) && !strings.Contains(line, "newer.jpg") {
				t.Errorf("%s: %s is missing\n%s", way.name, line, out)
			}
		}
	}
}

// TestUndoBesideOthers: an undo that has waited for another one does not write to a journal that is gone.
func TestUndoBesideOthers(t *testing.T) {
	for _, word := range []string{"undo", "apply"} {
		h := newHouse(t, t.TempDir())
		if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Fatal(err)
		}
		sys := &late{share.ThisSystem(), func() {
			if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
				t.Errorf("the other: %v\n%s", err, out)
			}
		}}
		if _, err := h.share(sys, word); err == nil || !strings.Contains(err.Error(), "another plexctl share came first") {
			t.Errorf("%s: %v, want that another came first", word, err)
		}
		if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Errorf("%s, then apply: %v\n%s", word, err, out)
		}
	}
}

// late is a system on which another program runs between the look for a journal and the lock.
type late struct {
	share.System

	other func()
}

func (l *late) Lock(h share.Handle) error {
	if other := l.other; other != nil {
		l.other = nil
		other()
	}
	return l.System.Lock(h)
}

// moody is a system that gives inodes as it likes: other ones than before.
type moody struct{ *mortal }

func (m moody) Stat(at share.Handle, name string) (share.Stat, error) {
	st, err := m.mortal.Stat(at, name)
	st.Node ^= 1 << 40
	return st, err
}

// TestOtherInodes: on a file system that has other inodes after a restart, a run can be undone all the same, and goes on
// unless it cannot be told what stands there.
func TestOtherInodes(t *testing.T) {
	whole := mortalAt(0, before)
	if out, err := newHouse(t, t.TempDir()).share(whole, "apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	went := 0
	for end := 12; end <= len(whole.calls); end++ {
		h := newHouse(t, t.TempDir())
		was := withoutShared(h.look())
		if _, err := h.share(mortalAt(end, after), "apply"); !errors.Is(err, errDead) {
			t.Fatalf("call %d: %v, want it ended", end, err)
		}
		if end%2 == 0 {
			out, err := h.share(moody{mortalAt(0, before)}, "apply")
			if err == nil {
				went++
			} else if !strings.Contains(err.Error(), "apply again to go on, or undo") {
				t.Errorf("after call %d of %d, %v, then apply: %v\n%s", end, len(whole.calls), whole.calls[end-1], err, out)
			}
		}
		if out, err := h.share(moody{mortalAt(0, before)}, "undo"); err != nil {
			t.Fatalf("after call %d of %d, %v: %v\n%s", end, len(whole.calls), whole.calls[end-1], err, out)
		}
		if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
			t.Fatalf("after call %d of %d, %v (-want +got):\n%s", end, len(whole.calls), whole.calls[end-1], diff)
		}
		h.must(os.RemoveAll(h.root))
	}
	if went == 0 {
		t.Error("none went on")
	}
}

// TestUndoOfWhatCannotBeRead: servers may run as somebody else, whose new folders are theirs alone. What was renamed goes
// back with them; what was copied stays with them.
func TestUndoOfWhatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name, says string
		flags      []string
	}{
		{"renamed", "cannot be counted: new: permission denied", nil},
		{"copied", "stays: ", []string{"-copy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir())
			if _, err := h.share(share.ThisSystem(), "apply", c.flags...); err != nil {
				t.Fatal(err)
			}
			h.put("both/Media/new/file", "of a server", 9)
			out, err := h.share(shut{share.ThisSystem(), "new", syscall.EACCES}, "undo")
			if err != nil || !strings.Contains(out, c.says) {
				t.Errorf("%v\n%s", err, out)
			}
			if got := h.read("one/" + library + "/Media/localhost/one/index.bif"); !strings.HasPrefix(got, "one") {
				t.Errorf("the original holds %.10q", got)
			}
			if c.flags == nil {
				h.read("one/" + library + "/Media/new/file")
			} else {
				h.read("both/Media/new/file")
			}
		})
	}
}

// mirror is a system on which each file of some name is the same one, as if an original were mounted over its copy.
type mirror struct {
	share.System

	file string
}

func (m mirror) Stat(at share.Handle, name string) (share.Stat, error) {
	st, err := m.System.Stat(at, name)
	if err == nil && name == m.file {
		st.Device, st.Node, st.Links = 1, 1, 1
	}
	return st, err
}

// TestUndoRemovesNoOriginal: what is called a copy may be the original itself, if that is mounted there.
func TestUndoRemovesNoOriginal(t *testing.T) {
	h := newHouse(t, t.TempDir())
	if _, err := h.share(share.ThisSystem(), "apply", "-copy"); err != nil {
		t.Fatal(err)
	}
	out, err := h.share(mirror{share.ThisSystem(), "index.bif"}, "undo")
	if err != nil || !strings.Contains(out, "stay") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"one/" + library + "/Media/localhost/one/index.bif", "both/Media/localhost/one/index.bif"} {
		if got := h.read(name); !strings.HasPrefix(got, "one") {
			t.Errorf("%s holds %.10q", name, got)
		}
	}
}

// TestUndoMakesRoom: on a full disk the copies that have no name yet go first.
func TestUndoMakesRoom(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := withoutShared(h.look())
	for end := 1; ; end++ {
		if _, err := h.share(mortalAt(end, before), "apply", "-copy"); !errors.Is(err, errDead) {
			t.Fatalf("no copy was without a name: %v", err)
		}
		if staged, _ := filepath.Glob(filepath.Join(h.root, "both", ".plexha-share", "stage", "*")); len(staged) > 0 {
			break
		}
		if _, err := h.share(share.ThisSystem(), "undo"); err != nil && !strings.Contains(err.Error(), "nothing was shared") {
			t.Fatal(err)
		}
	}
	sys := &cramped{System: share.ThisSystem(), stage: filepath.Join(h.root, "both", ".plexha-share", "stage")}
	if out, err := h.share(sys, "undo"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// cramped is a disk that has no room as long as copies without a name are there.
type cramped struct {
	share.System

	stage string
}

func (c *cramped) WriteAt(h share.Handle, p []byte, off int64) error {
	if staged, _ := filepath.Glob(filepath.Join(c.stage, "*")); len(staged) > 0 {
		return syscall.ENOSPC
	}
	return c.System.WriteAt(h, p, off)
}
