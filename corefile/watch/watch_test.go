package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"plexha/corefile/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. What must not come is waited for as long as it takes
// something else, which comes later, to come.
const patience = 10 * time.Second

// watched calls back on changes of files, and ends with its test.
type watched struct {
	t     *testing.T
	calls chan struct{}
	ended chan error
}

// start watches files and returns after the first call, which says that the watch has begun.
func start(t *testing.T, files ...string) *watched {
	t.Helper()
	w := &watched{t: t, calls: make(chan struct{}, 100), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { w.ended <- watch.Files(ctx, files, func() { w.calls <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("the watch ended with: %v", err)
		}
	})
	w.called()
	return w
}

func (w *watched) called() {
	w.t.Helper()
	select {
	case <-w.calls:
	case err := <-w.ended:
		w.ended <- nil
		w.t.Fatalf("the watch has ended: %v", err)
	case <-time.After(patience):
		w.t.Fatal("the change was not seen")
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangesAreSeen(t *testing.T) {
	tests := []struct {
		what   string
		exists bool
		change func(t *testing.T, file string)
	}{
		{"written in place", true, func(t *testing.T, file string) { write(t, file, "new") }},
		{"created", false, func(t *testing.T, file string) { write(t, file, "new") }},
		{"removed", true, func(t *testing.T, file string) { must(t, os.Remove(file)) }},
		{"replaced by a rename, as editors do", true, func(t *testing.T, file string) {
			write(t, file+"~", "new")
			must(t, os.Rename(file+"~", file))
		}},
		{"renamed away", true, func(t *testing.T, file string) { must(t, os.Rename(file, file+".old")) }},
		{"removed and created", true, func(t *testing.T, file string) {
			must(t, os.Remove(file))
			write(t, file, "new")
		}},
		{"replaced by a symbolic link", true, func(t *testing.T, file string) {
			write(t, file+".target", "new")
			must(t, os.Symlink(file+".target", file+".link"))
			must(t, os.Rename(file+".link", file))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "zone")
			if tt.exists {
				write(t, file, "old")
			}
			w := start(t, file)
			tt.change(t, file)
			w.called()
		})
	}
}

// TestConfigMap does what Kubernetes does: the files are links through a link that is swapped.
func TestConfigMap(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"..v1", "..v2"} {
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "zone"), version)
	}
	must(t, os.Symlink("..v1", filepath.Join(dir, "..data")))
	file := filepath.Join(dir, "zone")
	must(t, os.Symlink(filepath.Join("..data", "zone"), file))
	w := start(t, file)
	must(t, os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	w.called()
	if content, err := os.ReadFile(file); err != nil || string(content) != "..v2" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

func TestSecondChangeIsSeenToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	w := start(t, file)
	for range 3 {
		write(t, file+"~", "new")
		must(t, os.Rename(file+"~", file))
		w.called()
	}
}

func TestFilesOfSeveralFolders(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "zone"), filepath.Join(t.TempDir(), "orders")
	w := start(t, one, two)
	write(t, one, "new")
	w.called()
	write(t, two, "new")
	w.called()
}

func TestChangesThatComeTogetherGiveFewCalls(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	w := start(t, one, two)
	const times = 50
	for range times {
		write(t, one, "new")
		write(t, two, "new")
	}
	w.called()
	if got := 1 + len(w.calls); got > times/2 { // one, unless this machine takes a break
		t.Errorf("%d calls for %d changes", got, 2*times)
	}
}

func TestOtherFilesDoNotCount(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "zone")
	write(t, file, "old")
	w := start(t, file)
	write(t, filepath.Join(dir, "zone~"), "new")
	write(t, filepath.Join(dir, ".zone.swp"), "new")
	must(t, os.Chmod(file, 0o644)) //nolint:gosec // to see that it is of no interest
	// A second watch of the same folder that is told of a later change shows that those are through.
	later := filepath.Join(dir, "later")
	last := start(t, later)
	write(t, later, "new")
	last.called()
	if len(w.calls) > 0 {
		t.Error("a change of another file, or of permissions, was told")
	}
}

func TestRelativeNames(t *testing.T) {
	t.Chdir(t.TempDir())
	w := start(t, "zone", "./orders")
	write(t, "zone", "new")
	w.called()
	write(t, "orders", "new")
	w.called()
}

func TestFolderThatIsMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	err := watch.Files(t.Context(), []string{filepath.Join(dir, "zone")}, func() { t.Error("called") })
	if err == nil || !strings.HasPrefix(err.Error(), "watching "+dir+": ") {
		t.Errorf("got %v, want an error that names the folder", err)
	}
}

// contentAt waits until a call tells of a file with that content.
func (w *watched) contentAt(file, want string) {
	w.t.Helper()
	for {
		w.called()
		if got, err := os.ReadFile(file); err == nil && string(got) == want {
			return
		}
	}
}

func TestFolderThatGoesAwayAndComesBack(t *testing.T) {
	for what, leave := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"renamed": func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel() // it takes a second
			dir := filepath.Join(t.TempDir(), "folder")
			file := filepath.Join(dir, "zone")
			must(t, os.Mkdir(dir, 0o700))
			w := start(t, file)
			must(t, leave(dir))
			w.called()
			must(t, os.Mkdir(dir+".new", 0o700))
			write(t, filepath.Join(dir+".new", "zone"), "back")
			must(t, os.Rename(dir+".new", dir))
			w.contentAt(file, "back")
			write(t, file, "and written")
			w.contentAt(file, "and written")
		})
	}
}

func TestFolderThatIsReplacedAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	file := filepath.Join(dir, "zone")
	for _, d := range []string{dir, dir + ".new"} {
		must(t, os.Mkdir(d, 0o700))
		write(t, filepath.Join(d, "zone"), d)
	}
	w := start(t, file)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Rename(dir+".new", dir))
	w.contentAt(file, dir+".new")
	write(t, file, "written")
	w.contentAt(file, "written")
}

// One folder that stays away does not keep another from being seen to come back.
func TestOneOfTwoFoldersComesBack(t *testing.T) {
	t.Parallel() // it takes a second
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	must(t, os.Mkdir(one, 0o700))
	must(t, os.Mkdir(two, 0o700))
	file := filepath.Join(two, "zone")
	w := start(t, filepath.Join(one, "zone"), file)
	must(t, os.Remove(one))
	must(t, os.Remove(two))
	w.called()
	must(t, os.Mkdir(two, 0o700))
	write(t, file, "back")
	w.contentAt(file, "back")
}

// TestLinksAreFollowed changes what a file leads to that is a symbolic link, in another folder.
func TestLinksAreFollowed(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(t *testing.T, target, file string)
	}{
		{"written in place", func(t *testing.T, target, _ string) { write(t, target, "new") }},
		{"replaced by a rename", func(t *testing.T, target, _ string) {
			write(t, target+"~", "new")
			must(t, os.Rename(target+"~", target))
		}},
		{"led elsewhere", func(t *testing.T, target, file string) {
			write(t, target+".other", "new")
			must(t, os.Symlink(target+".other", file+"~"))
			must(t, os.Rename(file+"~", file))
		}},
		{"led elsewhere in between", func(t *testing.T, target, _ string) {
			write(t, target+".other", "new")
			must(t, os.Symlink("zone.other", target+"~"))
			must(t, os.Rename(target+"~", target))
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			target, file := filepath.Join(t.TempDir(), "zone"), filepath.Join(t.TempDir(), "zone")
			write(t, target, "old")
			must(t, os.Symlink(target, file))
			w := start(t, file)
			tt.change(t, target, file)
			w.contentAt(file, "new")
		})
	}
}

// What a link has begun to lead to is watched, and so is what it leads to in vain.
func TestLinksAreFollowedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	first, second := filepath.Join(t.TempDir(), "zone"), filepath.Join(t.TempDir(), "zone")
	write(t, first, "first")
	must(t, os.Symlink(first, file))
	w := start(t, file)
	must(t, os.Symlink(second, file+"~"))
	must(t, os.Rename(file+"~", file))
	w.called()
	write(t, second, "second")
	w.contentAt(file, "second")
	must(t, os.Remove(second))
	w.called()
	write(t, second, "third")
	w.contentAt(file, "third")
}

func TestLinkOverOtherLinks(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"files", "links", "real"} {
		must(t, os.Mkdir(filepath.Join(base, dir), 0o700))
	}
	must(t, os.Symlink("real", filepath.Join(base, "alias")))
	must(t, os.Symlink("../alias/zone", filepath.Join(base, "links", "zone")))
	file := filepath.Join(base, "files", "zone")
	must(t, os.Symlink("../links/zone", file))
	w := start(t, file)
	write(t, filepath.Join(base, "real", "zone"), "new")
	w.contentAt(file, "new")
}

// Two names of one folder are one folder, by whichever of them its events are told.
func TestFolderWithTwoNames(t *testing.T) {
	base := t.TempDir()
	folder := filepath.Join(base, "folder")
	must(t, os.Mkdir(folder, 0o700))
	for _, alias := range []string{"alias", "zalias"} { // before and behind it
		must(t, os.Symlink("folder", filepath.Join(base, alias)))
	}
	must(t, os.Symlink("../zalias/five", filepath.Join(folder, "link")))
	w := start(t, filepath.Join(base, "alias", "one"), filepath.Join(folder, "two"),
		filepath.Join(base, "zalias", "three"), filepath.Join(base, "alias", "link"))
	for _, file := range []string{"one", "two", "three", "five"} {
		write(t, filepath.Join(folder, file), "new")
		w.contentAt(filepath.Join(folder, file), "new")
	}
}

// A relative link begins where its folder is, not where another link to that folder is.
func TestRelativeLinkBehindALink(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"deep", "deep/files", "deep/targets"} {
		must(t, os.Mkdir(filepath.Join(base, dir), 0o700))
	}
	must(t, os.Symlink("deep/files", filepath.Join(base, "alias")))
	must(t, os.Symlink("../targets/zone", filepath.Join(base, "deep", "files", "zone")))
	file := filepath.Join(base, "alias", "zone")
	w := start(t, file)
	write(t, filepath.Join(base, "deep", "targets", "zone"), "new")
	w.contentAt(file, "new")
}

func TestLinkThatLeadsToItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	must(t, os.Symlink("zone", file))
	w := start(t, file)
	must(t, os.Remove(file))
	w.called()
	write(t, file, "new")
	w.contentAt(file, "new")
}

// TestFileThatIsNeverLeftAlone is written all the time: its changes are told all the same.
func TestFileThatIsNeverLeftAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone")
	w := start(t, file)
	begin := time.Now()
	for len(w.calls) == 0 {
		write(t, file, "new")
		if time.Since(begin) > patience {
			t.Fatal("the changes were not seen")
		}
	}
	w.called()
	const times = 50
	for range times {
		write(t, file, "new")
	}
	w.called()
	if got := 1 + len(w.calls); got > times/2 {
		t.Errorf("%d calls for %d changes that came together later", got, times)
	}
}

// TestGathering tells when changes are due that come at these times.
func TestGathering(t *testing.T) {
	const pause = 40 * time.Millisecond // shorter than what counts as leaving a file alone
	for _, tt := range []struct {
		what    string
		changes int
		want    time.Duration
	}{
		{"one", 1, 50 * time.Millisecond},
		{"two that come together", 2, pause + 50*time.Millisecond},
		{"many, until almost too long", 24, 23*pause + 50*time.Millisecond},
		{"many, for too long", 26, time.Second},
	} {
		t.Run(tt.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := watch.NewGathering()
				g.Told() // the first reading
				for range 2 {
					time.Sleep(time.Minute)
					begin := time.Now()
					for i := range tt.changes {
						if i > 0 {
							time.Sleep(pause)
						}
						g.Note()
					}
					if got := g.Told().Sub(begin); got != tt.want {
						t.Errorf("told after %v, want %v", got, tt.want)
					}
				}
			})
		})
	}
}
