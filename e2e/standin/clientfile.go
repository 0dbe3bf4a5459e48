package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// file returns the film's file.
func (b *Playback) file() part {
	if len(b.film.Media) == 0 || len(b.film.Media[0].Part) == 0 {
		return part{}
	}
	return b.film.Media[0].Part[0]
}

// bytes returns the ask for a range of the file, both ends included, as the file's bytes must be.
func (b *Playback) bytes(from, to int64, header http.Header) ask {
	h := header.Clone()
	h.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
	return ask{
		path: b.file().Key, ids: idsHeader, header: h, status: http.StatusPartialContent,
		read: func(r answer) error {
			b.etag = r.header.Get("Etag")
			return b.compare(r.body, from, to-from+1)
		},
	}
}

func (b *Playback) headFile(ctx context.Context) {
	b.do(ctx, ask{
		method: http.MethodHead, path: b.file().Key, ids: idsHeader,
		read: func(r answer) error {
			if r.length != b.file().Size {
				return fmt.Errorf("a file of %d bytes, want %d", r.length, b.file().Size)
			}
			return nil
		},
	})
}

func (b *Playback) readFirstHalf(ctx context.Context) {
	b.do(ctx, b.bytes(0, b.file().Size/2-1, http.Header{}))
}

// readSecondHalf wants the rest of the very file that it has the first half of.
func (b *Playback) readSecondHalf(ctx context.Context) {
	b.do(ctx, b.bytes(b.file().Size/2, b.file().Size-1, http.Header{"If-Range": {b.etag}}))
}

func (b *Playback) readRanges(ctx context.Context) {
	const size, second = 100, 1000
	a := b.bytes(0, 0, http.Header{})
	a.header.Set("Range", fmt.Sprintf("bytes=0-%d,%d-%d", size-1, second, second+size-1))
	a.read = func(r answer) error {
		_, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
		if err != nil {
			return fmt.Errorf("parsing the type of two ranges: %w", err)
		}
		parts := multipart.NewReader(r.body, params["boundary"])
		for _, from := range []int64{0, second} {
			p, err := parts.NextPart()
			if err != nil {
				return fmt.Errorf("reading the range from %d: %w", from, err)
			}
			if err := b.compare(p, from, size); err != nil {
				return err
			}
		}
		return r.discard()
	}
	b.do(ctx, a)
}

// compare reads n bytes, no fewer and no more, that must be the film's from offset on.
func (b *Playback) compare(body io.Reader, offset, n int64) error {
	want := newFootage(b.file().Size, b.identity, "part", strconv.Itoa(b.file().ID))
	if _, err := want.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	read, err := io.Copy(&comparison{want: want}, b.pausing(body, n/2))
	if err == nil && read != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("after %d of %d bytes from %d: %w", read, n, offset, err)
	}
	return nil
}

// comparison takes only what it wants.
type comparison struct {
	want io.Reader
	buf  []byte
}

func (c *comparison) Write(b []byte) (int, error) {
	c.buf = slices.Grow(c.buf[:0], len(b))[:len(b)]
	if n, err := io.ReadFull(c.want, c.buf); err != nil {
		return n, errors.New("too many bytes")
	}
	if !bytes.Equal(b, c.buf) {
		return 0, errors.New("bytes of another film")
	}
	return len(b), nil
}

// paused reads a body to its end, with the client's pause in the middle.
func (b *Playback) paused(r answer) error {
	_, err := io.Copy(io.Discard, b.pausing(r.body, max(0, r.length/2)))
	return err
}

// pausing returns a reader of the body that pauses once after that many bytes.
func (b *Playback) pausing(body io.Reader, after int64) io.Reader {
	if b.client.Pause == nil {
		return body
	}
	pause := sync.OnceFunc(b.client.Pause)
	rest := readerFunc(func(p []byte) (int, error) {
		pause()
		return body.Read(p)
	})
	return io.MultiReader(io.LimitReader(body, after), rest)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
