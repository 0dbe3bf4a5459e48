// Package redact takes credentials out of what is about to be logged: Plex's and DuckDNS's tokens, cookies and
// authorizations, in URLs, in headers and in whatever quotes them.
//
// Caddy's warnings hold whole requests. Plex apps carry their token in nearly every URL, in the Referer, and
// inside the `url=` of photos, there percent-encoded once or twice.
package redact

import (
	"encoding/json"
	"io"
	"sync"
)

// Mark stands in the place of what was taken out.
const Mark = "[redacted]"

// Append appends line to dst, without its credentials. The two must not overlap. What is valid JSON stays so.
func Append(dst, line []byte) []byte {
	s := scanner{line: line, out: dst}
	s.scan()
	s.out = append(s.out, line[s.done:]...)
	if s.done == 0 || json.Valid(s.out[len(dst):]) || !json.Valid(line) {
		return s.out
	}
	return appendJSON(s.out[:len(dst)], line)
}

// Writer returns a writer that takes credentials out of what goes to w. Each Write must hold whole lines, as
// those of package log do. It may be used by several goroutines if w may.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ to io.Writer }

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Write implements [io.Writer]. Its count is that of p, as callers expect it.
func (w writer) Write(p []byte) (int, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = Append((*buf)[:0], p)
	if _, err := w.to.Write(*buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
