package relay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallSize is the buffer of a stream that waits, as most do. It is no less than net/http's own, which are
	// left out by reads and writes of that size.
	smallSize = 4 << 10
	// largeSize is the buffer of a stream that flows: fewer, larger system calls for the same bytes. More
	// gains nothing, since the kernel's buffers hold no more.
	largeSize = 256 << 10
	// largeMost bounds the large buffers of the process, 16 MB, since one may be stuck with a client that does
	// not read, or a node that does not write.
	largeMost = 64
	// A stream flows when window bytes, or one large buffer, took no longer than at 50 Mbit/s: a film of the
	// highest rate, or anything that is fetched rather than played. The window is more than what an event or a
	// page brings at once.
	window     = 8 << 10
	windowTime = 1300 * time.Microsecond
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallSize]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeSize]byte) }}
	largeInUse   atomic.Int32
)

// buffer is what one stream holds: a small buffer while it waits, a large one while it flows.
type buffer struct {
	small *[smallSize]byte
	large *[largeSize]byte

	begun time.Time // of the window
	bytes int       // in it
}

func (b *buffer) bytesOf() []byte {
	switch {
	case b.large != nil:
		return b.large[:]
	case b.small == nil:
		b.small = smallBuffers.Get().(*[smallSize]byte)
	}
	return b.small[:]
}

// moved takes note that n bytes have gone through, and changes the buffer if the stream has become another.
func (b *buffer) moved(n int) {
	b.bytes += n
	if b.bytes < window && b.large == nil {
		return
	}
	now := time.Now()
	flows := b.bytes*int(windowTime) >= window*int(now.Sub(b.begun))
	b.begun, b.bytes = now, 0
	switch {
	case flows && b.large == nil:
		b.grow()
	case !flows && b.large != nil:
		b.shrink()
	}
}

func (b *buffer) grow() {
	if largeInUse.Add(1) > largeMost {
		largeInUse.Add(-1)
		return
	}
	b.large = largeBuffers.Get().(*[largeSize]byte)
	smallBuffers.Put(b.small)
	b.small = nil
}

func (b *buffer) shrink() {
	largeBuffers.Put(b.large)
	b.large = nil
	largeInUse.Add(-1)
}

func (b *buffer) free() {
	if b.small != nil {
		smallBuffers.Put(b.small)
		b.small = nil
	}
	if b.large != nil {
		b.shrink()
	}
}

// copyBody copies the answer's body to the client. Bytes go out as they come, within [heldBack], and what comes
// at once leaves at once.
func (t *trip) copyBody(w http.ResponseWriter) error {
	body := t.res.Body
	if t.res.ContentLength == 0 || t.req.Method == http.MethodHead {
		return nil
	}
	b := buffer{begun: time.Now()}
	defer b.free()
	for {
		n, err := t.read(w, body, b.bytesOf())
		if n > 0 {
			t.from.stats.sent.Add(uint64(n))
			if _, err := w.Write(b.bytesOf()[:n]); err != nil {
				return fmt.Errorf("writing to the client: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from the node: %w", err)
		}
		b.moved(n)
	}
}

// read reads from the node, and sends the client what is held back if that takes long.
func (t *trip) read(w http.ResponseWriter, body io.Reader, p []byte) (int, error) {
	t.late.begin(w)
	defer t.late.end()
	return body.Read(p)
}

// lateFlush sends what is held back for a client while the node lets itself be waited for.
type lateFlush struct {
	mu    sync.Mutex
	timer *time.Timer
	w     http.ResponseWriter // nil: nothing is waited for
}

// heldBack is how long bytes, and headers before the first of them, wait for more, so that what belongs
// together leaves in one packet: much longer than a node takes from one write to the next, too short to be
// noticed.
const heldBack = 2 * time.Millisecond

func (l *lateFlush) init() {
	l.timer = time.AfterFunc(time.Hour, l.flush)
	l.timer.Stop()
}

// begin flushes w soon, unless end is called before.
func (l *lateFlush) begin(w http.ResponseWriter) {
	l.mu.Lock()
	l.w = w
	l.mu.Unlock()
	l.timer.Reset(heldBack)
}

// end returns when no flush is under way, and none will come.
func (l *lateFlush) end() {
	l.timer.Stop()
	l.mu.Lock()
	l.w = nil
	l.mu.Unlock()
}

func (l *lateFlush) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w != nil {
		_ = http.NewResponseController(l.w).Flush()
	}
}
