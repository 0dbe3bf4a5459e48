// Package watch tells when a file changes, by its folder, so that an editor's rename is seen, and the
// swapped symbolic links of a mounted ConfigMap are.
package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a file must be left alone before it counts as changed: editors and `cp` write in
// several steps.
const settle = 50 * time.Millisecond

// Files calls changed once when it has begun to watch, so that no change is missed between an earlier
// reading and now, and then whenever one of the files may have been written, created, renamed or removed,
// until ctx ends. Changes that come together give one call. The folders must exist; the files need not.
// Files blocks; it returns an error if the folders cannot be watched, or one of them goes away.
func Files(ctx context.Context, files []string, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching files: %w", err)
	}
	defer func() { _ = watcher.Close() }() // nothing is left to lose
	for _, dir := range folders(files) {
		if err := watcher.Add(dir); err != nil {
			return fmt.Errorf("watching %s: %w", dir, err)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			switch {
			case concerns(event, files):
				timer.Reset(settle)
			case gone(event, files):
				return fmt.Errorf("watching %s: the folder has gone, changes in a new one are not seen", event.Name)
			}
		case err := <-watcher.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				timer.Reset(settle) // something was missed: look
			}
		case <-timer.C:
			changed()
		}
	}
}

// folders returns each folder once.
func folders(files []string) []string {
	var out []string
	for _, f := range files {
		out = append(out, filepath.Dir(f))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// concerns reports whether an event may have changed one of the files. A name that starts with two dots is
// the link that Kubernetes swaps under all files of a folder at once.
func concerns(event fsnotify.Event, files []string) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	base := filepath.Base(event.Name)
	if len(base) > 2 && base[:2] == ".." {
		return true
	}
	return slices.ContainsFunc(files, func(f string) bool {
		return filepath.Clean(f) == filepath.Clean(event.Name)
	})
}

// gone reports whether an event tells that a folder of the files was removed or renamed.
func gone(event fsnotify.Event, files []string) bool {
	return event.Op.Has(fsnotify.Remove|fsnotify.Rename) && slices.Contains(folders(files), filepath.Clean(event.Name))
}
