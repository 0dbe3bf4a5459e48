// Package watch tells when a file changes, by its folder, so that an editor's rename is seen, and the
// swapped symbolic links of a mounted ConfigMap are.
package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// What is waited for.
const (
	// settle is how long a file must be left alone before it counts as changed: editors and `cp` write in
	// several steps.
	settle = 50 * time.Millisecond
	// longest bounds how long a file that is never left alone keeps its first change to itself.
	longest = time.Second
	// retry is how often a folder that went away is looked for.
	retry = time.Second
)

// Files calls changed once when it has begun to watch, so that no change is missed between an earlier
// reading and now, and then whenever one of the files may have been written, created, renamed or removed,
// until ctx ends. A file that is a symbolic link has changed as well when what it leads to has. Changes that
// come together give one call, at most a second after the first of them.
//
// The files need not exist. Their folders must when Files begins, else it returns an error; one that goes
// away later counts as a change, and so does its return. Files blocks.
func Files(ctx context.Context, files []string, changed func()) error {
	w, err := newWatcher(files)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // nothing is left to lose
	defer w.changes.due.Stop()
	defer w.retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-w.Events:
			if w.concerns(event) {
				w.changes.note()
			}
		case err := <-w.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				w.changes.note() // something was missed: look
			}
		case <-w.changes.due.C:
			w.changes.told()
			w.follow() // before the reading, so that no change behind it is missed
			changed()
		case <-w.retry.C:
			w.lookAgain()
		}
	}
}

// watcher watches the folders of some files, and of what those lead to that are symbolic links.
type watcher struct {
	*fsnotify.Watcher
	files   []string
	names   []string // where the files are, and what the links among them lead over
	missing []string // the folders of names that cannot be watched now
	changes *gathering
	retry   *time.Timer // runs while a folder is missing
}

// newWatcher watches the files' own folders. That its first change is due at once makes it follow the links.
func newWatcher(files []string) (*watcher, error) {
	inner, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &watcher{Watcher: inner, files: files, changes: newGathering(), retry: time.NewTimer(retry)}
	for _, f := range files {
		dir := filepath.Dir(located(f))
		if err := w.Add(dir); err != nil {
			_ = w.Close() // the error before says more
			return nil, fmt.Errorf("watching %s: %w", dir, err)
		}
	}
	return w, nil
}

// follow watches the folders in which the files, and what they lead to, are now. To watch one once more does
// no harm, and is what it takes when another folder has come in the place of one that went away.
func (w *watcher) follow() {
	w.names, w.missing = nil, nil
	for _, f := range w.files {
		w.names = append(w.names, trail(f)...)
	}
	dirs := folders(w.names)
	for _, dir := range w.WatchList() {
		if !slices.Contains(dirs, dir) {
			_ = w.Remove(dir) // it is of no interest any more, watched or not
		}
	}
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil {
			w.missing = append(w.missing, dir)
		}
	}
	w.retry.Stop()
	if len(w.missing) > 0 {
		w.retry.Reset(retry)
	}
}

// lookAgain looks for the folders that are missing. That one has come back is a change.
func (w *watcher) lookAgain() {
	before := w.missing
	w.follow()
	if !slices.Equal(before, w.missing) {
		w.changes.note()
	}
}

// concerns reports whether an event may have changed one of the files: it is about one of their names, or
// tells that one of their folders was removed or renamed. A name that starts with two dots is the link that
// Kubernetes swaps under all files of a folder at once.
func (w *watcher) concerns(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	name := filepath.Clean(event.Name)
	base := filepath.Base(name)
	switch {
	case len(base) > 2 && base[:2] == "..", slices.Contains(w.names, name):
		return true
	default:
		return event.Has(fsnotify.Remove|fsnotify.Rename) && slices.Contains(folders(w.names), name)
	}
}

// gathering waits for changes that come together with a first one.
type gathering struct {
	due   *time.Timer // fires when the files have been left alone, or when that takes too long
	first time.Time   // of the changes that are not told yet; zero: there are none
}

// newGathering returns one that is due at once.
func newGathering() *gathering { return &gathering{due: time.NewTimer(0)} }

// note takes note of a change.
func (g *gathering) note() {
	if g.first.IsZero() {
		g.first = time.Now()
	}
	g.due.Reset(max(0, min(settle, time.Until(g.first.Add(longest)))))
}

// told forgets the changes.
func (g *gathering) told() { g.first = time.Time{} }

// folders returns the folder of each file, once.
func folders(files []string) []string {
	var out []string
	for _, f := range files {
		out = append(out, filepath.Dir(f))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxLinks is where Linux gives up as well (path_resolution(7)).
const maxLinks = 40

// trail returns where the file is, and if it is a symbolic link all places that it leads over, the last of
// which may be empty.
func trail(file string) []string {
	place := located(file)
	places := []string{place}
	for range maxLinks {
		next, err := os.Readlink(place)
		if err != nil {
			break // no link
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(place), next)
		}
		place = located(next)
		places = append(places, place)
	}
	return places
}

// located returns the file's name with the links in its folder resolved, if there is such a folder: events
// call a folder by one name, however many lead to it.
func located(name string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return name
	}
	return filepath.Join(dir, filepath.Base(name))
}
