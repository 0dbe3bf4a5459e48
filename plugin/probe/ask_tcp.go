package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"plexha/plugin/via"
	"plexha/zones/board"
)

// connect makes a connection by a path and closes it at once.
func connect(ctx context.Context, by via.Path, at netip.AddrPort) error {
	conn, err := by.Dial(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// tcpAsker asks whether a connection can be made.
func tcpAsker(at netip.AddrPort) asker {
	return askFunc(func(ctx context.Context, _ bool) answer {
		if err := connect(ctx, via.Path{}, at); err != nil {
			return answerError(ctx, err)
		}
		return answer{result: board.OK}
	})
}

// endpoint is a HOST:PORT outside, asked by an uplink's probe or as the canary. Its name is looked up again
// every 30 s and after a failure; the last good addresses are kept.
type endpoint struct {
	host    string
	port    uint16
	by      via.Path
	names   names
	timeout time.Duration // of a look-up

	mu     sync.Mutex
	addrs  []netip.Addr
	looked time.Time // zero: look up before the next question
}

// newEndpoint takes a HOST:PORT that corefile has validated. It is asked by a path; its name is looked up by
// whatever way.
func newEndpoint(hostPort string, by via.Path, from names, timeout time.Duration) *endpoint {
	host, service, _ := net.SplitHostPort(hostPort)
	port, _ := strconv.ParseUint(service, 10, 16)
	e := &endpoint{host: host, port: uint16(port), by: by, names: from, timeout: timeout}
	if addr, err := netip.ParseAddr(host); err == nil {
		e.addrs = []netip.Addr{addr}
		e.names = nil
	}
	return e
}

func (e *endpoint) ask(ctx context.Context, _ bool) answer {
	addrs, err := e.addresses(ctx)
	if err != nil {
		return answerFailed(err.Error())
	}
	for i, a := range addrs {
		// An equal share of the time that is left for each address, so that one that hangs leaves some.
		if err = e.connect(ctx, a, len(addrs)-i); err == nil {
			return answer{result: board.OK}
		}
	}
	e.mu.Lock()
	e.looked = time.Time{}
	e.mu.Unlock()
	return answerError(ctx, err)
}

func (e *endpoint) close() {}

func (e *endpoint) connect(ctx context.Context, a netip.Addr, shares int) error {
	if end, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(shares))
		defer cancel()
	}
	return connect(ctx, e.by, netip.AddrPortFrom(a, e.port))
}

// addresses returns those of the last good look-up, after another one if that is due.
func (e *endpoint) addresses(ctx context.Context) ([]netip.Addr, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.names == nil || time.Since(e.looked) < lookupEvery {
		return e.addrs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	addrs, err := lookup(ctx, e.names, e.host)
	switch {
	case err == nil:
		e.addrs, e.looked = addrs, time.Now()
	case e.addrs == nil:
		return nil, fmt.Errorf("looking up %s: %w", e.host, err)
	}
	return e.addrs, nil
}
