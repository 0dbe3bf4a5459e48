package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"plexha/e2e/standin"
)

// What a child may be, as its second argument says.
const (
	kindPlexdns = "plexdns"
	kindPlex    = "plex"
	kindProxy   = "proxy"
)

// Program is a program's main function: it takes the arguments after the program's name and returns the
// exit code.
type Program func(args []string, stdout, stderr io.Writer) int

// Child is this program as a child of the demo, to be called with the arguments after [ChildCommand]. It is a
// stand-in, `plex ADDRESS IDENTITY` or `proxy ADDRESS`, or else plexdns with the further arguments. It returns
// the exit code when that ends, or when in does, because the demo has ended.
func Child(ctx context.Context, args []string, in io.Reader, out, errw io.Writer, plexdns Program) int {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	if len(args) > 0 && args[0] == kindPlexdns {
		code := make(chan int, 1)
		go func() { code <- plexdns(args[1:], out, errw) }()
		select {
		case c := <-code:
			return c
		case <-ctx.Done():
			return 0
		}
	}
	if err := standIn(ctx, args); err != nil {
		_, _ = fmt.Fprintf(errw, "%v\n", err) // nobody left to tell
		return 1
	}
	return 0
}

// standIn serves until ctx is canceled.
func standIn(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == kindPlex:
		return serve(ctx, args[1], standin.NewPlex(args[2]))
	case len(args) == 2 && args[0] == kindProxy:
		return serve(ctx, args[1], standin.NewProxy())
	default:
		return fmt.Errorf("being a child: unexpected %q: only plexctl demo starts children", args)
	}
}

func serve(ctx context.Context, addr string, handler http.Handler) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving at %s: %w", addr, err)
	}
	return nil
}
