package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plexha/e2e/internal/gate"
)

const serverFolder = "Library/Application Support/Plex Media Server"

// shareStage is a folder with two nodes' config folders, and a shared one beside them.
type shareStage struct {
	t    *testing.T
	root string
}

func newShareStage(t *testing.T) *shareStage {
	s := &shareStage{t, t.TempDir()}
	for i, node := range []string{"plex1", "plex2"} {
		for n := range 5 {
			s.put(node, fmt.Sprintf("Metadata/Movies/a/%s-%d.bundle/Contents/poster.jpg", node, n), node)
		}
		s.put(node, "Metadata/Movies/b/both.bundle/Info.xml", "<xml/>")
		s.put(node, "Media/localhost/a/"+node+".bif", strings.Repeat("x", 1000*(i+1)))
	}
	return s
}

func (s *shareStage) put(node, name, content string) {
	s.t.Helper()
	name = filepath.Join(s.root, node, serverFolder, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// share runs plexctl share about the stage's nodes.
func (s *shareStage) share(word string, flags ...string) (string, error) {
	s.t.Helper()
	args := []string{"share", word, "-into", filepath.Join(s.root, "both")}
	if word == "plan" || word == "apply" {
		for _, node := range []string{"plex1", "plex2"} {
			args = append(args, "-node", node+"="+filepath.Join(s.root, node))
		}
	}
	cmd := exec.CommandContext(s.t.Context(), programs.path(s.t, "plexctl"), append(args, flags...)...)
	cmd.Dir = s.root // where no Corefile is
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// files returns what the nodes have, with the content.
func (s *shareStage) files(folder string) map[string]string {
	s.t.Helper()
	found := map[string]string{}
	folder = filepath.Join(s.root, folder)
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(name)
		found[strings.TrimPrefix(name, folder)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// mount mounts a file system of that many inodes at the shared folder.
func (s *shareStage) mount(options string) {
	s.t.Helper()
	at := filepath.Join(s.root, "both")
	if err := os.MkdirAll(at, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if out, err := exec.CommandContext(s.t.Context(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", at).CombinedOutput(); err != nil {
		s.t.Fatalf("mounting: %v\n%s", err, out)
	}
}

// over mounts something over a folder of the stage, until the test ends.
func (s *shareStage) over(folder string, args ...string) {
	s.t.Helper()
	at := filepath.Join(s.root, folder)
	if err := os.MkdirAll(at, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if out, err := exec.CommandContext(s.t.Context(), "mount", append(args, at)...).CombinedOutput(); err != nil {
		s.t.Fatalf("mounting: %v\n%s", err, out)
	}
	s.t.Cleanup(func() { _ = exec.Command("umount", "-l", at).Run() }) // the folder goes anyway
}

func (s *shareStage) unmount() {
	_ = exec.Command("umount", "-l", filepath.Join(s.root, "both")).Run() // the folder goes anyway
}

// TestShare goes through the commands, as a person does.
func TestShare(t *testing.T) {
	t.Parallel()
	s := newShareStage(t)
	was := [2]map[string]string{s.files("plex1"), s.files("plex2")}
	plan, err := s.share("plan")
	if err != nil {
		t.Fatalf("%v\n%s", err, plan)
	}
	_, digest, _ := strings.Cut(plan, "-plan ")
	digest, _, _ = strings.Cut(digest, " ")
	if out, err := s.share("apply", "-plan", "0123456789abcdef"); err == nil || !strings.Contains(out, "the plan is "+digest) {
		t.Errorf("another plan: %v\n%s", err, out)
	}
	for _, word := range []string{"apply", "apply"} { // the second one finds nothing to do
		if out, err := s.share(word); err != nil {
			t.Fatalf("%s: %v\n%s", word, err, out)
		}
	}
	if n := len(s.files("both")); n < 11 {
		t.Errorf("%d files are shared, want those of both nodes", n)
	}
	out, err := s.share("status")
	if err != nil || !strings.Contains(out, "plan "+digest+": done") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if out, err := s.share("undo"); err != nil {
		t.Fatalf("undo: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, [2]map[string]string{s.files("plex1"), s.files("plex2")}); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
}

// TestShareOnAFullDisk: what cannot fit is refused, and what does not fit in the end goes on once there is room.
func TestShareOnAFullDisk(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	was := [2]map[string]string{s.files("plex1"), s.files("plex2")}
	s.mount("size=16k")
	t.Cleanup(s.unmount)
	if out, err := s.share("apply"); err == nil || !strings.Contains(out, "free, and the copies need") {
		t.Errorf("a disk that is too small: %v\n%s", err, out)
	}
	s.unmount()
	// Of the inodes that are free, all are needed for the copies; the journal takes some of them.
	s.mount("size=4m,nr_inodes=42")
	out, err := s.share("apply")
	if err == nil || !strings.Contains(out, "no space left on device: make room and apply again") {
		t.Fatalf("a disk that gets full: %v\n%s", err, out)
	}
	for name := range was[1] {
		if _, ok := s.files("plex2")[name]; !ok && strings.Contains(name, "/Metadata/") {
			t.Errorf("a disk that got full: %s is gone, before all is copied", name)
		}
	}
	s.mount("remount,nr_inodes=1000")
	if out, err := s.share("apply"); err != nil || !strings.Contains(out, "goes on") {
		t.Fatalf("once there is room: %v\n%s", err, out)
	}
	if out, err := s.share("undo"); err != nil {
		t.Fatalf("undo: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, [2]map[string]string{s.files("plex1"), s.files("plex2")}); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
}

// TestShareOnAReadOnlyDisk: nothing begins.
func TestShareOnAReadOnlyDisk(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	s.mount("size=4m,ro")
	t.Cleanup(s.unmount)
	was := s.files("plex1")
	if out, err := s.share("apply"); err == nil || !strings.Contains(out, "is on a file system that is mounted read-only") {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(was, s.files("plex1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestShareWhileMounted: what a mount covers is not taken for what is there.
func TestShareWhileMounted(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	was := [2]map[string]string{s.files("plex1"), s.files("plex2")}
	if out, err := s.share("apply"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	point := filepath.Join(s.root, "plex1", serverFolder, "Metadata")
	cmd := exec.CommandContext(t.Context(), "mount", "--bind", filepath.Join(s.root, "both", "Metadata"), point)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	unmount := func() { _ = exec.Command("umount", point).Run() } // the second time it is not mounted any more
	t.Cleanup(unmount)
	if out, err := s.share("apply"); err != nil || !strings.Contains(out, "nothing to do") {
		t.Errorf("once more: %v\n%s", err, out)
	}
	if out, err := s.share("undo"); err == nil || !strings.Contains(out, "is mounted at") {
		t.Errorf("undo while it is mounted: %v\n%s", err, out)
	}
	unmount()
	if out, err := s.share("undo"); err != nil {
		t.Errorf("undo: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, [2]map[string]string{s.files("plex1"), s.files("plex2")}); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
}

// TestShareIntoItself: a shared folder that is a server's own under another name is seen to be.
func TestShareIntoItself(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	at := filepath.Join(s.root, "both")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(s.root, "plex1", serverFolder, "Media")
	if out, err := exec.CommandContext(t.Context(), "mount", "--bind", part, at).CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	t.Cleanup(s.unmount)
	was := s.files("plex1")
	if out, err := s.share("apply"); err == nil || !strings.Contains(out, "are in one another, by a mount") {
		t.Errorf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(was, s.files("plex1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestShareOverAMount: the plan says that it copies, although all is on one disk, and does nothing; apply and undo do what
// they do elsewhere.
func TestShareOverAMount(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	was := [2]map[string]string{s.files("plex1"), s.files("plex2")}
	s.over("both", "--bind", t.TempDir())
	plan, err := s.share("plan")
	if err != nil || strings.Count(plan, "copy  ") < 3 || len(s.files("both")) > 0 {
		t.Errorf("plan: %v, want copies\n%s", err, plan)
	}
	if out, err := s.share("apply"); err != nil || strings.Contains(out, "taken back") {
		t.Errorf("apply: %v\n%s", err, out)
	}
	if out, err := s.share("undo"); err != nil {
		t.Errorf("undo: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, [2]map[string]string{s.files("plex1"), s.files("plex2")}); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
}

// TestShareOfLayers: what cannot be renamed at all is told before, and is as it was afterwards.
func TestShareOfLayers(t *testing.T) {
	gate.Need(t, gate.Root, gate.Tool("mount"))
	s := newShareStage(t)
	disk := t.TempDir()
	tmpfs := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "tmpfs", disk) // layers are not on layers, as of a container
	if out, err := tmpfs.CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() }) // the folder goes anyway
	upper, work := filepath.Join(disk, "upper"), filepath.Join(disk, "work")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.over(".", "-t", "overlay", "-o", fmt.Sprintf("redirect_dir=off,lowerdir=%s,upperdir=%s,workdir=%s", s.root, upper, work), "overlay")
	was := s.files(".")
	if out, err := s.share("plan"); err != nil || strings.Count(out, "is on a file system of layers (overlayfs)") != 2 {
		t.Errorf("plan: %v\n%s", err, out)
	}
	if out, err := s.share("apply"); err == nil || !strings.Contains(out, "so all is taken back\n") ||
		!strings.Contains(out, "name the folder on the disk itself") {
		t.Errorf("apply: %v\n%s", err, out)
	}
	if diff := cmp.Diff(was, s.files(".")); diff != "" {
		t.Errorf("after all was taken back (-want +got):\n%s", diff)
	}
}

// TestShareKeepsAttributesOfLinks that only root sees, and the links' own time and owner.
func TestShareKeepsAttributesOfLinks(t *testing.T) {
	gate.Need(t, gate.Root)
	s := newShareStage(t)
	link := filepath.Join(s.root, "plex1", serverFolder, "Media", "link")
	if err := os.Symlink("/etc", link); err != nil {
		t.Fatal(err)
	}
	at := unix.Timespec{Sec: 1_500_000_000, Nsec: 123_000}
	gate.Need(t, lack(unix.Lsetxattr(link, "trusted.note", []byte("of the link"), 0)))
	for _, err := range []error{
		os.Lchown(link, 1000, 1001), unix.UtimesNanoAt(unix.AT_FDCWD, link, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.share("apply", "-copy"); err != nil || strings.Contains(out, "not kept") {
		t.Fatalf("%v\n%s", err, out)
	}
	to := filepath.Join(s.root, "both", "Media", "link")
	value := make([]byte, 100)
	n, err := unix.Lgetxattr(to, "trusted.note", value)
	if err != nil || string(value[:max(n, 0)]) != "of the link" {
		t.Errorf("the copy's attribute is %q, %v", value[:max(n, 0)], err)
	}
	var now unix.Stat_t
	if err := unix.Lstat(to, &now); err != nil || now.Mtim != at || now.Uid != 1000 || now.Gid != 1001 {
		t.Errorf("the copy is of %v, %d:%d, %v", now.Mtim, now.Uid, now.Gid, err)
	}
}

// lack is met unless there is an error: this machine's links have no attributes.
func lack(err error) gate.Requirement {
	return func() string {
		if err != nil {
			return "needs attributes of links: " + err.Error()
		}
		return ""
	}
}

// TestReadmeShare runs what README.md says to run, in its order, on folders that are laid out as there.
func TestReadmeShare(t *testing.T) {
	t.Parallel()
	s := &shareStage{t, t.TempDir()}
	const there = "/mnt/docker/data/"
	for _, node := range []string{"plex1", "plex2"} {
		s.put(there+"docker"+strings.TrimPrefix(node, "plex")+"-plex/data", "Metadata/Movies/a/"+node+".bundle/poster.jpg", node)
		s.put(there+"docker"+strings.TrimPrefix(node, "plex")+"-plex/data", "Preferences.xml", "<Preferences/>")
	}
	was := s.files("mnt")
	text := strings.ReplaceAll(readmeBlock(t, "sh", "plexctl share"), "\\\n", "")
	words := map[string]string{
		"plan": "nothing was done. To do this, and only this:", "apply": "shared: ", "status": "plan ", "undo": "undone: the folders are where they were",
	}
	var ran []string
	for line := range strings.Lines(text) {
		args := strings.Fields(strings.ReplaceAll(line, there, s.root+there))
		if len(args) < 3 || args[0] != "plexctl" || args[1] != "share" {
			t.Fatalf("README.md has a line %q among those of plexctl share", line)
		}
		ran = append(ran, args[2])
		said, code := readmeRun(t, s.root, args[0], args[1:]...)
		if code != 0 || !strings.Contains(said, words[args[2]]) {
			t.Errorf("%s: exit code %d\n%s", line, code, said)
		}
		if args[2] == "apply" {
			for _, node := range []string{"plex1", "plex2"} {
				if _, ok := s.files("mnt/docker/data/plex-shared")["/Metadata/Movies/a/"+node+".bundle/poster.jpg"]; !ok {
					t.Errorf("the poster of %s is not shared", node)
				}
			}
		}
	}
	if diff := cmp.Diff([]string{"plan", "apply", "status", "undo"}, ran); diff != "" {
		t.Errorf("the commands (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(was, s.files("mnt")); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}
