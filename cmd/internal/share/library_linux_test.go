package share_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plexha/cmd/internal/share"
)

const library = "Library/Application Support/Plex Media Server"

// house is a folder with some nodes' config folders.
type house struct {
	tb    testing.TB
	root  string
	nodes []string

	beside int  // how many folders an apply copies at once; 0: one
	batch  int  // how many operations are in a batch of an apply; 0: as always
	silent bool // the commands do not say that the servers are stopped
}

// newBareHouse makes nodes that have nothing yet.
func newBareHouse(tb testing.TB, nodes ...string) *house {
	h := &house{tb: tb, root: tb.TempDir(), nodes: nodes}
	for _, node := range nodes {
		h.put(filepath.Join(node, library, "Preferences.xml"), node, 1)
	}
	return h
}

// read returns what a file of the house holds, whose name may be a pattern.
func (h *house) read(pattern string) string {
	h.tb.Helper()
	names, err := filepath.Glob(filepath.Join(h.root, pattern))
	if err != nil || len(names) != 1 {
		h.tb.Fatalf("%s: %q, %v", pattern, names, err)
	}
	content, err := os.ReadFile(names[0])
	h.must(err)
	return string(content)
}

// put makes a file with the folders above it, last changed on that day of 2020.
func (h *house) put(name, content string, day int) {
	h.tb.Helper()
	name = filepath.Join(h.root, name)
	h.must(os.MkdirAll(filepath.Dir(name), 0o755))
	h.must(os.WriteFile(name, []byte(content), 0o640))
	h.date(name, day)
}

func (h *house) date(name string, day int) {
	at := unix.NsecToTimespec(time.Date(2020, 1, day, 3, 4, 5, 678901234, time.UTC).UnixNano())
	h.must(unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
}

func (h *house) must(err error) {
	h.tb.Helper()
	if err != nil {
		h.tb.Fatal(err)
	}
}

func (h *house) of(node string, elems ...string) string {
	return filepath.Join(append([]string{h.root, node, library}, elems...)...)
}

// newHouse makes two nodes with all that is hard to keep: hard links within a folder and between folders, links that
// lead out, attributes, holes, names that are no text, and files and types that differ.
func newHouse(tb testing.TB, root string) *house {
	h := &house{tb: tb, root: root, nodes: []string{"one", "two"}}
	for i, node := range h.nodes {
		at := func(name string) string { return filepath.Join(node, library, name) }
		h.put(at("Preferences.xml"), node, 1)
		h.put(at("Metadata/Movies/a/b.bundle/Contents/_stored/same.jpg"), "alike", 2+i)
		h.put(at("Metadata/Movies/a/b.bundle/Contents/_stored/newer.jpg"), "of "+node, 2+i)
		h.put(at("Metadata/Movies/a/b.bundle/Contents/_stored/older.jpg"), "from "+node, 9-i)
		h.put(at("Metadata/Movies/"+node+".bundle/Info.xml"), "<"+node+"/>", 4)
		h.put(at("Metadata/Movies/"+node+".bundle/\xff\xfe\n'name"), "odd", 5)
		h.put(at("Media/localhost/"+node+"/index.bif"), strings.Repeat(node, 3000), 6)
		bundle := h.of(node, "Metadata", "Movies", node+".bundle")
		h.must(os.Link(filepath.Join(bundle, "Info.xml"), filepath.Join(bundle, "Twin.xml")))
		h.must(os.Link(filepath.Join(bundle, "Info.xml"), h.of(node, "Metadata", "Movies", "z"+node)))
		h.must(os.Symlink("../../../../..", filepath.Join(bundle, "out")))
		h.must(os.Symlink("Info.xml", filepath.Join(bundle, "in")))
		h.must(unix.Setxattr(filepath.Join(bundle, "Info.xml"), "user.note", []byte(node), 0))
		h.must(os.Chmod(filepath.Join(bundle, "Info.xml"), 0o604))
		h.must(os.Mkdir(filepath.Join(bundle, "empty"), 0o710))
		sparse, err := os.Create(filepath.Join(bundle, "sparse"))
		h.must(err)
		_, err = sparse.WriteAt([]byte("end"), 1<<17)
		h.must(err)
		h.must(sparse.Close())
	}
	h.put("one/"+library+"/Metadata/kind", "a file", 3)
	h.must(os.Mkdir(h.of("two", "Metadata", "kind"), 0o755))
	h.settle()
	return h
}

// settle dates all folders, links and files with holes.
func (h *house) settle() {
	h.must(filepath.WalkDir(h.root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.Type().IsRegular() || d.Name() == "sparse" {
			h.date(name, 8)
		}
		return err
	}))
}

// stamp is what differs from run to run.
var stamp = regexp.MustCompile(`\d{8}T\d{6}Z`)

// look returns all that is in the house, the journal apart: a line for each entry.
func (h *house) look() []string {
	h.tb.Helper()
	var lines []string
	names := map[uint64][]string{} // of the files that have several
	err := filepath.WalkDir(h.root, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(h.root, name) // both are absolute
		if err != nil || rel == "." {
			return err
		}
		if d.Name() == ".plexha-share" {
			return fs.SkipDir
		}
		rel = stamp.ReplaceAllString(rel, "TIME")
		var st unix.Stat_t
		h.must(unix.Lstat(name, &st))
		line := fmt.Sprintf("%q %o %d:%d", rel, st.Mode, st.Uid, st.Gid)
		if rel != "both" && !strings.Contains(rel, ".pre-share") || !d.IsDir() {
			line += fmt.Sprintf(" %d.%09d", st.Mtim.Sec, st.Mtim.Nsec)
		}
		switch {
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			h.must(err)
			line += " -> " + target
		case d.Type().IsRegular():
			content, err := os.ReadFile(name)
			h.must(err)
			sum := sha256.Sum256(content)
			line += fmt.Sprintf(" %d bytes %s%s", len(content), hex.EncodeToString(sum[:4]), attrs(name))
			if len(content) > 1<<16 && st.Blocks*512 > int64(len(content))/2 {
				line += " without its hole"
			}
			if st.Nlink > 1 {
				names[st.Ino] = append(names[st.Ino], rel)
			}
		}
		lines = append(lines, line)
		return nil
	})
	h.must(err)
	for _, group := range names {
		lines = append(lines, fmt.Sprintf("one file: %q", group))
	}
	sort.Strings(lines)
	return lines
}

// withoutPoints leaves out the times of what every apply makes anew.
func withoutPoints(lines []string) []string {
	points := regexp.MustCompile(`^("(?:both/Media|(?:one|two|three)/[^"]*Server(?:/Media|/Metadata)?)" \S+ \S+) \S+`)
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		out = append(out, points.ReplaceAllString(line, "$1"))
	}
	return out
}

func attrs(name string) string {
	value := make([]byte, 100)
	n, err := unix.Lgetxattr(name, "user.note", value)
	if err != nil {
		return ""
	}
	return " note " + string(value[:n])
}

// share runs a command about the house's nodes.
func (h *house) share(sys share.System, word string, flags ...string) (string, error) {
	var out strings.Builder
	args := []string{"-into", filepath.Join(h.root, "both")}
	if word == "plan" || word == "apply" {
		for _, node := range h.nodes {
			if !h.silent {
				args = append(args, "-stopped", node)
			}
			args = append(args, "-node", node+"="+filepath.Join(h.root, node))
		}
	}
	if word == "undo" && !h.silent {
		for _, node := range h.nodes {
			args = append(args, "-stopped", node)
		}
	}
	err := share.RunWith(h.tb.Context(), sys, h.batch, max(h.beside, 1), word, append(args, flags...), &out, &out)
	return out.String(), err
}

// errDead is what a system says that has been ended.
var errDead = errors.New("ended here")

// call is one call that changes something.
type call struct {
	what string
	at   string // the name that it is about, of one element
}

// mortal is a system that ends at one of its calls, as a killed process does. It writes nothing to disk: whether it
// would is seen in the calls.
type mortal struct {
	share.System

	mu    sync.Mutex // held for each call: there is an order, also of what goes on side by side
	end   int        // the call at which it ends; 0: none
	how   fate
	calls []call
	dead  bool
	names map[share.Handle]string
}

// fate is how a system ends.
type fate string

const (
	before fate = "before" // the call is not done
	after  fate = "after"  // it is, and nobody knows
	torn   fate = "torn"   // it is a write, half of which is done
)

func mortalAt(end int, how fate) *mortal {
	return &mortal{System: share.ThisSystem(), end: end, how: how, names: map[share.Handle]string{}}
}

func (m *mortal) step(what, at string, do func() error) error {
	return m.stepOr(what, at, do, func() {})
}

// stepOr does a call, or half of it if it ends there, torn.
func (m *mortal) stepOr(what, at string, do func() error, half func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.calls = append(m.calls, call{what, at})
	if len(m.calls) != m.end {
		return do()
	}
	m.dead = true
	switch m.how {
	case after:
		_ = do()
	case torn:
		half()
	}
	return errDead
}

func (m *mortal) opened(h share.Handle, name string, err error) (share.Handle, error) {
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.names[h] = name
	}
	return h, err
}

func (m *mortal) name(h share.Handle) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names[h]
}

func (m *mortal) OpenFolder(at share.Handle, name string) (share.Handle, error) {
	h, err := m.System.OpenFolder(at, name)
	return m.opened(h, name, err)
}

func (m *mortal) Create(at share.Handle, name string) (h share.Handle, err error) {
	err = m.step("create", name, func() error { h, err = m.System.Create(at, name); return err })
	return m.opened(h, name, err)
}

func (m *mortal) OpenAppend(at share.Handle, name string) (h share.Handle, err error) {
	err = m.step("open", name, func() error { h, err = m.System.OpenAppend(at, name); return err })
	return m.opened(h, name, err)
}

func (m *mortal) WriteAt(h share.Handle, p []byte, off int64) error {
	return m.stepOr("write", m.name(h), func() error { return m.System.WriteAt(h, p, off) }, func() {
		_ = m.System.WriteAt(h, p[:len(p)/2], off)
	})
}

func (m *mortal) Truncate(h share.Handle, size int64) error {
	return m.step("truncate", m.name(h), func() error { return m.System.Truncate(h, size) })
}

func (m *mortal) Clone(to, from share.Handle) error {
	return m.step("clone", m.name(to), func() error { return m.System.Clone(to, from) })
}

func (m *mortal) Mkdir(at share.Handle, name string, mode uint32) error {
	return m.step("mkdir", name, func() error { return m.System.Mkdir(at, name, mode) })
}

func (m *mortal) Rename(at share.Handle, name string, toAt share.Handle, to string) error {
	return m.step("rename", m.name(at)+"/"+name, func() error { return m.System.Rename(at, name, toAt, to) })
}

func (m *mortal) Hardlink(at share.Handle, name string, toAt share.Handle, to string) error {
	return m.step("link", to, func() error { return m.System.Hardlink(at, name, toAt, to) })
}

func (m *mortal) Symlink(target string, at share.Handle, name string) error {
	return m.step("symlink", name, func() error { return m.System.Symlink(target, at, name) })
}

func (m *mortal) Remove(at share.Handle, name string, t share.Type) error {
	return m.step("remove", name, func() error { return m.System.Remove(at, name, t) })
}

func (m *mortal) Chmod(h share.Handle, mode uint32) error {
	return m.step("chmod", m.name(h), func() error { return m.System.Chmod(h, mode) })
}

func (m *mortal) Chown(at share.Handle, name string, uid, gid uint32) error {
	return m.step("chown", name, func() error { return m.System.Chown(at, name, uid, gid) })
}

func (m *mortal) ChownHandle(h share.Handle, uid, gid uint32) error {
	return m.step("chown", m.name(h), func() error { return m.System.ChownHandle(h, uid, gid) })
}

func (m *mortal) SetTimes(at share.Handle, name string, access, mod share.Moment) error {
	return m.step("times", name, func() error { return m.System.SetTimes(at, name, access, mod) })
}

func (m *mortal) SetTimesHandle(h share.Handle, access, mod share.Moment) error {
	return m.step("times", m.name(h), func() error { return m.System.SetTimesHandle(h, access, mod) })
}

func (m *mortal) SetAttr(h share.Handle, a share.Attr) error {
	return m.step("attr", m.name(h), func() error { return m.System.SetAttr(h, a) })
}

func (m *mortal) SetLinkAttr(at share.Handle, name string, a share.Attr) error {
	return m.step("attr", name, func() error { return m.System.SetLinkAttr(at, name, a) })
}

func (m *mortal) Sync(h share.Handle) error {
	return m.step("sync", m.name(h), func() error { return nil })
}

func (m *mortal) SyncDisk(h share.Handle) error {
	return m.step("syncdisk", m.name(h), func() error { return nil })
}
