package door_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"plexha/plugin/status/door"
)

// TestAnotherProcessIsLeftAlone: two programs with one state folder do not take the socket from each other.
func TestAnotherProcessIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
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

// TestProcessThatTakesNoConnectionsIsLeftAlone: who has stopped still has the socket.
func TestProcessThatTakesNoConnectionsIsLeftAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	if _, err := door.Listen(path); err == nil || !strings.Contains(err.Error(), "takes no connections any more") {
		t.Errorf("got %v", err)
	}
}
