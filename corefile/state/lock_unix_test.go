//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state_test

import (
	"errors"
	"path/filepath"
	"testing"

	"plexha/corefile/state"
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
