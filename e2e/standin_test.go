package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"plexha/e2e/standin"
)

// The environment of a stand-in's process: "plex IDENTITY", "faulty NAME IDENTITY" or "proxy", and the address
// to listen at.
const (
	envStandin = "PLEXHA_STANDIN"
	envListen  = "PLEXHA_STANDIN_LISTEN"
)

// serveStandin is a stand-in's whole life. It writes "ready" when it listens, then obeys the lines "mode MODE"
// and "identity ID", each answered by "done", until its input ends, as it does when its parent does.
func serveStandin(kind, addr string, in io.Reader, out io.Writer) error {
	name, identity, _ := strings.Cut(kind, " ")
	plex, proxy := standin.NewPlex(identity), standin.NewProxy()
	handler, setMode := http.Handler(plex), plex.SetMode
	switch name {
	case "proxy":
		handler, setMode = proxy, proxy.SetMode
	case "faulty":
		name, identity, _ = strings.Cut(identity, " ")
		faulty := newFaultyNode(name, identity)
		handler, setMode = faulty, faulty.plex.SetMode
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }()
	fmt.Fprintln(out, "ready")

	lines := bufio.NewScanner(in)
	for lines.Scan() {
		switch verb, arg, _ := strings.Cut(lines.Text(), " "); verb {
		case "mode":
			mode, err := standin.ParseMode(arg)
			if err != nil {
				return err
			}
			setMode(mode)
		case "identity":
			plex.SetIdentity(arg)
		default:
			return fmt.Errorf("unknown order %q", verb)
		}
		fmt.Fprintln(out, "done")
	}
	return lines.Err()
}

// standIn is a stand-in in a process of its own, which can end and start again at the same address.
type standIn struct {
	tb   testing.TB
	kind string
	ns   string
	addr netip.AddrPort

	proc    *process
	orders  io.WriteCloser
	replies *bufio.Scanner
}

// startPlex starts a stand-in for a Plex server. Its identity is 40 times the digit.
func startPlex(tb testing.TB, addr netip.AddrPort, digit string) *standIn {
	tb.Helper()
	s := &standIn{tb: tb, kind: "plex " + strings.Repeat(digit, 40), addr: addr}
	s.start()
	return s
}

// startProxy starts a stand-in for a plexproxy.
func startProxy(tb testing.TB, addr netip.AddrPort) *standIn {
	tb.Helper()
	s := &standIn{tb: tb, kind: "proxy", addr: addr}
	s.start()
	return s
}

// start starts it, and returns when it listens.
func (s *standIn) start() {
	s.tb.Helper()
	self, err := os.Executable()
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Env = append(os.Environ(), envStandin+"="+s.kind, envListen+"="+s.addr.String())
	if s.orders, err = cmd.StdinPipe(); err != nil {
		s.tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	s.proc = startProcess(s.tb, s.ns, cmd)
	s.replies = bufio.NewScanner(out)
	s.expect("ready")
}

func (s *standIn) expect(want string) {
	s.tb.Helper()
	if !s.replies.Scan() || s.replies.Text() != want {
		s.tb.Fatalf("stand-in at %s: %q, want %q", s.addr, s.replies.Text(), want)
	}
}

// order sends it one line, and returns when it has obeyed.
func (s *standIn) order(format string, args ...any) {
	s.tb.Helper()
	if _, err := fmt.Fprintf(s.orders, format+"\n", args...); err != nil {
		s.tb.Fatal(err)
	}
	s.expect("done")
}

func (s *standIn) setMode(m standin.Mode) { s.tb.Helper(); s.order("mode %s", m) }

// kill ends it by SIGKILL. The kernel closes its connections and refuses new ones.
func (s *standIn) kill() { s.proc.kill() }

// freeze stops it by SIGSTOP: the kernel goes on accepting connections, and nobody answers.
func (s *standIn) freeze() { s.tb.Helper(); s.proc.signal(s.tb, syscall.SIGSTOP) }
