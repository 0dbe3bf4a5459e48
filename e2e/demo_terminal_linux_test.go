package e2e_test

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plexha/e2e/internal/gate"
)

// pseudoTerminal is a terminal without a screen.
type pseudoTerminal struct {
	tb    testing.TB
	keys  *os.File // the side of the person
	ours  *os.File // the program's side
	as    unix.Termios
	shown *output
}

// newPseudoTerminal opens one (pty(7)).
func newPseudoTerminal(tb testing.TB) *pseudoTerminal {
	tb.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { keys.Close() })
	p := &pseudoTerminal{tb: tb, keys: keys, shown: &output{}}
	conn, err := keys.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var number uint32
	var failed error
	err = conn.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); failed != nil {
			return
		}
		number, failed = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
	})
	if err != nil || failed != nil {
		tb.Fatal(err, failed)
	}
	if p.ours, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.ours.Close() })
	p.as = p.state()
	go func() { _, _ = io.Copy(p.shown, keys) }() // until it is closed
	return p
}

// state returns how the terminal is set up.
func (p *pseudoTerminal) state() unix.Termios {
	p.tb.Helper()
	state, err := unix.IoctlGetTermios(int(p.ours.Fd()), unix.TCGETS)
	if err != nil {
		p.tb.Fatal(err)
	}
	return *state
}

// isRestored returns an error unless it is set up as at first.
func (p *pseudoTerminal) isRestored() error {
	if diff := cmp.Diff(p.as, p.state()); diff != "" {
		return fmt.Errorf("the terminal is left behind (-want +got):\n%s", diff)
	}
	return nil
}

func (p *pseudoTerminal) press(keys string) {
	p.tb.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.tb.Fatal(err)
	}
}

// startDemoAt starts the demo on a terminal, and waits for its view.
func startDemoAt(t *testing.T, p *pseudoTerminal) *visitor {
	t.Helper()
	v, cmd := newVisitor(t)
	cmd.Stdin, cmd.Stdout = p.ours, p.ours
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	v.process = startProcess(t, "", cmd)
	v.output = p.shown
	v.says("q quit", 1)
	return v
}

// TestDemoOnATerminal: each key counts at once, and however it ends, the terminal is as it was.
func TestDemoOnATerminal(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *visitor, *pseudoTerminal)
		code int // -1: killed
	}{
		{"q", func(_ *testing.T, _ *visitor, p *pseudoTerminal) { p.press("q") }, 0},
		{"Ctrl-C", func(_ *testing.T, _ *visitor, p *pseudoTerminal) { p.press("\x03") }, 0},
		{"SIGTERM", func(t *testing.T, v *visitor, _ *pseudoTerminal) { v.signal(t, syscall.SIGTERM) }, 0},
		{"SIGHUP", func(t *testing.T, v *visitor, _ *pseudoTerminal) { v.signal(t, syscall.SIGHUP) }, 0},
		{"SIGKILL", func(t *testing.T, v *visitor, _ *pseudoTerminal) { v.signal(t, syscall.SIGKILL) }, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPseudoTerminal(t)
			v := startDemoAt(t, p)
			if p.isRestored() == nil {
				t.Error("the terminal is not set up for single keys")
			}
			p.press("2")
			v.says("  2  plex2    down since ", 1)
			tt.end(t, v, p)
			if got := exitCode(v.wait(t, demoTime)); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			eventually(t, demoTime, v.left)
			eventually(t, demoTime, p.isRestored)
			eventually(t, demoTime, func() error { return shows(p, "\x1b[?25h") })
		})
	}
}

func shows(p *pseudoTerminal, words string) error {
	if p.shown.count(words) == 0 {
		return fmt.Errorf("never showed %q", words)
	}
	return nil
}

// TestDemoLosesItsTerminal: a window that is closed takes all of it along.
func TestDemoLosesItsTerminal(t *testing.T) {
	t.Parallel()
	gate.Need(t, procfs)
	p := newPseudoTerminal(t)
	v := startDemoAt(t, p)
	if err := p.keys.Close(); err != nil {
		t.Fatal(err)
	}
	v.wait(t, demoTime) // by what code, nobody is there to see
	eventually(t, demoTime, v.left)
}
