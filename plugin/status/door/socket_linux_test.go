package door_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"plexha/plugin/status/door"
)

// TestAnotherProcessIsLeftAlone: two programs with one state folder do not take the socket from each other.
func TestAnotherProcessIsLeftAlone(t *testing.T) {
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // t.TempDir is named after the test, and too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), listenAt+"="+path)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the other process does not listen")
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = door.Listen(path)
	if want := fmt.Sprintf("another process listens there (pid %d)", other.Process.Pid); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("its socket is another one: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err != nil {
		t.Fatal(err)
	}
	l, err := door.Listen(path)
	if err != nil {
		t.Fatalf("once it has ended: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
