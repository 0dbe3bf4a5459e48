package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// linkIdle is how long a link may be silent before the kernel asks whether the other host is there.
	linkIdle = time.Second
	// linkEvery is how long after that it asks again. Setting it takes a whole second at least, so on Linux
	// the link watch itself has the kernel ask earlier; elsewhere it is that second.
	linkEvery = 250 * time.Millisecond
	// linkTries is how many of these must be unanswered.
	linkTries = 3

	// linkBackoff and linkBackoffMost bound how often a link is made anew.
	linkBackoff     = time.Second
	linkBackoffMost = 30 * time.Second
)

// wake is what a link watch tells its loop when a link ends.
type wake struct {
	why    string // the kernel gave the link up: that counts as a failure; empty: closed in an orderly way
	closed bool   // the other side did it, orderly or not
}

// link watches a place until ctx ends. It connects when up has a value, and sends what ends the link to wakes.
type link func(ctx context.Context, up <-chan struct{}, wakes chan<- wake)

// tcpLink watches a place by an idle TCP connection.
func tcpLink(at place) link {
	d := net.Dialer{Timeout: linkBackoffMost, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: linkIdle, Interval: linkEvery, Count: linkTries,
	}, Control: limitSilence}
	return relink(func(ctx context.Context) (wake, bool) {
		conn, err := d.DialContext(ctx, "tcp", at.at.String())
		switch {
		case err == nil:
			return wakeOf(hold(ctx, conn.(*net.TCPConn))), true //nolint:forcetypeassert // "tcp" gives nothing else
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
			// It answered a moment ago. Whether it is gone, a probe must tell.
			return wake{closed: true}, true
		default:
			return wake{}, false
		}
	})
}

// relink has one link after another, each by a call of once that lasts as long as it does and returns what to
// tell of its end, if anything. Between two there are linkBackoff at least, linkBackoffMost at most, and a
// good probe.
func relink(once func(context.Context) (w wake, tell bool)) link {
	return func(ctx context.Context, up <-chan struct{}, wakes chan<- wake) {
		backoff := linkBackoff
		for waitUp(ctx, up) {
			began := time.Now()
			if w, ok := once(ctx); ok {
				tell(ctx, wakes, w)
			}
			if time.Since(began) >= linkBackoffMost {
				backoff = linkBackoff
			}
			if !sleep(ctx, backoff) {
				return
			}
			backoff = min(2*backoff, linkBackoffMost)
			forget(up)
		}
	}
}

func waitUp(ctx context.Context, up <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-up:
		return ctx.Err() == nil
	}
}

// forget drops a value that is older than the end of the link.
func forget(up <-chan struct{}) {
	select {
	case <-up:
	default:
	}
}

func tell(ctx context.Context, wakes chan<- wake, w wake) {
	select {
	case <-ctx.Done():
	case wakes <- w:
	}
}

// hold reads from a link, whatever comes, until it ends, and returns what ended it.
func hold(ctx context.Context, conn *net.TCPConn) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	buf := make([]byte, 512)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(urge(conn))); err != nil {
			return err
		}
		if _, err := conn.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

func wakeOf(err error) wake {
	if errors.Is(err, io.EOF) {
		return wake{closed: true}
	}
	return wake{why: words(context.Background(), err), closed: errors.Is(err, syscall.ECONNRESET)}
}
