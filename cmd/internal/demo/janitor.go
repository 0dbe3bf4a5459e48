package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/term"
)

// janitor is a child that tidies up if the demo cannot, because it was killed: it removes the folder, and gives the
// terminal back as it was.
type janitor struct {
	cmd *exec.Cmd
	in  io.Closer // when this ends, so has the demo
}

// hire starts one for a folder and, unless it is nil, a terminal. It returns when that one knows how the terminal is.
func hire(exe, dir string, terminal *os.File) (*janitor, error) {
	// Not of a context: it outlives the demo, if only just.
	cmd := exec.CommandContext(context.Background(), exe, ChildCommand, kindJanitor, dir) //nolint:gosec // our own program
	cmd.SysProcAttr = janitorAttr()
	if terminal != nil {
		cmd.ExtraFiles = []*os.File{terminal}
		cmd.Args = append(cmd.Args, withTerminal)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting who tidies up: %w", err)
	}
	_, _ = io.ReadFull(out, make([]byte, len(isReady))) // without it, it has ended, and there is none
	return &janitor{cmd, in}, nil
}

// dismiss ends it. What it finds tidy it leaves alone.
func (j *janitor) dismiss() {
	_ = j.in.Close()
	_ = j.cmd.Wait() // all that it could do is done
}

const (
	// withTerminal is the janitor's argument that says that its first further file is a terminal.
	withTerminal = "terminal"
	terminalFile = 3
	// isReady is what it says once it knows how the terminal is.
	isReady = "ready\n"
	// childrenEnd is how long the other children may take to notice that the demo was killed. An invented number:
	// they look all the time.
	childrenEnd = 500 * time.Millisecond
)

// tidy is the janitor's life. It returns the exit code.
func tidy(ctx context.Context, args []string, out io.Writer) int {
	if len(args) == 0 {
		return 1
	}
	ignoreTerminal()
	var before *term.State
	if len(args) > 1 && args[1] == withTerminal {
		before, _ = term.GetState(terminalFile) // nil: it is gone already
	}
	_, _ = io.WriteString(out, isReady)
	<-ctx.Done()
	if _, err := os.Stat(args[0]); err != nil {
		return 0 // the demo has done it all itself
	}
	if before != nil {
		_ = term.Restore(terminalFile, before) // if it is still there
		_, _ = os.NewFile(terminalFile, "terminal").WriteString(showCursor + "\n")
	}
	<-time.After(childrenEnd)
	if os.RemoveAll(args[0]) != nil {
		return 1
	}
	return 0
}
