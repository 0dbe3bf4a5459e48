package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

const (
	// takeTimeout is how long a reader may need to take what is written. One that is slower has gone, or sleeps.
	takeTimeout = 10 * time.Second
	// beat is how long nothing is said. What is between may drop connections that are still for some 30 s.
	beat = 15 * time.Second
	// retry is how long a browser waits before it connects again, in milliseconds.
	retry = "1000"
)

// stream is an answer without an end: server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// newStream begins the answer.
func newStream(w http.ResponseWriter) (*stream, error) {
	s := &stream{w, http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx keeps it back otherwise
	w.WriteHeader(http.StatusOK)
	if err := s.send([]byte("retry: " + retry + "\n\n")); err != nil {
		return nil, err
	}
	return s, nil
}

// event is one message.
type event struct {
	name string // empty: message
	id   string // empty: none
	data any    // made into one line of JSON
}

func (e event) appendTo(b *bytes.Buffer) error {
	if e.name != "" {
		b.WriteString("event: " + e.name + "\n")
	}
	if e.id != "" {
		b.WriteString("id: " + e.id + "\n")
	}
	b.WriteString("data: ")
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e.data); err != nil {
		return err
	}
	b.WriteString("\n")
	return nil
}

// tell sends messages, all in one piece.
func (s *stream) tell(events ...event) error {
	var b bytes.Buffer
	for _, e := range events {
		if err := e.appendTo(&b); err != nil {
			return err
		}
	}
	return s.send(b.Bytes())
}

// beat says that we are still there.
func (s *stream) beat() error { return s.send([]byte(":\n\n")) }

func (s *stream) send(text []byte) error {
	err := s.rc.SetWriteDeadline(time.Now().Add(takeTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}
