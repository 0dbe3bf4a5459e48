package plugin_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// saver is a house whose serials are being saved, as those of a running instance are.
type saver struct {
	*house
	stop func()
}

func newSaver(t *testing.T, folder string) *saver {
	t.Helper()
	h := newHouse(t, twoNodes...)
	ctx, cancel := context.WithCancel(t.Context())
	var saving sync.WaitGroup
	saving.Go(func() {
		if err := h.SaveSerials(ctx, folder); err != nil {
			t.Errorf("saving the serials: %v", err)
		}
	})
	s := &saver{house: h, stop: func() { cancel(); saving.Wait() }}
	t.Cleanup(s.stop)
	return s
}

// raise raises the internal serial by a change of records, at that time, and returns it once all is quiet.
func (s *saver) raise(at time.Time) uint32 {
	s.t.Helper()
	s.now = at
	s.kill("plex1")
	synctest.Wait()
	return s.serial(inside)
}

// TestStateFilesHaveOneWriter: over a reload two instances of one zone live for a while. The old one alone writes
// until it stops, and the new one writes what it holds from then on.
func TestStateFilesHaveOneWriter(t *testing.T) {
	folder := t.TempDir()
	holds := func(serial uint32) bool {
		text, err := os.ReadFile(filepath.Join(folder, "home.duckdns.org.serials"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.Contains(string(text), strconv.FormatUint(uint64(serial), 10))
	}
	synctest.Test(t, func(t *testing.T) {
		older := newSaver(t, folder)
		synctest.Wait()
		newer := newSaver(t, folder)
		ofNewer := newer.raise(began.Add(2 * time.Hour))
		if holds(ofNewer) {
			t.Error("the new instance writes while the old one does")
		}
		if ofOlder := older.raise(began.Add(time.Hour)); !holds(ofOlder) || holds(ofNewer) {
			t.Errorf("the old instance's serial is written %t, the new one's %t; want true, false", holds(ofOlder), holds(ofNewer))
		}
		older.stop()
		synctest.Wait()
		if !holds(ofNewer) {
			t.Error("the new instance does not write after the old one has stopped")
		}
		newer.revive("plex1")
		if again := newer.raise(began.Add(3 * time.Hour)); !holds(again) {
			t.Error("the new instance writes only once")
		}
	})
}
