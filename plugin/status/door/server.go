package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// What a client is given. A route that streams goes on for longer.
const (
	readTimeout     = 5 * time.Second  // to send a request, which is a few lines
	writeTimeout    = 10 * time.Second // to take an answer, of a few dozen kilobytes
	idleTimeout     = 30 * time.Second
	shutdownTimeout = 250 * time.Millisecond // to take the last answer when we end
	maxHeader       = 8 << 10                // bytes
)

// Server serves a [Door], or another handler, at listeners.
type Server struct {
	http http.Server
	end  context.CancelFunc // of all requests, so that no stream holds up the end
}

// NewServer returns a server that listens nowhere yet.
func NewServer(h http.Handler) *Server {
	ctx, end := context.WithCancel(context.Background())
	return &Server{end: end, http: http.Server{
		Handler: h, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}}
}

// Serve answers who comes to a listener, and closes it. It returns nil when the server is closed.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends all. Whoever is slow to take his answer is cut off.
func (s *Server) Close() {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // what is left is closed in any case
	}
}
