package standin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is what goes wrong with some requests.
type Fault struct {
	Prefix string        // of the path
	Delay  time.Duration // before anything is answered
	Hang   bool          // never answers
	Status int           // answers so, without looking further
	Rate   int           // bytes of an answer's body a second, in 20 portions
	Cut    int64         // bytes of an answer's body after which the connection is cut
	Times  int           // to how many requests it happens; 0: to all
}

// SetFaults replaces what goes wrong from now on. Of several that fit a request, the first happens.
func (p *Plex) SetFaults(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = slices.Clone(faults)
}

// fault returns what goes wrong with a request for that path; the zero value if nothing does.
func (p *Plex) fault(path string) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.faults {
		f := &p.faults[i]
		if !strings.HasPrefix(path, f.Prefix) || f.Times < 0 {
			continue
		}
		happens := *f
		if f.Times == 1 {
			f.Times = -1 // used up
		} else if f.Times > 1 {
			f.Times--
		}
		return happens
	}
	return Fault{}
}

// serve answers in mode OK, with what goes wrong then.
func (p *Plex) serve(w *recorder, r *http.Request) {
	f := p.fault(r.URL.Path)
	if f.Hang {
		p.sleep(r.Context(), -1)
		panic(http.ErrAbortHandler)
	}
	if f.Delay > 0 && !p.sleep(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Status != 0:
		http.Error(w, http.StatusText(f.Status), f.Status)
	case f.Rate > 0 || f.Cut > 0:
		p.routes.ServeHTTP(&faultyWriter{ResponseWriter: w, plex: p, request: r, fault: f}, r)
	default:
		p.routes.ServeHTTP(w, r)
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// sleep waits that long, for ever if d is negative, and tells whether it did: not if the client or p was gone first.
func (p *Plex) sleep(ctx context.Context, d time.Duration) bool {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
	case <-p.done:
	}
	return false
}

// faultyWriter delivers a body slowly, or not to its end.
type faultyWriter struct {
	http.ResponseWriter

	plex    *Plex
	request *http.Request
	fault   Fault
	written int64
}

// Unwrap is for [http.ResponseController].
func (w *faultyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *faultyWriter) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = w.writeSome(b[n:])
		n += m
	}
	return n, err
}

// writeSome writes and flushes one portion. It does not return if that was the last one before the cut, or if
// nobody waits for the next.
func (w *faultyWriter) writeSome(b []byte) (int, error) {
	const portions = 20 // a second
	if w.fault.Rate > 0 {
		b = b[:min(len(b), max(1, w.fault.Rate/portions))]
	}
	if w.fault.Cut > 0 {
		b = b[:min(int64(len(b)), w.fault.Cut-w.written)]
	}
	n, err := w.ResponseWriter.Write(b)
	if w.written += int64(n); err != nil {
		return n, err
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	if w.fault.Cut > 0 && w.written == w.fault.Cut {
		panic(http.ErrAbortHandler)
	}
	if w.fault.Rate > 0 && !w.plex.sleep(w.request.Context(), time.Second/portions) {
		panic(http.ErrAbortHandler)
	}
	return n, nil
}
