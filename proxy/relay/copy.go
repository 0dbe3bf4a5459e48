package relay

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallSize is the buffer of a stream that waits, as most do: it holds more than net/http's own of 4 KB,
	// which are left out by a read of that size.
	smallSize = 8 << 10
	// largeSize is the buffer of a stream that flows: fewer, larger system calls for the same bytes. More
	// gains nothing, since the kernel's buffers hold no more.
	largeSize = 256 << 10
	// largeMost bounds the large buffers of the process, 8 MB, since one may be stuck with a client that does
	// not read.
	largeMost = 32
	// A stream flows when window bytes took no more than windowTime, which is 50 Mbit/s: a film of the highest
	// rate, or anything that is fetched rather than played.
	window     = 64 << 10
	windowTime = 10 * time.Millisecond
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
	if b.begun.IsZero() {
		b.begun = time.Now()
		return // how long the first ones took is the node's thinking
	}
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

// copyBody copies the answer's body to the client. Bytes go out as they come: whatever was read is flushed
// before more is waited for, and the headers do not wait for the first of them.
func (t *trip) copyBody(w http.ResponseWriter, kind streamKind) error {
	body := t.res.Body
	if t.res.ContentLength == 0 || body == http.NoBody {
		return nil
	}
	flush := http.NewResponseController(w).Flush
	if kind == streamEvents {
		_ = flush()
	}
	var b buffer
	defer b.free()
	t.late.begin(w)
	n, err := body.Read(b.bytesOf())
	t.late.end()
	for {
		if n > 0 {
			t.from.stats.sent.Add(uint64(n))
			if _, err := w.Write(b.bytesOf()[:n]); err != nil {
				return fmt.Errorf("writing to the client: %w", err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from the node: %w", err)
		}
		_ = flush()
		b.moved(n)
		n, err = body.Read(b.bytesOf())
	}
}
