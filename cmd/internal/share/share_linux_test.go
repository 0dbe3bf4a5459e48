package share_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plexha/cmd/internal/share"
)

// TestRefusals: each is told before anything is done, and nothing is.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		begin func(h *house)
		flags []string
		want  string
	}{
		{
			name: "a link where the folder should be",
			begin: func(h *house) {
				h.must(os.RemoveAll(h.of("two", "Media")))
				h.must(os.Symlink("/tmp", h.of("two", "Media")))
			},
			want: "Media' is a link to /tmp, which is not the shared folder",
		},
		{
			name: "a link on the way",
			begin: func(h *house) {
				h.must(os.Rename(filepath.Join(h.root, "two"), filepath.Join(h.root, "elsewhere")))
				h.must(os.Symlink("elsewhere", filepath.Join(h.root, "two")))
			},
			want: "is a link, which is not followed: name the folder itself (it leads to elsewhere)",
		},
		{
			name:  "a database in there",
			begin: func(h *house) { h.put("two/"+library+"/Media/com.plexapp.plugins.library.db", "", 1) },
			want:  "is a server's own, and is in a folder that should be shared",
		},
		{
			name:  "a file where the shared folder should be",
			begin: func(h *house) { h.put("both/Media", "", 1) },
			want:  "both/Media is a file, and should be a folder",
		},
		{
			name: "a server that cannot be seen",
			begin: func(h *house) {
				h.silent = true
				h.put("two/"+library+"/Plug-in Support/Databases/com.plexapp.plugins.library.db", "", 1)
			},
			want: "whether the server of two runs cannot be seen from here: its address is not in a Corefile: stop it, and say so with -stopped two",
		},
		{
			name:  "a server whose database is elsewhere",
			begin: func(h *house) { h.silent = true },
			want:  "whether the server of one runs cannot be seen from here",
		},
		{
			name:  "a cache in there",
			begin: func(h *house) { h.put("two/"+library+"/Media/Cache/f", "", 1) },
			want:  "is a server's own, and is in a folder that should be shared",
		},
		{
			name:  "another server's folder",
			begin: func(h *house) { h.put("both/Preferences.xml", "", 1) },
			want:  "/both is a server's own folder, or in one",
		},
		{
			name:  "another server's config folder",
			begin: func(h *house) { h.must(os.MkdirAll(filepath.Join(h.root, "both", library), 0o755)) },
			want:  "/both is a server's own folder, or in one",
		},
		{
			name:  "within another server's folder",
			begin: func(h *house) { h.must(os.MkdirAll(filepath.Join(h.root, "Plug-in Support"), 0o755)) },
			want:  " is a server's own folder, or in one",
		},
		{name: "a node that is not here", flags: []string{"-stopped", "three"}, want: "-stopped three: there is no such node here"},
		{
			name: "a link that would dangle", flags: []string{"-mode", "symlink"},
			want: "would lead nowhere in a container, which sees only",
		},
		{
			name: "a link to itself", flags: []string{"-mode", "symlink", "-seen-as", "/config/" + library},
			want: "a link there would lead to itself",
		},
		{name: "a link to anywhere", flags: []string{"-mode", "symlink", "-seen-as", "both"}, want: "the whole name of a folder"},
		{name: "a link without links", flags: []string{"-seen-as", "/both"}, want: "-seen-as is with -mode symlink"},
		{name: "another mode", flags: []string{"-mode", "copy"}, want: "want bind or symlink"},
		{name: "no part", flags: []string{"-media-only", "-metadata-only"}, want: "leave nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, t.TempDir())
			if tt.begin != nil {
				tt.begin(h)
			}
			was := h.look()
			m := mortalAt(0, before)
			_, err := h.share(m, "apply", tt.flags...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(was, h.look()); diff != "" || len(m.calls) > 0 {
				t.Errorf("%v was done (-want +got):\n%s", m.calls, diff)
			}
		})
	}
}

// blind is a system on which nobody may read some files, whoever asks.
type blind struct{ share.System }

func (b blind) Readable(at share.Handle, name string) error {
	if strings.HasSuffix(name, ".jpg") {
		return syscall.EACCES
	}
	return b.System.Readable(at, name)
}

func TestUnreadableFilesAreToldAtOnce(t *testing.T) {
	h := newHouse(t, t.TempDir())
	_, err := h.share(blind{share.ThisSystem()}, "apply")
	if n := strings.Count(fmt.Sprint(err), "cannot be read: permission denied"); n != 6 {
		t.Errorf("%d files are told, want 6:\n%v", n, err)
	}
}

// full is a disk on which nothing fits any more after some writes.
type full struct {
	share.System

	left int
}

func (f *full) WriteAt(h share.Handle, p []byte, off int64) error {
	if f.left--; f.left < 0 {
		return syscall.ENOSPC
	}
	return f.System.WriteAt(h, p, off)
}

// TestFullDisk: whichever write does not fit, a later apply goes on, and an undo brings all back.
func TestFullDisk(t *testing.T) {
	for left := range 14 {
		h := newHouse(t, t.TempDir())
		was := withoutShared(h.look())
		_, err := h.share(&full{share.ThisSystem(), left}, "apply", "-copy")
		if err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Fatalf("%d writes fit: %v", left, err)
		}
		if left%2 == 0 {
			if _, err := h.share(share.ThisSystem(), "apply", "-copy"); err != nil {
				t.Errorf("%d writes fit, then more: %v", left, err)
			}
		}
		_, err = h.share(share.ThisSystem(), "undo")
		if begun := left%2 == 0 || left > 2; begun == (err != nil) { // the first two are the journal's head and the plan
			t.Errorf("%d writes fit, then an undo: %v", left, err)
		}
		if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
			t.Errorf("%d writes fit (-want +got):\n%s", left, diff)
		}
	}
}

// TestMerge shows what becomes of what two nodes have.
func TestMerge(t *testing.T) {
	h := newHouse(t, t.TempDir())
	out, err := h.share(share.ThisSystem(), "apply")
	if err != nil {
		t.Fatal(err)
	}
	stored := "Metadata/Movies/a/b.bundle/Contents/_stored"
	got := []string{
		h.read("both/" + stored + "/same.jpg"), h.read("both/" + stored + "/newer.jpg"), h.read("both/" + stored + "/older.jpg"),
		h.read("both/Metadata.pre-share-*" + strings.TrimPrefix(stored, "Metadata") + "/newer.jpg"),
		h.read("two/" + library + "/Metadata.pre-share-*" + strings.TrimPrefix(stored, "Metadata") + "/older.jpg"),
		h.read("both/Metadata/Movies/one.bundle/Info.xml"), h.read("both/Metadata/Movies/two.bundle/Info.xml"),
	}
	want := []string{"alike", "of two", "from one", "of one", "from two", "<one/>", "<two/>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, words := range []string{"--mount 'type=bind,source=" + h.root + "/both/Media,target=/config/Library/", "Clean Bundles", "share undo -into", "plexctl unit NODE -shared " + h.root + "/both prints"} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is not told:\n%s", words, out)
		}
	}
	m := mortalAt(0, before)
	if out, err := h.share(m, "apply"); err != nil || !strings.Contains(out, "nothing to do") {
		t.Errorf("once more: %v\n%s", err, out)
	}
	if calls := slices.DeleteFunc(m.calls, func(c call) bool { return c.what == "open" }); len(calls) > 0 {
		t.Errorf("once more: %v is done", calls)
	}
}

// TestUndoKeepsWhatIsNew: what the servers have done since is not lost.
func TestUndoKeepsWhatIsNew(t *testing.T) {
	for _, flags := range [][]string{nil, {"-copy"}} {
		h := newHouse(t, t.TempDir())
		if _, err := h.share(share.ThisSystem(), "apply", flags...); err != nil {
			t.Fatal(err)
		}
		h.put("both/Metadata/Movies/one.bundle/new.jpg", "new", 12)
		h.put("both/Metadata/Movies/two.bundle/Info.xml", "changed", 12)
		h.put("one/"+library+"/Media/unmounted", "written without the mount", 12)
		out, err := h.share(share.ThisSystem(), "undo")
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(h.look(), "\n")
		for _, name := range []string{"new.jpg", "unmounted", "Info.xml\" 100604 0:0 1578"} {
			if !strings.Contains(all, name) && os.Getuid() == 0 {
				t.Errorf("%v: %s is lost\n%s\n%s", flags, name, all, out)
			}
		}
		if !strings.Contains(out, "what was written there since is now") ||
			flags == nil && !strings.Contains(out, "has 20 entries, 131 kB, and had 19 entries, 131 kB when it was shared") {
			t.Errorf("%v: it is not told:\n%s", flags, out)
		}
	}
}

func TestPlanDoesNothing(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := h.look()
	m := mortalAt(0, before)
	first, err := h.share(m, "plan")
	h.must(err)
	if want := "mkdir   " + filepath.Join(h.root, "both") + "\n"; !strings.HasPrefix(first, want) {
		t.Errorf("the plan does not begin with %s:\n%s", want, first)
	}
	second, err := h.share(m, "plan")
	h.must(err)
	if diff := cmp.Diff(was, h.look()); diff != "" || len(m.calls) > 0 {
		t.Errorf("%v was done (-want +got):\n%s", m.calls, diff)
	}
	if diff := cmp.Diff(stamp.ReplaceAllString(first, ""), stamp.ReplaceAllString(second, "")); diff != "" {
		t.Errorf("the same plan (-first +second):\n%s", diff)
	}
	h.put("two/"+library+"/Media/localhost/two/index.bif", "another", 9)
	third, err := h.share(m, "plan")
	h.must(err)
	if digest(first) == digest(third) {
		t.Errorf("the digest of other trees is %s too", digest(third))
	}
}

func digest(plan string) string {
	_, rest, _ := strings.Cut(plan, "-plan ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

func TestLock(t *testing.T) {
	h := newHouse(t, t.TempDir())
	if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(h.root, "both", ".plexha-share", "journal"))
	h.must(err)
	defer f.Close()
	h.must(unix.Flock(int(f.Fd()), unix.LOCK_EX))
	if _, err := h.share(share.ThisSystem(), "undo"); err == nil || !strings.Contains(err.Error(), share.ErrLocked.Error()) {
		t.Errorf("%v, want %v", err, share.ErrLocked)
	}
}

func TestRunningServer(t *testing.T) {
	h := newHouse(t, t.TempDir())
	db := h.of("one", "Plug-in Support", "Databases", "com.plexapp.plugins.library.db")
	h.put("one/"+library+"/Plug-in Support/Databases/com.plexapp.plugins.library.db", "sqlite", 1)
	if why := share.Runs(h.of("one")); why != "" {
		t.Errorf("a server that is stopped: %s", why)
	}
	f, err := os.OpenFile(db, os.O_RDWR, 0)
	h.must(err)
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: 0x40000002, Len: 510} // as SQLite does for a reader
	h.must(unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock))
	if why := share.Runs(h.of("one")); !strings.Contains(why, "holds a lock on") {
		t.Errorf("a server with its database open: %q", why)
	}
	_, err = h.share(share.ThisSystem(), "apply", "-stopped", "one", "-stopped", "two")
	if err == nil || !strings.Contains(err.Error(), "the server of one runs") {
		t.Errorf("%v, want it refused whatever is said", err)
	}
}

// TestServerThatAnswers: the Corefile says where the servers are. One that answers runs, whatever is said; one whose
// port is closed may be about to open it, or have another.
func TestServerThatAnswers(t *testing.T) {
	h := newHouse(t, t.TempDir())
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.must(gone.Close())
	conf := filepath.Join(h.root, "Corefile")
	h.put("Corefile", fmt.Sprintf("home.test {\n plex {\n node one %s\n node two %s\n }\n}\n",
		strings.TrimPrefix(server.URL, "http://"), gone.Addr()), 1)
	_, err = h.share(share.ThisSystem(), "plan", "-conf", conf)
	if err == nil || !strings.Contains(err.Error(), "the server of one runs") || strings.Contains(err.Error(), "of two") {
		t.Errorf("%v, want that the server of one runs, and that of two does not, as is said", err)
	}
	h.silent = true
	_, err = h.share(share.ThisSystem(), "plan", "-conf", conf)
	if err == nil || !strings.Contains(err.Error(), "whether the server of two runs cannot be seen") ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v, want that nobody can tell of two", err)
	}
}

// TestServerThatSharesAlready: a server is not left out by not naming it.
func TestServerThatSharesAlready(t *testing.T) {
	h := newHouse(t, t.TempDir())
	h.nodes = []string{"one"}
	if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	h.put("one/"+library+"/Plug-in Support/Databases/com.plexapp.plugins.library.db", "sqlite", 1)
	f, err := os.OpenFile(h.of("one", "Plug-in Support", "Databases", "com.plexapp.plugins.library.db"), os.O_RDWR, 0)
	h.must(err)
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_RDLCK, Start: 0x40000002, Len: 510} // as SQLite does for a reader
	h.must(unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock))
	h.nodes = []string{"two"}
	for _, word := range []string{"plan", "apply"} {
		if _, err := h.share(share.ThisSystem(), word); err == nil || !strings.Contains(err.Error(), "the server of one runs") {
			t.Errorf("%s: %v, want that the server of one runs", word, err)
		}
	}
}

// FuzzJournal: whatever a journal holds, reading it ends, and what was read can be told.
func FuzzJournal(f *testing.F) {
	h := newHouse(f, f.TempDir())
	if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(h.root, "both", ".plexha-share", "journal"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("00000000 {}\n"))
	f.Add([]byte("\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		sys := share.ThisSystem()
		name := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		at, err := sys.OpenFolder(share.None, filepath.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		defer sys.Close(at)
		file, err := sys.OpenFile(at, "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer sys.Close(file)
		ops, states, end, err := share.ReadJournal(sys, file)
		if len(ops) != len(states) || end > int64(len(content)) {
			t.Errorf("%v %v %d %v", ops, states, end, err)
		}
	})
}

// TestDamagedJournal: a record that is damaged amid others is no end that was cut off.
func TestDamagedJournal(t *testing.T) {
	h := newHouse(t, t.TempDir())
	if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(h.root, "both", ".plexha-share", "journal")
	content, err := os.ReadFile(name)
	h.must(err)
	content[len(content)/2] ^= 1
	h.must(os.WriteFile(name, content, 0o600))
	if _, err := h.share(share.ThisSystem(), "undo"); err == nil || !strings.Contains(err.Error(), "the journal is damaged at byte") {
		t.Errorf("%v, want it refused", err)
	}
}

func TestPathInJournal(t *testing.T) {
	for _, p := range []share.Path{"", "a b", "\xff\n/\x00"} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got share.Path
		if err := json.Unmarshal(text, &got); err != nil || got != p {
			t.Errorf("%q: %q, %v from %s", p, got, err, text)
		}
	}
}

func TestLine(t *testing.T) {
	total := share.Amount{Entries: 1000, Bytes: 10e9}
	got := []string{
		share.Line(total, share.Amount{Entries: 1, Bytes: 5}, 0),
		share.Line(share.Amount{}, share.Amount{Entries: 1, Bytes: 5}, 0),
		share.Line(total, share.Amount{Entries: 500, Bytes: 5e9}, 50*time.Second),
	}
	want := []string{"1 of 1000 entries, 5 B of 10 GB", "compared: 1 entry, 5 B", "500 of 1000 entries, 5 GB of 10 GB, 100 MB/s, 50s left"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuote(t *testing.T) {
	for name, want := range map[string]string{
		"/a/b.c": "/a/b.c", "/a b": "'/a b'", "it's": `'it'\''s'`, "a\nb": `"a\nb"`, "\xff": `"\xff"`, "": "''",
	} {
		if got := share.Quote(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestLeaves(t *testing.T) {
	top := &share.Entry{Name: "Media"}
	folder := &share.Entry{Name: "a", Parent: top}
	for target, want := range map[string]bool{
		"b": false, "../b": false, "../..": true, "/etc": true, "b/../../../c": true, "b/../..": false,
	} {
		if got := share.Leaves(&share.Entry{Name: "l", Parent: folder, Target: target}); got != want {
			t.Errorf("a link in a folder of the tree to %s leaves it: %t, want %t", target, got, want)
		}
	}
}

// TestThreeNodes: of three files of one name the newest is shared, and both others are kept.
func TestThreeNodes(t *testing.T) {
	for _, flags := range [][]string{nil, {"-copy"}} {
		h := newBareHouse(t, "one", "two", "three")
		h.put("both/Media/a/f", "of none", 1)
		for i, node := range h.nodes {
			h.put(node+"/"+library+"/Media/a/f", "of "+node, 2+i)
		}
		was := withoutShared(h.look())
		if out, err := h.share(share.ThisSystem(), "apply", flags...); err != nil {
			t.Fatalf("%v: %v\n%s", flags, err, out)
		}
		got := []string{
			h.read("both/Media/a/f"), h.read("both/Media.pre-share-*/a/f"),
			h.read("both/Media-2.pre-share-*/a/f"), h.read("both/Media-3.pre-share-*/a/f"),
		}
		if diff := cmp.Diff([]string{"of three", "of none", "of one", "of two"}, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", flags, diff)
		}
		if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
			t.Fatalf("%v: %v\n%s", flags, err, out)
		}
		if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
			t.Errorf("%v: undone (-want +got):\n%s", flags, diff)
		}
	}
}

// TestLinksOfCopies: a hard link is one of what it was a link of, whatever has its name by then.
func TestLinksOfCopies(t *testing.T) {
	h := newBareHouse(t, "one", "two")
	of := func(node, name string) string { return filepath.Join(node, library, name) }
	h.put(of("one", "Media/f"), "old", 1)
	h.must(os.Link(h.of("one", "Media", "f"), filepath.Join(h.of("one"), "g")))
	h.put(of("one", "Metadata/other"), "", 1)
	h.must(os.Rename(filepath.Join(h.of("one"), "g"), h.of("one", "Metadata", "g")))
	h.put(of("two", "Media/f"), "new", 2)
	h.must(os.Link(h.of("two", "Media", "f"), h.of("two", "Media", "z")))
	if out, err := h.share(share.ThisSystem(), "apply", "-copy"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	node := func(pattern string) uint64 {
		names, err := filepath.Glob(filepath.Join(h.root, pattern))
		h.must(err)
		var st unix.Stat_t
		h.must(unix.Lstat(names[0], &st))
		return st.Ino
	}
	got := []any{
		h.read("both/Metadata/g"), h.read("both/Media.pre-share-*/f"), h.read("both/Media/f"), h.read("both/Media/z"),
		node("both/Metadata/g") == node("both/Media.pre-share-*/f"), node("both/Media/f") == node("both/Media/z"),
	}
	if diff := cmp.Diff([]any{"old", "old", "new", "new", true, true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCrashOfALaterRun: a plan that was written, and may not have been begun, is none. What was there before can be
// undone, wherever the later run has ended.
func TestCrashOfALaterRun(t *testing.T) {
	build := func() (h *house, was []string) {
		h = newHouse(t, t.TempDir())
		was = withoutShared(h.look())
		h.nodes = []string{"one"}
		if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		h.nodes = []string{"one", "two"}
		return h, was
	}
	h, _ := build()
	whole := mortalAt(0, before)
	if out, err := h.share(whole, "apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for end := 1; end <= len(whole.calls); end += 3 {
		h, was := build()
		if _, err := h.share(mortalAt(end, before), "apply"); !errors.Is(err, errDead) {
			t.Fatalf("call %d: %v, want it ended", end, err)
		}
		for n := range 2 { // if the later run did not count, the first undo takes back all
			out, err := h.share(share.ThisSystem(), "undo")
			if over := err != nil && strings.Contains(err.Error(), "nothing was shared"); err != nil && (!over || n == 0) {
				t.Fatalf("before call %d of %d, %v, then undo: %v\n%s", end, len(whole.calls), whole.calls[end-1], err, out)
			}
			if _, err := h.share(share.ThisSystem(), "status"); err != nil {
				t.Fatalf("before call %d of %d, %v, then status: %v", end, len(whole.calls), whole.calls[end-1], err)
			}
		}
		h.checkTidied(fmt.Sprintf("before call %d", end), was, false)
		if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
			t.Errorf("before call %d of %d, %v (-want +got):\n%s", end, len(whole.calls), whole.calls[end-1], diff)
		}
	}
}

// TestJournalThatIsNone: garbage is not taken for a folder in which nothing was shared, and nothing is done to it.
func TestJournalThatIsNone(t *testing.T) {
	for name, content := range map[string][]byte{
		"zeros": make([]byte, 9000), "garbage": []byte(strings.Repeat("garbage\n", 900)), "zeros first": nil,
	} {
		h := newHouse(t, t.TempDir())
		if _, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Fatal(err)
		}
		journal := filepath.Join(h.root, "both", ".plexha-share", "journal")
		whole, err := os.ReadFile(journal)
		h.must(err)
		if content == nil {
			content = append(make([]byte, 512), whole[512:]...)
		}
		h.must(os.WriteFile(journal, content, 0o600))
		for _, word := range []string{"status", "undo", "apply"} {
			if _, err := h.share(share.ThisSystem(), word); err == nil || !strings.Contains(err.Error(), "damaged from its beginning") {
				t.Errorf("%s, %s: %v, want it refused", name, word, err)
			}
		}
		if there, err := os.ReadFile(journal); err != nil || !bytes.Equal(there, content) {
			t.Errorf("%s: %d bytes are left of %d, %v", name, len(there), len(content), err)
		}
	}
}

// TestUndoOfNothing is an error, as nothing is as it was before something.
func TestUndoOfNothing(t *testing.T) {
	h := newHouse(t, t.TempDir())
	for _, content := range []string{"", "0000"} {
		h.must(os.MkdirAll(filepath.Join(h.root, "both", ".plexha-share"), 0o700))
		h.must(os.WriteFile(filepath.Join(h.root, "both", ".plexha-share", "journal"), []byte(content), 0o600))
		if _, err := h.share(share.ThisSystem(), "undo"); err == nil || !strings.Contains(err.Error(), "nothing was shared in") {
			t.Errorf("a journal of %q: %v, want that nothing was shared", content, err)
		}
		if out, err := h.share(share.ThisSystem(), "status"); err != nil || !strings.Contains(out, "nothing was shared in") {
			t.Errorf("a journal of %q: %v\n%s", content, err, out)
		}
	}
	if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Errorf("after them: %v\n%s", err, out)
	}
}

// overtaken is a system on which another program is faster: it runs when the journal's folder is about to be made.
type overtaken struct {
	share.System

	other func()
}

func (o *overtaken) Mkdir(at share.Handle, name string, mode uint32) error {
	if other := o.other; name == ".plexha-share" && other != nil {
		o.other = nil
		other()
	}
	return o.System.Mkdir(at, name, mode)
}

// TestOvertaken: a plan of how things were before another apply is not done.
func TestOvertaken(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := withoutShared(h.look())
	sys := &overtaken{share.ThisSystem(), func() {
		if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Errorf("the other: %v\n%s", err, out)
		}
	}}
	if _, err := h.share(sys, "apply"); err == nil || !strings.Contains(err.Error(), "another plexctl share came first") {
		t.Errorf("%v, want that another came first", err)
	}
	if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
		t.Errorf("undone (-want +got):\n%s", diff)
	}
}

// TestReplacedSincePlanned: a link is not shared as the folder that it stands for by now.
func TestReplacedSincePlanned(t *testing.T) {
	for _, flags := range [][]string{nil, {"-copy"}} {
		h := newHouse(t, t.TempDir())
		whole := mortalAt(0, before)
		sys := &replacing{mortal: whole, do: func() {
			h.must(os.Rename(h.of("one", "Metadata"), filepath.Join(h.root, "away")))
			h.must(os.Symlink("/etc", h.of("one", "Metadata")))
		}}
		_, err := h.share(sys, "apply", flags...)
		if err == nil || !strings.Contains(err.Error(), "it is not what the plan was made of") {
			t.Errorf("%v: %v, want it refused", flags, err)
		}
		if target, err := os.Readlink(filepath.Join(h.root, "both", "Metadata")); err == nil {
			t.Errorf("%v: a link to %s is shared", flags, target)
		}
	}
}

// replacing is a system on which something is done as soon as the journal holds the plan.
type replacing struct {
	*mortal

	do func()
}

func (r *replacing) Sync(h share.Handle) error {
	if do := r.do; r.names[h] == "journal" && do != nil {
		r.do = nil
		do()
	}
	return r.mortal.Sync(h)
}

// TestConflictsAreTold by each command that has to do with them, and by an apply that goes on, too.
func TestConflictsAreTold(t *testing.T) {
	h := newHouse(t, t.TempDir())
	h.must(syscall.Mkfifo(h.of("two", "Media", "pipe"), 0o600))
	plan, err := h.share(share.ThisSystem(), "plan")
	h.must(err)
	differs := func(out string) (lines []string) {
		for line := range strings.Lines(stamp.ReplaceAllString(out, "TIME")) {
			if strings.HasPrefix(line, "differs: ") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	want := differs(plan)
	if len(want) != 3 {
		t.Errorf("the plan tells of %d conflicts, want 3:\n%s", len(want), plan)
	}
	begun, err := h.share(mortalAt(30, before), "apply")
	if !errors.Is(err, errDead) || !strings.Contains(begun, "is neither a file, a folder nor a link") {
		t.Errorf("%v, without a note:\n%s", err, begun)
	}
	for _, word := range []string{"apply", "status"} {
		out, err := h.share(share.ThisSystem(), word)
		h.must(err)
		if diff := cmp.Diff(want, differs(out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
}

// TestRoom: a file with several names is copied once, and holes not at all.
func TestRoom(t *testing.T) {
	h := newBareHouse(t, "one")
	h.put("one/"+library+"/Media/f", strings.Repeat("f", 100_000), 1)
	for i := range 9 {
		h.must(os.MkdirAll(h.of("one", "Metadata"), 0o755))
		h.must(os.Link(h.of("one", "Media", "f"), h.of("one", "Metadata", fmt.Sprint(i))))
	}
	hole, err := os.Create(h.of("one", "Media", "hole"))
	h.must(err)
	h.must(hole.Truncate(10 << 20))
	h.must(hole.Close())
	out, err := h.share(share.ThisSystem(), "plan", "-copy")
	if err != nil || !strings.Contains(out, "to be copied: 4 entries, 100 kB") {
		t.Errorf("%v, want one file, a hole and two folders to be copied\n%s", err, out)
	}
}

// TestMountLines: each is written as whoever reads it has it, so that no part of a name is taken for something else.
func TestMountLines(t *testing.T) {
	h := newBareHouse(t, "one")
	h.root = filepath.Join(h.root, `a $HOME%n"b,c`)
	h.put("one/"+library+"/Media/f", "f", 1)
	bind, err := h.share(share.ThisSystem(), "apply")
	h.must(err)
	into := strings.TrimSuffix(h.root, `a $HOME%n"b,c`)
	const at = "/config/" + library + "/Media"
	for _, line := range []string{
		`  --mount 'type=bind,"source=` + into + `a $HOME%n""b,c/both/Media",target=` + at + "'\n",
		`  --mount "type=bind,\"source=` + into + `a $$HOME%%n\"\"b,c/both/Media\",target=` + at + "\"\n",
		`  - { type: bind, source: "` + into + `a $$HOME%n\"b,c/both/Media", target: "` + at + `", bind:`,
		`  Volume=` + into + `a $$HOME%%n"b,c/both/Media:` + at + "\n",
		`  RequiresMountsFor="` + into + `a $HOME%%n\"b,c/both"` + "\n",
		`  ` + into + `a\040$HOME%n"b,c/both/Media `,
	} {
		if !strings.Contains(bind, line) {
			t.Errorf("there is no %s in\n%s", line, bind)
		}
	}
	h = newBareHouse(t, "one")
	h.put("one/"+library+"/Media/f", "f", 1)
	links, err := h.share(share.ThisSystem(), "apply", "-mode", "symlink", "-seen-as", "/both")
	h.must(err)
	if want := "  --mount type=bind,source=" + h.root + "/both,target=/both\n"; !strings.Contains(links, want) {
		t.Errorf("there is no %s in\n%s", want, links)
	}
}

// caseless is a system of which one file has a name in whatever letters.
type caseless struct{ share.System }

func (c caseless) fold(name string) string {
	if strings.EqualFold(name, "poster.jpg") {
		return "poster.jpg"
	}
	return name
}

func (c caseless) Stat(at share.Handle, name string) (share.Stat, error) {
	return c.System.Stat(at, c.fold(name))
}

func (c caseless) OpenFile(at share.Handle, name string) (share.Handle, error) {
	return c.System.OpenFile(at, c.fold(name))
}

func (c caseless) Create(at share.Handle, name string) (share.Handle, error) {
	return c.System.Create(at, c.fold(name))
}

// TestNamesOfOneFile: a copy that has fewer names than its original is none, however often it is tried.
func TestNamesOfOneFile(t *testing.T) {
	h := newBareHouse(t, "one")
	h.put("one/"+library+"/Media/a/poster.jpg", "lower", 1)
	h.put("one/"+library+"/Media/a/Poster.jpg", "upper", 1)
	was := withoutShared(h.look())
	sys := caseless{share.ThisSystem()}
	if _, err := h.share(sys, "apply", "-copy"); err == nil {
		t.Error("it is copied")
	}
	if _, err := h.share(sys, "apply", "-copy"); err == nil || !strings.Contains(err.Error(), "of its 2 names 1 are in the copy") {
		t.Errorf("once more: %v, want it refused", err)
	}
	if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
		t.Errorf("undo: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, withoutShared(h.look())); diff != "" {
		t.Errorf("undone (-want +got):\n%s", diff)
	}
}

// TestTwoRunsInASecond: what one keeps is not in the way of the next.
func TestTwoRunsInASecond(t *testing.T) {
	h := newBareHouse(t, "one", "two", "three")
	for i, node := range h.nodes {
		h.put(node+"/"+library+"/Media/f", "of "+node, 1+i)
	}
	for n := range h.nodes {
		h.nodes = []string{"one", "two", "three"}[:n+1]
		if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
			t.Fatalf("%v: %v\n%s", h.nodes, err, out)
		}
	}
	names, err := filepath.Glob(filepath.Join(h.root, "both", "Media.pre-share-*", "f"))
	if err != nil || len(names) != 2 || h.read("both/Media/f") != "of three" {
		t.Errorf("%q are kept, %v, of two that lost", names, err)
	}
}

// fused is a system on which all is in user space.
type fused struct{ share.System }

func (f fused) Space(h share.Handle) (share.Space, error) {
	space, err := f.System.Space(h)
	space.UserSpace = true
	return space, err
}

// rooted is a system that renames nothing into the shared folder, which it does not say before.
type rooted struct{ *mortal }

func (r rooted) Rename(at share.Handle, name string, toAt share.Handle, to string) error {
	if r.name(at) != "stage" && r.name(toAt) == "both" && to == "Metadata" {
		return syscall.EXDEV
	}
	return r.mortal.Rename(at, name, toAt, to)
}

// TestCopiesWhereRenamesFail: what was renamed by then is taken back, and all is copied, unless one plan was asked for.
func TestCopiesWhereRenamesFail(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := h.look()
	plan, err := h.share(share.ThisSystem(), "plan")
	h.must(err)
	_, err = h.share(rooted{mortalAt(0, before)}, "apply", "-plan", digest(plan))
	if !errors.Is(err, syscall.EXDEV) || !strings.Contains(err.Error(), "undo, then plan and apply with -copy") {
		t.Errorf("one plan and no other: %v", err)
	}
	if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	whole := rooted{mortalAt(0, before)}
	out, err := h.share(whole, "apply")
	if err != nil || !strings.Contains(out, "so all is taken back\nand copied instead") {
		t.Errorf("%v\n%s", err, out)
	}
	want := withoutPoints(h.look())
	if names, _ := filepath.Glob(h.of("one", "Metadata.pre-share-*")); len(names) != 1 {
		t.Errorf("the original is %q, want it kept", names)
	}
	if out, err := h.share(share.ThisSystem(), "undo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(withoutShared(was), withoutShared(h.look())); diff != "" {
		t.Errorf("undone (-want +got):\n%s", diff)
	}
	h.checkTidied("undo", was, false)
	for end := 3; end <= len(whole.calls); end += 13 {
		h := newHouse(t, t.TempDir())
		if _, err := h.share(rooted{mortalAt(end, after)}, "apply"); !errors.Is(err, errDead) {
			t.Fatalf("call %d: %v, want it ended", end, err)
		}
		_, _ = h.share(share.ThisSystem(), "undo") // it may not have begun
		if diff := cmp.Diff(withoutShared(was), withoutShared(h.look())); diff != "" {
			t.Fatalf("ended after call %d, undone (-want +got):\n%s", end, diff)
		}
		if out, err := h.share(rooted{mortalAt(0, before)}, "apply"); err != nil {
			t.Fatalf("ended after call %d, then all of it: %v\n%s", end, err, out)
		}
		if diff := cmp.Diff(want, withoutPoints(h.look())); diff != "" {
			t.Fatalf("ended after call %d, then all of it (-want +got):\n%s", end, diff)
		}
	}
}

// TestPlanTriesRenames: what another mount is in the way of is copied, by a plan that does nothing.
func TestPlanTriesRenames(t *testing.T) {
	h := newHouse(t, t.TempDir())
	was := h.look()
	if out, err := h.share(walled{share.ThisSystem()}, "plan"); err != nil || !strings.Contains(out, "\ncopy ") {
		t.Errorf("a mount between them: %v, want copies\n%s", err, out)
	}
	if out, err := h.share(layered{share.ThisSystem()}, "plan"); err != nil || strings.Count(out, "of layers (overlayfs)") != 2 {
		t.Errorf("layers: %v, want both told\n%s", err, out)
	}
	if out, err := h.share(share.ThisSystem(), "plan"); err != nil || strings.Contains(out, "\ncopy ") {
		t.Errorf("neither: %v, want no copies\n%s", err, out)
	}
	if diff := cmp.Diff(was, h.look()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// walled is a system with a mount between folders of one device, on a kernel that does not number mounts.
type walled struct{ share.System }

func (walled) Renames(_, _ share.Handle) error { return syscall.EXDEV }

// layered is a system whose folders are of several layers.
type layered struct{ share.System }

func (l layered) Space(h share.Handle) (share.Space, error) {
	space, err := l.System.Space(h)
	space.Layered = true
	return space, err
}

func TestUserSpaceIsTold(t *testing.T) {
	h := newHouse(t, t.TempDir())
	for _, sys := range []share.System{fused{share.ThisSystem()}, share.ThisSystem()} {
		out, err := h.share(sys, "plan")
		_, is := sys.(fused)
		if told := strings.Count(out, "is on a file system of FUSE"); err != nil || (told == 3) != is || (told == 0) == is {
			t.Errorf("%T: %v, told %d times\n%s", sys, err, told, out)
		}
	}
}

// TestResumeAfterChanges: originals that have changed since an apply was cut short are copied as they are by now.
func TestResumeAfterChanges(t *testing.T) {
	h := newBareHouse(t, "one", "two")
	for _, name := range []string{"a", "b", "c/d", "e"} {
		h.put("one/"+library+"/Media/x/"+name, name, 2)
	}
	h.put("two/"+library+"/Media/y", "y", 2)
	staged := func() bool {
		names, _ := filepath.Glob(filepath.Join(h.root, "both", ".plexha-share", "stage", "*", "x", "e"))
		return len(names) > 0
	}
	for end := 1; !staged(); end++ {
		if _, err := h.share(mortalAt(end, before), "apply", "-copy"); !errors.Is(err, errDead) {
			t.Fatalf("nothing was left half copied: %v", err)
		}
	}
	x := h.of("one", "Media", "x")
	h.must(os.Remove(filepath.Join(x, "a")))
	h.must(os.Remove(filepath.Join(x, "b")))
	h.must(os.RemoveAll(filepath.Join(x, "c")))
	h.put("one/"+library+"/Media/x/b/c", "a folder by now", 3)
	h.put("one/"+library+"/Media/x/c", "a file by now", 3)
	if out, err := h.share(share.ThisSystem(), "apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, name := range []string{"b/c", "c", "e"} {
		got = append(got, h.read("both/Media/x/"+name))
	}
	if diff := cmp.Diff([]string{"a folder by now", "a file by now", "e"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(filepath.Join(h.root, "both", "Media", "x", "a")); err == nil {
		t.Error("what was removed is shared")
	}
}

// TestMountPointInUse: a folder that a server has made where a mount point shall be is the server's.
func TestMountPointInUse(t *testing.T) {
	for end := 1; ; end++ {
		h := newBareHouse(t, "one", "two")
		h.put("one/"+library+"/Media/x", "x", 2)
		_, err := h.share(mortalAt(end, before), "apply")
		if err == nil {
			return
		}
		own := h.of("two", "Media")
		if _, err := os.Lstat(own); err == nil {
			continue
		}
		h.put("two/"+library+"/Media/own", "of a server", 3)
		if out, err := h.share(share.ThisSystem(), "apply"); strings.Contains(out, "goes on") && err == nil {
			t.Fatalf("ended at call %d: %v\n%s", end, err, out)
		}
		if out, err := h.share(share.ThisSystem(), "undo"); err != nil && !strings.Contains(err.Error(), "nothing was shared") {
			t.Fatalf("ended at call %d: %v\n%s", end, err, out)
		}
		if got := h.read("two/" + library + "/Media/own"); got != "of a server" {
			t.Errorf("ended at call %d: the server's file holds %q", end, got)
		}
	}
}

// shut is a system on which what has a name cannot be opened, whoever asks.
type shut struct {
	share.System

	name string
	why  error
}

func (s shut) OpenFile(at share.Handle, name string) (share.Handle, error) {
	if name == s.name {
		return share.None, s.why
	}
	return s.System.OpenFile(at, name)
}

func (s shut) OpenFolder(at share.Handle, name string) (share.Handle, error) {
	if name == s.name {
		return share.None, s.why
	}
	return s.System.OpenFolder(at, name)
}

// TestErrorBesideEndsAFolder: the rest of a folder is not copied for hours once one in there has failed.
func TestErrorBesideEndsAFolder(t *testing.T) {
	h := newBareHouse(t, "one")
	h.beside = 2
	for i := range 200 {
		h.put(fmt.Sprintf("one/%s/Media/%03d/f", library, i), "x", 2)
	}
	h.put("one/"+library+"/Media/000/bad", "x", 2)
	_, err := h.share(shut{share.ThisSystem(), "bad", syscall.EIO}, "apply", "-copy")
	if err == nil || !strings.Contains(err.Error(), "000/bad: input/output error") {
		t.Fatal(err)
	}
	copied, _ := filepath.Glob(filepath.Join(h.root, "both", ".plexha-share", "stage", "*", "*", "f"))
	if len(copied) > 100 {
		t.Errorf("%d folders are copied after: %v", len(copied), err)
	}
}
