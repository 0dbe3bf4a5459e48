//go:build unix

package wanip_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plexha/corefile"
	"plexha/plugin/via"
	"plexha/plugin/wanip"
	"plexha/zones"
)

func script(text string, args ...string) wanip.Source {
	argv := append([]string{"/bin/sh", "-c", text, "myip"}, args...)
	return wanip.CommandSource(corefile.Source{Kind: "command", Args: argv})
}

func TestCommand(t *testing.T) {
	for _, tc := range []struct {
		name string
		text string
		ipv4 string
		ipv6 string
	}{
		{"one address", "echo 8.8.4.4", "8.8.4.4", "nothing"},
		{"one of each", "echo 8.8.4.4; echo 2a02:8106::7", "8.8.4.4", "2a02:8106::7"},
		{
			"one for who asks", `test "$PLEXHA_FAMILY" = ipv6 && echo 2a02:8106::7 || echo 8.8.4.4`,
			"8.8.4.4", "2a02:8106::7",
		},
		{"what it complains of does not matter", "echo 8.8.4.4; echo careful >&2", "8.8.4.4", "nothing"},
		{"it has nothing to read", "cat; echo 8.8.4.4", "8.8.4.4", "nothing"},
		{
			"it fails, whatever it has printed", "echo 8.8.4.4; exit 3",
			"error: running the command: exit status 3", "error: running the command: exit status 3",
		},
		{
			"it says why", "echo '  no lease' >&2; echo more >&2; exit 1",
			`error: running the command: exit status 1: "no lease"`, `error: running the command: exit status 1: "no lease"`,
		},
		{
			"it prints for ever", "while echo 8.8.4.4 && test $((n += 1)) -lt 2000; do :; done",
			"error: it says more than 4096 bytes", "error: it says more than 4096 bytes",
		},
		{"it prints a page", "echo '<html>'", `error: "<html>" is no address`, `error: "<html>" is no address`},
		{"it prints nothing", ":", "error: it says nothing", "error: it says nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source := script(tc.text)
			for f, want := range map[zones.Family]string{zones.IPv4: tc.ipv4, zones.IPv6: tc.ipv6} {
				if got := words(source.Ask(t.Context(), via.Path{}, f)); got != want {
					t.Errorf("%v: %s, want %s", f, got, want)
				}
			}
		})
	}
}

func TestCommandIsToldForWhom(t *testing.T) {
	source := script(`echo "$1 $PLEXHA_UPLINK $PLEXHA_VIA $PLEXHA_FAMILY" >&2; exit 1`, "a  b; echo $HOME")
	ctx := wanip.WithUplink(t.Context(), "wan2")
	got := words(source.Ask(ctx, via.Path{Interface: "eth2"}, zones.IPv6))
	if want := `error: running the command: exit status 1: "a  b; echo $HOME wan2 eth2 ipv6"`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// The words of a command may hold a password.
func TestCommandWordsAreNotRepeated(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "myip")
	for name, source := range map[string]wanip.Source{
		"fails":   script("exit 1", "--password=secret"),
		"missing": wanip.CommandSource(corefile.Source{Kind: "command", Args: []string{missing, "--password=secret"}}),
	} {
		_, err := source.Ask(t.Context(), via.Path{}, zones.IPv4)
		if err == nil || strings.Contains(err.Error()+source.Name+source.Operator, "secret") {
			t.Errorf("%s: source %q of %q: %v", name, source.Name, source.Operator, err)
		}
	}
}

func TestCommandThatPrintsFarTooMuchFillsNoMemory(t *testing.T) {
	var s wanip.Short
	n, err := io.Copy(&s, strings.NewReader(strings.Repeat("8.8.4.4\n", 1<<17)))
	if err != nil || n != 1<<20 || len(s.Kept()) != 4097 {
		t.Errorf("kept %d of %d bytes: %v", len(s.Kept()), n, err)
	}
}

// witness is a pipe that ends when the last process of those that were told to hold it has ended.
func witness(t *testing.T) (name string, ended func() bool) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return name, func() bool {
		if err := file.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(file)
		return err == nil && string(text) == "alive\n"
	}
}

// signal is a pipe in which a command says that it has come so far, which said waits for.
func signal(t *testing.T) (name string, said func() error) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "signal")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0) // to read alone would be to read the end at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return name, func() error {
		if err := file.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		_, err := file.Read(make([]byte, 1))
		return err
	}
}

func TestCommandEndsWithItsTime(t *testing.T) {
	name, ended := witness(t)
	all, said := signal(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	source := script(`exec 3>"$1"; sleep 600 & echo alive >&3; echo waiting >&2; echo >"$2"; wait`, name, all)
	var over sync.WaitGroup
	over.Go(func() {
		if err := said(); err != nil {
			t.Errorf("the command does not begin: %v", err)
		}
		cancel(errors.New("the round is over"))
	})
	defer over.Wait()
	got := words(source.Ask(ctx, via.Path{}, zones.IPv4))
	if want := `error: running the command: the round is over: "waiting"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !ended() {
		t.Error("what the command has started lives on")
	}
}

func TestCommandThatLeavesAProcessBehind(t *testing.T) {
	name, ended := witness(t)
	source := script(`exec 3>"$1"; sleep 600 & echo alive >&3; echo 8.8.4.4`, name)
	got := words(source.Ask(t.Context(), via.Path{}, zones.IPv4))
	if want := "error: running the command: it has left a process behind that holds its output"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !ended() {
		t.Error("what the command has left behind lives on")
	}
}
