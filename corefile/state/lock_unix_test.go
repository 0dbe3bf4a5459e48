//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"plexha/corefile/state"
	"plexha/zones"
	"plexha/zones/board"
	"plexha/zones/diary"
)

func TestOneOwnerPerFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	release, err := state.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Lock(name); !errors.Is(err, state.ErrTaken) {
		t.Errorf("the second owner: %v, want %v", err, state.ErrTaken)
	}
	release()
	again, err := state.Lock(name)
	if err != nil {
		t.Fatalf("after it was given up: %v", err)
	}
	again()
}

// TestOrdersAreTheFolders: both programs and plexctl may be of different users, who have the folder in common.
func TestOrdersAreTheFolders(t *testing.T) {
	for folder, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o770: 0o660, 0o755: 0o644, 0o777: 0o664} {
		t.Run(folder.String(), func(t *testing.T) {
			o := ordersIn(t, "")
			dir := filepath.Dir(o.File)
			if err := os.Chmod(dir, folder); err != nil {
				t.Fatal(err)
			}
			others := os.Getegid()
			if os.Geteuid() == 0 {
				others = 12345 // root may choose
			}
			if err := os.Chown(dir, -1, others); err != nil {
				t.Fatal(err)
			}
			if err := o.Set(board.OrderLine{Name: "plex1", Order: zones.OrderUp}, members(), eight); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{o.File, o.File + ".lock"} {
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				of := info.Sys().(*syscall.Stat_t)
				if got := info.Mode().Perm(); got != want || int(of.Gid) != others {
					t.Errorf("%s: mode %o of group %d, want %o of %d", filepath.Base(name), got, of.Gid, want, others)
				}
			}
		})
	}
}

// TestSetWaitsItsTurn while another process writes, but not for ever.
func TestSetWaitsItsTurn(t *testing.T) {
	up := board.OrderLine{Name: "plex1", Order: zones.OrderUp}
	synctest.Test(t, func(t *testing.T) {
		o := ordersIn(t, "")
		release, err := state.Lock(o.File)
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan error)
		go func() { written <- o.Set(up, members(), eight) }()
		synctest.Wait()
		if got := content(t, o); got != "" {
			t.Fatalf("it has not waited: %q", got)
		}
		release()
		if err := <-written; err != nil || content(t, o) != "plex1 up\n" {
			t.Errorf("the file holds %q, %v", content(t, o), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := ordersIn(t, "")
		release, err := state.Lock(o.File)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if err := o.Set(up, members(), eight); !errors.Is(err, state.ErrTaken) {
			t.Errorf("nobody gives it up: got %v, want %v", err, state.ErrTaken)
		}
	})
}

// TestOrdersInAPipe: whoever may write to the folder keeps nobody waiting, who would then take no orders at all.
func TestOrdersInAPipe(t *testing.T) {
	o := ordersIn(t, "")
	if err := os.RemoveAll(o.File); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(o.File, 0o600); err != nil {
		t.Fatal(err)
	}
	lines := o.Read(nil, time.Now())
	if len(lines) != 1 || lines[0].Level != diary.Error || !strings.Contains(lines[0].Text, "is no regular file") {
		t.Errorf("got %v", lines)
	}
}

// TestOrdersOverALink: what a link leads to may be for this program's eyes alone, and is not quoted.
func TestOrdersOverALink(t *testing.T) {
	o := ordersIn(t, "")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("hunter2 is it\n"), 0o600), os.RemoveAll(o.File), os.Symlink(secret, o.File)); err != nil {
		t.Fatal(err)
	}
	lines := o.Read(nil, time.Now())
	if len(lines) != 1 || !strings.Contains(lines[0].Text, "is a symbolic link") || strings.Contains(lines[0].Text, "hunter2") {
		t.Errorf("got %v", lines)
	}
}
