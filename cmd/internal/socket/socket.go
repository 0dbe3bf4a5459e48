// Package socket asks a plexdns that runs on this machine, over the socket in its state folder.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"plexha/corefile"
	"plexha/plugin/status"
)

// How long an answer may take, and how long it may be.
const (
	timeout   = 5 * time.Second
	maxAnswer = 4 << 20 // 64 nodes with all that is known of them are a tenth of that
)

// ErrNone is that no plexdns listens at the socket.
var ErrNone = errors.New("no plexdns runs with that state folder")

// Client asks at one socket.
type Client struct{ Path string }

// Of returns the client for a block: plexdns's socket stands in the folder of its `state` line, or else in the
// first one of the usual folders that has one. Nothing is made or written there.
func Of(s corefile.State) Client {
	if s.Dir != "" {
		return Client{status.Socket(s.Dir)}
	}
	return first(corefile.DefaultStateDirs())
}

// first returns the client for the first folder that has a socket, or else for the first folder.
func first(dirs []string) Client {
	for _, dir := range dirs {
		path := status.Socket(dir)
		if _, err := os.Stat(path); err == nil {
			return Client{path}
		}
	}
	return Client{status.Socket(dirs[0])}
}

// Status returns all that plexdns knows.
func (c Client) Status(ctx context.Context) (*status.Document, error) {
	var d status.Document
	if err := c.ask(ctx, http.MethodGet, "/status.json", "", &d); err != nil {
		return nil, err
	}
	if d.Version != status.Version {
		return nil, fmt.Errorf("asking plexdns: it tells its status in form %d, and plexctl reads %d: use the plexctl of its version",
			d.Version, status.Version)
	}
	return &d, nil
}

// Detect has a round of detection started for a zone.
func (c Client) Detect(ctx context.Context, zone string) error {
	return c.ask(ctx, http.MethodPost, "/detect", zone, new(status.Started))
}

// Push has the record of a zone looked at, and pushed if it needs to be.
func (c Client) Push(ctx context.Context, zone string) error {
	return c.ask(ctx, http.MethodPost, "/duckdns", zone, new(status.Started))
}

func (c Client) ask(ctx context.Context, method, path, zone string, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	u := url.URL{Scheme: "http", Host: "plexdns", Path: path}
	if zone != "" {
		u.RawQuery = url.Values{"zone": {zone}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("asking plexdns: %w", err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Path)
	}
	res, err := (&http.Transport{DialContext: dial, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // only read
	return read(res, into)
}

// explain says what may be wrong with the socket.
func (c Client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("asking plexdns at %s: %w", c.Path, context.Cause(ctx))
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: there is nobody at %s", ErrNone, c.Path)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("asking plexdns at %s: permission denied: be its user, root, or of the group of %s", c.Path, filepath.Dir(c.Path))
	default:
		return fmt.Errorf("asking plexdns at %s: %w", c.Path, err)
	}
}

// read takes the answer of plexdns, be it what was asked for or why not.
func read(res *http.Response, into any) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading plexdns's answer: %w", err)
	}
	if res.StatusCode/100 == 2 {
		if err := json.Unmarshal(body, into); err != nil {
			return fmt.Errorf("reading plexdns's answer: %w", err)
		}
		return nil
	}
	var no struct{ Error string }
	if json.Unmarshal(body, &no) != nil || no.Error == "" {
		return fmt.Errorf("plexdns answers %s", res.Status)
	}
	return fmt.Errorf("plexdns answers: %s", no.Error)
}
