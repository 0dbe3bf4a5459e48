package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// grace is how long a child has to end by itself before it is killed.
const grace = 2 * time.Second

// ChildCommand is the first argument of this program as a child of the demo.
const ChildCommand = "child"

// process is a child.
type process struct {
	cmd  *exec.Cmd
	log  *journal      // what it writes
	done chan struct{} // closed when it has ended
	err  error         // how it ended, never nil; read after done
}

// start starts a child, which lives until ctx is canceled at most, with that in its environment besides what is
// in ours. Ended, if not nil, is told how it ended.
func start(ctx context.Context, exe string, args, env []string, ended func(error)) (*process, error) {
	p := &process{
		cmd:  exec.CommandContext(ctx, exe, append([]string{ChildCommand}, args...)...),
		log:  &journal{},
		done: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = childAttr()
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace
	// Nothing is ever written to it. It ends when this process does, however that may happen, and tells the
	// child to end as well.
	if _, err := p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
		if p.err == nil {
			p.err = errors.New("exit status 0")
		}
		if ended != nil {
			ended(p.err)
		}
	}()
	return p, nil
}

// kill ends it by SIGKILL. One that has ended already is no error.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", p.cmd.Args[2], err)
	}
	return nil
}

func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// journal keeps what a child writes.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// String returns what came so far.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}
