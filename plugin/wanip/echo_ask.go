package wanip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"plexha/plugin/resolve"
	"plexha/plugin/via"
	"plexha/zones"
)

const (
	// maxAsk bounds one question to one source: the look-up of its host, and whatever its servers do.
	maxAsk = 5 * time.Second
	// maxTries bounds how often a question is put, and by that the time that is given to one server alone: a
	// third of it is enough for a slow TLS handshake.
	maxTries = 3
)

// askFunc is a [Source.Ask].
type askFunc = func(ctx context.Context, path via.Path, f zones.Family) (netip.Addr, error)

var (
	// errSilent is the cause of the end of a question's time.
	errSilent = fmt.Errorf("no answer within %v", maxAsk)
	errLate   = errors.New("no answer in time")
	errClosed = errors.New("the connection was closed without an answer")
)

// askServers puts a question to servers in turn, to the next one when one has failed or was silent for a third
// of the time, and takes the first address that is told. Those that were asked earlier may still answer.
// Datagrams get lost: with again a silent server's turn comes again.
func askServers(
	ctx context.Context, servers []netip.AddrPort, f zones.Family, again bool,
	ask func(context.Context, netip.AddrPort) (netip.Addr, error),
) (netip.Addr, error) {
	servers = ofFamily(servers, f)
	if len(servers) == 0 {
		return netip.Addr{}, fmt.Errorf("%w: no %s server is known", ErrNothing, f)
	}
	tries := min(len(servers), maxTries)
	if again {
		tries = maxTries
	}
	return inTurn(ctx, tries, func(ctx context.Context, i int) (netip.Addr, error) {
		server := servers[i%len(servers)]
		addr, err := ask(ctx, server)
		if err == nil && !f.Has(addr) {
			err = fmt.Errorf("tells an %s address over %s", zones.FamilyOf(addr), f)
		}
		if err != nil {
			return netip.Addr{}, &serverError{server.Addr(), words(ctx, err)}
		}
		return addr, nil
	})
}

func ofFamily(servers []netip.AddrPort, f zones.Family) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range servers {
		if f.Has(s.Addr()) {
			out = append(out, s)
		}
	}
	return out
}

// inTurn starts tries until one succeeds, and waits for all that it has started.
func inTurn[T any](ctx context.Context, tries int, try func(ctx context.Context, i int) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	outcomes := make(chan outcome, tries)
	started := 0
	start := func() {
		if started < tries {
			i := started
			started++
			wg.Go(func() {
				value, err := try(ctx, i)
				outcomes <- outcome{value, err}
			})
		}
	}
	patience := time.NewTicker(share(ctx))
	defer patience.Stop()
	var all failures
	for start(); len(all) < tries; {
		select {
		case o := <-outcomes:
			if o.err == nil {
				return o.value, nil
			}
			all = append(all, o.err)
			start()
		case <-patience.C:
			start()
		}
	}
	var none T
	return none, all
}

// share is how long a try is waited for before the next one starts.
func share(ctx context.Context) time.Duration {
	total := maxAsk
	if end, ok := ctx.Deadline(); ok {
		total = time.Until(end)
	}
	return max(total/maxTries, time.Millisecond)
}

// serverError is what went wrong with one server.
type serverError struct {
	server netip.Addr
	err    error
}

// Error implements error.
func (e *serverError) Error() string { return e.server.String() + ": " + e.err.Error() }

// Unwrap returns what it was.
func (e *serverError) Unwrap() error { return e.err }

// failures are what went wrong with all tries, in the order in which it did.
type failures []error

// Error says everything once, behind the servers with which it went wrong.
func (f failures) Error() string {
	var texts []string
	servers := map[string][]string{}
	for _, err := range f {
		text, server := err.Error(), ""
		if e, ok := errors.AsType[*serverError](err); ok {
			text, server = e.err.Error(), e.server.String()
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		if server != "" && !slices.Contains(servers[text], server) {
			servers[text] = append(servers[text], server)
		}
	}
	for i, text := range texts {
		if by := servers[text]; by != nil {
			texts[i] = strings.Join(by, ", ") + ": " + text
		}
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.Is look into all of them.
func (f failures) Unwrap() []error { return f }

// words says what went wrong without what the reader knows already: whom we asked, and how. A host that has no
// way out over that family, or no address of it, is told by [ErrNothing].
func words(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case isTimeout(err) && (cause == nil || errors.Is(cause, context.DeadlineExceeded)):
		return errLate // a dialler may notice the end before ctx does
	case isTimeout(err):
		return cause
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errClosed
	}
	err = resolve.ShortCertificate(err)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	_, without := errors.AsType[*via.AddressError](err)
	for _, errno := range []syscall.Errno{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		without = without || errors.Is(err, errno)
	}
	if without {
		return fmt.Errorf("%w: %w", ErrNothing, err)
	}
	return err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// endWith ends what waits on a connection when ctx does. The function that it returns must be called in the end.
func endWith(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // closed already: nothing waits
}
