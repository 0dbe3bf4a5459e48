package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// asker asks one proxy for targets. The proxy is on loopback, whatever its host.
type asker struct {
	proxy   *url.URL
	targets []string
	small   bool // takes in little at a time, so that the proxy must wait
}

// The flags and arguments that check and hold share.
func newAsker(flags *flag.FlagSet, args []string) (*asker, error) {
	a := new(asker)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 2 {
		return nil, errUsage
	}
	var err error
	if a.proxy, err = url.Parse(flags.Arg(0)); err != nil {
		return nil, fmt.Errorf("reading the proxy's address: %w", err)
	}
	if a.targets, err = readLines(flags.Arg(1)); err != nil {
		return nil, fmt.Errorf("reading the targets: %w", err)
	}
	return a, nil
}

// patience bounds how long a client waits for the beginning of an answer. Tests of a proxy on a busy machine
// need no more.
const patience = 20 * time.Second

// answer is what a client holds: the connection, and the body that comes from it.
type answer struct {
	net.Conn

	body   io.Reader
	status int
	length int64 // -1: not announced
}

// ask sends the i-th request on a connection of its own, and returns when the first byte of the body is there.
func (a *asker) ask(ctx context.Context, i int) (_ *answer, err error) {
	conn, err := a.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	target := a.targets[i%len(a.targets)]
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n\r\n", target, a.proxy.Host); err != nil {
		return nil, fmt.Errorf("sending a request: %w", err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil) //nolint:bodyclose // closing reads on to its end; the connection is closed
	if err != nil {
		return nil, fmt.Errorf("reading an answer: %w", err)
	}
	if _, err := r.Peek(1); err != nil {
		return nil, fmt.Errorf("reading a body: %w", err)
	}
	return &answer{conn, res.Body, res.StatusCode, res.ContentLength}, conn.SetDeadline(time.Time{})
}

// smallWindow is the receive buffer of a client that takes in little at a time.
const smallWindow = 32 << 10

func (a *asker) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", a.proxy.Port()))
	if err != nil {
		return nil, err
	}
	if a.small {
		if err := conn.(*net.TCPConn).SetReadBuffer(smallWindow); err != nil {
			return nil, err
		}
	}
	if a.proxy.Scheme == "https" {
		// Whose certificate it is matters nothing here.
		return tls.Client(conn, &tls.Config{ServerName: a.proxy.Hostname(), InsecureSkipVerify: true}), nil
	}
	return conn, nil
}

// checked is how many targets are asked for.
const checked = 5

// check asks for some targets and says whether the answers are right.
func check(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	length := flags.Int64("length", 0, "bytes of each body")
	a, err := newAsker(flags, args)
	if err != nil {
		return err
	}
	for i := range checked {
		if err := a.checkOne(ctx, i, *length); err != nil {
			path, _, _ := strings.Cut(a.targets[i%len(a.targets)], "?")
			return fmt.Errorf("asking %s for %s: %w", a.proxy, path, err)
		}
	}
	return nil
}

func (a *asker) checkOne(ctx context.Context, i int, length int64) error {
	got, err := a.ask(ctx, i)
	if err != nil {
		return err
	}
	defer got.Close()
	if got.status != http.StatusOK {
		return fmt.Errorf("status %d", got.status)
	}
	n, err := io.Copy(io.Discard, got.body)
	if err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	if n != length || got.length != length {
		return fmt.Errorf("%d bytes came, %d were announced, want %d", n, got.length, length)
	}
	return nil
}

// hold opens many answers at once, prints a line when all have begun, reads them until ctx ends, and fails as soon
// as one of them ends.
func hold(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	streams := flags.Int("streams", 0, "answers that are held open")
	slow := flags.Int64("slow", 0, "bytes that each client takes in a second; 0: all that come")
	a, err := newAsker(flags, args)
	if err != nil {
		return err
	}
	a.small = *slow > 0
	held, err := a.open(ctx, *streams)
	defer func() {
		for _, s := range held {
			_ = s.Close()
		}
	}()
	if err != nil {
		return err
	}
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	var wg sync.WaitGroup
	for _, s := range held {
		wg.Go(func() {
			s.drain(*slow)
			lose(errEndedEarly)
		})
	}
	fmt.Fprintln(stdout, "held")
	<-ctx.Done()
	why := context.Cause(ctx)
	for _, s := range held {
		_ = s.Close()
	}
	wg.Wait()
	if errors.Is(why, errEndedEarly) {
		return why
	}
	return nil
}

var errEndedEarly = errors.New("a stream ended early")

// opening is how many streams are opened at the same time.
const opening = 16

// open opens streams. What it has opened is returned with an error as well.
func (a *asker) open(ctx context.Context, n int) ([]*answer, error) {
	held, errs := make([]*answer, n), make([]error, opening)
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range opening {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[worker] == nil; i = int(next.Add(1)) - 1 {
				held[i], errs[worker] = a.stream(ctx, i)
			}
		})
	}
	wg.Wait()
	var opened []*answer
	for _, s := range held {
		if s != nil {
			opened = append(opened, s)
		}
	}
	return opened, errors.Join(errs...)
}

func (a *asker) stream(ctx context.Context, i int) (*answer, error) {
	s, err := a.ask(ctx, i)
	if err != nil {
		return nil, fmt.Errorf("opening stream %d through %s: %w", i, a.proxy, err)
	}
	if s.status != http.StatusOK {
		_ = s.Close()
		return nil, fmt.Errorf("opening stream %d through %s: status %d", i, a.proxy, s.status)
	}
	return s, nil
}

// drain reads the body to its end, or to its connection's: all that comes, or so many bytes a second.
func (s *answer) drain(slow int64) {
	buf := make([]byte, 4<<10)
	if slow == 0 {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, s.body, buf)
		return
	}
	for tick := time.Tick(time.Second); ; <-tick {
		if _, err := io.CopyN(struct{ io.Writer }{io.Discard}, s.body, slow); err != nil {
			return
		}
	}
}
